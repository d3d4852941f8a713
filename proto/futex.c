/* SPDX-License-Identifier: MIT */
/* Futexes on shared words; both calls work through read-only mappings. */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "ring.h"

void futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(timeout_ns / CLOCK_NS_PER_S), .tv_nsec = (long)(timeout_ns % CLOCK_NS_PER_S) };

	syscall(SYS_futex, word, FUTEX_WAIT, expected, &ts, NULL, 0);
}

void futex_wake(const _Atomic uint32_t *word, int waiters)
{
	syscall(SYS_futex, word, FUTEX_WAKE, waiters, NULL, NULL, 0);
}
