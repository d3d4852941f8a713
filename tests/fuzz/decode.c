/* SPDX-License-Identifier: MIT */
/*
 * The instruction decoder in all three code sizes. Lengths stay in bounds; nothing behind the instruction is looked at;
 * with fewer bytes it asks for more. With Zydis: both find the same length where both know the instruction.
 */
#include "emu/core/cpu.h"
#include "emu/decode/decode.h"
#include "emu/core/emu.h"
#include "emu/isa/isa.h"
#include "fuzz.h"

#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>

static void compare(unsigned mode, const uint8_t *text, unsigned avail, const struct insn *ours)
{
	static const ZydisMachineMode modes[] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
						  ZYDIS_MACHINE_MODE_LONG_64 };
	static const ZydisStackWidth widths[] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64 };
	ZydisDecodedInstruction z;
	ZydisDecoder decoder;

	ZydisDecoderInit(&decoder, modes[mode], widths[mode]);
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_FALSE);
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_FALSE);
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, NULL, text, avail, &z)))
		return;
	/* Where vendors or extensions that we do not have differ, so may we (tests/unit/emu_decode_test.c). */
	if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return;
	CHECK(ours->len == z.length, "%u bytes, Zydis: %u", ours->len, z.length);
}
#else
static void compare(unsigned mode, const uint8_t *text, unsigned avail, const struct insn *ours)
{
}
#endif

/* `text` is an allocation of exactly `avail` bytes. */
static void one(unsigned mode, const uint8_t *text, unsigned avail)
{
	unsigned code_size = 2u << mode;
	struct insn i, again;
	enum decode_result r;

	memset(&i, 0, sizeof(i));
	memset(&again, 0, sizeof(again));
	r = decode(text, avail, code_size, &i);
	CHECK(r <= DECODE_TOO_LONG);
	CHECK(r != DECODE_MORE || avail < INSN_MAX_BYTES);
	if (r != DECODE_OK)
		return;
	CHECK(i.len >= 1 && i.len <= INSN_MAX_BYTES && i.len <= avail);
	/* EVEX has 32 vector registers; elsewhere AH to BH are the highest numbers. */
	CHECK(i.reg <= (isa_rows[i.id].map >= ISA_E0F ? 31 : REG8_BH) && i.vvvv < 32);
	CHECK(decode(text, i.len, code_size, &again) == DECODE_OK);
	CHECK(again.id == i.id && again.len == i.len && again.imm == i.imm && again.disp == i.disp);
	for (unsigned n = 0; n < i.len; n++)
		CHECK(decode(text, n, code_size, &again) == DECODE_MORE, "%u of %u bytes", n, i.len);
	compare(mode, text, avail, &i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	unsigned avail = size > 16 ? 16 : (unsigned)size;
	uint8_t *text = fuzz_alloc(avail ? avail : 1);

	if (!ready)
		decode_init(NULL, NULL);
	ready = true;
	memcpy(text, data, avail);
	for (unsigned mode = 0; mode < 3; mode++)
		one(mode, text, avail);
	free(text);
	return 0;
}
