/* SPDX-License-Identifier: MIT */
/*
 * The two floating-point providers against each other, x87: P (portable C) against H (this processor), with all
 * precisions, directions of rounding and exception masks: registers, memory, depth, flags and condition codes, bit by
 * bit. The transcendental functions have no prescribed last bit; there the distance in units of the last place is
 * counted, and bounded. What they are compared with is the processor that the test runs on: vendors differ.
 */
#include "emu/sem/fp/provider_table.h"
#include "fp_operands.h"
#include "tests/host/processor.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 60000 };
enum { IE = 1, PRE = 7, C0 = 0x100, C1 = 0x200, C2 = 0x400, C3 = 0x4000, CC = C0 | C1 | C2 | C3, ES = 0x80, FLAGS = 0x3f };

struct function {
	const char *name;
	fp_x87_fn *host, *soft;
};
#define FUNCTION(name) { #name, host_##name, soft_##name },
static const struct function functions[] = { FP_X87_ALL(FUNCTION) };
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

static bool is_one_of(const char *name, const char *list)
{
	const size_t length = strlen(name);

	for (const char *p = strstr(list, name); p; p = strstr(p + 1, name))
		if ((p == list || p[-1] == ' ') && (p[length] == ' ' || p[length] == 0))
			return true;
	return false;
}

static bool is_transcendental(const char *name)
{
	return is_one_of(name, "fsin fcos fsincos fptan fpatan f2xm1 fyl2x fyl2xp1");
}

/* ---- operands ------------------------------------------------------------------------------------------ */

static struct x87_reg some_register(struct fp_random *r, const struct x87_reg *other)
{
	struct x87_reg a = { .se = (uint16_t)fp_exponent(r, 15, other->se & 0x7fff) };

	switch (fp_below(r, 24)) {
	case 0:
		return *other;
	case 1:
		return (struct x87_reg){ .se = (uint16_t)(fp_next(r) & 0x8000) };
	case 2:
		return (struct x87_reg){ .sig = 1ull << 63, .se = (uint16_t)(fp_next(r) | 0x7fff) };
	case 3: /* anything, the unsupported ones among it */
		a.sig = fp_fraction(r, 64);
		a.se |= (uint16_t)(fp_next(r) & 0x8000);
		return a;
	}
	a.sig = fp_fraction(r, 63) | (a.se ? 1ull << 63 : 0);
	a.se |= (uint16_t)(fp_next(r) & 0x8000);
	return a;
}

/* Half of the registers hold numbers that were, or are about to be, single or double. */
static void truncate_some(struct fp_random *r, struct x87_reg *a)
{
	if (fp_below(r, 4) == 0)
		a->sig &= ~0ull << 40;
	else if (fp_below(r, 4) == 0)
		a->sig &= ~0ull << 11;
	if (fp_below(r, 6) == 0)
		a->se = (uint16_t)((a->se & 0x8000) | (16383 - 1023 - 55 + fp_below(r, 60)));
	else if (fp_below(r, 6) == 0)
		a->se = (uint16_t)((a->se & 0x8000) | (16383 - 127 - 26 + fp_below(r, 30)));
}

static void some_memory(struct fp_random *r, const char *name, uint8_t mem[16])
{
	uint64_t v = fp_fraction(r, 64) ^ (fp_next(r) & 1 ? UINT64_MAX : 0);

	memset(mem, 0, 16);
	if (name[1] != 'i' && strstr(name, "_m32"))
		v = fp_number(r, 8, 23, fp_next(r));
	if (name[1] != 'i' && strstr(name, "_m64"))
		v = fp_number(r, 11, 52, fp_next(r));
	memcpy(mem, &v, 8);
	if (strcmp(name, "fbld") == 0) {
		for (unsigned k = 0; k < 9; k++)
			mem[k] = (uint8_t)(fp_below(r, 10) << 4 | fp_below(r, 10));
		mem[9] = fp_next(r) & 0x80;
	}
}

static uint16_t some_cw(struct fp_random *r)
{
	const unsigned masks = fp_below(r, 3) ? FLAGS : (unsigned)fp_below(r, 64);

	return (uint16_t)(0x40 | masks | fp_below(r, 4) << 8 | fp_below(r, 4) << 10);
}

/* ---- comparison ---------------------------------------------------------------------------------------- */

/* The condition codes that callers look at. */
static unsigned codes_of(const char *name, const struct fp_x87 *x)
{
	if (is_one_of(name, "fcom fcom_m32 fcom_m64 ficom_m16 ficom_m32 fucom ftst fxam"))
		return CC;
	if (is_one_of(name, "fcomi fucomi"))
		return 0;
	if (is_one_of(name, "fsin fcos fsincos fptan"))
		return C1 | C2;
	if (is_one_of(name, "fprem fprem1")) {
		const bool nan = (x->st[0].se & 0x7fff) == 0x7fff && x->st[0].sig << 1;

		return (x->sw & IE) || (x->sw & ~x->cw & PRE) || nan ? C1 | C2 : CC;
	}
	return C1;
}

