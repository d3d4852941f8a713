/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor remembers of one device beyond the life of its processes: how often it died, of what, and what is
 * to be done about it.
 *
 *   recovery.c  death, back-off, restart and replacement on request
 *   poison.c    the request that it died of; capture.c what it was then
 *   watchdog.c  finds processes that live and do not work
 *
 * When it is started again stands in restart.h. A request that killed two incarnations is skipped; what is killed from
 * outside was not killed by its request. A device that is given up stays so until `bulkhead device restart`, and
 * --on-device-failure says what becomes of the machine.
 */
#ifndef BULKHEAD_VMM_RECOVERY_H
#define BULKHEAD_VMM_RECOVERY_H

#include "restart.h"

#include "../../proto/journal.h"
#include "../../proto/ring.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum { RECOVERY_POISON = 4, RECOVERY_WORDS = 128 };

enum device_health {
	DEVICE_SERVING,	 /* or about to: its process is alive */
	DEVICE_WAITING,	 /* for the end of its back-off */
	DEVICE_GIVEN_UP, /* reads are all-ones, writes are dropped, until `bulkhead device restart` */
};

struct recovery {
	/* read-only views of what the device wrote; believed in nothing */
	const struct ring_req *req;
	const struct ring_rsp *rsp;
	const struct journal_object *journal;

	enum device_health health;
	bool gave_up; /* once at least: something was lost, and the machine does not end with code 0 */
	uint32_t deaths;
	unsigned births_failed; /* deaths by its own doing before it ever served */
	uint64_t died_ns, died_realtime_ns, ready_ns; /* the latest each */
	uint64_t left_ns;    /* since when it is away: the first death that no service has answered; 0: it is not */
	struct restart restart;
	uint32_t start_head; /* of its ring, when it was started */
	uint64_t start_events; /* of its journal */
	uint64_t served_ns;  /* since when it serves; 0: not yet */
	bool broken;	     /* it is killed for breaking its ring: that is no progress */
	struct event *retry; /* end of a wait */
	uint64_t away_ns;    /* from deaths to the next service, added up */
	bool is_restart;     /* the present incarnation, or the one to come, follows a death */
	uint64_t cost_ns;    /* processor time of all restarts: its own until it served or died over it, the spawner's, ours */

	char captured[160]; /* the file with what it was when it died last; empty: none */

	/* the request during which the last death came */
	bool suspected;
	uint32_t suspect_seq, suspect_deaths;
	bool skips;
	uint32_t skip_seq; /* the next incarnation skips it */
	unsigned poison_count;
	char poison[RECOVERY_POISON][RECOVERY_WORDS];

	/* replacement on request */
	uint64_t dialled_ns; /* --device: watch time at which a connection was first asked for */
	uint64_t leaving_ns; /* watch time at which QUIESCE was sent: its end is not a death; 0: it was not */
	bool strict;	   /* the next incarnation must be able to read the journal */
	/* taken up again after it was given up: what the guest had asked for before is dropped, as it was told */
	bool drops;
	uint32_t drop_to;
	bool must_reset; /* the machine was, meanwhile: this device still has to be */
	int program_fd;	   /* what is to be executed; -1: what was installed */
	int fallback_fd;   /* what was before, while the new one is on trial */
	bool on_trial;
	uint64_t trial_ns;   /* how long it has to serve; 0: it is over when it serves */
	struct event *trial_end;
	void *kept;	     /* the image of the journal that the program before has left (trial.h); NULL: none */
	size_t kept_bytes;
	uint32_t kept_head;
};

struct proc;
struct vm;
struct device_objects;
struct dial_answer;

/* For once, when the objects exist. 0 or -errno */
int recovery_init(struct proc *p, const struct device_objects *d);
/* Its process has ended, last_reason is set; `foreign`: by a SIGKILL that was not ours. */
void recovery_gone(struct proc *p, bool foreign);
/* It has broken its ring: its end, and no progress. */
void recovery_broken(struct proc *p);
void recovery_ready(struct proc *p);
/* From the latest death to the first answer after it, in ns; 0: there was none, or it goes on. */
uint64_t recovery_time(const struct recovery *r);
/* A fresh incarnation of the same program, or of another one, which is then the callee's; the hook device_changed() tells
 * the outcome. 0, -EBUSY */
int recovery_restart(struct proc *p);
/* Asks it to finish its ring, to commit and to leave; its end is no death. 0 or -errno */
int recovery_let_go(struct proc *p);
/* Another incarnation of one that has left. */
void recovery_respawn(struct proc *p);
int recovery_replace(struct proc *p, int program_fd, uint64_t trial_ns);
/* One that somebody else starts: asks for a connection to it. 0 or -errno */
int recovery_dial(struct proc *p);
/* It has answered HELLO as it should: it is handed its objects. */
void recovery_greeted(struct proc *p);
/* The dialler's answer; `fd` is the callee's. */
void recovery_dialled(struct vm *vm, const struct dial_answer *answer, int fd);

#endif
