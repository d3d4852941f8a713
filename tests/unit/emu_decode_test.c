/* SPDX-License-Identifier: MIT */
/* The decoder: rules of prefixes and lengths (SDM vol. 2, chapter 2), and a bounded comparison with Zydis. */
#include "emu/core/cpu.h"
#include "emu/decode/decode.h"
#include "emu/isa/isa.h"

#include <Zydis/Zydis.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static enum decode_result decode_text(const char *bytes, unsigned count, unsigned code_size, struct insn *i)
{
	decode_init(NULL, NULL);
	return decode((const uint8_t *)bytes, count, code_size, i);
}
#define DECODE(text, size, i) decode_text(text, sizeof(text) - 1, size, i)

Test(emu_decode, rex_counts_only_directly_before_the_opcode)
{
	struct insn i;

	cr_assert_eq(DECODE("\x48\x66\x01\xd8", 8, &i), DECODE_OK);
	cr_assert_eq(i.size, 2); /* REX.W is lost: 66 follows it */
	cr_assert_eq(DECODE("\x66\x48\x01\xd8", 8, &i), DECODE_OK);
	cr_assert_eq(i.size, 8); /* REX.W beats 66 */
	cr_assert_eq(i.len, 4);
}

Test(emu_decode, high_bytes_need_the_absence_of_rex)
{
	struct insn i;

	cr_assert_eq(DECODE("\x88\xe0", 8, &i), DECODE_OK);
	cr_assert_eq(i.reg, REG8_AH);
	cr_assert_eq(DECODE("\x40\x88\xe0", 8, &i), DECODE_OK);
	cr_assert_eq(i.reg, RSP);
}

