/* SPDX-License-Identifier: MIT */
/*
 * The processor that the emulator is compared with, and where it cannot judge it.
 *
 * The emulated processor follows the SDM (emu/sem/sys/cpuid.c says that it is Intel's). Processors differ in the points of
 * points.def, by vendor, by generation, by what the system has switched on. What this one does there is measured once, and
 * written down in seen.def by family and model when it has been looked at. A processor that is not in there is no
 * reason for an error: a difference in one of these points, and only there, is reported.
 *
 * A comparison asks point_leaves() where it comes to a point. After a difference it begins anew in doubt: what this
 * processor was not seen to do like the emulator is left out as well then. If nothing differs any more, the difference
 * was one to report.
 *
 *	reconcile, compare; if they differ:
 *		points_doubt(true)
 *		reconcile, compare; if they agree: points_report_difference()
 *		points_doubt(false)
 */
#ifndef BULKHEAD_TESTS_PROCESSOR_H
#define BULKHEAD_TESTS_PROCESSOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum point {
#define POINT(name, kind, rule, other) PT_##name,
#include "points.def"
#undef POINT
	POINT_COUNT,
};
_Static_assert(POINT_COUNT <= 64, "sets of points are words");
#define PT(name) (1ull << PT_##name)

struct processor {
	char vendor[13];
	unsigned family, model; /* display family and model (SDM vol. 2, CPUID, leaf 1) */
	/* Points in which it was measured, or else seen, to do as the emulator does, or otherwise; neither: nobody knows. */
	uint64_t alike, otherwise;
	/* Low bits of FIP and FDP that FXRSTOR64 keeps; 0 if unknown. */
	uint8_t fip_bits, fdp_bits;
	/* As FXSAVE stores it: the bits that MXCSR has. */
	uint32_t mxcsr_mask;
};

/* A row of seen.def: what one processor did when somebody looked. */
struct seen {
	struct processor as;
	const char *name;
};
enum { MODEL_NOT_NOTED = UINT32_MAX }; /* an old record: fits no processor that runs */
extern const struct seen seen_rows[];
extern const unsigned seen_count;

/*
 * This host's, measured at the first call. BULKHEAD_TEST_HOST=unseen in the environment takes its row away,
 * BULKHEAD_TEST_HOST=blind what was measured as well: both have to be green on every host.
 */
const struct processor *processor(void);

/* Puts another one in its place, with its row if there is one: for tests. */
void processor_set(const struct processor *p);

/* The row of seen.def for the processor, or NULL. */
const struct seen *processor_row(void);

/* Was it measured not to do as the emulator does? Not measured counts as `unknown`. Counts nothing. */
bool processor_differs(enum point p, bool unknown);

/* Has a comparison to leave this point out? Counted if so. */
bool point_leaves(enum point p);

/* Is it left out for doubt alone? For what needs no rule where the point was measured to be otherwise. */
bool point_doubted(enum point p);

/* After a difference that can only be this point's: is it to be reported, and no error? Counted if so. */
bool point_excuses(enum point p);

/* Low bits of FIP and FDP that can be compared after they were loaded from memory. */
uint64_t point_fip_mask(void);
uint64_t point_fdp_mask(void);

/* Begins or ends doubt. */
void points_doubt(bool on);
/* The comparison in doubt agreed: counts a difference at the points that were left out only now. */
void points_report_difference(void);

/* What children count from now on counts here, too. */
void points_share(void);

/* Which processor this is; then a line for each point that was left out, or differed. */
void points_report(FILE *out);
unsigned long points_differences(void);

#endif
