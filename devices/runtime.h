/* SPDX-License-Identifier: MIT */
/*
 * The one shared shell of all device daemons: event loop, ring, time, lines, shadow, journal, control channel. What a
 * daemon adds stands in a struct daemon_shell; the device itself is a pure model (model.h).
 */
#ifndef BULKHEAD_DEVICES_RUNTIME_H
#define BULKHEAD_DEVICES_RUNTIME_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "devices/model.h"
#include "proto/child.h"
#include "proto/clock.h"
#include "proto/journal.h"
#include "proto/kind.h"
#include "proto/line.h"
#include "proto/ring.h"
#include "proto/sandbox.h"
#include "proto/shadow.h"

struct runtime;

struct daemon_shell {
	enum kind kind;
	const struct device_model *model;
	void *shell_state;  /* the shell's own, journalled beside the model's; may be NULL */
	size_t shell_size;
	uint32_t shell_version;

	/* Takes the role's own descriptors (those after the common ones, in the order of control.proto) and prepares
	 * whatever allocates; fds taken are set to -1. 0 or -errno. */
	int (*start)(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds);
	/* After power-on reset of the model (IO_RESET, fresh start). May be NULL. */
	void (*reset)(struct runtime *rt, uint64_t now_ns);
	/* A loaded shell_state: 0 or -EINVAL and *field. NULL if there is none. */
	int (*validate)(const void *shell_state, const char **field);
	/* Operations beside reads and writes (EOI, INTA). Returns the reply's data. NULL: all-ones. */
	uint64_t (*operate)(struct runtime *rt, const struct io_slot *slot, uint64_t now_ns);
	/* Before each slot and each step: inputs of the model that others publish. May be NULL. */
	void (*prepare)(struct runtime *rt);
	/* After each slot and step, before its commit: moves what leaves the model to where it survives us (the backlog, the
	 * journalled shell state). What it does outside is done again if we die before the commit. May be NULL. */
	void (*applied)(struct runtime *rt, uint64_t now_ns);
	/* No room for what the next request may bring: it stays in the ring, and the guest waits. NULL: never. */
	bool (*is_full)(const struct runtime *rt);
	/* After each commit, before anyone sees the reply: shows the world what follows from the committed state. Done again
	 * by the next incarnation, so it must be idempotent. May be NULL. */
	void (*committed)(struct runtime *rt, uint64_t now_ns);
	/* After each batch, timer or input: moves bytes, sends events. Returns the time at which it wants to be called again
	 * (UINT64_MAX: no wish). May be NULL. */
	uint64_t (*settle)(struct runtime *rt, uint64_t now_ns);
	/* May posted characters wait for a millisecond (proto/ring.h, RING_NAPPING)? Not while anyone waits for an interrupt
	 * that their transmission raises. NULL: no. */
	bool (*can_nap)(const struct runtime *rt);
	/* Is there output that has not reached its readers yet? Asked before leaving. NULL: never. */
	bool (*has_output)(struct runtime *rt);
	/* Is there news for the supervisor that it has not been sent yet? Asked before a FENCE is answered. NULL: never. */
	bool (*has_news)(struct runtime *rt);
	/* The last thing: the machine ends, and what has_output() says now stays undone. May be NULL. */
	void (*leave)(struct runtime *rt);
	/* CONSOLE_CLIENT: answers it, and takes the connection out of the frame. NULL: nobody comes here. */
	int (*admit)(struct runtime *rt, struct frame *f);
	/* LINK: takes one end of a connection to its other half, or -1: there is none from now on. Nothing of what it did for the
	 * one before is under way when it returns. NULL: it has no other half. 0, or -errno. */
	int (*link)(struct runtime *rt, int fd);
	/* The command line asks for another life than that of a machine's daemon: its exit code; -1: it does not. May be NULL. */
	int (*alone)(int argc, char **argv);
	int (*power_button)(struct runtime *rt); /* NULL: not this device */
	void (*hold_lines)(struct runtime *rt, bool hold); /* NULL: it looks at none */
	void (*stats)(struct runtime *rt, Bulkhead__Stats *stats);
};

struct runtime {
	const struct daemon_shell *shell;
	void *state; /* of the model */
	struct child child;
	struct event_base *base;
	struct event control_event, doorbell_event, timer_event;
	struct model_config config;
	struct machine_clock clock; /* all times below and in the model are by it */
	uint8_t *ram; /* the guest's, if the kind's row says so, else NULL: runtime_memory() */
	const struct code_map *code_map; /* of who writes it, if the processor is emulated: runtime_memory_written() */
	size_t code_map_bytes;

