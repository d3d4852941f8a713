/* SPDX-License-Identifier: MIT */
/*
 * Which VEX and EVEX encodings exist? #UD here must be #UD there; what else happens is not compared.
 *
 * VEX: each opcode of the three maps with each pp, W, L, ModRM.reg, with and without an operand in vvvv, between registers.
 * EVEX: each opcode of the maps with each pp, W, L'L, b, z, a mask or none, vvvv, V', between registers and with memory;
 * ModRM.reg, R', X and the reserved bits are left to chance.
 */
#include "silicon.h"
#include "emu/decode/decode.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 20 };

/* Features that processors may have and the emulator does not have yet: what it refuses there proves nothing. */
static struct absent {
	const char *feature;
	uint8_t map, first, last;
	unsigned encodings;
} absent[] = {
	{ "AVX-VNNI-INT16", 2, 0xd2, 0xd3, 0 },
	{ "AVX-IFMA", 2, 0xb4, 0xb5, 0 },	{ "AVX-NE-CONVERT", 2, 0x72, 0x72, 0 },
	{ "AMX", 2, 0x49, 0x4b, 0 },		{ "AMX", 2, 0x5c, 0x5e, 0 },
	{ "AMX", 2, 0x6c, 0x6c, 0 },		{ "SHA512", 2, 0xcb, 0xcd, 0 },
	{ "SM3 and SM4", 2, 0xda, 0xda, 0 },	{ "SM3", 3, 0xde, 0xde, 0 },
};
enum { ABSENT = sizeof(absent) / sizeof(absent[0]) };

static bool is_absent(unsigned map, unsigned opcode)
{
	for (unsigned n = 0; n < ABSENT; n++) {
		if (absent[n].map != map || opcode < absent[n].first || opcode > absent[n].last)
			continue;
		absent[n].encodings++;
		return true;
	}
	return false;
}

static void report_absent(void)
{
	unsigned sum = 0;

	for (unsigned n = 0; n < ABSENT; n++) {
		sum += absent[n].encodings;
		if (n + 1 < ABSENT && strcmp(absent[n].feature, absent[n + 1].feature) == 0)
			continue;
		if (sum)
			printf("  %u run here, but belong to %s, which the emulator does not have\n", sum, absent[n].feature);
		sum = 0;
	}
}

/* The instruction table has an encoding that this processor lacks: it cannot be asked. */
static bool is_lacking(const struct test_case *t)
{
	struct insn i;

	return decode(t->code, t->length, 8, &i) == DECODE_OK && !host_has_row(i.id);
}

/* One state for all. Operands are in memory that both have; opmasks are zero, so that scatters write nothing. */
static void begin(struct test_case *t)
{
	memset(t, 0, sizeof(*t));
	random_state(&t->in, VECTORS_YMM);
	t->in.fx.mxcsr = 0x1f80;
	t->in.gpr[RSI] = t->in.gpr[RDI] = DATA;
	t->in.gpr[RSP] = STACK + 2 * PAGE;
	t->in.seg[SEG_CS] = USER_CODE64;
	t->in.seg[SEG_SS] = USER_DATA;
	t->at = t->in.rip = CODE;
	t->code_size = 8;
}

struct answers {
	bool native, emulated; /* it is #UD */
};

static bool ask(const struct test_case *t, struct answers *a)
{
	static struct outcome native, emulated;

	if (!native_run(t, &native))
		return false;
	emulated_run(0, t, &emulated);
	a->native = native.vector == VEC_UD && native.s.rip == t->in.rip;
	a->emulated = emulated.vector == VEC_UD && emulated.s.rip == t->in.rip;
	return true;
}

static void show(const char *kind, const struct test_case *t, const struct answers *a)
{
	printf("  %s", kind);
	for (unsigned n = 0; n < t->length; n++)
		printf(" %02x", t->code[n]);
	printf(": processor %s, emulator %s\n", a->native ? "#UD" : "runs", a->emulated ? "#UD" : "runs");
}

/* ---- VEX ------------------------------------------------------------------------------------------------------ */

/* VPERMQ and VPERMPD, 256 bits, no operand in vvvv, but W = 0. */
static bool is_vpermq_w0(unsigned map, unsigned opcode, unsigned bits)
{
	return map == 3 && opcode <= 1 && (bits & 0x1f) == 0x05;
}

/* There are eight opmask registers: with VEX.R they are #UD (SDM vol. 2, KMOVW; the decoder's tests say
 * so), or it is ignored. */
static bool is_opmask(unsigned map, unsigned opcode)
{
	return map == 3 ? opcode >= 0x30 && opcode <= 0x33
			: map == 1 && ((opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99));
}

