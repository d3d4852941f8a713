/* SPDX-License-Identifier: MIT */
/* The encoder against the decoder: bytes, instruction, bytes, instruction. */
#include "walk.h"

/* A register number that stands in ModRM.reg beside an opcode extension has no meaning. */
static bool reg_has_meaning(const struct isa_row *r)
{
	return r->ext == ISA_EXT_ANY || r->plus_r;
}

/* VEX and EVEX hold the bits of REX whether they have a meaning or not. */
static unsigned prefixes_with_meaning(const struct insn *i)
{
	const unsigned none = isa_rows[i->id].map >= ISA_V0F ? PFX_REX : 0;

	return i->prefixes & ~none;
}

static const char *compare_memory(const struct insn *a, const struct insn *b)
{
	if (a->base != b->base || a->index != b->index || a->seg != b->seg)
		return "address registers";
	if (a->base == ADDR_PC && a->scale != b->scale)
		return "end-relative displacement";
	/* The scale of no index has no meaning. */
	if (a->index != ADDR_NONE && a->base != ADDR_PC && a->scale != b->scale)
		return "scale";
	return NULL;
}

static const char *compare_rest(const struct insn *a, const struct insn *b)
{
	if (a->imm != b->imm || a->imm2 != b->imm2)
		return "immediate";
	if (a->size != b->size || a->asize != b->asize)
		return "size";
	if (a->vl != b->vl || a->bcst != b->bcst || a->mask != b->mask || a->zero != b->zero)
		return "vector fields";
	return prefixes_with_meaning(a) != prefixes_with_meaning(b) ? "prefixes" : NULL;
}

/* The code moves when its length changes, and what counts from its start with it; the target must not. */
static bool same_displacement(const struct insn *a, const struct insn *b)
{
	if (a->base != ADDR_PC || a->scale)
		return a->disp == b->disp;
	return (uint32_t)a->disp == (uint32_t)b->disp;
}

const char *compare_encoding(const struct insn *a)
{
	const struct isa_row *r = &isa_rows[a->id];
	uint8_t bytes[INSN_MAX_BYTES];
	const unsigned len = encode(a, bytes);
	const char *what;
	struct insn b;

	if (len == 0)
		return "not encoded";
	if (len > a->len)
		return "longer";
	if (decode(bytes, len, 8, &b) != DECODE_OK)
		return "not an instruction";
	if (b.len != len || b.id != a->id)
		return "another instruction";
	if (a->is_mem != b.is_mem || (reg_has_meaning(r) && a->reg != b.reg) || (!a->is_mem && a->rm != b.rm) ||
	    a->vvvv != b.vvvv)
		return "registers";
	what = a->is_mem ? compare_memory(a, &b) : NULL;
	if (!what && a->is_mem && !same_displacement(a, &b))
		what = "displacement";
	return what ? what : compare_rest(a, &b);
}
