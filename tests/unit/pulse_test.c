/* SPDX-License-Identifier: MIT */
/* Which vCPU is lost (vmm/vcpu/pulse.h): one look a second. */
#include <criterion/criterion.h>

#include "proto/clock.h"
#include "vmm/vcpu/pulse.h"

#define S CLOCK_NS_PER_S

static struct pulse pulse;
static struct pulse_sample s;

/* NULL, or what is said of it within so many seconds, each of which it spends like this. */
static const char *live(unsigned seconds, uint64_t cpu_ns, bool comes, bool excused)
{
	const char *why = NULL;

	for (unsigned i = 0; !why && i < seconds; i++) {
		s.now_ns += S;
		s.cpu_ns += cpu_ns;
		s.rounds += comes;
		s.excused = excused;
		why = pulse_look(&pulse, &s);
	}
	return why;
}

static void begin(void)
{
	pulse = (struct pulse){ 0 };
	s = (struct pulse_sample){ .now_ns = 5 * S, .cpu_ns = 1000 * S };
}

TestSuite(pulse, .init = begin);

Test(pulse, well)
{
	cr_expect_null(live(3600, S, true, false), "the guest spins");
	cr_expect_null(live(3600, 0, true, false), "the guest sleeps");
	cr_expect_null(live(3600, 0, false, true), "it waits for a device, or has not begun, or is paused");
	s.rounds = UINT32_MAX;
	cr_expect_null(live(3600, S, true, false), "any number of times");
}

Test(pulse, lost)
{
	cr_expect_null(live(3, S, false, false));
	cr_expect(live(2, S, false, false), "it works for seconds and does not come back");
}

Test(pulse, starved)
{
	cr_expect_null(live(59, S / 100, false, false));
	cr_expect(live(3, S / 100, false, false), "a minute is enough");
	begin();
	cr_expect_null(live(50, S / 100, false, false));
	cr_expect_null(live(1, S / 100, true, false), "it came");
	cr_expect_null(live(50, S / 100, false, false));
}

/* Processor time of before it was called is not held against it. */
Test(pulse, wait_then_work)
{
	cr_expect_null(live(100, S, false, true));
	cr_expect_null(live(2, S, false, false));
	cr_expect_null(live(100, S, false, true));
	cr_expect_null(live(2, S, false, false));
}
