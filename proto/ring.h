/* SPDX-License-Identifier: MIT */
/*
 * The request ring between the vCPU process and one daemon: REQ is written by the vCPU process only, RSP by the daemon
 * only; each side has the other's object mapped read-only. All vCPU threads share one producer (requests of different
 * vCPUs to one device are ordered), whose lock is private to the vCPU process.
 *
 * Order of one request:
 *   vcpu:    fill slot[tail & 63] -> tail + 1 (release) -> full fence -> sleeping? doorbell
 *   daemon:  tail (acquire) -> copy slot, check the copy -> apply, publish lines and shadow, commit the journal
 *            -> reply data -> head + 1 (release) -> reply seq (release) -> full fence -> waiting? FUTEX_WAKE
 *   vcpu:    reply seq (acquire), or waiting = 1 -> full fence -> reply seq again -> FUTEX_WAIT on it
 */
#ifndef BULKHEAD_PROTO_RING_H
#define BULKHEAD_PROTO_RING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "clock.h"
#include "code_notice.h"

enum { RING_SLOTS = 64, RING_VCPUS = 64, RING_PAYLOAD = 24, RING_REPLY_DATA = 112 };

enum io_op {
	IO_INVALID, /* a zeroed slot is not a request */
	IO_READ,
	IO_WRITE,
	IO_EOI,	  /* irqd: data = vector, EOI broadcast of a local APIC */
	IO_INTA,  /* irqd: data = seq of the 8259's output word; the reply, if awaited, is the vector */
	IO_FENCE, /* does nothing: its reply says that all earlier slots were applied */
	IO_RESET, /* power-on state of the whole model */
	IO_OPS
};

enum {
	IO_SYNC = 1 << 0, /* a reply is awaited in the cell of `vcpu` */
	IO_FLAGS = IO_SYNC,
};

struct io_slot {
	uint32_t seq;	  /* = index of this slot: tells stale and torn use */
	uint8_t op;	  /* enum io_op */
	uint8_t size;	  /* 1, 2, 4, 8 for reads and writes; else 0 */
	uint8_t flags;	  /* IO_SYNC */
	uint8_t vcpu;	  /* whose reply cell */
	uint8_t range;	  /* index of the range in the device's row; the daemon checks it, and offset and size with it */
	uint8_t space;	  /* enum model_space, for reports, as addr is */
	uint16_t count;	  /* items of REP INS/OUTS in this slot, packed in payload or the reply; 0: plain access */
	uint32_t offset;  /* from the beginning of the range */
	uint64_t addr;	  /* guest-physical address or port */
	uint64_t data;
	uint64_t when; /* the machine's clock at the access, ns; a late application of a posted write is exact by it */
	uint64_t payload[RING_PAYLOAD / 8];
};
_Static_assert(sizeof(struct io_slot) == 64, "a slot is one cache line");
_Static_assert(offsetof(struct io_slot, op) == 4 && offsetof(struct io_slot, size) == 5, "slot layout");
_Static_assert(offsetof(struct io_slot, flags) == 6 && offsetof(struct io_slot, vcpu) == 7, "slot layout");
_Static_assert(offsetof(struct io_slot, range) == 8 && offsetof(struct io_slot, space) == 9, "slot layout");
_Static_assert(offsetof(struct io_slot, count) == 10 && offsetof(struct io_slot, offset) == 12, "slot layout");
_Static_assert(offsetof(struct io_slot, addr) == 16, "slot layout");
_Static_assert(offsetof(struct io_slot, data) == 24 && offsetof(struct io_slot, when) == 32, "slot layout");
_Static_assert(offsetof(struct io_slot, payload) == 40, "slot layout");

/* Writer: vcpu process. Reader: daemon (and the supervisor, for the watchdog). Starts as zeroes. */
struct ring_req {
	_Atomic uint32_t tail; /* slots published, free-running; stored (release) after the slot's contents */
	uint32_t pad0[15];
	_Atomic uint32_t space_waiting; /* a producer sleeps on RSP.room because the ring is full */
	_Atomic uint32_t msi_head;	/* irqd's channel only: messages of the MSI ring that were taken */
	_Atomic uint32_t msi_sleeping;	/* irqd's channel only: ring the vcpu doorbell for messages */
	uint32_t pad1;
	_Atomic uint64_t heartbeat_ns; /* irqd's channel only: the host's clock, renewed every second by the vcpu process */
	uint32_t pad2[10];
	_Atomic uint32_t waiting[RING_VCPUS]; /* vCPU i sleeps (or is about to) on its reply cell's seq */
	struct io_slot slots[RING_SLOTS];
};
_Static_assert(offsetof(struct ring_req, space_waiting) == 64 && offsetof(struct ring_req, msi_head) == 68, "REQ");
_Static_assert(offsetof(struct ring_req, msi_sleeping) == 72 && offsetof(struct ring_req, heartbeat_ns) == 80, "REQ");
_Static_assert(offsetof(struct ring_req, waiting) == 128, "REQ");
_Static_assert(offsetof(struct ring_req, slots) == 384 && sizeof(struct ring_req) == 4480, "REQ");

