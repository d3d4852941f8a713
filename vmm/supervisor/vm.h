/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's picture of one machine: its memory objects, its processes, its control clients.
 *
 * No functions: what each part offers stands in its own header.
 *
 *   supervisor.c  enters the fence, owns the event loop
 *   control.c     clients of the control socket; attach.c those who want a console
 *   machine.c     the life of the machine: start, reboot, what its processes say
 *   take.c        the machine stands still, and its state is handed out
 *   restore.c     it begins where another machine stood still
 *   handover.c    its guest goes over to the other engine
 *   giving_up.c   a device that nobody starts again
 *   poison.c      the request that a device died of
 *   trial.c       another program in a device's place, and back
 *   capture.c     what a device is, or was when it died, for a file
 *   recovery.c    death of a device and its next incarnation; restart.c says when
 *   watchdog.c    finds processes that live and do not work; watch.c says who is to blame
 *   debug.c       its debugger, if somebody wants one
 *   ending.c      its end: what the guest still has to say, the drain, stop, the exit code
 *   setup.c       which objects each process gets; objects.c makes them
 *   link.c        connects the two halves of virtio devices
 *   dial_link.c   asks the dialler for connections to devices that somebody else serves
 *   proc.c        one child process: birth, requests and replies, events, log lines, death
 *   spawn.c       asks the spawner for processes; spawner.c is that
 *   trust.c       how much a child may say, and what of it reaches a terminal
 *   tell.c        what the supervisor itself says
 *   news.c        what happens to it, for whoever listens
 *   counted.c     what its vcpu process counts; metrics.c as text for Prometheus
 *   report.c      what the record of the end is made of
 *
 * A device's objects outlive its process, and the machine's outlive the guest's reboot: a new incarnation of a daemon is
 * given the same ones, the journal included.
 */
#ifndef BULKHEAD_VMM_VM_H
#define BULKHEAD_VMM_VM_H

#include "../common/launch.h"
#include "news.h"
#include "recovery.h"
#include "spawner.h"
#include "trust.h"
#include "watch.h"

#include "../../proto/clock.h"
#include "../../proto/frame.h"
#include "../../proto/virtio.h"
#include "../../proto/state.h"
#include "../../proto/watch_time.h"

#include <event2/event.h>
#include <sys/types.h>

enum proc_id {
	PROC_BOOT,
	PROC_GDBD, /* when somebody debugs */
	PROC_VCPU,
	PROC_FIRST_DEVICE,
	PROC_BEFORE_DEVICES = PROC_FIRST_DEVICE - 1,
/* Instances of a kind follow each other; those that a machine has not stay PROC_NONE. */
#define DEVICE(NAME, name, model, role, presence, most, ...) PROC_##NAME, PROC_LAST_##NAME = PROC_##NAME + (most) - 1,
#include "../../proto/devices.def"
	PROCS
};
enum { DEVICES = PROCS - PROC_FIRST_DEVICE };
_Static_assert((int)DEVICES == (int)DEVICES_MAX && (int)PROCS < (int)LAUNCH_UIDS, "each has a user id of its own");

enum proc_state {
	PROC_NONE,
	PROC_STARTING, /* cloned; HELLO and SETUP are on their way */
	PROC_READY,    /* behind its run-time fence, serving */
	PROC_LEAVING,  /* asked to end, or killed by us */
	PROC_GONE,
};

struct pipe_ends {
	int rd, wr;
};

/* One shared object: the writer's handle and the readers'. */
struct object {
	int rw, ro;
};

struct device_objects {
	struct object req, rsp, shadow, line, journal;
	struct pipe_ends doorbell; /* vcpu -> device */
	struct pipe_ends irq_bell; /* device -> irqd */
	const struct line_page *lines; /* our view */
};

