/* SPDX-License-Identifier: MIT */
/*
 * What becomes of the x87 pointers. A context switch in the middle of a probe goes through the kernel's XSAVE, which may
 * zero them: what is seen once in some tries is there.
 */
#include "probe.h"
#include "emu/isa/isa.h"
#include "features.h"

#ifdef __x86_64__
#include <string.h>

enum { TRIES = 5, SW_PENDING = 0x8081, CW_ALL = 0x37f, CW_INVALID_UNMASKED = 0x37e, MXCSR_BITS = 0xffff, XFEATURES = 3 };

struct look {
	struct fximage own, in, out;
	uint32_t environment[7]; /* FNSTENV: [3] FIP, [4] FOP above FCS, [5] FDP */
	double operand;
};

static void begin(struct look *l)
{
	memset(l, 0, sizeof(*l));
	l->in.cw = CW_ALL;
	l->in.mxcsr = 0x1f80;
	l->in.fop = 0x123;
	l->in.fip = 0x23456789;
	l->in.fdp = 0x34567890;
}

/* The state l->in, `body`, and what can be seen of the pointers then. The caller's own state is back afterwards. */
#define LOOK(l, body)                                                                                             \
	__asm__ volatile("fxsave64 %[own]; fxrstor64 %[in]\n\t" body "\n\t"                                       \
			 "fxsave64 %[out]; fnstenv %[env]; fxrstor64 %[own]"                                      \
			 : [own] "=m"((l)->own), [out] "+m"((l)->out), [env] "=m"((l)->environment)               \
			 : [in] "m"((l)->in), [operand] "m"((l)->operand))

static bool is_saved(void)
{
	struct look l;

	begin(&l);
	LOOK(&l, "");
	return l.out.fop == l.in.fop && l.out.fip == l.in.fip && l.out.fdp == l.in.fdp;
}

static bool is_restored(void)
{
	struct look l;

	begin(&l);
	LOOK(&l, "");
	return l.environment[3] == l.in.fip && l.environment[5] == l.in.fdp;
}

static bool is_fop_noted(void)
{
	struct look l;

	begin(&l);
	LOOK(&l, "fldl %[operand]");
	return (l.environment[4] >> 16 & 0x700) == 0x500; /* DD /0: low bits of the opcode, ModRM */
}

static bool is_fdp_noted(void)
{
	struct look l;

	begin(&l);
	LOOK(&l, "fldl %[operand]");
	return l.environment[5] == (uint32_t)(uintptr_t)&l.operand;
}

static bool is_met(bool (*fn)(void))
{
	for (unsigned n = 0; n < TRIES; n++)
		if (fn())
			return true;
	return false;
}

/* How many of the low bits of a pointer come back, with an exception pending: then both are kept everywhere. */
static uint8_t kept_bits(bool of_fdp)
{
	struct look l;
	uint8_t bits = 0;

	for (; bits < 64; bits++) {
		begin(&l);
		l.in.cw = CW_INVALID_UNMASKED;
		l.in.sw = SW_PENDING;
		*(of_fdp ? &l.in.fdp : &l.in.fip) = 1ull << bits;
		LOOK(&l, "");
		if (!((of_fdp ? l.out.fdp : l.out.fip) >> bits & 1))
			break;
	}
	return bits;
}

static uint32_t mask_of_mxcsr(void)
{
	struct look l;

	begin(&l);
	LOOK(&l, "");
	return l.out.mxcsr_mask;
}

/* XRSTOR of another XMM0 together with an MXCSR that is #GP. */
static uint8_t area[1024] __attribute__((aligned(64)));
static const uint64_t before[2] __attribute__((aligned(16))) = { 0x1111111111111111, 0x2222222222222222 };

static void restore_reserved(void)
{
	__asm__ volatile("movaps %[before], %%xmm0\n\t"
			 "xrstor64 %[area]"
			 :
			 : [before] "m"(before), [area] "m"(area), "a"(XFEATURES), "d"(0)
			 : "xmm0");
}

static enum answer partial_restore(void)
{
	const uint64_t header[8] = { XFEATURES };
	const struct fximage image = { .cw = CW_ALL, .mxcsr = 1u << 31, .xmm = { "another value" } };

	memcpy(area, &image, sizeof(image));
	memcpy(area + 512, header, sizeof(header));
	if (probe_run(restore_reserved) != 13)
		return SAYS_NOTHING;
	return memcmp(probe_fault.fx.xmm[0], before, sizeof(before)) == 0 ? DOES_ALIKE : DOES_OTHERWISE;
}

void probe_x87(struct processor *p)
{
	probe_note(p, PT_SAVED_POINTERS, is_met(is_saved) ? DOES_ALIKE : DOES_OTHERWISE);
	probe_note(p, PT_RESTORED_POINTERS, is_met(is_restored) ? DOES_ALIKE : DOES_OTHERWISE);
	probe_note(p, PT_NOTED_FOP, is_met(is_fop_noted) ? DOES_OTHERWISE : DOES_ALIKE);
	probe_note(p, PT_NOTED_FDP, is_met(is_fdp_noted) ? DOES_OTHERWISE : DOES_ALIKE);
	p->mxcsr_mask = mask_of_mxcsr();
	probe_note(p, PT_MXCSR_BITS, p->mxcsr_mask == MXCSR_BITS ? DOES_ALIKE : DOES_OTHERWISE);
	p->fip_bits = kept_bits(false);
	p->fdp_bits = kept_bits(true);
	if (host_has(FEAT_XSAVE))
		probe_note(p, PT_PARTIAL_RESTORE, partial_restore());
}
#endif
