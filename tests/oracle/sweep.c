/* SPDX-License-Identifier: MIT */
/*
 * Which VEX encodings exist? Each opcode of the three maps with each pp, W, L, ModRM.reg, with and without an operand
 * in vvvv, between registers: #UD here must be #UD there.
 */
#include "oracle.h"

#include <stdio.h>
#include <string.h>

/* Rows whose features this host lacks cannot be asked for. */
static bool host_lacks(unsigned map, unsigned opcode, bool l)
{
	const bool aes = map == 2 && opcode >= 0xdc && opcode <= 0xdf, clmul = map == 3 && opcode == 0x44;

	return l && ((aes && !__builtin_cpu_supports("vaes")) || (clmul && !__builtin_cpu_supports("vpclmulqdq")));
}

static void encode(struct test_case *t, unsigned map, unsigned opcode, unsigned bits)
{
	const unsigned pp = bits & 3, l = bits >> 2 & 1, w = bits >> 3 & 1, vvvv = bits >> 4 & 1 ? 10 : 15;

	memset(t->code, 0x90, sizeof(t->code));
	t->code[0] = 0xc4;
	t->code[1] = (uint8_t)(0x60 | map); /* R: RSP is not ours to lose */
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

		if (host_lacks(map, opcode, bits >> 2 & 1))
			continue;
		encode(&t, map, opcode, bits);
		native_run(&t, &native);
		emulated_run_prefix(&t, &emulated);
		++*encodings;
		if ((native.vector == VEC_UD) == (emulated.vector == VEC_UD))
			continue;
		if (bad++ < 20)
			printf("  VEX %02x %02x %02x %02x %02x: processor %s, emulator %s\n", t.code[0], t.code[1], t.code[2],
			       t.code[3], t.code[4], native.vector == VEC_UD ? "#UD" : "runs",
			       emulated.vector == VEC_UD ? "#UD" : "runs");
	}
	return bad;
}
