/* SPDX-License-Identifier: MIT */
/* proto/clock.h: the machine's clock is the host's less an offset, and goes on where it was on another host. */
#include <criterion/criterion.h>

#include "proto/clock.h"

#define ROUNDS 100000
#define YEAR_NS (365 * 86400 * CLOCK_NS_PER_S)

static uint64_t seed = 88172645463325252ull;

static uint64_t random64(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	return seed ^= seed << 17;
}

/* Of any magnitude up to 200 years, which neither a host nor a machine exceeds. */
static uint64_t any_time(void)
{
	return random64() % (200 * YEAR_NS) >> random64() % 63;
}

/* Zero when it is started, and nothing is lost by converting there and back. */
Test(clock, there_and_back)
{
	for (unsigned n = 0; n < ROUNDS; n++) {
		uint64_t host = any_time(), machine = any_time(), later = any_time();
		struct machine_clock c = machine_clock_at(host, machine);

		cr_assert_eq(machine_from_host_ns(&c, host), machine);
		cr_assert_eq(machine_to_host_ns(&c, machine), host);
		cr_assert_eq(machine_from_host_ns(&c, host + later), machine + later, "both go at the same rate");
		cr_assert_eq(machine_to_host_ns(&c, machine + later), host + later);
	}
}

/* A deadline that is set on one host is as far away on the next, whichever of them was started first. */
Test(clock, a_move_keeps_what_is_left)
{
	for (unsigned n = 0; n < ROUNDS; n++) {
		uint64_t here = any_time(), there = any_time(), machine = any_time(), left = any_time();
		struct machine_clock from = machine_clock_at(here, machine), to = machine_clock_at(there, machine);

		cr_assert_eq(machine_to_host_ns(&from, machine + left) - here, left);
		cr_assert_eq(machine_to_host_ns(&to, machine + left) - there, left);
	}
}

Test(clock, never_stays_never)
{
	struct machine_clock plain = { 0 };

	for (unsigned n = 0; n < ROUNDS; n++) {
		struct machine_clock c = machine_clock_at(any_time(), any_time());
		uint64_t late = UINT64_MAX - any_time();

		cr_assert_eq(machine_to_host_ns(&c, UINT64_MAX), UINT64_MAX);
		if (c.offset_ns >= 0)
			cr_assert_geq(machine_to_host_ns(&c, late), late, "it does not wrap around");
		else
			cr_assert_leq(machine_to_host_ns(&c, late), late);
	}
	cr_expect_eq(machine_to_host_ns(&plain, 5), 5);
	plain.offset_ns = -10;
	cr_expect_eq(machine_to_host_ns(&plain, 5), 0, "before that host was started");
}