static void make_vex(struct test_case *t, unsigned map, unsigned opcode, unsigned bits)
{
	const unsigned pp = bits & 3, l = bits >> 2 & 1, w = bits >> 3 & 1, vvvv = bits >> 4 & 1 ? 10 : 15;

	memset(t->code, 0x90, sizeof(t->code));
	t->code[0] = 0xc4;
	t->code[1] = (uint8_t)((is_opmask(map, opcode) ? 0xe0 : 0x60) | map);
	t->code[2] = (uint8_t)(w << 7 | vvvv << 3 | l << 2 | pp);
	t->code[3] = (uint8_t)opcode;
	if (map != 1 || opcode != 0x77) /* VZEROUPPER has no ModRM byte */
		t->code[4] = (uint8_t)(0xc1 | (bits >> 5) << 3);
	t->length = t->bytes = 6; /* the last one an immediate, or NOP */
}

unsigned sweep_vex(unsigned *encodings)
{
	static struct test_case t;
	unsigned bad = 0;

	begin(&t);
	*encodings = 0;
	for (unsigned n = 0; n < 3 * 256 * 256; n++) {
		const unsigned map = 1 + n / 65536, opcode = n / 256 % 256, bits = n % 256;
		struct answers a;

		make_vex(&t, map, opcode, bits);
		if (is_lacking(&t) || !ask(&t, &a))
			continue;
		++*encodings;
		if (is_vpermq_w0(map, opcode, bits) && point_leaves(PT_VPERMQ_W0))
			a.native = true; /* the manual's rule */
		if (a.native == a.emulated || (a.emulated && (is_absent(map, opcode) || point_excuses(PT_EXTENSION))))
			continue;
		if (bad++ < SHOWN)
			show("VEX", &t, &a);
	}
	report_absent();
	return bad;
}

/* ---- EVEX ----------------------------------------------------------------------------------------------------- */

static void make_evex(struct test_case *t, unsigned map, unsigned opcode, unsigned bits)
{
	const unsigned pp = bits & 3, w = bits >> 2 & 1, l = bits >> 3 & 3, b = bits >> 5 & 1;
	const unsigned z = bits >> 6 & 1, aaa = bits >> 7 & 1;
	const unsigned vvvv = bits >> 8 & 1 ? 10 : 15, v4 = bits >> 9 & 1, memory = bits >> 10 & 1;
	const unsigned chance = (unsigned)rnd(), r = chance >> 13 & 3 ? 0x80 : 0, r4 = chance & 3 ? 0x10 : 0;
	const unsigned x = chance >> 2 & 3 ? 0x40 : 0, b3 = chance >> 4 & 3 || memory ? 0x20 : 0;
	const unsigned fixed = chance >> 6 & 31 ? 4 : chance >> 7 & 8, reg = rnd_below(2) ? 5 : rnd_below(8);

	memset(t->code, 0x90, sizeof(t->code));
	t->code[0] = 0x62;
	t->code[1] = (uint8_t)(r | x | b3 | r4 | (fixed & 8) | map);
	t->code[2] = (uint8_t)(w << 7 | vvvv << 3 | (fixed & 4) | pp);
	t->code[3] = (uint8_t)(z << 7 | l << 5 | b << 4 | v4 << 3 | aaa);
	t->code[4] = (uint8_t)opcode;
	t->code[5] = (uint8_t)((memory ? 0 : 0xc0) | reg << 3 | (memory ? chance >> 12 & 1 ? 4 : 6 : 1));
	t->code[6] = 0x26; /* [RSI], if there is a SIB byte: with vector index 4 */
	t->length = t->bytes = 8;
}

/* Bits that have no meaning are #UD (SDM vol. 2, 2.7.11). */
static bool has_idle_bits(const struct test_case *t)
{
	const bool b = t->code[3] & 0x10, z = t->code[3] & 0x80, mask = t->code[3] & 7;

	return (b && t->code[5] >= 0xc0) || (z && !mask);
}

/* It runs here, and is #UD in the emulator. */
static bool is_excused(const struct test_case *t)
{
	if (has_idle_bits(t) && (point_leaves(PT_EVEX_IDLE) || point_excuses(PT_EVEX_IDLE)))
		return true;
	return point_excuses(PT_EXTENSION);
}

unsigned sweep_evex(bool all, unsigned *encodings)
{
	static struct test_case t;
	unsigned bad = 0;

	begin(&t);
	*encodings = 0;
	for (unsigned n = 0; n < 6 * 256 * 2048; n += all ? 1 : 1 + rnd_below(7)) {
		struct answers a;

		make_evex(&t, 1 + n / (256 * 2048), n / 2048 % 256, n % 2048);
		if (is_lacking(&t) || !ask(&t, &a))
			continue;
		++*encodings;
		if (a.native == a.emulated || (a.emulated && is_excused(&t)))
			continue;
		if (bad++ < SHOWN)
			show("EVEX", &t, &a);
	}
	return bad;
}
