/* SPDX-License-Identifier: MIT */
/*
 * The vcpu process: runs guest code through an engine and turns what the guest touches into requests on the daemons'
 * rings. Threads: one per vCPU; the main thread is the helper that takes control messages and irqd's messages.
 */
#ifndef BULKHEAD_VMM_VCPU_VCPU_H
#define BULKHEAD_VMM_VCPU_VCPU_H

#include "debug.h"

#include "emu/core/engine.h"
#include "emu/model/features.h"
#include "emu/native/memory.h"
#include "proto/child.h"
#include "proto/counters.h"
#include "proto/line.h"
#include "proto/msi.h"
#include "proto/ring.h"
#include "proto/route.h"
#include "proto/sandbox.h"
#include "proto/shadow.h"
#include "proto/virtio.h"
#include "proto/watch_time.h"
#include "pci.h"
#include "pulse.h"
#include "trace.h"

#include <poll.h>
#include <pthread.h>

struct bus;

/* What a virtio device has beside its ring. */
struct virtio_ends {
	Bulkhead__Role role;
	unsigned instance;
	const struct virtio_vectors *vectors;
	int kick_fd[VIRTIO_QUEUES], call_fd[VIRTIO_VECTORS];
};

/* One daemon as this process sees it. */
struct echo;

struct channel {
	struct bus *bus;
	Bulkhead__Role role;
	unsigned instance;
	struct ring_producer ring;
	const struct shadow_page *shadow;
	struct echo *echo; /* of a VGA; NULL: another device */
	const struct virtio_ends *virtio; /* of a virtio front-end; NULL: another device */
	_Atomic uint64_t reported_ns; /* when the supervisor was last told that the guest waits, or waits in vain */
};

struct bus {
	struct child *child;
	struct channel channels[ROUTE_CHANNELS];
	unsigned channel_count;
	struct virtio_ends virtio[VIRTIO_DEVICES];
	unsigned virtio_count;
	struct channel *irqd;
	const struct msi_page *msi;
	struct irq_message pin_routes[MODEL_LINES]; /* the latest of each pin of the IOAPIC; the helper's */
	_Atomic uint32_t acked_seq; /* of the 8259's output: taken by a vCPU already */
	struct route_table routes;
	struct pci_bus pci;
	struct counters_page *counters;
	struct vcpu_trace trace;
	_Atomic uint32_t at_rest; /* vCPUs whose guest has done its last, until the machine is ended */
};

/* The engine's view of the bus; ctx is the struct bus. */
void bus_engine(struct bus *b, struct engine_bus *out);
/* What all threads have counted. */
uint64_t bus_count(const struct bus *b, enum counter which);
uint64_t bus_count_shadowed(const struct bus *b);
uint64_t bus_count_interrupts(const struct bus *b);
/* NULL: it is no channel of ours. */
struct channel *bus_channel(struct bus *b, Bulkhead__Role role, unsigned instance);
/* A further place at which a device answers, while the guest may run. 0, or -errno as route_place(). */
int bus_add_route(struct bus *b, const Bulkhead__RouteAdd *m);
/*
 * All devices to power-on state, in an order in which no stale interrupt survives; for a machine that is started again.
 * Waits for each of them. Nobody else may read `msi` meanwhile.
 */
void bus_reset(struct bus *b, struct msi_consumer *msi);
/* The guest has run in another process, and may have moved what is behind BARs. Waits for the devices. */
void bus_find_bars(struct bus *b);
/* A ring's patience (ring.h); ctx is the struct channel. */
bool bus_patience(void *ctx, uint64_t waited_ns, int odd);

enum run_state { RUN_WAITING, RUN_RUNNING, RUN_PAUSED, RUN_ENDED };

