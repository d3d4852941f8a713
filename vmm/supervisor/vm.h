/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's picture of one machine: its memory objects, its processes, its control clients.
 *
 *   supervisor.c  enters the fence, owns the event loop
 *   machine.c     the life of the machine: start, reboot, what its processes say
 *   ending.c      its end: what the guest still has to say, the drain, stop, the exit code
 *   proc.c        one child process: birth, requests and replies, events, log lines, death
 *   spawn.c       asks the spawner for processes; spawner.c is that
 *   trust.c       how much a child may say, and what of it reaches a terminal
 *   recovery.c    death of a device and its next incarnation; restart.c says when
 *   take.c        the machine stands still, and its state is handed out
 *   restore.c     it begins where another machine stood still
 *   watchdog.c    finds processes that live and do not work; watch.c says who is to blame
 *   objects.c     memory objects and pipes
 *   control.c     clients of the control socket
 *
 * A device's objects outlive its process, and the machine's outlive the guest's reboot: a new incarnation of a daemon is
 * given the same ones, the journal included.
 */
#ifndef BULKHEAD_VMM_VM_H
#define BULKHEAD_VMM_VM_H

#include "../common/launch.h"
#include "recovery.h"
#include "spawner.h"
#include "trust.h"
#include "watch.h"

#include "../../proto/clock.h"
#include "../../proto/frame.h"
#include "../../proto/state.h"
#include "../../proto/watch_time.h"

#include <event2/event.h>
#include <sys/types.h>

enum proc_id {
	PROC_BOOT,
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

enum { PROC_PENDING = 8, PROC_LINE = 200 };

struct vm;
struct backlog;
struct line_page;
struct msi_page;

struct proc {
	struct vm *vm;
	enum proc_id id;
	const struct kind_row *kind; /* NULL: loader, vcpu */
	unsigned instance;
	char name[KIND_NAME_MAX];
	enum proc_state state;
	uint32_t spawning; /* sequence of the request for its process, while that is not answered; 0: it is */
	bool doomed;	   /* to be killed as soon as it is there */
	pid_t pid;	   /* in our pid namespace; 0 while spawning */
	pid_t host_pid;	   /* as the keeper sees it; 0 if unknown */
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
	char last_line[PROC_LINE]; /* the last complete one: what it said before it died */
	char blame[PROC_LINE]; /* why we killed it; empty: we did not */
	char last_reason[PROC_LINE]; /* how the latest incarnation that ended unexpectedly did */
	struct recovery recovery; /* devices only */
};

enum vm_state { VM_STARTING, VM_RUNNING, VM_STOPPING, VM_ENDED };

enum { VM_CLIENTS = 16, VM_VCPUS = 1 };

struct client {
	struct vm *vm;
	int fd; /* -1: free */
	enum client_rights rights;
	struct event *on_read;
	uint32_t wait_id;	/* of a WAIT or STOP that is to be answered at the end */
	uint16_t wait_type;	/* 0: none */
	uint32_t status_id;
	bool status_wanted;
	bool takes;	     /* the machine stands still for it, or is about to */
	uint32_t device_id;  /* of a DEVICE_RESTART or DEVICE_REPLACE that is not answered yet */
	struct proc *device; /* NULL: none */
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

/* The process that makes all others, and how many requests it has not answered. */
struct spawn_link {
	int sock, pidfd;
	uint32_t asked, answered;
	struct event *on_answer, *on_exit, *timer;
};

struct vm {
	struct launch *launch;
	const struct vm_config *config;
	struct event_base *base;
	enum vm_state state;
	bool rebooting; /* the old vcpu process is being ended */
	bool boot_done; /* the loader has answered */
	bool run_sent;
	bool ran; /* some guest of this machine has run */
	bool finished; /* nothing is left to do but exit */
	bool engine_kvm;
	bool paused; /* a device was given up, and that is the policy */
	struct watch_time watch_time;
	struct machine_clock clock;
	struct event *watchdog;
	uint32_t reboots;
	struct cpu_feature_set cpu_features; /* as the vcpu process says */
	uint64_t realtime_started_ns;
	int self_fd; /* our own /proc/self/fd, as a detached mount: nothing else is reachable there; -1 when all is set up */
	struct spawn_link spawner;

