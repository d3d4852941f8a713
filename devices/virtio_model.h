/* SPDX-License-Identifier: MIT */
/*
 * A virtio device as a PCI function (virtio 1.2, 4.1): configuration space, BAR 0, MSI-X. What kind of device it is, it learns
 * from its back-end; it has no memory of the guest's, and moves no data.
 */
#ifndef BULKHEAD_DEVICES_VIRTIO_MODEL_H
#define BULKHEAD_DEVICES_VIRTIO_MODEL_H

#include "devices/chips/msix.h"
#include "devices/chips/pci_function.h"
#include "devices/chips/virtio_pci.h"
#include "devices/model.h"

enum { VIRTIO_CONFIG_BYTES = 64, VIRTIO_BAR_BYTES = 0x8000 };
/* Device ids (5). */
enum { VIRTIO_ID_NET = 1, VIRTIO_ID_BLOCK = 2, VIRTIO_ID_CONSOLE = 3, VIRTIO_ID_RNG = 4, VIRTIO_ID_GPU = 16, VIRTIO_ID_VSOCK = 19, VIRTIO_ID_FS = 26 };

/* ISR status (4.1.4.5). */
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };

struct virtio_state {
	struct pci_function function;
	struct msix msix;
	uint8_t isr;
	uint8_t described; /* the back-end has said what it is */
	struct virtio_pci common;
	uint8_t config[VIRTIO_CONFIG_BYTES]; /* the device's own */
	uint32_t line;			     /* word */
	uint16_t type;			     /* device id of virtio 1.2, 5 */
	uint16_t slot;			     /* number on the PCI bus */
};

struct virtio_description {
	uint64_t features;
	unsigned queues;
	uint8_t config[VIRTIO_CONFIG_BYTES];
};

/*
 * What the back-end is, when a connection to it has been made. 0; 1: its configuration has changed, and the guest is told;
 * -EPROTO: it lacks a feature or a queue that the guest uses already, until its next reset.
 */
int virtio_model_describe(void *state, const struct virtio_description *d);
/* Of the device's own configuration, which its back-end is asked for: fields that no back-end here has are left out. */
unsigned virtio_model_config_bytes(const void *state);
bool virtio_model_is_described(const void *state);
bool virtio_model_uses_msix(const void *state);
const struct virtio_pci *virtio_model_common(const void *state);
/* The back-end has stopped: the guest's reset is over. */
void virtio_model_stopped(void *state);
/* The device cannot go on (2.1.2, DEVICE_NEEDS_RESET). */
void virtio_model_break(void *state);
/* What vector n sends now; `on` only if MSI-X is enabled and nothing masks it. */
struct virtio_message virtio_model_message(const void *state, unsigned n);
/* The vector was called while it was off: an interrupt, if MSI-X is not enabled; else it is pending. */
void virtio_model_called(void *state, unsigned n);
/* Vectors that are pending and on: they are to be called again. Takes them. */
unsigned virtio_model_take_pending(void *state);

#endif
