/* SPDX-License-Identifier: MIT */
/*
 * How a device process tells the vCPUs of the emulator that it has written guest RAM which they hold decoded code of
 * (code_map.h): a short list in its own RSP page.
 *
 * Writer: the daemon, before it says that its transfer is done. Readers: every vCPU for itself, whenever it looks for changed
 * code, which it does at the latest when it executes a serialising instruction or takes an interrupt. So who sees that the
 * transfer is done sees the notice. Nobody waits for anybody: who comes too late for a notice takes all its code for changed.
 */
#ifndef BULKHEAD_PROTO_CODE_NOTICE_H
#define BULKHEAD_PROTO_CODE_NOTICE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

enum { CODE_NOTICES = 15 };

struct code_notices {
	_Atomic uint64_t count; /* ever given, also by earlier incarnations; stored (release) after the notice */
	struct {
		_Atomic uint64_t gpa, size;
	} slot[CODE_NOTICES]; /* the latest ones: number n is in slot n % CODE_NOTICES */
};
_Static_assert(sizeof(struct code_notices) == 248, "in RSP");

static inline void code_notice_give(struct code_notices *c, uint64_t gpa, uint64_t size)
{
	const uint64_t n = atomic_load_explicit(&c->count, memory_order_relaxed);

	atomic_thread_fence(memory_order_release); /* who reads a slot that is being reused sees that it came too late */
	atomic_store_explicit(&c->slot[n % CODE_NOTICES].gpa, gpa, memory_order_relaxed);
	atomic_store_explicit(&c->slot[n % CODE_NOTICES].size, size, memory_order_relaxed);
	atomic_store_explicit(&c->count, n + 1, memory_order_release);
}

/*
 * The next notice behind *seen, which moves on. The daemon is not believed: any range may come out, any number of times.
 *
 * 0         *gpa and *size
 * -EAGAIN   there is none
 * -ENOMSG   some are lost: anything may have been written
 */
static inline int code_notice_take(const struct code_notices *c, uint64_t *seen, uint64_t *gpa, uint64_t *size)
{
	uint64_t count = atomic_load_explicit(&c->count, memory_order_acquire);

	if (count == *seen)
		return -EAGAIN;
	*gpa = atomic_load_explicit(&c->slot[*seen % CODE_NOTICES].gpa, memory_order_relaxed);
	*size = atomic_load_explicit(&c->slot[*seen % CODE_NOTICES].size, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	count = atomic_load_explicit(&c->count, memory_order_relaxed);
	if (count - *seen >= CODE_NOTICES) {
		*seen = count;
		return -ENOMSG;
	}
	(*seen)++;
	return 0;
}

#endif
