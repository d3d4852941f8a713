/* SPDX-License-Identifier: MIT */
/*
 * The common configuration of a virtio device on PCI (virtio 1.2, 4.1.4.3): negotiation, queues, status. Nothing of a device
 * happens here: who owns it looks at `phase` and says when the back-end has begun or stopped.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_VIRTIO_PCI_H
#define BULKHEAD_DEVICES_CHIPS_VIRTIO_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/reg.h"
#include "proto/virtio.h"

enum { VIRTIO_QUEUE_SIZE = 256, VIRTIO_NO_VECTOR = 0xffff };
enum { VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4, VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 64, VIRTIO_FAILED = 128 };

enum virtio_phase {
	VIRTIO_IDLE,	 /* the back-end has nothing to do */
	VIRTIO_RUNS,	 /* DRIVER_OK: it serves the queues */
	VIRTIO_STOPPING, /* the guest has asked for a reset, which is over when the back-end has stopped */
	VIRTIO_PHASES
};

struct virtio_queue {
	uint16_t size, vector, enabled, reserved;
	uint64_t desc, driver, device; /* guest addresses */
};

struct virtio_pci {
	uint64_t offered, accepted; /* features */
	uint32_t offered_select, accepted_select;
	uint16_t config_vector, queue_select, queue_count;
	uint8_t status, generation, phase, reserved[3];
	struct virtio_queue queues[VIRTIO_QUEUES];
};

enum virtio_pci_reg {
	VIRTIO_REG_OFFERED_SELECT,
	VIRTIO_REG_OFFERED,
	VIRTIO_REG_ACCEPTED_SELECT,
	VIRTIO_REG_ACCEPTED,
	VIRTIO_REG_CONFIG_VECTOR,
	VIRTIO_REG_QUEUE_COUNT,
	VIRTIO_REG_STATUS,
	VIRTIO_REG_GENERATION,
	VIRTIO_REG_QUEUE_SELECT,
	VIRTIO_REG_QUEUE_SIZE,
	VIRTIO_REG_QUEUE_VECTOR,
	VIRTIO_REG_QUEUE_ENABLE,
	VIRTIO_REG_QUEUE_NOTIFY,
	VIRTIO_REG_QUEUE_DESC,
	VIRTIO_REG_QUEUE_DRIVER,
	VIRTIO_REG_QUEUE_DEVICE,
	VIRTIO_PCI_REGS
};
extern const struct reg_desc virtio_pci_regs[VIRTIO_PCI_REGS];
enum { VIRTIO_COMMON_BYTES = 0x38 };

/* Power-on, and the guest's reset; what the device offers stays, and is set by its owner. */
void virtio_pci_reset(struct virtio_pci *v);
uint64_t virtio_pci_read(const struct virtio_pci *v, uint32_t offset, unsigned size);
/* A write that is not to one register, or to one half of a wide one, does nothing (4.1.3.1). */
void virtio_pci_write(struct virtio_pci *v, uint32_t offset, uint64_t data, unsigned size);
/* What the device has. `queues` at most VIRTIO_QUEUES. */
void virtio_pci_offer(struct virtio_pci *v, uint64_t features, unsigned queues);
/* NULL, or the first field that cannot be so. */
const char *virtio_pci_check(const struct virtio_pci *v);

#endif
