/* SPDX-License-Identifier: MIT */
/* Runs real daemons as a supervisor would, and talks to them as the vCPU process would. */
#ifndef BULKHEAD_TESTS_DAEMON_HARNESS_H
#define BULKHEAD_TESTS_DAEMON_HARNESS_H

#include "devices/backlog.h"
#include "devices/model.h"
#include "proto/clock.h"
#include "proto/frame.h"
#include "proto/journal.h"
#include "proto/line.h"
#include "proto/msi.h"
#include "proto/ring.h"
#include "proto/shadow.h"
#include "proto/virtio.h"
#include "proto_harness.h"

enum { DAEMON_RAM = 64 << 20 };
enum { VIRTIO_PIPES = VIRTIO_QUEUES + VIRTIO_VECTORS + 1, VIRTIO_ERRORS = VIRTIO_PIPES - 1 };
/* What the machine's clock shows when a test makes its objects: not what the host's does. */
#define DAEMON_AGE_NS (5 * CLOCK_NS_PER_S)

struct daemon {
	Bulkhead__Role role;
	pid_t pid;
	int control, event; /* our ends */
	uint32_t incarnation, next_id;
	struct test_object req, rsp, shadow, line, journal, backlog, msi, ram, map, screen, mailbox, legacy, framebuffer, picture, vectors, store;
	int pipes[VIRTIO_PIPES][2]; /* of a virtio front-end: kicks, calls, errors */
	int doorbell[2], irqd_bell[2], debug[2], vcpu_bell[2], stash[2], listen;
	/* irqd: the device whose line page it watches */
	struct daemon *source;
	uint32_t source_lines;
	uint32_t spin_ns;
	bool has_drop_to, reset;
	uint32_t drop_to;
	struct ring_producer producer; /* its clock is the machine's */
	struct frame frame;
};

/* Objects and channels, without a process. */
void daemon_make(struct daemon *d, Bulkhead__Role role);
void daemon_free(struct daemon *d);
/* Starts the program and does HELLO. */
void daemon_spawn(struct daemon *d);
/* SETUP_DEVICE; returns the type of the reply (MSG_OK or MSG_ERROR), which stands in d->frame. */
int daemon_setup(struct daemon *d, bool recover);
/* All of it; a vCPU attached. */
void daemon_start(struct daemon *d, Bulkhead__Role role);
/* Request without fields; the reply stands in d->frame; returns its type. */
int daemon_request(struct daemon *d, uint16_t type);
/* LINK, with its end, which is then the daemon's; -1: there is none any more. */
void daemon_link(struct daemon *d, int fd);
/* Exit status as waitpid tells it. */
int daemon_wait(struct daemon *d);
void daemon_kill(struct daemon *d);

/* A request for the daemon's device. */
struct io_slot daemon_slot(const struct daemon *d, enum io_op op, enum model_space space, uint64_t addr, unsigned size,
			   uint64_t data);
uint64_t port_in(struct daemon *d, uint16_t port, unsigned size);
void port_out(struct daemon *d, uint16_t port, unsigned size, uint64_t data);
void port_post(struct daemon *d, uint16_t port, unsigned size, uint64_t data, uint8_t classes);
/* Next event of the daemon that is not a log line; waits up to 5 s. */
const Bulkhead__Event *daemon_event(struct daemon *d);

#endif
