/* SPDX-License-Identifier: MIT */
/* When a device that died is started again: see restart.h. */
#include "restart.h"

#include "../../proto/clock.h"

#define WAIT_MIN_NS (10 * CLOCK_NS_PER_MS)
#define WAIT_MAX_NS CLOCK_NS_PER_S
#define EVERY_NS (CLOCK_NS_PER_S / RESTART_PER_S)
#define CREDIT_NS (RESTART_CREDIT * EVERY_NS)

static uint64_t back_off(unsigned fruitless)
{
	uint64_t wait = WAIT_MIN_NS;

	if (fruitless < 2)
		return 0;
	for (unsigned i = 2; i < fruitless && wait < WAIT_MAX_NS; i++)
		wait *= 2;
	return wait < WAIT_MAX_NS ? wait : WAIT_MAX_NS;
}

/* Each start moves the due time of the next; who is further ahead of it than the credit waits until that fits again. */
static uint64_t take_turn(struct restart *r, uint64_t now_ns)
{
	if (r->next_ns < now_ns)
		r->next_ns = now_ns;
	r->next_ns += EVERY_NS;
	if (r->next_ns - now_ns <= CREDIT_NS)
		return 0;
	r->held_back++;
	return r->next_ns - now_ns - CREDIT_NS;
}

uint64_t restart_after(struct restart *r, bool progress, uint32_t limit, uint64_t now_ns)
{
	uint64_t wait, turn;

	r->refused = 0;
	r->fruitless = progress ? 0 : r->fruitless + 1;
	if (limit && r->fruitless >= limit)
		return RESTART_NEVER;
	wait = back_off(r->fruitless);
	turn = take_turn(r, now_ns);
	return wait > turn ? wait : turn;
}

uint64_t restart_refused(struct restart *r)
{
	return back_off(2 + r->refused++);
}

void restart_forgive(struct restart *r)
{
	r->fruitless = 0;
}