/* Writer: daemon. Reader: the vCPU that waits. Two cache lines. */
struct ring_cell {
	_Atomic uint32_t seq; /* slot seq + 1 of the request this answers; stored (release) last; futex word */
	uint32_t reserved;
	uint64_t data;
	uint8_t bytes[RING_REPLY_DATA]; /* REP INS: `count` items, packed */
};
_Static_assert(sizeof(struct ring_cell) == 128 && offsetof(struct ring_cell, data) == 8, "reply cell");
_Static_assert(offsetof(struct ring_cell, bytes) == 16, "reply cell");

enum ring_sleep {
	RING_AWAKE,
	RING_ASLEEP,  /* or about to be */
	RING_NAPPING, /* for a millisecond: posted characters alone (CLASS_TXDATA) need no doorbell until the ring is half full */
};

/* Writer: daemon. Reader: vcpu process (and the supervisor). Starts as zeroes. */
struct ring_rsp {
	_Atomic uint32_t head; /* slots applied; stored (release) after their effects */
	uint32_t pad0[15];
	_Atomic uint32_t sleeping;	/* enum ring_sleep: does a new request need the doorbell? */
	_Atomic uint32_t incarnation;	/* of the daemon that serves now */
	_Atomic uint64_t heartbeat_ns;	/* the machine's clock, renewed every second even when idle */
	_Atomic uint32_t protocol_errors; /* the daemon found this ring broken and has stopped reading it */
	_Atomic uint32_t room; /* moves when a full ring has become half empty; futex word of producers that wait for that */
	_Atomic uint64_t first_ns; /* the host's clock at this incarnation's first answer; 0: none yet */
	_Atomic uint32_t holding;  /* it leaves its requests alone until there is room for what follows from them */
	uint32_t pad1[7];
	struct ring_cell cells[RING_VCPUS];
	struct code_notices written; /* of daemons that write guest memory */
	uint64_t pad2;
};
_Static_assert(offsetof(struct ring_rsp, sleeping) == 64 && offsetof(struct ring_rsp, heartbeat_ns) == 72, "RSP");
_Static_assert(offsetof(struct ring_rsp, cells) == 128 && offsetof(struct ring_rsp, written) == 8320 && sizeof(struct ring_rsp) == 8576, "RSP");

/*
 * Producer: the vCPU process's side. One per daemon; every function may be called from any vCPU thread.
 */

enum { RING_CLASSES = 8 };

struct ring_stats {
	_Atomic uint64_t posted, synchronous, doorbells, sleeps, protocol_errors, full;
	_Atomic uint64_t waited_ns; /* in waits that slept */
};

struct ring_producer {
	struct ring_req *req;
	const struct ring_rsp *rsp;
	int doorbell_fd;   /* write end of a pipe, O_NONBLOCK */
	struct machine_clock clock; /* of the times in slots; all zero after ring_attach() */
	uint32_t spin_ns;  /* how long a wait polls before it sleeps */
	uint64_t slice_ns; /* first sleep of a wait, doubled up to 8 ms; longer only in tests that look for lost wakes */
	/* Asked before each sleep, told how long the wait has been going on and what is odd about it: 0 nothing; -EPROTO the
	 * daemon's head is nonsense; -ENOMSG its head has passed the request, but there is no answer (so it is for a moment,
	 * when a daemon dies just then). False ends the wait with -ENXIO. NULL: patience without end. */
	bool (*patience)(void *ctx, uint64_t waited_ns, int odd);
	void *patience_ctx;
	pthread_mutex_t lock;
	_Atomic uint64_t tail;			/* private truth; req->tail is its low half */
	_Atomic uint64_t touched[RING_CLASSES]; /* tail after the last posted write of that class (bit number) */
	_Atomic uint64_t touched_sync;		/* tail after the last synchronous request: every entry depends on those */
	_Atomic bool given_up; /* ring_give_up(): nothing is sent, nothing is waited for */
	struct ring_stats stats;
};

/*
 * Waiting: a request whose daemon is being restarted, starves, or has broken its ring waits for as long as that takes; it
 * is neither dropped nor left behind to be applied when nobody expects it any more. A short spin, then sleeps of
 * milliseconds, so that a wait of minutes costs next to nothing, and a peer that never wakes anybody harms nobody else.
 * What ends a wait without an answer is the supervisor's word that the device is given up.
 */

/*
 * Takes over the producer side of a ring, a fresh one or one that an earlier vCPU process has left (reboot): the tail
 * goes on where it was, requests in flight are still applied first, their replies go unread. Whoever does that sends
 * IO_RESET next. -EPROTO if tail and head contradict each other: the daemon broke its ring. The producer is attached all
 * the same, and its requests wait until a daemon has repaired it.
 */
int ring_attach(struct ring_producer *p, struct ring_req *req, const struct ring_rsp *rsp, int doorbell_fd,
		uint32_t spin_ns);
void ring_detach(struct ring_producer *p);

