/* SPDX-License-Identifier: MIT */
/* x87 control instructions: control and status word, environment, whole state (SDM vol. 1, 8.1.10). */
#include "x87.h"

SEM(fnop)
{
	x87_note(e, i);
	return 0;
}

/* FENI, FDISI, FSETPM of the 8087 and 80287. */
SEM(fp_legacy_nop)
{
	return 0;
}

/* WAIT takes #NM only if both TS and MP are set (SDM vol. 3, table 2-2), so its checks are its own. */
SEM(fwait)
{
	const uint64_t wanted = CR0_TS | CR0_MP;

	if ((e->cpu.cr0 & wanted) == wanted)
		return emu_fault(e, VEC_NM);
	if ((e->cpu.fpu.sw & X87_ES) && (e->cpu.cr0 & CR0_NE))
		return emu_fault(e, VEC_MF);
	return 0;
}

SEM(fninit)
{
	x87_init(&e->cpu.fpu);
	return 0;
}

SEM(fnclex)
{
	x87_cc(&e->cpu.fpu, X87_EXC | X87_SF | X87_ES | X87_B, 0);
	return 0;
}

SEM(fldcw)
{
	uint16_t cw;

	if (emu_load(e, i, &cw, sizeof(cw)))
		return EMU_STOP;
	x87_set_cw(&e->cpu.fpu, cw);
	return 0;
}

SEM(fnstcw)
{
	return emu_store(e, i, &e->cpu.fpu.cw, sizeof(e->cpu.fpu.cw));
}

SEM(fnstsw_m16)
{
	return emu_store(e, i, &e->cpu.fpu.sw, sizeof(e->cpu.fpu.sw));
}

SEM(fnstsw_ax)
{
	e->cpu.gpr[RAX] = (e->cpu.gpr[RAX] & ~0xffffull) | e->cpu.fpu.sw;
	return 0;
}

/* ---- environment --------------------------------------------------------------------------------------- */

/* The environment as seven fields, in the order of every form. The 16-bit forms store their low halves. */
enum { ENV_CW, ENV_SW, ENV_TAG, ENV_FIP, ENV_FCS_FOP, ENV_FDP, ENV_FDS, ENV_FIELDS, ENV_MAX_BYTES = 4 * ENV_FIELDS };

static bool is_16bit(const struct emu *e, const struct insn *i)
{
	const bool opsize = (i->prefixes & PFX_OPSIZE) && !(i->prefixes & PFX_REX_W);

	return (e->code_size == 2) != opsize;
}

/* Real and virtual-8086 mode store 20- or 32-bit linear pointers, their top bits beside the opcode. */
static bool is_real_form(const struct emu *e)
{
	return !(e->cpu.cr0 & CR0_PE) || (e->cpu.rflags & RFLAGS_VM);
}

static unsigned env_bytes(const struct emu *e, const struct insn *i)
{
	return is_16bit(e, i) ? 2 * ENV_FIELDS : 4 * ENV_FIELDS;
}

static void env_fields(const struct emu *e, bool narrow, uint32_t field[ENV_FIELDS])
{
	const struct x87 *f = &e->cpu.fpu;
	const uint32_t fip = (uint32_t)f->fip, fdp = (uint32_t)f->fdp;

	field[ENV_CW] = f->cw;
	field[ENV_SW] = f->sw;
	field[ENV_TAG] = x87_full_tags(f);
	if (is_real_form(e)) {
		/* 16 bits: pointer 19..16 in bits 15..12; 32 bits: pointer 31..16 in bits 27..12. */
		const uint32_t ip = fip + ((uint32_t)f->fcs << 4), dp = fdp + ((uint32_t)f->fds << 4);
		field[ENV_FIP] = ip & 0xffff;
		field[ENV_FCS_FOP] = (narrow ? ip >> 4 & 0xf000 : ip >> 4 & 0xffff000) | f->fop;
		field[ENV_FDP] = dp & 0xffff;
		field[ENV_FDS] = narrow ? dp >> 4 & 0xf000 : dp >> 4 & 0xffff000;
		return;
	}
	field[ENV_FIP] = fip;
	field[ENV_FCS_FOP] = narrow ? f->fcs : f->fcs | (uint32_t)f->fop << 16;
	field[ENV_FDP] = fdp;
	field[ENV_FDS] = f->fds;
}

