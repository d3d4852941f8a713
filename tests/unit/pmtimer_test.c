/* SPDX-License-Identifier: MIT */
/* ACPI, "Power Management Timer": 24 bits at 3.579545 MHz. */
#include <criterion/criterion.h>

#include "devices/chips/pmtimer.h"

static const uint64_t epoch = 42;

Test(pmtimer, rate)
{
	struct pmtimer t;

	pmtimer_reset(&t, epoch);
	cr_assert_eq(pmtimer_read(&t, epoch), 0);
	cr_assert_eq(pmtimer_read(&t, epoch + 279), 0);
	cr_assert_eq(pmtimer_read(&t, epoch + 280), 1, "one tick is 279.365 ns");
	cr_assert_eq(pmtimer_read(&t, epoch + 1000000000ull), 3579545);
}

/* It wraps at 24 bits, and a hundred years of absolute time leave no rounding behind. */
Test(pmtimer, wrap_and_drift)
{
	struct pmtimer t;
	uint64_t century_s = 100ull * 365 * 86400;

	pmtimer_reset(&t, epoch);
	cr_assert_eq(pmtimer_read(&t, epoch + 5000000000ull), (3579545ull * 5) & 0xffffff);
	cr_assert_eq(pmtimer_read(&t, epoch + century_s * 1000000000ull), (3579545ull * century_s) & 0xffffff);
}

Test(pmtimer, earlier_time)
{
	struct pmtimer t;

	pmtimer_reset(&t, epoch);
	cr_assert_eq(pmtimer_read(&t, 0), 0);
	cr_assert_str_eq(pmtimer_bad_field(&t, 0), "pmtimer.epoch_ns");
	cr_assert_null(pmtimer_bad_field(&t, epoch));
}

Test(pmtimer, table)
{
	cr_assert(pmtimer_regs[0].readable && !pmtimer_regs[0].writable);
	cr_assert_eq(pmtimer_regs[0].size, 4);
	cr_assert_eq(pmtimer_regs[0].shadow, REG_SHADOW_TIME);
	cr_assert_eq(pmtimer_regs[0].depends, 0);
}