	struct ring_consumer ring;
	struct shadow_writer shadow;
	struct journal journal;
	struct journal_mark mark;
	struct line_page *line;	/* irqd has one too, without lines of its own */
	uint32_t line_last[MODEL_LINES];

	int doorbell_fd;      /* the vCPU process rings it */
	int irqd_doorbell_fd; /* we ring it; -1 for irqd */
	int timer_fd;
	uint64_t armed_ns;    /* what the timer is set to; UINT64_MAX: off */
	uint64_t model_ns, shell_ns, heartbeat_ns; /* deadlines */
	uint64_t busy_ns;     /* when the last request was applied */
	uint64_t now_ns;      /* latest time given to the model: never goes back */
	uint32_t spin_ns;
	bool dirty;	      /* state changed since the last commit */
	bool recovered;	      /* we go on from an earlier incarnation's journal */
	bool skips;	      /* the request skip_seq has killed two incarnations */
	uint32_t skip_seq;
	bool drops;	      /* what came before drop_to was lost when the device was given up */
	uint32_t drop_to;
	uint32_t fence_id;    /* FENCE that is not answered yet; 0: there is none */
	bool stop;
	uint64_t leaving_ns; /* QUIESCE came: gone by then, if no more output moves until then; 0: it did not */
	uint64_t patience_ns, gone_ns; /* how much later each piece of output makes it, and the limit of that */
	int exit_code;
	uint64_t requests, synchronous, sleeps, protocol_errors, unclaimed;
};

/* The whole life of a daemon: main() returns what this returns. */
int runtime_main(const struct daemon_shell *shell, int argc, char **argv);

/* For shells' event callbacks: the model's or shell's state was changed outside a slot; settles and commits soon. */
void runtime_touch(struct runtime *rt);
/* The same, and a reader took output: whoever leaves waits for the next piece. */
void runtime_output_moved(struct runtime *rt);
/* Latest time, to be passed to the model. */
uint64_t runtime_now(struct runtime *rt);
/* Guest memory at this address, or NULL if not all of it is there. The guest may change it at any time: read once. */
void *runtime_memory(const struct runtime *rt, uint64_t addr, uint64_t len);
/* After these bytes of guest memory were written, and before anything says so to the guest: an answer, a line, a used index.
 * If processors hold decoded code of them, they hear of it. */
void runtime_memory_written(struct runtime *rt, uint64_t addr, uint64_t len);
/* SETUP: maps what `fds` holds of it, guest memory and the code map. 0 or -errno. */
int runtime_map_memory(struct runtime *rt, const Bulkhead__SetupDevice *m, const int *fds);
/* Writes one byte; a full pipe is as good. */
void runtime_ring_bell(int fd);
/* A further doorbell pipe: its bytes mean runtime_touch(). `bell` stays where it is. 0 or -EIO. */
struct runtime_bell {
	struct runtime *rt;
	struct event event;
};
int runtime_watch_bell(struct runtime *rt, struct runtime_bell *bell, int fd);
/* Adds a persistent event for a descriptor; `ev` stays where it is. 0 or -EIO. */
int runtime_watch(struct runtime *rt, struct event *ev, int fd, short what, event_callback_fn callback, void *arg);

/*
 * The parts of the runtime, for its own files.
 */

enum { SETUP_FD_REQ, SETUP_FD_RSP, SETUP_FD_SHADOW, SETUP_FD_LINE, SETUP_FD_JOURNAL, SETUP_FD_DOORBELL, SETUP_FD_OWN };

/* runtime_setup.c: takes SETUP_DEVICE (already decoded in child.frame); answers only on errors. 0 or -errno. */
int runtime_setup(struct runtime *rt);
/* runtime_apply.c */
void runtime_apply(struct runtime *rt, const struct io_slot *slot);
/* Answers a poisonous request with all-ones, without applying it. */
void runtime_skip(struct runtime *rt, const struct io_slot *slot);
/* Time has passed or something outside the ring has happened: inputs, deadlines, lines, commit. */
void runtime_step(struct runtime *rt);
void runtime_reset(struct runtime *rt, uint64_t now_ns);
void runtime_commit(struct runtime *rt);
/* Shadow, lines and whatever else the world sees follow the committed state. */
void runtime_publish(struct runtime *rt);

#endif