static void env_pack(const struct emu *e, const struct insn *i, uint8_t *out)
{
	const bool narrow = is_16bit(e, i);
	uint32_t field[ENV_FIELDS];

	env_fields(e, narrow, field);
	for (unsigned k = 0; k < ENV_FIELDS; k++) {
		const uint16_t low = (uint16_t)field[k];
		/* Reserved upper halves of CW, SW, TAG and FDS read as ones. */
		const uint32_t wide = k <= ENV_TAG || (k == ENV_FDS && !is_real_form(e)) ? field[k] | 0xffff0000 : field[k];
		if (narrow)
			memcpy(out + 2 * k, &low, 2);
		else
			memcpy(out + 4 * k, &wide, 4);
	}
}

static uint8_t abridged_tags(unsigned full)
{
	unsigned tags = 0;

	for (unsigned p = 0; p < 8; p++)
		tags |= ((full >> 2 * p & 3) != 3) << p;
	return (uint8_t)tags;
}

static void env_unpack(struct emu *e, const struct insn *i, const uint8_t *in)
{
	struct x87 *f = &e->cpu.fpu;
	const bool narrow = is_16bit(e, i), real = is_real_form(e);
	uint32_t field[ENV_FIELDS] = { 0 };

	for (unsigned k = 0; k < ENV_FIELDS; k++)
		memcpy(&field[k], in + (narrow ? 2 : 4) * k, narrow ? 2 : 4);
	f->sw = (uint16_t)field[ENV_SW];
	f->tag = abridged_tags(field[ENV_TAG]);
	f->fip = field[ENV_FIP];
	f->fdp = field[ENV_FDP];
	f->fop = 0;
	x87_set_selectors(e, real ? 0 : (uint16_t)field[ENV_FCS_FOP], real ? 0 : (uint16_t)field[ENV_FDS]);
	if (real) {
		const uint32_t mask = narrow ? 0xf000 : 0xffff000;
		f->fip = (field[ENV_FIP] & 0xffff) | (field[ENV_FCS_FOP] & mask) << 4;
		f->fdp = (field[ENV_FDP] & 0xffff) | (field[ENV_FDS] & mask) << 4;
		f->fop = field[ENV_FCS_FOP] & 0x7ff;
	} else if (!narrow) {
		f->fop = field[ENV_FCS_FOP] >> 16 & 0x7ff;
	}
	x87_set_cw(f, (uint16_t)field[ENV_CW]);
}

SEM(fnstenv)
{
	uint8_t image[ENV_MAX_BYTES];

	env_pack(e, i, image);
	if (emu_store(e, i, image, env_bytes(e, i)))
		return EMU_STOP;
	x87_set_cw(&e->cpu.fpu, e->cpu.fpu.cw | X87_EXC);
	return 0;
}

SEM(fldenv)
{
	uint8_t image[ENV_MAX_BYTES];

	if (emu_load(e, i, image, env_bytes(e, i)))
		return EMU_STOP;
	env_unpack(e, i, image);
	return 0;
}

/* FNSAVE, FRSTOR: the environment and ST0..ST7 of 10 bytes each. */
enum { STACK_BYTES = 80 };

SEM(fnsave)
{
	const unsigned head = env_bytes(e, i);
	uint8_t image[ENV_MAX_BYTES + STACK_BYTES];

	env_pack(e, i, image);
	for (unsigned n = 0; n < 8; n++) {
		const struct x87_reg r = x87_get(&e->cpu.fpu, n);
		memcpy(image + head + 10 * n, &r, 10);
	}
	if (emu_store(e, i, image, head + STACK_BYTES))
		return EMU_STOP;
	x87_init(&e->cpu.fpu);
	return 0;
}

SEM(frstor)
{
	const unsigned head = env_bytes(e, i);
	uint8_t image[ENV_MAX_BYTES + STACK_BYTES];

	if (emu_load(e, i, image, head + STACK_BYTES))
		return EMU_STOP;
	env_unpack(e, i, image);
	for (unsigned n = 0; n < 8; n++)
		memcpy(&e->cpu.fpu.r[x87_physical(&e->cpu.fpu, n)], image + head + 10 * n, 10);
	return 0;
}
