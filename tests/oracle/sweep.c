/* SPDX-License-Identifier: MIT */
/*
 * Which VEX encodings exist? Each opcode of the three maps with each pp, W, L, ModRM.reg, with and without an operand
 * in vvvv, between registers: #UD here must be #UD there.
 */
#include "oracle.h"
#include "emu/decode/decode.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"

#include <stdio.h>
#include <string.h>

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
			printf("  %u run here, but belong to %s, which the emulator does not have\n", sum,
			       absent[n].feature);
		sum = 0;
	}
}

/* VPERMQ and VPERMPD, 256 bits, no operand in vvvv, but W = 0. */
static bool is_vpermq_w0(unsigned map, unsigned opcode, unsigned bits)
{
	return map == 3 && opcode <= 1 && (bits & 0x1f) == 0x05;
}

bool sweep_lacks(const struct test_case *t)
{
	struct insn i;

	return decode(t->code, t->length, 8, &i) == DECODE_OK && !host_has_row(i.id);
}

/* There are eight opmask registers: with VEX.R they are #UD (SDM vol. 2, KMOVW; the decoder's tests say
 * so), or it is ignored. */
static bool is_opmask(unsigned map, unsigned opcode)
{
	return map == 3 ? opcode >= 0x30 && opcode <= 0x33 :
			  map == 1 && ((opcode >= 0x41 && opcode <= 0x4b) || (opcode >= 0x90 && opcode <= 0x99));
}

/* KMOV to RSP. */
static bool is_forbidden(unsigned map, unsigned opcode, unsigned bits)
{
	return map == 1 && opcode == 0x93 && bits >> 5 == RSP;
}

static void encode(struct test_case *t, unsigned map, unsigned opcode, unsigned bits)
{
	const unsigned pp = bits & 3, l = bits >> 2 & 1, w = bits >> 3 & 1, vvvv = bits >> 4 & 1 ? 10 : 15;

	memset(t->code, 0x90, sizeof(t->code));
	t->code[0] = 0xc4;
	t->code[1] = (uint8_t)((is_opmask(map, opcode) ? 0xe0 : 0x60) | map); /* R: RSP is not ours to lose */
	t->code[2] = (uint8_t)(w << 7 | vvvv << 3 | l << 2 | pp);
	t->code[3] = (uint8_t)opcode;
	if (map != 1 || opcode != 0x77) /* VZEROUPPER has no ModRM byte */
		t->code[4] = (uint8_t)(0xc1 | (bits >> 5) << 3);
	t->length = 6; /* the last one an immediate, or NOP */
}

/* Returns the number of encodings that differ. */
unsigned sweep_vex(unsigned *encodings)
{
	static struct test_case t;
	static struct state native, emulated;
	unsigned bad = 0;

	random_state(&t.in);
	t.in.fx.mxcsr = 0x1f80;
	t.in.gpr[RDI] = (uintptr_t)oracle_window;
	*encodings = 0;
	for (unsigned n = 0; n < 3 * 256 * 256; n++) {
		const unsigned map = 1 + n / 65536, opcode = n / 256 % 256, bits = n % 256;

		encode(&t, map, opcode, bits);
		if (is_forbidden(map, opcode, bits) || sweep_lacks(&t))
			continue;
		native_run(&t, &native);
		emulated_run_prefix(&t, &emulated);
		++*encodings;
		if (is_vpermq_w0(map, opcode, bits) && point_leaves(PT_VPERMQ_W0))
			native.vector = VEC_UD; /* the manual's rule */
		if ((native.vector == VEC_UD) == (emulated.vector == VEC_UD) ||
		    (emulated.vector == VEC_UD && (is_absent(map, opcode) || point_excuses(PT_EXTENSION))))
			continue;
		if (bad++ < 20)
			printf("  VEX %02x %02x %02x %02x %02x: processor %s, emulator %s\n", t.code[0], t.code[1], t.code[2],
			       t.code[3], t.code[4], native.vector == VEC_UD ? "#UD" : "runs",
			       emulated.vector == VEC_UD ? "#UD" : "runs");
	}
	report_absent();
	return bad;
}
