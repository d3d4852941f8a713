/* SPDX-License-Identifier: MIT */
/* restart.h: when a device that died is started again. Times are invented; the rules stand in the header. */
#include <criterion/criterion.h>

#include "proto/clock.h"
#include "vmm/common/config.h"
#include "vmm/supervisor/restart.h"

#define MS CLOCK_NS_PER_MS

/* "One that made progress is started again at once." */
Test(restart, progress_is_answered_at_once)
{
	struct restart r = { 0 };
	uint64_t now = CLOCK_NS_PER_S;

	for (int i = 0; i < 1000; i++, now += CLOCK_NS_PER_S / RESTART_PER_S)
		cr_assert_eq(restart_after(&r, true, 1, now), 0);
	cr_assert_eq(r.held_back, 0);
}

/* "At once the first time; then it waits 10 ms, and twice as long each time, up to 1 s." */
Test(restart, fruitless_deaths_wait)
{
	static const uint64_t waits[] = { 0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000 };
	struct restart r = { 0 };
	uint64_t now = 0;

	for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++, now += 10 * CLOCK_NS_PER_S)
		cr_assert_eq(restart_after(&r, false, 0, now), waits[i] * MS, "%u", i);
	cr_assert_eq(restart_after(&r, true, 0, now), 0);
	cr_assert_eq(restart_after(&r, false, 0, now + CLOCK_NS_PER_S), 0, "and all over again");
}

/* "With the default the waits until then add up to less than ten seconds." */
Test(restart, given_up_before_a_guest_barks)
{
	struct restart r = { 0 };
	uint64_t now = 0, wait;
	unsigned deaths = 0;

	for (;;) {
		wait = restart_after(&r, false, DEVICE_FAILURE_LIMIT, now);
		deaths++;
		if (wait == RESTART_NEVER)
			break;
		now += wait;
	}
	cr_assert_eq(deaths, DEVICE_FAILURE_LIMIT);
	cr_assert_lt(now, 10 * CLOCK_NS_PER_S);
}

Test(restart, progress_or_a_hand_forgives)
{
	struct restart r = { 0 };

	for (int i = 0; i < 100; i++) {
		cr_assert_neq(restart_after(&r, false, 3, 0), RESTART_NEVER);
		cr_assert_neq(restart_after(&r, false, 3, 0), RESTART_NEVER);
		if (i & 1)
			restart_forgive(&r);
		else
			restart_after(&r, true, 3, 0);
	}
	restart_after(&r, false, 3, 0);
	restart_after(&r, false, 3, 0);
	cr_assert_eq(restart_after(&r, false, 3, 0), RESTART_NEVER);
}

Test(restart, never_given_up)
{
	struct restart r = { 0 };

	for (uint64_t i = 0; i < 100000; i++)
		cr_assert_leq(restart_after(&r, false, 0, i * 10 * CLOCK_NS_PER_S), CLOCK_NS_PER_S);
}

/* "Ten starts a second, once a credit of twenty is used up": a guest that kills its device as soon as it is there. */
Test(restart, rate_is_bounded)
{
	struct restart r = { 0 };
	uint64_t now = 0;
	unsigned starts = 0;

	for (; now < 60 * CLOCK_NS_PER_S; starts++)
		now += restart_after(&r, true, 0, now) + MS;
	cr_assert_leq(starts, RESTART_CREDIT + 60 * RESTART_PER_S + 1);
	cr_assert_geq(starts, 60 * RESTART_PER_S);
	cr_assert_gt(r.held_back, 0);
	now += 10 * CLOCK_NS_PER_S;
	for (int i = 0; i < RESTART_CREDIT; i++)
		cr_assert_eq(restart_after(&r, true, 0, now), 0, "the credit is there again");
	cr_assert_gt(restart_after(&r, true, 0, now), 0);
}

/* What the host refuses is nobody's failure. */
Test(restart, refused)
{
	struct restart r = { 0 };

	for (int i = 0; i < 100; i++) {
		uint64_t wait = restart_refused(&r);

		cr_assert(wait >= 10 * MS && wait <= CLOCK_NS_PER_S);
	}
	cr_assert_eq(restart_after(&r, false, 2, 0), 0);
}
