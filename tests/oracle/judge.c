/* SPDX-License-Identifier: MIT */
/* Two outcomes of one case side by side: what differs, and whether that counts. */
#include "oracle.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"

#include <stdio.h>
#include <string.h>

static void hex(const char *name, const void *data, unsigned bytes)
{
	printf(" %s=", name);
	for (unsigned n = bytes; n-- > 0;)
		printf("%02x", ((const uint8_t *)data)[n]);
}

static bool differ(const char *name, const void *in, const void *native, const void *emulated, unsigned bytes, bool show)
{
	if (memcmp(native, emulated, bytes) == 0)
		return false;
	if (show) {
		printf("    %-8s", name);
		hex("before", in, bytes);
		hex("cpu", native, bytes);
		hex("emu", emulated, bytes);
		printf("\n");
	}
	return true;
}

#define DIFFER(field) differ(#field, &in->field, &a->field, &b->field, sizeof(a->field), show)

/* The window is compared around the operand first, which is where it matters. */
static bool differ_window(const struct state *in, const struct state *a, const struct state *b, bool show)
{
	bool bad = false;

	for (unsigned n = 0; n < WINDOW_BYTES; n += 16) {
		char name[16];
		snprintf(name, sizeof(name), "mem+%x", n);
		bad |= differ(name, in->window + n, a->window + n, b->window + n, 16, show);
	}
	return bad;
}

static bool differ_zmm(const struct state *in, const struct state *a, const struct state *b, bool show)
{
	bool bad = false;

	for (unsigned n = 0; n < 16; n++) {
		char name[16];
		snprintf(name, sizeof(name), "zmmh%u", n);
		bad |= differ(name, in->zmm_high[n], a->zmm_high[n], b->zmm_high[n], 32, show);
		snprintf(name, sizeof(name), "zmm%u", 16 + n);
		bad |= differ(name, in->zmm16[n], a->zmm16[n], b->zmm16[n], 64, show);
		snprintf(name, sizeof(name), "k%u", n);
		if (n < 8)
			bad |= differ(name, &in->k[n], &a->k[n], &b->k[n], 8, show);
	}
	return bad;
}

/* enum isa_flag to RFLAGS. */
static uint64_t rflags_of(unsigned flags)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t r = 0;

	for (unsigned n = 0; n < 6; n++)
		r |= flags >> n & 1 ? bits[n] : 0;
	return r;
}

static bool compare(const struct state *in, struct state *a, struct state *b, unsigned undefined, bool show)
{
	bool bad = DIFFER(vector);

	a->rflags &= RFLAGS_ARITH & ~rflags_of(undefined);
	b->rflags &= RFLAGS_ARITH & ~rflags_of(undefined);
	a->gpr[RSP] = b->gpr[RSP] = 0;
	bad |= DIFFER(rflags);
	bad |= DIFFER(fx.cw);
	bad |= DIFFER(fx.sw);
	bad |= DIFFER(fx.tag);
	bad |= DIFFER(fx.fop);
	bad |= DIFFER(fx.fip);
	bad |= DIFFER(fx.fdp);
	bad |= DIFFER(fx.mxcsr);
	for (unsigned n = 0; n < 16; n++) {
		char name[16];
		snprintf(name, sizeof(name), "gpr%u", n);
		bad |= differ(name, &in->gpr[n], &a->gpr[n], &b->gpr[n], 8, show);
		snprintf(name, sizeof(name), "xmm%u", n);
		bad |= differ(name, in->fx.xmm[n], a->fx.xmm[n], b->fx.xmm[n], 16, show);
		snprintf(name, sizeof(name), "ymmh%u", n);
		bad |= differ(name, in->ymm_high[n], a->ymm_high[n], b->ymm_high[n], 16, show);
		snprintf(name, sizeof(name), "st%u", n);
		if (n < 8)
			bad |= differ(name, in->fx.st[n], a->fx.st[n], b->fx.st[n], 10, show);
	}
	bad |= differ_zmm(in, a, b, show);
	bad |= differ_window(in, a, b, show);
	return bad;
}

static void show_case(const struct test_case *t)
{
	const struct fximage *fx = &t->in.fx;

	printf("  %s:", isa_rows[t->row].mnemonic);
	for (unsigned n = 0; n < t->length; n++)
		printf(" %02x", t->code[n]);
	printf("  cw=%04x sw=%04x tag=%02x mxcsr=%04x [rsi]", fx->cw, fx->sw, fx->tag, fx->mxcsr);
	hex("", t->in.window + (t->in.gpr[RSI] - (uintptr_t)oracle_window), 16);
	hex("st0", fx->st[0], 10);
	hex("st1", fx->st[1], 10);
	printf("\n");
}

/* Copies, since reconcile() changes them. */
static bool same(const struct test_case *t, const struct state *native, const struct state *emulated, bool show)
{
	static struct state a, b;

	a = *native;
	b = *emulated;
	reconcile(t, &a, &b);
	return !compare(&t->in, &a, &b, isa_rows[t->row].flags_undefined, show);
}

bool judge_same(const struct test_case *t, const struct state *native, const struct state *emulated)
{
	return same(t, native, emulated, false);
}

bool judge_excuses(const struct test_case *t, const struct state *native, const struct state *emulated)
{
	bool excused;

	points_doubt(true);
	excused = same(t, native, emulated, false) || (is_undocumented(t->row) && point_doubted(PT_UNDOCUMENTED));
	if (excused)
		points_report_difference();
	points_doubt(false);
	return excused;
}

void judge_show(const struct test_case *t, const struct state *native, const struct state *emulated)
{
	show_case(t);
	same(t, native, emulated, true);
}
