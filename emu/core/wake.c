/* SPDX-License-Identifier: MIT */
/* Waking a virtual processor that sleeps in HLT, and its sleep. */
#include "machine.h"
#include "proto/clock.h"

#include <limits.h>
#include <linux/futex.h>
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