/* Of one virtio device: what its front-end, its back-end and the vcpu process share (proto/virtio.h). */
struct virtio_objects {
	struct object vectors;
	struct pipe_ends kick[VIRTIO_QUEUES], call[VIRTIO_VECTORS], error;
	int taken[VIRTIO_VECTORS]; /* the vcpu process's own read ends of `call` */
	bool linked;		   /* its halves have both ends of a connection */
	bool forsaken;		   /* its front-end knows that there will be none: the back-end was given up */
};

enum { PROC_PENDING = 16, PROC_LINE = 200, PROC_VERSION = 24 };

struct vm;
struct backlog;
struct counters_page;
struct dial_answer;
struct line_page;
struct msi_page;

struct proc {
	struct vm *vm;
	enum proc_id id;
	const struct kind_row *kind; /* NULL: loader, vcpu, gdbd */
	unsigned instance;
	char name[KIND_NAME_MAX];
	const char *external; /* somebody else starts it, and it listens there (--device); NULL: it is ours */
	uint64_t connected_ns; /* and since when there is a connection, in watch time */
	char version[PROC_VERSION]; /* of its program, as that says */
	enum proc_state state;
	uint32_t spawning; /* sequence of the request for its process, while that is not answered; 0: it is */
	bool doomed;	   /* to be killed as soon as it is there */
	pid_t pid;	   /* in our pid namespace; 0 while spawning */
	pid_t host_pid;	   /* as the keeper sees it; 0 if unknown; of one that is not ours, what it says itself */
	int pidfd, control_fd, event_fd, log_fd;
	struct event *on_exit, *on_control, *on_event, *on_log;
	struct event *on_pardon;     /* it talked too much: when it is listened to again */
	struct budget talk, logging; /* messages taken from it; lines of it that were logged */
	uint32_t incarnation;
	uint32_t next_id;
	struct {
		uint32_t id;
		uint16_t type;
	} pending[PROC_PENDING]; /* requests without a reply yet */
	Bulkhead__Stats stats;
	bool stats_wanted; /* asked for, not answered */
	bool stats_late;   /* it did not answer in time: nobody waits for it again until it does */
	uint64_t heard; /* counts messages of any kind */
	struct watch watch;
	uint64_t killed_ns; /* watch time at which it was first seen to have been killed and not to have ended; 0: not */
	unsigned hung_up_looks;
	bool taken;   /* it has left so that the machine's state can be taken */
	bool drained; /* at the machine's end: it has delivered what it had */
	bool hung_up; /* its end of the control channel is closed: it is dying, or useless */
	char line[PROC_LINE]; /* of its stderr, not yet complete */
	size_t line_len;
	char last_line[PROC_LINE]; /* the last complete one: what it said before it died; or why there is no connection to it */
	char blame[PROC_LINE]; /* why we killed it; empty: we did not */
	char last_reason[PROC_LINE]; /* how the latest incarnation that ended unexpectedly did */
	struct recovery recovery; /* devices only */
};

enum vm_state { VM_STARTING, VM_RUNNING, VM_STOPPING, VM_ENDED };

enum { VM_CLIENTS = 16 };

struct client {
	struct vm *vm;
	int fd; /* -1: free */
	enum client_rights rights;
	struct event *on_read;
	uint32_t wait_id;	/* of a WAIT or STOP that is to be answered at the end */
	uint16_t wait_type;	/* 0: none */
	uint32_t status_id;
	bool status_wanted, counters_wanted; /* the second: and what was counted */
	bool watches;	       /* it hears news; of these `told` is the latest */
	uint64_t told;
	struct event *on_room; /* to go on telling */
	bool scrapes;	       /* it speaks HTTP, and is answered with metrics */
	unsigned request_tail, request_bytes;
	uint32_t engine_id;  /* of an ENGINE that is not answered yet; 0: none */
	bool takes;	     /* the machine stands still for it, or is about to */
	uint32_t device_id;  /* of a DEVICE_RESTART or DEVICE_REPLACE that is not answered yet */
	struct proc *device; /* NULL: none */
	int console_fd;	     /* its end of the connection that seriald is asked to take; -1: none */
	const struct proc *console_of; /* or displayd, or inputd */
	bool wants_picture;	       /* it was SCREEN */
	uint32_t console_id; /* of that CONSOLE, or SCREEN */
	bool waits_for_trial; /* it is to be told when the new program has stood its trial */
	uint64_t heard_ns; /* when it last asked for something, or came */
};

