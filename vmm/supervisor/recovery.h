/* SPDX-License-Identifier: MIT */
/*
 * What the supervisor remembers of one device beyond the life of its processes: how often it died, of what, and what is
 * to be done about it.
 *
 *   recovery.c  death, back-off, poisonous requests, giving up, restart and replacement on request
 *   watchdog.c  finds processes that live and do not work
 *
 * The rules: a device that served for a second before it died is restarted at once; one that died sooner waits 100 ms,
 * and twice as long each time, up to 10 s. One that died more than `device_failure_limit` times within 60 s is given up,
 * and --on-device-failure says what that means. A request that killed two incarnations is skipped.
 */
#ifndef BULKHEAD_VMM_RECOVERY_H
#define BULKHEAD_VMM_RECOVERY_H

#include "../../proto/journal.h"
#include "../../proto/ring.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

enum { RECOVERY_DEATHS = 64, RECOVERY_POISON = 4, RECOVERY_WORDS = 128 };

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
	uint32_t deaths;
	uint64_t death_ns[RECOVERY_DEATHS]; /* the latest ones, a ring */
	uint64_t died_ns, died_realtime_ns, ready_ns;
	bool recovering;     /* died_ns is not answered by a ready_ns yet */
	unsigned early;	     /* deaths in a row that came within a second of service */
	struct event *retry; /* end of the back-off */

	/* the request during which the last death came */
	bool suspected;
	uint32_t suspect_seq, suspect_deaths;
	bool skips;
	uint32_t skip_seq; /* the next incarnation skips it */
	unsigned poison_count;
	char poison[RECOVERY_POISON][RECOVERY_WORDS];

	/* replacement on request */
	uint64_t leaving_ns; /* watch time at which QUIESCE was sent: its end is not a death; 0: it was not */
	bool strict;	   /* the next incarnation must be able to read the journal */
	int program_fd;	   /* what is to be executed; -1: what was installed */
	int fallback_fd;   /* what was before, while the new one is on trial */
	bool on_trial;
};

#endif
