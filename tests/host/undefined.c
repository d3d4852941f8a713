/* SPDX-License-Identifier: MIT */
#include "undefined.h"

#include <string.h>

enum { C0 = 0x100, C2 = 0x400, C3 = 0x4000 };

/* What defines some of the codes, or loads or leaves them all; everything else of the x87 leaves them undefined. */
static const struct {
	const char *mnemonic;
	uint16_t undefined;
} defining[] = {
	{ "fcom", 0 },	   { "fcomp", 0 },	{ "fcompp", 0 },     { "fucom", 0 },	  { "fucomp", 0 }, { "fucompp", 0 },
	{ "ficom", 0 },	   { "ficomp", 0 },	{ "ftst", 0 },	     { "fxam", 0 },	  { "fprem", 0 },  { "fprem1", 0 },
	{ "fcomi", 0 },	   { "fcomip", 0 },	{ "fucomi", 0 },     { "fucomip", 0 },	  { "fldenv", 0 }, { "frstor", 0 },
	{ "fninit", 0 },   { "fnsave", 0 },	{ "fsin", C0 | C3 }, { "fcos", C0 | C3 }, { "fsincos", C0 | C3 },
	{ "fptan", C0 | C3 },
};

uint16_t x87_undefined_codes(unsigned row)
{
	const struct isa_row *r = &isa_rows[row];

	if (r->map != ISA_M0 || !(r->attr & ISA_FP))
		return 0;
	for (unsigned n = 0; n < sizeof(defining) / sizeof(defining[0]); n++)
		if (strcmp(r->mnemonic, defining[n].mnemonic) == 0)
			return defining[n].undefined;
	return C0 | C2 | C3;
}

static bool is_reserved_in_environment(unsigned offset)
{
	static const uint8_t words[] = { 2, 6, 10, 26 }; /* above CW, SW, the tags, FDS */

	for (unsigned n = 0; n < sizeof(words); n++)
		if (offset / 2 == words[n] / 2u)
			return true;
	return false;
}

/* Beside the tags, above ST0 to ST7, at the end (SDM vol. 1, table 10-2). */
static bool is_reserved_in_fx(unsigned offset)
{
	return offset == 5 || (offset >= 32 && offset < 160 && offset % 16 >= 10) || (offset >= 416 && offset < 512);
}

bool is_reserved_byte(unsigned row, bool narrow, unsigned offset)
{
	const unsigned size = isa_rows[row].op[0].size;

	if (size == OPS_env || size == OPS_fsv)
		return !narrow && is_reserved_in_environment(offset);
	return is_reserved_in_fx(offset);
}

struct isa_undefined undefined_after(const struct insn *i, uint64_t rcx)
{
	const struct isa_row *r = &isa_rows[i->id];
	const unsigned bytes = r->op[0].size == OPS_b ? 1 : i->size, last = r->op[2].kind ? 2 : 1;
	uint64_t count = 0;

	if (r->attr & ISA_COUNT1)
		count = r->op[last].kind == OPK_I ? i->imm : r->op[last].kind == OPK_CL ? rcx : 1;
	return isa_undefined(r, bytes, (unsigned)count & (bytes == 8 ? 63 : 31));
}

enum point open_result(unsigned row, unsigned size)
{
	const struct isa_row *r = &isa_rows[row];

	if (row == ISA_FPREM || row == ISA_FPREM1)
		return PT_PARTIAL_REMAINDER;
	if (row == ISA_FBLD)
		return PT_FBLD_DIGITS;
	if (row == ISA_BSWAP && size == 2)
		return PT_BSWAP_16;
	/* Not its scalar stores. */
	return r->feature == FEAT_SSE4A && r->op[0].kind != OPK_M ? PT_SSE4A_FIELDS : POINT_COUNT;
}

bool is_undocumented(unsigned row)
{
	return (row >= ISA_FENI && row <= ISA_FSTP9) || row == ISA_SALC;
}
