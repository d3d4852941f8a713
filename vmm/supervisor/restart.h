/* SPDX-License-Identifier: MIT */
/*
 * When a device that died is started again. No clock, no process: recovery.c acts upon it.
 *
 *   - One that made progress is started again at once: it has applied a request since it was started, or had nothing to
 *     apply and did what else it has to do for a while. A guest that crashes its devices at will thereby slows itself, and loses nothing.
 *   - One that did not is started at once the first time; then it waits 10 ms, and twice as long each time, up to 1 s.
 *   - After `limit` deaths in a row without progress it is given up. With the default the waits until then add up to less
 *     than ten seconds: Linux calls a processor that has been standing for twenty a soft lockup.
 *   - However good its progress: ten starts a second, once a credit of twenty is used up. One costs some milliseconds of
 *     processor time, so this is what a guest can make its host spend.
 */
#ifndef BULKHEAD_VMM_RESTART_H
#define BULKHEAD_VMM_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum { RESTART_CREDIT = 20, RESTART_PER_S = 10 };
#define RESTART_NEVER UINT64_MAX

struct restart {
	unsigned fruitless;   /* deaths in a row without progress */
	uint64_t next_ns;     /* when the next one would be due if they came at RESTART_PER_S all the time */
	unsigned held_back;   /* how many had to wait for that */
	unsigned refused;     /* attempts in a row that the host did not allow */
};

/* It died at `now_ns`. After how many ns to start it again, or RESTART_NEVER. `limit` 0: it is never given up. */
uint64_t restart_after(struct restart *r, bool progress, uint32_t limit, uint64_t now_ns);
/* The host would not start it: it did nothing wrong, but has to wait. */
uint64_t restart_refused(struct restart *r);
/* Somebody takes it up again by hand: all is forgiven. */
void restart_forgive(struct restart *r);

#endif
