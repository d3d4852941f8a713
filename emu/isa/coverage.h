/* SPDX-License-Identifier: MIT */
/* Which rows of the instruction table have been run: a build with -Disa_coverage=true notes it (tests/coverage). */
#ifndef BULKHEAD_EMU_COVERAGE_H
#define BULKHEAD_EMU_COVERAGE_H

#ifdef ISA_COVERAGE
void isa_cover(unsigned row);
#else
static inline void isa_cover(unsigned row)
{
}
#endif

#endif