Test(emu_decode, opcode_90)
{
	struct insn i;

	cr_assert_eq(DECODE("\x90", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_NOP);
	cr_assert_eq(DECODE("\x41\x90", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_XCHG_Zv_rAX);
	cr_assert_eq(i.reg, R8);
	cr_assert_eq(DECODE("\xf3\x90", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_PAUSE);
	cr_assert_eq(DECODE("\xf3\x41\x90", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_XCHG_Zv_rAX);
}

Test(emu_decode, lock_needs_a_memory_destination_of_a_lockable_instruction)
{
	struct insn i;

	cr_assert_eq(DECODE("\xf0\x01\x03", 8, &i), DECODE_OK);
	cr_assert_eq(DECODE("\xf0\x01\xc3", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\xf0\x03\x03", 8, &i), DECODE_UD); /* memory is the source */
	cr_assert_eq(DECODE("\xf0\x39\x03", 8, &i), DECODE_UD); /* CMP */
	cr_assert_eq(DECODE("\xf0\x89\x03", 8, &i), DECODE_UD); /* MOV */
}

Test(emu_decode, fifteen_bytes_and_no_more)
{
	struct insn i;
	uint8_t text[20];

	decode_init(NULL, NULL);
	memset(text, 0x66, sizeof(text));
	text[13] = 0x01;
	text[14] = 0xd8;
	cr_assert_eq(decode(text, 15, 8, &i), DECODE_OK);
	cr_assert_eq(i.len, 15);
	text[13] = 0x66;
	text[14] = 0x01;
	text[15] = 0xd8;
	cr_assert_eq(decode(text, 20, 8, &i), DECODE_TOO_LONG);
	/* While the page ends before, the answer is "more": its fault comes first. */
	cr_assert_eq(decode(text, 14, 8, &i), DECODE_MORE);
}

Test(emu_decode, segment_overrides)
{
	struct insn i;

	cr_assert_eq(DECODE("\x2e\x8b\x03", 8, &i), DECODE_OK);
	cr_assert_eq(i.seg, SEG_DS); /* CS is ignored in 64-bit mode */
	cr_assert_eq(DECODE("\x64\x65\x8b\x03", 8, &i), DECODE_OK);
	cr_assert_eq(i.seg, SEG_GS); /* the last one */
	cr_assert_eq(DECODE("\x8b\x45\x00", 4, &i), DECODE_OK);
	cr_assert_eq(i.seg, SEG_SS); /* rBP as base */
	cr_assert_eq(DECODE("\x26\x8b\x45\x00", 4, &i), DECODE_OK);
	cr_assert_eq(i.seg, SEG_ES);
}

Test(emu_decode, rip_relative_counts_from_the_next_instruction)
{
	struct insn i;

	cr_assert_eq(DECODE("\xc7\x05\x10\x00\x00\x00\x78\x56\x34\x12", 8, &i), DECODE_OK);
	cr_assert_eq(i.base, ADDR_PC);
	cr_assert_eq(i.disp, 0x10 + 10); /* the immediate belongs to the instruction */
}

/* SDM vol. 2, 2.3.2 to 2.3.6: what may not stand before VEX, and what of its fields has no meaning. */
Test(emu_decode, vex_rules)
{
	struct insn i;

	cr_assert_eq(DECODE("\xc5\xf1\xfc\xc2", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_VPADDB_x);
	cr_assert_eq(i.vvvv, 1);
	cr_assert_eq(DECODE("\xc4\x41\x35\xfc\xc2", 8, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_VPADDB_y);
	cr_assert(i.reg == 8 && i.vvvv == 9 && i.rm == 10 && i.vl == 1);
	cr_assert_eq(DECODE("\xf0\xc5\xf1\xfc\x02", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\x66\xc5\xf1\xfc\xc2", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\xf3\xc5\xf1\xfc\xc2", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\x48\xc5\xf1\xfc\xc2", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\x64\xc5\xf1\xfc\x02", 8, &i), DECODE_OK);
	cr_assert_eq(i.seg, SEG_FS);
	cr_assert_eq(DECODE("\xc5\xf1\x6f\xc2", 8, &i), DECODE_UD);	    /* VMOVDQA: vvvv must be 1111b */
	cr_assert_eq(DECODE("\xc4\xe3\x7d\x00\xc1\x00", 8, &i), DECODE_UD); /* VPERMQ wants W1 */
	cr_assert_eq(DECODE("\xc4\xe3\xf9\x00\xc1\x00", 8, &i), DECODE_UD); /* and 256 bits */
	cr_assert_eq(DECODE("\xc4\xe3\xfd\x00\xc1\x00", 8, &i), DECODE_OK);
	/* Outside 64-bit mode a memory form of the same bytes is LDS or LES. */
	cr_assert_eq(DECODE("\xc5\x31\xfc\xc2", 4, &i), DECODE_OK);
	cr_assert_eq(isa_rows[i.id].map, ISA_M0);
	cr_assert_eq(DECODE("\xc5\xf1\xfc\xc2", 2, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_VPADDB_x);
	/* The fourth register operand is in bits 7..4 of an immediate, of which bit 7 is ignored outside 64-bit mode. */
	cr_assert_eq(DECODE("\xc4\xe3\x71\x4c\xc2\xf0", 8, &i), DECODE_OK);
	cr_assert_eq(i.imm2, 15);
	cr_assert_eq(DECODE("\xc4\xe3\x71\x4c\xc2\xf0", 4, &i), DECODE_OK);
	cr_assert_eq(i.imm2, 7);
}

/* SDM vol. 2, 2.7: registers, disp8*N, masks, broadcast, rounding, and what of it is #UD. */
Test(emu_decode, evex_rules)
{
	struct insn i;

	cr_assert_eq(DECODE("\x62\x61\x0d\xc7\xfe\x55\x02", 8, &i), DECODE_OK); /* vpaddd zmm26{k7}{z}, zmm30, [rbp+2*64] */
	cr_assert_eq(i.id, ISA_E_VPADDD);
	cr_assert(i.reg == 26 && i.vvvv == 30 && i.base == RBP && i.disp == 128 && i.vl == 2 && i.mask == 7 && i.zero);
	cr_assert_eq(DECODE("\x62\x61\x0d\xd7\xfe\x55\x02", 8, &i), DECODE_OK); /* the same, dword broadcast */
	cr_assert(i.bcst && i.disp == 8);
	cr_assert_eq(DECODE("\x62\xf1\x7d\xc8\xfe\xc1", 8, &i), DECODE_UD); /* zeroing without a mask */
	cr_assert_eq(DECODE("\x62\xf1\x7d\x68\xfe\xc1", 8, &i), DECODE_UD); /* L'L = 3 */
	cr_assert_eq(DECODE("\x62\xf1\x7d\x58\xfe\xc1", 8, &i), DECODE_UD); /* VPADDD has no rounding */
	cr_assert_eq(DECODE("\x62\xf1\x7c\x78\x58\xc1", 8, &i), DECODE_OK); /* vaddps zmm0, zmm0, zmm1, {rz-sae} */
	cr_assert(i.vl == 2 && i.bcst && i.imm2 == 3);
	cr_assert_eq(DECODE("\x62\xf9\x7d\x48\xfe\xc1", 8, &i), DECODE_UD); /* APX: B4 */
	cr_assert_eq(DECODE("\x62\xf1\x79\x48\xfe\xc1", 8, &i), DECODE_UD); /* APX: U */
	cr_assert_eq(DECODE("\x62\xf4\x7d\x48\xfe\xc1", 8, &i), DECODE_UD); /* map 4 */
	cr_assert_eq(DECODE("\x66\x62\xf1\x7d\x48\xfe\xc1", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\xf0\x62\xf1\x7d\x48\xfe\x01", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\x48\x62\xf1\x7d\x48\xfe\xc1", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\x62\xf1\x75\x48\x6f\xc1", 8, &i), DECODE_UD);	/* VMOVDQA32: vvvv must be 1111b */
	cr_assert_eq(DECODE("\x62\xf1\x7d\x40\x6f\xc1", 8, &i), DECODE_UD);	/* and V' 1 */
	cr_assert_eq(DECODE("\x62\xf1\x7d\xc9\x7f\x01", 8, &i), DECODE_UD);	/* zeroing in memory */
	cr_assert_eq(DECODE("\x62\xf2\x7d\x48\x90\x04\x0e", 8, &i), DECODE_UD); /* VPGATHERDD without a mask */
	cr_assert_eq(DECODE("\x62\xf2\x7d\x49\x90\x04\x0e", 8, &i), DECODE_OK);
	cr_assert_eq(DECODE("\x62\xf2\x7d\x41\x90\x04\x06", 8, &i), DECODE_OK); /* V' makes the index zmm16 */
	cr_assert_eq(i.index, 16);
	cr_assert_eq(DECODE("\x62\xf2\x7d\x49\x90\x04\x06", 8, &i), DECODE_UD); /* index is the destination */
	cr_assert_eq(DECODE("\x62\xe1\x75\x48\x76\xc1", 8, &i), DECODE_UD);	/* VPCMPEQD: there is no k16 */
	/* Outside 64-bit mode a memory form of the same bytes is BOUND. */
	cr_assert_eq(DECODE("\x62\x61\x7d", 4, &i), DECODE_OK);
	cr_assert_eq(isa_rows[i.id].map, ISA_M0);
	cr_assert_eq(DECODE("\x62\xf1\x7d\x48\xfe\xc1", 4, &i), DECODE_OK);
	cr_assert_eq(i.id, ISA_E_VPADDD);
	cr_assert_eq(DECODE("\x62\xf1\x7d\x40\xfe\xc1", 4, &i), DECODE_UD); /* V' */
	/* 16-bit addresses scale as well: [bp+di-1*16] */
	cr_assert_eq(DECODE("\x62\xf1\x7d\x08\xfe\x43\xff", 2, &i), DECODE_OK);
	cr_assert_eq(i.disp, -16);
}

/* 128- and 256-bit forms are AVX512VL's. */
static bool all_but_vl(const void *ctx, unsigned feature)
{
	return feature != FEAT_AVX512VL;
}

Test(emu_decode, evex_without_vl)
{
	struct insn i;

	decode_init(all_but_vl, NULL);
	cr_assert_eq(decode((const uint8_t *)"\x62\xf1\x7d\x48\xfe\xc1", 6, 8, &i), DECODE_OK);
	cr_assert_eq(decode((const uint8_t *)"\x62\xf1\x7d\x28\xfe\xc1", 6, 8, &i), DECODE_UD);
	cr_assert_eq(decode((const uint8_t *)"\x62\xf1\x7d\x08\xfe\xc1", 6, 8, &i), DECODE_UD);
	cr_assert_eq(decode((const uint8_t *)"\x62\xf1\x7e\x08\x58\xc1", 6, 8, &i), DECODE_OK); /* VADDSS */
}

/* SDM vol. 2, 2.3.12 and VPGATHERDD: index 4 is a register, a SIB byte is needed, three different registers. */
Test(emu_decode, vsib)
{
	struct insn i;

	cr_assert_eq(DECODE("\xc4\xe2\x71\x90\x04\x26", 8, &i), DECODE_OK); /* xmm0, [rsi+xmm4], xmm1 */
	cr_assert(i.base == RSI && i.index == 4);
	cr_assert_eq(DECODE("\xc4\xe2\x71\x90\x06", 8, &i), DECODE_UD);
	cr_assert_eq(DECODE("\xc4\xe2\x71\x90\x04\x06", 8, &i), DECODE_UD);	/* index is the destination */
	cr_assert_eq(DECODE("\xc4\xe2\x71\x90\x04\x0e", 8, &i), DECODE_UD);	/* index is the mask */
	cr_assert_eq(DECODE("\xc4\xe2\x79\x90\x04\x26", 8, &i), DECODE_UD);	/* mask is the destination */
	cr_assert_eq(DECODE("\x67\xc4\xe2\x71\x90\x04\x26", 4, &i), DECODE_UD); /* 16-bit addressing */
}

/* ---- Zydis ---- */

static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Half of the time without an operand in vvvv, which many instructions insist on. */
static void random_vex(uint8_t *text)
{
	uint8_t vvvv = next_random() & 1 ? 0x78 : (uint8_t)(next_random() & 0x78);
	unsigned n = 0;

	text[n++] = next_random() & 1 ? 0xc4 : 0xc5;
	if (text[0] == 0xc4) {
		text[n++] = (uint8_t)((next_random() & 0xe0) | (next_random() % 8 ? 1 + next_random() % 3 : next_random() & 31));
		text[n++] = (uint8_t)((next_random() & 0x87) | vvvv);
	} else {
		text[n++] = (uint8_t)((next_random() & 0x87) | vvvv);
	}
}

/* EVEX with the bits set that have to be, mostly: the maps that exist, no vvvv, moderate masks. */
static void random_evex(uint8_t *text)
{
	const uint64_t r = next_random();

	text[0] = 0x62;
	text[1] = (uint8_t)((r & 0xf0) | (r >> 8 & 15 ? 1 + (r >> 12) % 3 : r >> 16 & 15));
	text[2] = (uint8_t)((r >> 20 & 0x83) | (r >> 28 & 3 ? 0x78 : r >> 30 & 0x78) | (r >> 37 & 15 ? 4 : 0));
	text[3] = (uint8_t)((r >> 41 & 0xf7) | (r >> 49 & 7 ? 8 : 0));
	if (r >> 52 & 1)
		text[3] &= 0x68; /* no broadcast, no mask */
	if ((r >> 53 & 1) && !(text[3] & 7))
		text[3] &= 0x7f;
}

/* Random bytes with a taste for prefixes and two-byte opcodes, which pure chance would hardly reach. */
static void random_text(uint8_t *text)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x64, 0x48, 0x41, 0x4f, 0x40 };
	unsigned n = 0, count = next_random() % 4;

	for (unsigned k = 0; k < 16; k++)
		text[k] = (uint8_t)(next_random() >> 20);
	while (n < count)
		text[n++] = prefixes[next_random() % sizeof(prefixes)];
	switch (next_random() % 3) {
	case 0:
		random_vex(text + n);
		return;
	case 1:
		random_evex(text + n);
		return;
	default:
		break;
	}
	if (next_random() & 1)
		text[n++] = 0x0f;
	if (n && text[n - 1] == 0x0f && next_random() % 4 == 0)
		text[n] = next_random() & 1 ? 0x38 : 0x3a;
}

/* Of AVX-512 we lack VP2INTERSECT, and what only Knights Mill had. */
static bool is_missing_avx512(ZydisISASet set)
{
	switch (set) {
	case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128:
	case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256:
	case ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512:
	case ZYDIS_ISA_SET_AVX512_4FMAPS_512:
	case ZYDIS_ISA_SET_AVX512_4FMAPS_SCALAR:
	case ZYDIS_ISA_SET_AVX512_4VNNIW_512:
	case ZYDIS_ISA_SET_AVX512ER_512:
	case ZYDIS_ISA_SET_AVX512ER_SCALAR:
	case ZYDIS_ISA_SET_AVX512PF_512:
		return true;
	default:
		return false;
	}
}

/*
 * What Zydis knows and our table does not have, or reads differently on purpose:
 * extensions of later issues (VP2INTERSECT, 3DNow!, MPX, CET, VMX, SVM, AMX ...), and encodings where vendors differ.
 */
static bool is_out_of_scope(const ZydisDecodedInstruction *z)
{
	/* RSM exists only inside SMM; AMD's SYSCALL outside 64-bit mode is Intel's #UD. */
	if (z->mnemonic == ZYDIS_MNEMONIC_RSM ||
	    ((z->mnemonic == ZYDIS_MNEMONIC_SYSCALL || z->mnemonic == ZYDIS_MNEMONIC_SYSRET) &&
	     z->machine_mode != ZYDIS_MACHINE_MODE_LONG_64))
		return true;
	switch (z->meta.isa_ext) {
	case ZYDIS_ISA_EXT_BASE:
	case ZYDIS_ISA_EXT_X87:
	case ZYDIS_ISA_EXT_MMX:
	case ZYDIS_ISA_EXT_SSE:
	case ZYDIS_ISA_EXT_SSE2:
	case ZYDIS_ISA_EXT_SSE3:
	case ZYDIS_ISA_EXT_SSSE3:
	case ZYDIS_ISA_EXT_SSE4:
	case ZYDIS_ISA_EXT_LONGMODE:
	case ZYDIS_ISA_EXT_LZCNT:
	case ZYDIS_ISA_EXT_MOVBE:
	case ZYDIS_ISA_EXT_SHA:
	case ZYDIS_ISA_EXT_BMI1:
	case ZYDIS_ISA_EXT_BMI2:
	case ZYDIS_ISA_EXT_AVX:
	case ZYDIS_ISA_EXT_AVX2:
	case ZYDIS_ISA_EXT_AVX2GATHER:
	case ZYDIS_ISA_EXT_FMA:
	case ZYDIS_ISA_EXT_F16C:
	case ZYDIS_ISA_EXT_AVXAES:
	case ZYDIS_ISA_EXT_VAES:
	case ZYDIS_ISA_EXT_VPCLMULQDQ:
	case ZYDIS_ISA_EXT_GFNI:
	case ZYDIS_ISA_EXT_AVX512EVEX:
	case ZYDIS_ISA_EXT_AVX512VEX:
		if (z->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX)
			return is_missing_avx512(z->meta.isa_set);
		return z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && z->encoding != ZYDIS_INSTRUCTION_ENCODING_VEX;
	default:
		return true;
	}
}

struct tally {
	unsigned both, neither, only_us, only_zydis, length, out_of_scope;
};

static void compare_one(ZydisDecoder *decoder, const uint8_t *text, unsigned code_size, struct tally *t)
{
	ZydisDecodedInstruction z;
	bool theirs = ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, text, 16, &z));
	struct insn i;
	bool ours = decode(text, 16, code_size, &i) == DECODE_OK;

	if (theirs && is_out_of_scope(&z)) {
		t->out_of_scope++;
		return;
	}
	if (ours && theirs) {
		t->both++;
		if (i.len != z.length) {
			t->length++;
			fprintf(stderr, "length %u: %s %u, Zydis %s %u:", code_size, isa_rows[i.id].mnemonic, i.len,
				ZydisMnemonicGetString(z.mnemonic), z.length);
		} else {
			return;
		}
	} else if (ours && (i.id == ISA_NOP_0F1A || i.id == ISA_NOP_0F1B)) {
		t->out_of_scope++; /* MPX forms that a processor without MPX runs as NOP */
		return;
	} else if (ours) {
		t->only_us++;
		fprintf(stderr, "only ours %u: %s:", code_size, isa_rows[i.id].mnemonic);
	} else if (theirs) {
		t->only_zydis++;
		fprintf(stderr, "only Zydis %u: %s:", code_size, ZydisMnemonicGetString(z.mnemonic));
	} else {
		t->neither++;
		return;
	}
	for (unsigned n = 0; n < 12; n++)
		fprintf(stderr, " %02x", text[n]);
	fprintf(stderr, "\n");
}

Test(emu_decode, agrees_with_zydis, .timeout = 120)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth width;
		unsigned code_size;
	} modes[] = {
		{ ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64, 8 },
		{ ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32, 4 },
		{ ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16, 2 },
	};
	struct tally t = { 0 };

	decode_init(NULL, NULL);
	for (unsigned m = 0; m < 3; m++) {
		ZydisDecoder decoder;

		ZydisDecoderInit(&decoder, modes[m].mode, modes[m].width);
		ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_FALSE);
		for (unsigned n = 0; n < 300000; n++) {
			uint8_t text[16];

			random_text(text);
			compare_one(&decoder, text, modes[m].code_size, &t);
		}
	}
	fprintf(stderr, "agree %u, both invalid %u, length %u, only ours %u, only Zydis %u, out of scope %u\n", t.both, t.neither,
		t.length, t.only_us, t.only_zydis, t.out_of_scope);
	cr_assert_eq(t.length, 0);
	cr_assert_eq(t.only_us, 0);
	cr_assert_eq(t.only_zydis, 0);
}