static unsigned stored_bytes(const char *name)
{
	if (strcmp(name, "fbstp") == 0)
		return 10;
	if (strncmp(name, "fst", 3) != 0 && strncmp(name, "fist", 4) != 0)
		return 0;
	return strstr(name, "_m16") ? 2 : strstr(name, "_m32") ? 4 : 8;
}

static bool same_register(const struct x87_reg *a, const struct x87_reg *b)
{
	return a->sig == b->sig && a->se == b->se;
}

static bool is_same_status(const char *name, const struct fp_x87 *a, const struct fp_x87 *b)
{
	const unsigned mask = codes_of(name, a) | FLAGS | ES;

	if ((a->sw ^ b->sw) & mask || a->depth != b->depth)
		return false;
	return !is_one_of(name, "fcomi fucomi") || ((a->eflags ^ b->eflags) & 0x45) == 0;
}

static bool is_same(const char *name, const struct fp_x87 *a, const struct fp_x87 *b)
{
	if (!is_same_status(name, a, b))
		return false;
	for (unsigned k = 0; k < a->depth; k++)
		if (!same_register(&a->st[k], &b->st[k]))
			return false;
	return a->depth != 0 || memcmp(a->mem, b->mem, stored_bytes(name)) == 0;
}

static void report(const char *name, const struct fp_x87 *in, const struct fp_x87 *host, const struct fp_x87 *soft)
{
	fprintf(stderr, "%s cw %04x st0 %04x:%016lx st1 %04x:%016lx mem %016lx\n", name, in->cw, in->st[0].se,
		(unsigned long)in->st[0].sig, in->st[1].se, (unsigned long)in->st[1].sig, *(const unsigned long *)in->mem);
	for (const struct fp_x87 *x = host; x; x = x == host ? soft : NULL)
		fprintf(stderr, "  %s sw %04x depth %u st0 %04x:%016lx st1 %04x:%016lx mem %02x%02x%016lx fl %02x\n",
			x == host ? "host" : "soft", x->sw, x->depth, x->st[0].se, (unsigned long)x->st[0].sig, x->st[1].se,
			(unsigned long)x->st[1].sig, x->mem[9], x->mem[8], *(const unsigned long *)x->mem, x->eflags);
}

static void run_both(const struct function *f, struct fp_random *r, struct fp_x87 *in, struct fp_x87 *host,
		     struct fp_x87 *soft)
{
	memset(in, 0, sizeof(*in));
	in->st[0] = some_register(r, &in->st[0]);
	in->st[1] = some_register(r, &in->st[0]);
	truncate_some(r, &in->st[0]);
	truncate_some(r, &in->st[1]);
	some_memory(r, f->name, in->mem);
	in->cw = some_cw(r);
	*host = *soft = *in;
	f->host(host);
	f->soft(soft);
}

static unsigned differences(const struct function *f, unsigned seed)
{
	struct fp_random r = { seed };
	unsigned different = 0;

	for (unsigned n = 0; n < ROUNDS; n++) {
		struct fp_x87 in, host, soft;

		run_both(f, &r, &in, &host, &soft);
		if (is_same(f->name, &host, &soft))
			continue;
		if (different++ < 3)
			report(f->name, &in, &host, &soft);
	}
	return different;
}

Test(fp_x87_providers, exact)
{
	unsigned compared = 0;

	for (unsigned n = 0; n < FUNCTIONS; n++) {
		unsigned d;

		if (is_transcendental(functions[n].name))
			continue;
		d = differences(&functions[n], n + 1);
		cr_expect(d == 0 || (is_one_of(functions[n].name, "fprem fprem1") && point_excuses(PT_PARTIAL_REMAINDER)),
			  "%s: %u", functions[n].name, d);
		compared++;
	}
	printf("%u x87 functions, %u operands each\n", compared, ROUNDS);
}

/* ---- transcendental functions -------------------------------------------------------------------------- */

