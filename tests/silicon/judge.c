/* SPDX-License-Identifier: MIT */
/* Two outcomes of one case: do they agree, but for what cannot be compared? */
#include "silicon.h"
#include "tests/host/processor.h"

/* Of copies, since forgive() changes them. */
unsigned judge(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated, bool show)
{
	static struct outcome n, e;

	n = *native;
	e = *emulated;
	return forgive(tier, t, &n, &e) ? 1 + compare(t, &n, &e, tier, show) : 0;
}

bool judge_excuses(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated)
{
	bool same;

	points_doubt(true);
	same = judge(tier, t, native, emulated, false) <= 1;
	if (same)
		points_report_difference();
	points_doubt(false);
	return same;
}