/* What platformd is asked before the machine ends, or starts again: ending.c. */
enum question { QUESTION_NONE, QUESTION_END, QUESTION_REBOOT };

struct verdict {
	uint32_t code;
	bool by_user; /* a reset that the guest asks for does not change it */
	char reason[32], text[2048];
};

/* How the daemon that is being drained looked last. */
struct drain_look {
	uint64_t process, beat;
	unsigned looks, all;
};

/* How far the machine is on its way to standing still: take.c. */
enum take_step {
	TAKE_NOT,
	TAKE_LINES,	/* irqd is asked to look away */
	TAKE_PAUSE,	/* its vCPUs are asked to stop */
	TAKE_DEVICES,	/* its devices are asked to leave */
	TAKE_PROCESSOR, /* the vcpu process hands out its parts */
	TAKE_HELD,	/* nothing moves; all is told */
};

struct take {
	enum take_step step;
	uint32_t id;   /* of the client's request */
	unsigned part; /* of the vcpu process: number of a vCPU, then the bus */
	struct state_writer writer;
	struct event *timer;
};

/* How far the guest is on its way to the other engine: handover.c. */
enum handover_step {
	HANDOVER_NOT,
	HANDOVER_LINES,	    /* irqd is asked to look away */
	HANDOVER_PAUSE,	    /* its vCPUs are asked to stop */
	HANDOVER_PROCESSOR, /* the vcpu process hands out its parts */
	HANDOVER_END,	    /* that one is to be gone */
	HANDOVER_BEGIN,	    /* the other engine's is being set up, and brought the parts */
};

struct handover {
	enum handover_step step;
	bool back; /* the other engine has refused: it goes back to the first */
	unsigned part;
	struct cpu_feature_set features; /* what the guest has seen of its processor stays so */
	struct state_writer writer;
	struct event *timer;
	char error[300]; /* why nothing came of it */
};

/* The process that makes all others, and how many requests it has not answered. */
struct spawn_link {
	int sock, pidfd;
	pid_t pid;
	uint64_t cpu_ns; /* processor time of it that has been accounted for */
	uint32_t asked, answered;
	struct event *on_answer, *on_exit, *timer;
};

/*
 * What a part tells those above it. Each part calls only what stands below it in this list: tell, spawn, dial_link, proc, link, news, counted, metrics, scrape, report, ending with
 * setup and objects, watchdog, debug, giving_up, poison, trial, capture, recovery, take and restore, handover, attach, machine, control, supervisor; which fills this in. (tests/rooms.py fails on a circle.)
 */
struct vm_hooks {
	/* spawn.c: the process that was asked for is there, or will not be; no process can be made any more */
	void (*spawned)(struct vm *vm, const struct spawn_answer *answer, int pidfd);
	void (*spawner_lost)(struct vm *vm, const char *why);
	/* dial_link.c: there is a connection, which is the callee's, or there is none */
	void (*dialled)(struct vm *vm, const struct dial_answer *answer, int fd);
	/* proc.c */
	void (*born)(struct proc *p);
	void (*reply)(struct proc *p, uint16_t request, const struct frame *reply);
	void (*event)(struct proc *p, const Bulkhead__Event *event);
	void (*gone)(struct proc *p, int code, int status); /* as in siginfo_t of waitid() */
	/* ending.c: it begins to end; the question before a reboot is answered; all is over */
	void (*ends)(struct vm *vm);
	void (*start_again)(struct vm *vm);
	void (*ended)(struct vm *vm);
	/* recovery.c: a device was let go, and has left (false: another incarnation is to follow at once); nobody has to wait for a device any more; what was asked for by a client is done (error NULL), or failed */
	bool (*left)(struct proc *p);
	void (*maybe_run)(struct vm *vm);
	void (*device_changed)(struct vm *vm, struct proc *p, const char *error);
	/* handover.c: the guest is on the other engine (NULL), or why not */
	void (*engine_changed)(struct vm *vm, const char *error);
	/* take.c, attach.c: for the client that asked */
	void (*answer_take)(struct vm *vm, uint32_t id, const int fds[FRAME_TAKE_FDS]);
	void (*refuse)(struct client *c, uint32_t id, int code, const char *text);
	/* news.c: there is another one */
	void (*news)(struct vm *vm);
	/* machine.c: a STATS reply came, or a process is gone */
	void (*stats_changed)(struct vm *vm);
	/* machine.c: a daemon's answer to CONSOLE_CLIENT; both NULL: it died over it */
	void (*console_answered)(struct proc *p, const Bulkhead__Ok *ok, const Bulkhead__Error *error);
};

