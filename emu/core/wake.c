/* SPDX-License-Identifier: MIT */
/* Waking a virtual processor that sleeps in HLT, its sleep, and its spinning. */
#include "machine.h"
#include "proto/clock.h"

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void emu_wake(struct emu *e)
{
	atomic_fetch_or(&e->kicked, EMU_KICK_EVENT);
	atomic_fetch_add(&e->wakes, 1);
	if (atomic_load(&e->sleeps)) /* who has not said so yet finds `wakes` changed */
		syscall(SYS_futex, &e->wakes, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void emu_sleep(struct emu *e, unsigned wakes, uint64_t until_ns)
{
	uint64_t now = emu_now_ns(e);
	struct timespec t, *timeout = NULL;

	if (until_ns != UINT64_MAX) {
		if (until_ns <= now)
			return;
		t = (struct timespec){ .tv_sec = (time_t)((until_ns - now) / CLOCK_NS_PER_S),
				       .tv_nsec = (long)((until_ns - now) % CLOCK_NS_PER_S) };
		timeout = &t;
	}
	atomic_store(&e->sleeps, true);
	syscall(SYS_futex, &e->wakes, FUTEX_WAIT_PRIVATE, wakes, timeout, NULL, 0);
	atomic_store(&e->sleeps, false);
}

enum {
	LOOP_MAX = 256,	   /* instructions between two PAUSEs of one loop */
	PAUSES_MAX = 32, /* about a microsecond, which is what it costs to ask the host */
};

void emu_pause(struct emu *e)
{
	const uint64_t now = emu_retired(e);

	if (e->machine->vcpus == 1)
		return;
	e->pauses = now - e->paused_at > LOOP_MAX ? 1 : e->pauses + 1;
	e->paused_at = now;
	if (e->pauses < PAUSES_MAX && !atomic_load_explicit(&e->kicked, memory_order_relaxed))
		return;
	if (e->pauses >= PAUSES_MAX) {
		e->pauses = 0;
		sched_yield();
	}
	emu_attention(e);
}