	struct object code_map; /* engine emu; as long as ram */
	struct object ram; /* one for the machine's life: devices may have mapped it */
	struct object msi;
	const struct msi_page *msi_view;
	const struct backlog *backlog_view;
	struct object state_object; /* what TAKE hands out */
	void *state_memory;
	struct take take;
	uint8_t *restored; /* the state from which we begin, checked; NULL: the guest begins with its kernel, or has begun */
	unsigned restored_part;
	uint64_t restored_ns; /* what its clock is to show when it goes on */
	struct pipe_ends vcpu_bell;
	int shared_fd[KIND_FDS]; /* what devices.def says is handed to some kinds */
	struct device_objects devices[DEVICES];

	struct proc procs[PROCS];
	struct frame frame; /* the message that is being handled */

	struct event *unread_text; /* debug text while its reader is given up */
	struct event *on_keeper, *on_log_room, *stop_timer, *question_timer, *hurry_timer, *end_timer, *status_timer, *quiet_timer;
	struct client clients[VM_CLIENTS];

	enum question question;
	struct verdict verdict; /* how it ends unless platformd says otherwise */
	struct drain_look look;
	uint32_t undelivered; /* bytes of console output that no reader got */
	uint32_t exit_code;
	char exit_reason[32];
	char exit_text[2048];
	struct sandbox_report missing;
};

/* supervisor.c; none of these waits for a reader (common/say.h). Levels as in proto/log.h */
void vm_say(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_log(struct vm *vm, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void vm_trace(struct vm *vm, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vm_tell_keeper(struct vm *vm, enum note_kind kind, uint32_t code, const char *text);
/* Adds phrases that are not there yet. */
void vm_note_missing(struct vm *vm, const char *phrase);

/* objects.c: 0 or -errno */
int objects_create(struct vm *vm);
int objects_fresh_ram(struct vm *vm);

/* machine.c */
int machine_start(struct vm *vm);
void machine_start_again(struct vm *vm);
void machine_reply(struct proc *p, uint16_t request, const struct frame *reply);
void machine_event(struct proc *p, const Bulkhead__Event *event);
/* `code` and `status` as in siginfo_t of waitid(). */
void machine_proc_gone(struct proc *p, int code, int status);
/* Starts or goes on with the guest when everybody is there who will be. */
void machine_maybe_run(struct vm *vm);

/* take.c */
/* The client gets an answer, now or later. */
void take_begin(struct client *c, uint32_t id);
/* It hung up: the machine goes on, if it had stopped. */
void take_end(struct vm *vm);
/* The client ends the machine that it holds: nothing of it is to be delivered here any more. False: it holds none. */
bool take_leave(struct client *c);
bool take_is_going_on(const struct vm *vm);
/* Answers of the vcpu process; error NULL: it did what it was asked. */
void take_replied(struct vm *vm, uint16_t request, const Bulkhead__Ok *ok, const char *error);
/* A device has left. False: it was not asked to, for this. */
bool take_device_gone(struct proc *p);
/* The text of the debug ports that nobody has taken yet: how many bytes. */
size_t take_debug_text(struct vm *vm, void *out, size_t size);
void give_debug_text(struct vm *vm, const void *text, size_t len);

/* restore.c */
/* Before any process is there: into the machine's new objects. 0, or -errno; what is wrong has been said. */
int restore_objects(struct vm *vm);
/* Guest memory is there: the machine's time goes on from here. */
void restore_clock(struct vm *vm);
/* The next part for the vcpu process; when it has all of them, `restored` is no more. 0 or -errno */
int restore_next(struct vm *vm);

/* ending.c */
/* A timer of the machine's, made when it is first set; without memory for it, its time has come. */
void machine_timer(struct vm *vm, struct event **timer, uint32_t ms, event_callback_fn callback);
/* timeout_ms 0: at once, without asking the guest. */
void machine_stop(struct vm *vm, uint32_t timeout_ms);
/* Presses the power button if the machine is being stopped and platformd is there. */
void machine_press_button(struct vm *vm);
/* Ends it, when everything is delivered. */
void machine_end(struct vm *vm, uint32_t code, const char *reason, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The same, unless platformd has heard otherwise from the guest. */
void machine_conclude(struct vm *vm, uint32_t code, const char *reason, const char *text);
/* An end that has been asked for comes within a second, whatever is left undone. */
void machine_hurry(struct vm *vm);
/* Ends the guest's processes, then asks platformd. */
void machine_ask(struct vm *vm, enum question question);
/* Its answer. */
void machine_fenced(struct proc *p);
/* A device is ready, or given up. */
void machine_device_settled(struct proc *p);
/* A process has ended; `well`: with code 0. False: it is somebody else's business. */
bool machine_process_ended(struct proc *p, bool well);
/* Is this device to be started again if it dies? */
bool machine_wants(const struct proc *p);

/* setup.c: builds and sends SETUP_*; 0 or -errno */
int setup_device(struct proc *p, bool recover);
int setup_boot(struct proc *p);
int setup_vcpu(struct proc *p, const Bulkhead__EntryState *entry);

/* proc.c */
void proc_init(struct vm *vm);
/* Asks for its process and sends HELLO. 0 or -errno. */
int proc_spawn(struct proc *p);
/* The process is there, or will not be. */
void proc_spawned(struct vm *vm, const struct spawn_answer *answer, int pidfd);
/* How its program is fenced: one that somebody has put in a device's place is, whatever the machine's option says. */
enum sandbox_mode proc_sandbox(const struct proc *p);
int proc_request(struct proc *p, uint16_t type, const ProtobufCMessage *msg, const int *fds, unsigned nfds);
/* What it has sent and nobody has read yet, bounded. */
void proc_read_events(struct proc *p);
void proc_kill(struct proc *p);
/* Kills it for a reason; what follows is what follows a crash. */
void proc_blame(struct proc *p, const char *why);
/* May another line on its behalf be logged? A child gone mad must not use up what others may say. */
bool proc_may_log(struct proc *p);
const char *proc_name(const struct proc *p);
Bulkhead__Role proc_role(const struct proc *p);
/* Does this machine have it? The instances of a kind are those that its configuration asks for. */
bool proc_exists(const struct proc *p);

/* recovery.c; the first is for once, when the objects exist. 0 or -errno */
int recovery_init(struct proc *p, const struct device_objects *d);
/* Its process has ended, last_reason is set; `foreign`: by a SIGKILL that was not ours. */
void recovery_gone(struct proc *p, bool foreign);
/* It has broken its ring: its end, and no progress. */
void recovery_broken(struct proc *p);
void recovery_ready(struct proc *p);
/* A new vcpu process does not know yet which devices are given up. */
void recovery_tell_vcpu(struct vm *vm);
/* From the latest death to the first answer after it, in ns; 0: there was none, or it goes on. */
uint64_t recovery_time(const struct recovery *r);
/* A fresh incarnation of the same program, or of another one, which is then the callee's; control_device_changed() tells
 * the outcome. 0, -EBUSY */
int recovery_restart(struct proc *p);
/* Asks it to finish its ring, to commit and to leave; its end is no death. 0 or -errno */
int recovery_let_go(struct proc *p);
/* Another incarnation of one that has left. */
void recovery_respawn(struct proc *p);
int recovery_replace(struct proc *p, int program_fd);

/* watchdog.c: 0 or -1 */
int watchdog_start(struct vm *vm);
void watchdog_born(struct proc *p);
/* Processor time of a live process, in ns. */
uint64_t watchdog_cpu_ns(const struct proc *p);
/* Watch time in ns: stands still while the supervisor does not run; never 0. */
uint64_t watchdog_now(const struct vm *vm);

/* spawn.c: before there is a root of our own; when there is, and we have our user id; when there is an event loop. 0 or
 * -errno. `id`: user and group under ISOLATION_ROOT. */
int spawn_start(struct vm *vm, uint32_t id);
int spawn_go(struct vm *vm);
int spawn_watch(struct vm *vm);
/* Asks for a child, and numbers the request; proc_spawned() gets the answer. The descriptors stay the caller's. 0 or
 * -errno. */
int spawn(struct vm *vm, struct spawn_packet *request, const int fds[SPAWN_FDS]);

/* control.c */
void control_init(struct vm *vm);
void control_add(struct vm *vm, int fd, enum client_rights rights);
/* The client for which the machine stands still. NULL: none. */
struct client *control_taker(struct vm *vm);
/* It has what it asked for: descriptors of enum frame_take_fd. */
void control_answer_take(struct vm *vm, uint32_t id, const int fds[FRAME_TAKE_FDS]);
void control_refuse(struct client *c, uint32_t id, int code, const char *text);
/* Answers everyone who waits for the end. */
void control_ended(struct vm *vm);
/* A device has a new incarnation that serves (error NULL), or will not get one. */
void control_device_changed(struct vm *vm, struct proc *p, const char *error);
/* A STATS reply came, or a process is gone. */
void control_stats_changed(struct vm *vm);

#endif