struct vm {
	const struct vm_hooks *hooks;
	struct launch *launch;
	const struct vm_config *config;
	struct event_base *base;
	enum vm_state state;
	bool rebooting; /* the old vcpu process is being ended */
	bool boot_done; /* the loader has answered */
	bool run_sent;
	bool guest_runs; /* it has begun, since the machine was started or reset */
	bool is_ready; /* the guest has said so, since the machine was started */
	bool ran; /* some guest of this machine has run */
	bool finished; /* nothing is left to do but exit */
	bool engine_kvm;
	bool paused; /* a device was given up, and that is the policy */
	struct watch_time watch_time;
	struct machine_clock clock;
	struct event *watchdog;
	uint32_t reboots;
	struct news_ring news;
	struct cpu_feature_set cpu_features; /* as the vcpu process says */
	uint64_t realtime_started_ns;
	int self_fd; /* our own /proc/self/fd, as a detached mount: nothing else is reachable there; -1 when all is set up */
	struct spawn_link spawner;

	struct object code_map; /* engine emu; as long as ram */
	struct object ram; /* one for the machine's life: devices may have mapped it */
	struct object screen, mailbox, picture; /* of a frame machine: the first two lie in RAM's place */
	struct object legacy, framebuffer; /* of a display, which has a picture as well: the first one lies in RAM's place */
	struct object msi, counters;
	const struct msi_page *msi_view;
	const struct counters_page *counters_view;
	const struct backlog *backlog_view;
	int serial_backlog_fd[SERIAL_PORTS]; /* of ports with a connector, but for COM1 */
	struct object state_object; /* what TAKE hands out */
	void *state_memory;
	struct take take;
	struct handover handover;
	uint8_t *restored; /* the state from which we begin, checked; NULL: the guest begins with its kernel, or has begun */
	unsigned restored_part;
	uint64_t restored_ns; /* what its clock is to show when it goes on */
	int debug_fd[2]; /* the vcpu process's end of the debugger's channel, and gdbd's; -1: not there */
	struct pipe_ends vcpu_bell;
	int shared_fd[KIND_FDS]; /* what devices.def says is handed to some kinds */
	struct device_objects devices[DEVICES];
	struct virtio_objects virtio[VIRTIO_DEVICES];

	struct proc procs[PROCS];
	struct frame frame; /* the message that is being handled */

	struct event *unread_text; /* debug text while its reader is given up */
	struct event *on_dialled, *on_keeper, *on_log_room, *stop_timer, *question_timer, *hurry_timer, *limit_timer, *end_timer, *status_timer, *quiet_timer;
	struct client clients[VM_CLIENTS];

	enum question question;
	unsigned heard; /* of those who are asked: how many have answered (ending.c) */
	struct verdict verdict; /* how it ends unless platformd says otherwise */
	struct drain_look look;
	uint32_t undelivered; /* bytes of console output that no reader got */
	uint32_t exit_code;
	char exit_reason[32];
	char exit_text[2048];
	struct sandbox_report missing;
};

/* How many processors it has. */
static inline unsigned vm_cpus(const struct vm *vm)
{
	return topology_cpus(&vm->config->cpus);
}

#endif