/* Where the function is defined, and where its steep and flat parts are. */
static void domain(struct fp_random *r, const char *name, struct fp_x87 *x)
{
	const unsigned sign = x->st[0].se & 0x8000u;

	if (fp_below(r, 16) == 0)
		return; /* special values */
	x->st[0].sig |= 1ull << 63;
	x->st[1].sig |= 1ull << 63;
	if (is_one_of(name, "fpatan")) {
		x->st[0].se = (uint16_t)(sign | (16383 - 40 + fp_below(r, 80)));
		x->st[1].se = (uint16_t)((x->st[1].se & 0x8000) | ((x->st[0].se & 0x7fff) - 20 + fp_below(r, 40)));
	} else if (is_one_of(name, "fyl2x")) {
		x->st[0].se = (uint16_t)(16383 - 4 + fp_below(r, 8));
		x->st[1].se = (uint16_t)((x->st[1].se & 0x8000) | (16383 - 4 + fp_below(r, 8)));
	} else if (is_one_of(name, "fyl2xp1")) {
		x->st[0].se = (uint16_t)(sign | (16383 - 2 - 1 - fp_below(r, 70)));
		x->st[1].se = (uint16_t)((x->st[1].se & 0x8000) | (16383 - 4 + fp_below(r, 8)));
	} else if (is_one_of(name, "f2xm1")) {
		x->st[0].se = (uint16_t)(sign | (16383 - 1 - fp_below(r, 70)));
	} else {
		x->st[0].se = (uint16_t)(sign | (16383 - 40 + fp_below(r, 103)));
	}
}

/* Distance in units of the last place; huge for different signs. */
static uint64_t distance(const struct x87_reg *a, const struct x87_reg *b)
{
	const __int128 x = (__int128)(a->se & 0x7fff) << 63 | (a->sig & INT64_MAX);
	const __int128 y = (__int128)(b->se & 0x7fff) << 63 | (b->sig & INT64_MAX);
	const __int128 d = x < y ? y - x : x - y;

	if (same_register(a, b))
		return 0;
	return (a->se ^ b->se) & 0x8000 || d > INT64_MAX ? UINT64_MAX : (uint64_t)d;
}

/* Finite operands that the SDM says nothing about. */
static bool is_undefined(const char *name, const struct x87_reg *st0)
{
	const int exponent = (st0->se & 0x7fff) - 16383;

	if (exponent == 16384)
		return false;
	if (strcmp(name, "f2xm1") == 0)
		return exponent > 0 || (exponent == 0 && st0->sig << 1);
	return strcmp(name, "fyl2xp1") == 0 && exponent > -3; /* 1 - sqrt(1/2) is a bit more than 1/4 */
}

struct tally {
	unsigned undefined, cases, equal, one, more, status;
	uint64_t worst;
};

static void tally_case(struct tally *t, const char *name, const struct fp_x87 *in, const struct fp_x87 *host,
		       const struct fp_x87 *soft)
{
	uint64_t d = 0;

	t->cases++;
	if (((host->sw ^ soft->sw) & (FLAGS | ES | C2)) || host->depth != soft->depth) {
		if (t->status++ < 8)
			report(name, in, host, soft);
		return;
	}
	for (unsigned k = 0; k < host->depth; k++) {
		const uint64_t dk = distance(&host->st[k], &soft->st[k]);

		d = dk > d ? dk : d;
	}
	t->equal += d == 0;
	t->one += d == 1;
	if (d > 1 && t->more++ < 8)
		report(name, in, host, soft);
	t->worst = d > t->worst ? d : t->worst;
}

static struct tally tally_function(const struct function *f, unsigned seed)
{
	struct fp_random r = { seed };
	struct tally t = { 0 };

	for (unsigned n = 0; n < ROUNDS; n++) {
		struct fp_x87 in, host, soft;

		memset(&in, 0, sizeof(in));
		in.st[0] = some_register(&r, &in.st[0]);
		in.st[1] = some_register(&r, &in.st[0]);
		domain(&r, f->name, &in);
		if (is_undefined(f->name, &in.st[0])) {
			t.undefined++;
			continue;
		}
		in.cw = some_cw(&r);
		host = soft = in;
		f->host(&host);
		f->soft(&soft);
		tally_case(&t, f->name, &in, &host, &soft);
	}
	return t;
}

Test(fp_x87_providers, transcendental)
{
	for (unsigned n = 0; n < FUNCTIONS; n++) {
		struct tally t;

		if (!is_transcendental(functions[n].name))
			continue;
		t = tally_function(&functions[n], 500 + n);
		printf("%-8s %u operands: %.3f%% equal, %.3f%% one unit apart, worst %lu; %u undefined ones not compared\n",
		       functions[n].name, t.cases, 100.0 * t.equal / t.cases, 100.0 * t.one / t.cases, (unsigned long)t.worst,
		       t.undefined);
		/* Both vendors promise an error below one unit, but neither flags nor bits: those were seen. */
		if (t.worst <= 1 && t.status == 0 && t.equal >= t.cases / 10 * 9)
			continue;
		cr_expect(point_excuses(PT_TRANSCENDENTAL), "%s: worst %lu, %u cases above one unit, %u with other flags",
			  functions[n].name, (unsigned long)t.worst, t.more, t.status);
	}
}
