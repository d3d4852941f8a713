/* SPDX-License-Identifier: MIT */
/* Two outcomes side by side, and the pages of both. */
#include "silicon.h"

#include <stdio.h>
#include <string.h>

static void hex(const char *name, const void *data, unsigned bytes)
{
	printf(" %s=", name);
	for (unsigned n = bytes; n-- > 0;)
		printf("%02x", ((const uint8_t *)data)[n]);
}

static unsigned differ(const char *name, unsigned number, const void *in, const void *native, const void *emulated,
		       unsigned bytes, bool show)
{
	if (memcmp(native, emulated, bytes) == 0)
		return 0;
	if (show) {
		printf("    %s%u", name, number);
		if (in)
			hex("before", in, bytes);
		hex("cpu", native, bytes);
		hex("emu", emulated, bytes);
		printf("\n");
	}
	return 1;
}

#define FIELD(name, field) differ(name, 0, &in->field, &a->s.field, &b->s.field, sizeof(in->field), show)

static unsigned differ_fault(const struct outcome *a, const struct outcome *b, bool show)
{
	return differ("vector", 0, NULL, &a->vector, &b->vector, 1, show) +
	       differ("error", 0, NULL, &a->error, &b->error, 4, show) + differ("cr2 ", 0, NULL, &a->cr2, &b->cr2, 8, show);
}

static unsigned differ_registers(const struct state *in, const struct outcome *a, const struct outcome *b, bool show)
{
	unsigned bad = FIELD("rip", rip) + FIELD("rflags", rflags) + FIELD("fsbase", fs_base) + FIELD("gsbase", gs_base) +
		       FIELD("cw", fx.cw) + FIELD("sw", fx.sw) + FIELD("tag", fx.tag) + FIELD("mxcsr", fx.mxcsr) +
		       FIELD("fop", fx.fop) + FIELD("fip", fx.fip) + FIELD("fdp", fx.fdp);

	for (unsigned n = 0; n < 16; n++) {
		bad += differ("gpr", n, &in->gpr[n], &a->s.gpr[n], &b->s.gpr[n], 8, show);
		bad += differ("xmm", n, in->fx.xmm[n], a->s.fx.xmm[n], b->s.fx.xmm[n], 16, show);
		bad += differ("ymmh", n, in->ymm_high[n], a->s.ymm_high[n], b->s.ymm_high[n], 16, show);
		bad += differ("zmmh", n, in->zmm_high[n], a->s.zmm_high[n], b->s.zmm_high[n], 32, show);
		bad += differ("zmm", 16 + n, in->zmm16[n], a->s.zmm16[n], b->s.zmm16[n], 64, show);
	}
	for (unsigned n = 0; n < 8; n++) {
		bad += differ("st", n, in->fx.st[n], a->s.fx.st[n], b->s.fx.st[n], 10, show);
		bad += differ("k", n, &in->k[n], &a->s.k[n], &b->s.k[n], 8, show);
	}
	for (unsigned n = 0; n < SEG_COUNT; n++)
		bad += differ("seg", n, &in->seg[n], &a->s.seg[n], &b->s.seg[n], 2, show);
	return bad;
}

static unsigned differ_page(uint64_t linear, unsigned tier, bool show)
{
	const uint8_t *a = native_memory(linear);
	const uint8_t *b = emulated_memory(tier, linear);
	unsigned bad = 0;

	if (memcmp(a, b, PAGE) == 0)
		return 0;
	for (unsigned n = 0; n < PAGE; n += 16) {
		if (memcmp(a + n, b + n, 16) != 0 && bad++ < 4 && show) {
			printf("    memory %lx", linear + n);
			hex("cpu", a + n, 16);
			hex("emu", b + n, 16);
			printf("\n");
		}
	}
	return bad;
}

static const char *const tiers[TIERS] = { "step", "block", "translated" };

static void show_case(const struct test_case *t, const struct outcome *native, unsigned tier)
{
	const struct state *s = &t->in;

	printf("  %s, %u-bit, %s tier:", isa_rows[t->row].mnemonic, 8 * t->code_size, tiers[tier]);
	for (unsigned n = 0; n < t->bytes; n++)
		printf(" %02x", t->code[n]);
	printf(" at %lx (%u/%lx) (size %u asize %u) rflags=%lx rsp=%lx rcx=%lx rsi=%lx rdi=%lx\n", t->at, native->vector,
	       native->cr2, t->i.size, t->i.asize, s->rflags, s->gpr[RSP], s->gpr[RCX], s->gpr[RSI], s->gpr[RDI]);
}

static const uint64_t pages[] = { DATA, DATA + PAGE, DATA + 4 * PAGE, STACK + PAGE, STACK + 2 * PAGE };

void make_equal(unsigned tier)
{
	for (unsigned n = 0; n < sizeof(pages) / sizeof(pages[0]); n++)
		memcpy(emulated_memory(tier, pages[n]), native_memory(pages[n]), PAGE);
}

static uint8_t kept[sizeof(pages) / sizeof(pages[0])][PAGE];

void keep_memory(void)
{
	for (unsigned n = 0; n < sizeof(pages) / sizeof(pages[0]); n++)
		memcpy(kept[n], native_memory(pages[n]), PAGE);
}

void restore_memory(void)
{
	for (unsigned n = 0; n < sizeof(pages) / sizeof(pages[0]); n++)
		memcpy(native_memory(pages[n]), kept[n], PAGE);
}

unsigned compare(const struct test_case *t, const struct outcome *native, const struct outcome *emulated, unsigned tier,
		 bool show)
{
	unsigned bad = differ_fault(native, emulated, false) + differ_registers(&t->in, native, emulated, false);

	if (show && bad)
		show_case(t, native, tier);
	if (show && bad)
		differ_fault(native, emulated, true), differ_registers(&t->in, native, emulated, true);
	for (unsigned n = 0; n < 5; n++) {
		unsigned differs = memcmp(native_memory(pages[n]), emulated_memory(tier, pages[n]), PAGE) != 0;

		if (differs && show && !bad)
			show_case(t, native, tier);
		bad += differs ? differ_page(pages[n], tier, show) : 0;
	}
	return bad;
}
