/* SPDX-License-Identifier: MIT */
/* Instruction decoder: legacy prefixes, VEX, EVEX, opcode maps. */
#include "internal.h"

bool take_prefix(struct prefixes *p, uint8_t b, bool code64)
{
	static const uint8_t seg_of[4] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };

	switch (b) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		if (!code64)
			p->seg = seg_of[(b >> 3) & 3];
		break;
	case 0x64:
	case 0x65:
		p->seg = b == 0x64 ? SEG_FS : SEG_GS;
		break;
	case 0x66:
		p->opsize = true;
		break;
	case 0x67:
		p->addrsize = true;
		break;
	case 0xf0:
		p->lock = true;
		break;
	case 0xf2:
	case 0xf3:
		p->rep = b;
		break;
	default:
		if (!code64 || (b & 0xf0) != 0x40)
			return false;
		p->rex = b;
		return true;
	}
	p->rex = 0;
	return true;
}

/* The bytes after C5 or C4 (SDM vol. 2, 2.3.5). R, X, B and vvvv are stored inverted. */
static enum decode_result take_vex(struct cursor *c, unsigned first, bool code64, struct prefixes *p, unsigned *map)
{
	static const uint8_t rep_of[4] = { 0, 0, 0xf3, 0xf2 };
	unsigned rxb, last, extra = first == 0xc4;
	enum decode_result r = need(c, extra + 2);

	if (p->lock || p->opsize || p->rep || p->rex) /* 2.3.2 .. 2.3.4 */
		return DECODE_UD;
	if (r != DECODE_OK)
		return r;
	*map = ISA_V0F;
	rxb = (unsigned)take(c, 1);
	last = rxb;
	if (extra) {
		unsigned m = rxb & 0x1f;

		if (m < 1 || m > 3)
			return DECODE_UD;
		*map = ISA_V0F + m - 1;
		last = (unsigned)take(c, 1);
		p->rex = (uint8_t)((~rxb >> 5 & 7) | (last >> 7) << 3);
	} else {
		p->rex = (uint8_t)(~rxb >> 5 & 4);
	}
	if (!code64) /* eight registers: B is ignored, R and X must be what LES and LDS are not */
		p->rex &= 8;
	p->vex = true;
	p->vvvv = ~last >> 3 & 15;
	p->l = last >> 2 & 1;
	p->opsize = (last & 3) == 1;
	p->rep = rep_of[last & 3];
	return DECODE_OK;
}

/* The three bytes after 62 (SDM vol. 2, 2.7.1), of which R, X, B, R', vvvv and V' are stored inverted. The bits that APX
 * has given a meaning must be what they were before. */
static enum decode_result take_evex(struct cursor *c, bool code64, struct prefixes *p, unsigned *map)
{
	static const uint8_t rep_of[4] = { 0, 0, 0xf3, 0xf2 };
	unsigned p0, p1, p2;
	enum decode_result r = need(c, 4);

	if (p->lock || p->opsize || p->rep || p->rex)
		return DECODE_UD;
	if (r != DECODE_OK)
		return r;
	p0 = (unsigned)take(c, 1);
	p1 = (unsigned)take(c, 1);
	p2 = (unsigned)take(c, 1);
	if ((p0 & 8) || !(p1 & 4) || (p0 & 7) == 0 || (p0 & 7) == 4 || (p0 & 7) == 7)
		return DECODE_UD;
	if (!code64 && !(p2 & 8)) /* V': there are eight registers */
		return DECODE_UD;
	*map = ISA_E0F + (p0 & 7) - 1;
	p->vex = p->evex = true;
	p->rex = (uint8_t)((code64 ? ~p0 >> 5 & 7 : 0) | (p1 >> 7) << 3);
	p->r4 = code64 ? ~p0 & 0x10 : 0;
	p->x4 = code64 ? ~p0 >> 2 & 0x10 : 0;
	p->vvvv = (~p1 >> 3 & 15) | (~p2 << 1 & 0x10);
	p->opsize = (p1 & 3) == 1;
	p->rep = rep_of[p1 & 3];
	p->z = p2 >> 7;
	p->l = p2 >> 5 & 3;
	p->b = p2 >> 4 & 1;
	p->aaa = p2 & 7;
	return DECODE_OK;
}

static enum decode_result take_escape(struct cursor *c, unsigned *map, unsigned *opcode)
{
	enum decode_result r = need(c, 1);

	if (r != DECODE_OK)
		return r;
	*opcode = (unsigned)take(c, 1);
	*map = ISA_M0F;
	if (*opcode == 0x38 || *opcode == 0x3a) {
		*map = *opcode == 0x38 ? ISA_M0F38 : ISA_M0F3A;
		r = need(c, 1);
		if (r == DECODE_OK)
			*opcode = (unsigned)take(c, 1);
	}
	return r;
}

enum decode_result take_opcode(struct cursor *c, unsigned code_size, struct prefixes *p, unsigned *map, unsigned *opcode)
{
	enum decode_result r;

	*map = ISA_M0;
	*opcode = (unsigned)take(c, 1);
	if (*opcode == 0x0f)
		return take_escape(c, map, opcode);
	if (*opcode != 0xc4 && *opcode != 0xc5 && *opcode != 0x62)
		return DECODE_OK;
	/* VEX and EVEX take these bytes over from LES, LDS and BOUND where those are invalid. */
	if (code_size != 8) {
		r = need(c, 1);
		if (r != DECODE_OK || c->p[c->pos] < 0xc0)
			return r;
	}
	r = *opcode == 0x62 ? take_evex(c, code_size == 8, p, map) : take_vex(c, *opcode, code_size == 8, p, map);
	if (r == DECODE_OK)
		*opcode = (unsigned)take(c, 1);
	return r;
}
