/* SPDX-License-Identifier: MIT */
/* The table of differences, and how often each was met. Where a manual is silent, it says so: then it was measured. */
#include "vendor.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <string.h>

static const struct {
	const char *intel, *amd;
} differences[VD_COUNT] = {
	[VD_DOUBLE_SHIFT_16] = {
		"16-bit SHLD and SHRD by more than 16 (undefined: SDM vol. 2, SHLD) shift through both operands again",
		"have another result (undefined: APM vol. 3, SHLD)" },
	[VD_NOP_0F0D] = {
		"0F 0D with a register is NOP (SDM vol. 2, table A-3)",
		"is #UD (APM vol. 3, PREFETCH, PREFETCHW: memory operands only)" },
	[VD_SAVED_POINTERS] = {
		"FXSAVE and XSAVE store FOP, FIP and FDP (SDM vol. 1, 10.5.1.1)",
		"store them only while an x87 exception is pending (APM vol. 5, FXSAVE)" },
	[VD_POINTER_HALVES] = {
		"FXSAVE tells 64 bits of FIP and FDP (SDM vol. 1, 10.5.1.1)",
		"FNSTENV has to be asked, which tells 32 (APM vol. 5, FNSTENV)" },
	[VD_POINTER_WIDTH] = {
		"FXRSTOR and XRSTOR keep 48 bits of FIP and 64 of FDP (manuals silent)",
		"keep 57 of both (manuals silent)" },
	[VD_FOP_FDP] = {
		"FOP and FDP change with unmasked exceptions only (SDM vol. 1, 8.1.8, 8.1.9.1)",
		"change with each non-control instruction (APM vol. 1, x87 opcode and data pointer registers)" },
	[VD_MISALIGNED_SSE] = {
		"MXCSR bit 17 is reserved (SDM vol. 1, figure 10-3)",
		"is MM, misaligned exception mask (APM vol. 1, MXCSR register)" },
	[VD_SHA_ALIGNMENT] = {
		"SHA operands that are not aligned to 16 bytes are #GP (SDM vol. 2, SHA1RNDS4: exceptions type 4)",
		"are loaded (manual silent)" },
	[VD_GATHER_FAULT] = {
		"before the first load, gathers widen the mask's signs and clear what is above 128 bits "
		"(SDM vol. 2, VGATHERDPS, operation)",
		"only completed elements of mask and destination have changed at a fault (APM vol. 4, VGATHERDPS)" },
	[VD_VCVTPS2PH_FAULT] = {
		"VCVTPS2PH converts, with flags in MXCSR and #XM, before its store can fault "
		"(one class: SDM vol. 3, table 6-2)",
		"is #PF first, and has no flags then (likewise: APM vol. 2, exception priorities)" },
	[VD_VPERMQ_W0] = {
		"VPERMQ and VPERMPD with VEX.W = 0 are #UD (SDM vol. 2, VPERMQ: W1)",
		"ignore W (APM vol. 4, VPERMQ, writes W1, too)" },
	[VD_EVEX_BITS] = {
		"EVEX.b between registers without rounding, and EVEX.z without a mask, are #UD (SDM vol. 2, 2.7.11)",
		"are ignored where the instruction has no use for the bit (manual silent)" },
	[VD_VREDUCE_PE] = {
		"VREDUCE reports that its first rounding was inexact (SDM vol. 2, ReduceArgumentDP)",
		"reports the second one only (manual silent)" },
	[VD_VGETMANT_DE] = {
		"VGETMANT of a negative denormal that it refuses raises IE (SDM vol. 2, VGETMANTPS, operation)",
		"DE as well (manual silent)" },
};

static unsigned long left[VD_COUNT];

/* Hygon's processors are AMD's design; those of other vendors follow Intel. */
bool host_is_foreign(void)
{
#ifdef __x86_64__
	unsigned max, name[3];

	__cpuid(0, max, name[0], name[2], name[1]);
	return memcmp(name, "AuthenticAMD", 12) == 0 || memcmp(name, "HygonGenuine", 12) == 0;
#else
	return false;
#endif
}

bool vendor_leaves(enum vendor_difference d)
{
	static int foreign = -1;

	if (foreign < 0)
		foreign = host_is_foreign();
	left[d] += (unsigned)foreign;
	return foreign;
}

void vendor_report(FILE *out)
{
	unsigned long sum = 0;

	for (unsigned d = 0; d < VD_COUNT; d++)
		sum += left[d];
	fprintf(out, "%lu comparisons left to the other vendor%s\n", sum, sum ? ":" : "");
	for (unsigned d = 0; d < VD_COUNT; d++)
		if (left[d])
			fprintf(out, "  %8lu  Intel: %s; AMD: %s\n", left[d], differences[d].intel, differences[d].amd);
}
