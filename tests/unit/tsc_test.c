/* SPDX-License-Identifier: MIT */
/* The time-stamp counter at frequencies of hosts. */
#include "emu/core/tsc.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const uint32_t rows[] = { 800000, 1000000, 1800001, 1995312, 2000000, 2449998, 2599999, 2904000, 3399879, 4200000, 5700123 };

/* Linux: crystal_khz * EBX / EAX in unsigned int (arch/x86/kernel/tsc.c, native_calibrate_tsc()). */
Test(tsc, fraction)
{
	for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		const struct tsc_fraction f = tsc_fraction(rows[n]);
		const uint32_t crystal_khz = 1000000000 / 1000;
		const unsigned khz = crystal_khz * f.ticks / f.of;

		cr_assert(f.ticks && f.of);
		cr_expect_leq(labs((long)khz - (long)rows[n]), (long)rows[n] / 20000, "%u: %u", rows[n], khz);
	}
	cr_expect_eq(tsc_fraction(1000000).ticks, 1);
	cr_expect_eq(tsc_fraction(1000000).of, 1);
}

Test(tsc, to_and_fro)
{
	cr_expect_eq(tsc_ticks(0, 12345), 12345);
	for (unsigned n = 0; n < sizeof(rows) / sizeof(rows[0]); n++)
		for (uint64_t ticks = 1; ticks < 1ull << 50; ticks = ticks * 3 + 1) {
			const uint64_t ns = tsc_ns(rows[n], ticks);

			/* A wait of so many nanoseconds is long enough, but for the one in 2^32 that the counter's own ratio lacks. */
			cr_expect_geq(tsc_ticks(rows[n], ns) + (ns >> 32) + 1, ticks, "%u kHz, %lu", rows[n], ticks);
		}
}
