/* SPDX-License-Identifier: MIT */
/*
 * The front-end's side of a vhost-user connection: asks the back-end what it is, starts and stops its queues. It never waits:
 * what is to follow a reply follows when the reply is there. The back-end may be anybody's; one that says what makes no sense
 * is hung up on. Guest memory is not told from here: the one who made the connection has done that, so that a front-end need
 * not hold it.
 */
#ifndef BULKHEAD_DEVICES_VHOST_FRONT_H
#define BULKHEAD_DEVICES_VHOST_FRONT_H

#include "devices/virtio_model.h"
#include "proto/vhost_user.h"

enum vhost_step {
	VHOST_ABSENT, /* no connection */
	VHOST_ASKING, /* what it is, is not known yet */
	VHOST_READY,  /* its queues stand still */
	VHOST_RUNS,
	VHOST_STOPPING,
};

struct vhost_front {
	int fd;
	enum vhost_step step;
	uint32_t awaited;  /* enum vu_request of the reply that comes next; 0: none */
	unsigned stopping; /* queues that have not said where they stopped */
	unsigned config_bytes;
	uint64_t features, protocol;
	struct virtio_description description;
	size_t got; /* bytes of `in` */
	struct vu_message in;
};

/* What the queues are connected to; all belong to the caller. */
struct vhost_ends {
	int kick[VIRTIO_QUEUES], call[VIRTIO_VECTORS], error;
};

void vhost_front_init(struct vhost_front *f);
/* Takes the connection, and asks the first question. `config_bytes`: of the device's own configuration. 0 or -errno. */
int vhost_front_attach(struct vhost_front *f, int fd, unsigned config_bytes);
/* Hangs up, if there is a connection. */
void vhost_front_detach(struct vhost_front *f);
/*
 * Reads what has come. 0: nothing to do about it; 1: the description is complete (VHOST_READY); 2: it has stopped
 * (VHOST_READY). -ECONNRESET: it hung up. -EPROTO: it speaks nonsense, or lacks what we need, and *why says what.
 */
int vhost_front_read(struct vhost_front *f, const char **why);
/* VHOST_READY: starts the queues that the guest has enabled. `msix`: else all call the first vector. */
int vhost_front_start(struct vhost_front *f, const struct virtio_pci *v, const struct vhost_ends *ends, bool msix);
/* VHOST_RUNS: asks them to stop. */
int vhost_front_stop(struct vhost_front *f, const struct virtio_pci *v);

#endif
