/* SPDX-License-Identifier: MIT */
/*
 * Which EVEX encodings exist? Each opcode of the maps with each pp, W, L'L, b, z, a mask or none, vvvv, V', between
 * registers and with memory: #UD here must be #UD there. ModRM.reg, R', X and the reserved bits are left to chance.
 */
#include "oracle.h"
#include "tests/host/processor.h"

#include <stdio.h>
#include <string.h>

static void encode(struct test_case *t, unsigned map, unsigned opcode, unsigned bits)
{
	const unsigned pp = bits & 3, w = bits >> 2 & 1, l = bits >> 3 & 3, b = bits >> 5 & 1;
	const unsigned z = bits >> 6 & 1, aaa = bits >> 7 & 1;
	const unsigned vvvv = bits >> 8 & 1 ? 10 : 15, v4 = bits >> 9 & 1, memory = bits >> 10 & 1;
	const unsigned chance = (unsigned)rnd(), r4 = chance & 3 ? 0x10 : 0, x = chance >> 2 & 3 ? 0x40 : 0;
	const unsigned b3 = chance >> 4 & 3 || memory ? 0x20 : 0, fixed = chance >> 6 & 31 ? 4 : chance >> 7 & 8;
	const unsigned reg = rnd_below(2) ? 5 : rnd_below(8);

	memset(t->code, 0x90, sizeof(t->code));
	t->code[0] = 0x62;
	/* R: RSP is not ours to lose. */
	t->code[1] = (uint8_t)(0x80 | x | b3 | r4 | (fixed & 8) | map);
	t->code[2] = (uint8_t)(w << 7 | vvvv << 3 | (fixed & 4) | pp);
	t->code[3] = (uint8_t)(z << 7 | l << 5 | b << 4 | v4 << 3 | aaa);
	t->code[4] = (uint8_t)opcode;
	t->code[5] = (uint8_t)((memory ? 0 : 0xc0) | (reg == RSP ? 3 : reg) << 3 | (memory ? chance >> 12 & 1 ? 4 : 6 : 1));
	t->code[6] = 0x26; /* [RSI], if there is a SIB byte: with vector index 4 */
	t->length = 8;
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

/* Returns the number of encodings that differ. `all`: every one, else about a quarter of them. */
unsigned sweep_evex(bool all, unsigned *encodings)
{
	static struct test_case t;
	static struct state native, emulated;
	unsigned bad = 0;

	rnd_seed(7);
	random_state(&t.in);
	t.in.fx.mxcsr = 0x1f80;
	memset(t.in.k, 0, sizeof(t.in.k)); /* scatters write nothing */
	t.in.gpr[RSI] = (uintptr_t)oracle_window;
	*encodings = 0;
	for (unsigned n = 0; n < 6 * 256 * 2048; n += all ? 1 : 1 + rnd_below(7)) {
		const unsigned map = 1 + n / (256 * 2048), opcode = n / 2048 % 256, bits = n % 2048;

		encode(&t, map, opcode, bits);
		if (sweep_lacks(&t))
			continue;
		native_zmm_run(&t, &native);
		emulated_run_prefix(&t, &emulated);
		++*encodings;
		if ((native.vector == VEC_UD) == (emulated.vector == VEC_UD))
			continue;
		if (native.vector != VEC_UD && is_excused(&t))
			continue;
		if (bad++ < 40)
			printf("  EVEX %02x %02x %02x %02x %02x %02x: processor %s, emulator %s\n", t.code[0], t.code[1], t.code[2],
			       t.code[3], t.code[4], t.code[5], native.vector == VEC_UD ? "#UD" : "runs",
			       emulated.vector == VEC_UD ? "#UD" : "runs");
	}
	return bad;
}
