/* SPDX-License-Identifier: MIT */
/* Bytes as an instruction: disasm.h. */
#include "disasm.h"

#include <Zydis/Zydis.h>
#include <stdio.h>
#include <string.h>

static void set_up(ZydisDecoder *d, unsigned code_size)
{
	if (code_size == 8)
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	else if (code_size == 4)
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_COMPAT_32, ZYDIS_STACK_WIDTH_32);
	else
		ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
}

static bool goes_elsewhere(const ZydisDecodedInstruction *i)
{
	switch (i->meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_UNCOND_BR:
		return true;
	default:
		return false;
	}
}

void disasm(const uint8_t *bytes, unsigned count, unsigned code_size, uint64_t address, struct disasm *out)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction i;
	ZydisFormatter formatter;
	ZydisDecoder decoder;

	*out = (struct disasm){ .mnemonic = "(bad)", .set = "-" };
	set_up(&decoder, code_size);
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, bytes, count, &i, operands))) {
		snprintf(out->text, sizeof(out->text), "(bad)");
		return;
	}
	ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
	if (ZYAN_FAILED(ZydisFormatterFormatInstruction(&formatter, &i, operands, i.operand_count_visible, out->text,
							sizeof(out->text), address, NULL)))
		snprintf(out->text, sizeof(out->text), "(bad)");
	out->len = i.length;
	out->ends = goes_elsewhere(&i);
	out->mnemonic = ZydisMnemonicGetString(i.mnemonic);
	out->set = ZydisISAExtGetString(i.meta.isa_ext);
}