/*
 * Queues a request without waiting for an answer, but for room if the ring is full. Fills in seq, flags and (if 0) when.
 * `classes` (enum reg_class bits) says which shadow entries it may change.
 *
 * 0       queued
 * -ENXIO  the device was given up: dropped
 */
int ring_post(struct ring_producer *p, const struct io_slot *request, uint8_t classes);

struct ring_reply {
	uint64_t data;
	uint8_t bytes[RING_REPLY_DATA];
};

/*
 * Queues a request and waits for its answer. `reply` may be NULL; its bytes are copied only if request->count > 0. On an
 * error the caller behaves as if nothing answered (all-ones).
 *
 * 0, -ENXIO as above; -EINVAL: no such vcpu
 */
int ring_call(struct ring_producer *p, const struct io_slot *request, struct ring_reply *reply);

/* REP INS/OUTS in as many slots as it takes. Errors as ring_call; what could not be read is all-ones. */
int ring_read_string(struct ring_producer *p, const struct io_slot *request, void *buf, uint32_t count, unsigned size);
int ring_write_string(struct ring_producer *p, const struct io_slot *request, const void *buf, uint32_t count,
		      unsigned size);

/* Have all operations of these classes, queued by any thread before this call, been applied? Cheap: three loads. */
bool ring_is_applied(const struct ring_producer *p, uint8_t classes);

/*
 * The supervisor has given the device up (true), or taken it back: from now on, and within a few milliseconds for whoever
 * waits already, requests fail with -ENXIO at once.
 */
void ring_give_up(struct ring_producer *p, bool given_up);

/* Rings the doorbell whatever the daemon's sleeping flag says (after a restart). Never blocks. */
void ring_doorbell(struct ring_producer *p);

/*
 * Consumer: the daemon's side. Single-threaded.
 */

struct ring_consumer {
	const struct ring_req *req;
	struct ring_rsp *rsp;
	uint32_t head; /* private truth */
	unsigned vcpus;
	bool broken, holding;
};

/* Starts at `head` (0 for new objects; a restarted daemon knows it from its journal) and publishes it. */
void ring_consumer_init(struct ring_consumer *r, const struct ring_req *req, struct ring_rsp *rsp, uint32_t head,
			unsigned vcpus);

/*
 * Copies the next request without taking it off the ring.
 *
 * 0         *slot holds a private, validated copy; ring_complete() takes it off
 * -EAGAIN   the ring is empty
 * -EPROTO   the producer broke the protocol (index jump, bad operation, size, count); the ring must not be read again
 */
int ring_peek(struct ring_consumer *r, struct io_slot *slot);

/* Could a producer have sent this, as request number `seq` of a machine with so many vCPUs? */
bool ring_slot_is_valid(const struct io_slot *s, uint32_t seq, unsigned vcpus);

/* Is such a request on the ring, the one that ring_peek() gave included? A hint, for nothing is checked. */
bool ring_holds(const struct ring_consumer *r, enum io_op op);

/* Does nothing lie behind the request that ring_peek() gave? */
bool ring_is_last(const struct ring_consumer *r, const struct io_slot *slot);

/* Publishes the answer (`reply` may be NULL if IO_SYNC is not set), then wakes whoever sleeps. Order: see above. */
void ring_complete(struct ring_consumer *r, const struct io_slot *slot, const struct ring_reply *reply);

/* Before sleeping: announces it and looks once more. False: there is work, do not sleep. */
bool ring_sleep(struct ring_consumer *r, enum ring_sleep how);
/* Requests wait for something else than this daemon: for the supervisor, who would take it for one that hangs. */
void ring_hold(struct ring_consumer *r, bool hold);
void ring_awake(struct ring_consumer *r);

/* Stops reading for good; the producer waits until this device is replaced or given up. */
void ring_quarantine(struct ring_consumer *r);

/* Requests queued: 0..RING_SLOTS, or -EPROTO. Works on read-only mappings of both: for the supervisor. */
int ring_backlog(const struct ring_req *req, const struct ring_rsp *rsp);

/*
 * What a ring is while neither side moves: for the state of a machine (ring_image.c).
 */
struct ring_image {
	uint32_t tail, head;
	uint32_t msi_head; /* irqd's channel only */
	uint32_t reserved; /* 0 */
	struct io_slot slots[RING_SLOTS]; /* those from head to tail count, at their places; the others are zeroes */
};
_Static_assert(sizeof(struct ring_image) == 4112, "ring image");

/* -EPROTO: tail and head contradict each other. */
int ring_save(const struct ring_req *req, const struct ring_rsp *rsp, struct ring_image *out);
/* Into new objects that nobody uses yet. -EINVAL: no ring can be like that. */
int ring_restore(struct ring_req *req, struct ring_rsp *rsp, const struct ring_image *in, unsigned vcpus);

/* "request 12: write of 1 x 1 bytes at port 0x3f8, data 0x41, vcpu 0", for people. Anything may be in the slot. */
void ring_describe(const struct io_slot *s, char *out, size_t len);

/* Futex calls on shared words; wait returns after `timeout_ns`, a wake-up, or a signal. */
void futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns);
void futex_wake(const _Atomic uint32_t *word, int waiters);

#endif