struct vcpu_process {
	struct child child;
	struct sandbox_report missing; /* of the sandbox, on this host */
	struct bus bus;
	struct engine *engine;
	struct native_memory native; /* the emulator's generated code */
	unsigned vcpus;
	struct engine_ram ram[ENGINE_MAX_RAM];
	unsigned ram_count;
	struct debug_door debug;
	struct msi_consumer msi;
	int msi_doorbell_fd;
	struct pic_output seen; /* of the 8259: the engine knows of this */
	bool used_before; /* the rings come from an earlier vcpu process: devices need a reset first */
	bool restored;	  /* they come with processors, which are still to be brought */
	uint64_t restored_parts; /* bit n: vCPU n; bit vcpus: the bus */
	_Atomic bool begun; /* they have had it, and the helper may read irqd's messages */
	bool pausing; /* PAUSE is not answered yet: a vCPU may wait for a device, but its helper does not */
	uint32_t pause_id;
	pthread_mutex_t lock; /* state, want_run, started, debug */
	pthread_cond_t changed;
	enum run_state state[ENGINE_MAX_VCPUS];
	bool want_run;
	unsigned started; /* threads that have begun: what the C library does at a thread's start is behind them */
	pthread_t thread[ENGINE_MAX_VCPUS];
	_Atomic uint32_t rounds[ENGINE_MAX_VCPUS]; /* how often each came back from the engine */
	struct pulse pulse[ENGINE_MAX_VCPUS];
	struct watch_time watch_time;
	uint64_t life_ns; /* when signs of life were last given and looked for */
};

/* For the helper thread, at least once a second when there is an engine. */
void life_signs(struct vcpu_process *p);

/* MSG_SETUP_VCPU: maps everything, creates the engine. 0, or -errno with a reason in err and the field in *field. */
int vcpu_setup(struct vcpu_process *p, const Bulkhead__SetupVcpu *m, struct frame *frame, char *err, size_t err_len,
	       const char **field);

/*
 * Everything that irqd has published goes to the engine. False: irqd broke its ring, and what was in it is lost. Helper
 * thread.
 */
bool interrupts_take(struct vcpu_process *p);

/*
 * virtio.c: MSG_SETUP_VIRTIO, which it answers, before there are channels; these are given what came for them. The calls that the helper waits for are `count` pollfds, and those that are
 * there go to the engine.
 */
enum { VIRTIO_CALLS = VIRTIO_DEVICES * VIRTIO_VECTORS };
void virtio_setup(struct vcpu_process *p, struct frame *f);
const struct virtio_ends *virtio_ends_of(const struct bus *b, Bulkhead__Role role, unsigned instance);
unsigned virtio_watch(struct vcpu_process *p, struct pollfd fds[VIRTIO_CALLS]);
void virtio_take_calls(struct vcpu_process *p, const struct pollfd fds[VIRTIO_CALLS], unsigned count);
/* Is a write to this place in the range a notification? Then the back-end has been told, and nobody else need be. */
bool virtio_notify(struct channel *c, const struct route_range *r, uint64_t addr, unsigned size);
/* The back-end is told that the guest has notified this queue, below VIRTIO_QUEUES. */
void virtio_kick(const struct channel *c, unsigned queue);

/* MSG_SAVE, MSG_RESTORE. They answer. */
void state_save(struct vcpu_process *p, struct frame *f);
void state_restore(struct vcpu_process *p, struct frame *f);
/* Is a part still to be restored? */
bool state_is_incomplete(const struct vcpu_process *p);

/* Applies an entry state to a processor that was reset. */
void entry_apply(struct cpu *cpu, const Bulkhead__EntryState *entry);

/* Does any vCPU run guest code? The second one for who holds the lock. */
bool vcpu_any_runs(struct vcpu_process *p);
bool vcpu_any_runs_locked(const struct vcpu_process *p);

/* A vCPU's thread; arg is a struct vcpu_arg that the thread frees. */
struct vcpu_arg {
	struct vcpu_process *process;
	unsigned index;
};
void *vcpu_thread(void *arg);

#endif
