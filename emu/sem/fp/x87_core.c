/* SPDX-License-Identifier: MIT */
/* x87 status, stack faults and the pointers of the last instruction. */
#include "fp.h"
#include "x87.h"
#include "emu/core/machine.h"
#include "emu/model/features.h"

void x87_summarise(struct x87 *f)
{
	const bool pending = f->sw & ~f->cw & X87_EXC;

	x87_cc(f, X87_ES | X87_B, pending ? X87_ES | X87_B : 0);
}

void x87_set_cw(struct x87 *f, uint16_t cw)
{
	f->cw = (cw & X87_CW_WRITABLE) | X87_CW_FIXED;
	x87_summarise(f);
}

void x87_set_selectors(struct emu *e, uint16_t fcs, uint16_t fds)
{
	const bool kept = !emu_has_cpu_feature(e, CPUF_ZERO_FCS_FDS);

	e->cpu.fpu.fcs = kept ? fcs : 0;
	e->cpu.fpu.fds = kept ? fds : 0;
}

/* FCS, FDS and FDP as processors keep them that do not report CPUID.7.EBX[13] and [6] (SDM vol. 1, 8.1.8). */
static void note_pointers(struct emu *e, const struct insn *i)
{
	struct x87 *f = &e->cpu.fpu;

	x87_set_selectors(e, e->cpu.seg[SEG_CS].selector, i->is_mem ? e->cpu.seg[i->seg].selector : f->fds);
	if (i->is_mem && !emu_has_cpu_feature(e, CPUF_FDP_EXCPTN))
		f->fdp = emu_ea(e, i);
}

bool fp_has_simple_pointers(const struct emu *e)
{
	return emu_has_cpu_feature(e, CPUF_ZERO_FCS_FDS) && emu_has_cpu_feature(e, CPUF_FDP_EXCPTN);
}

void x87_note(struct emu *e, const struct insn *i)
{
	e->cpu.fpu.fip = emu_rip(e, i);
	if (!fp_has_simple_pointers(e))
		note_pointers(e, i);
}

/* ModRM is not kept in struct insn; the rare reader fetches it again, by bytes, which are never misaligned (EFLAGS.AC).
 * Returns FOP: opcode low bits and ModRM. */
static uint16_t opcode_of(struct emu *e, const struct insn *i)
{
	uint64_t linear = e->cpu.seg[SEG_CS].base + emu_rip(e, i);
	const struct fault saved = e->fault;
	uint8_t byte[2] = { 0, 0 };

	for (unsigned k = 0; k + 1 < i->len; k++) {
		if (emu_read(e, SEG_CS, linear + k, &byte[0], 1) || emu_read(e, SEG_CS, linear + k + 1, &byte[1], 1)) {
			e->fault = saved;
			break;
		}
		if ((byte[0] & 0xf8) == 0xd8)
			return (uint16_t)((byte[0] & 7) << 8 | byte[1]);
	}
	return 0;
}

/* FOP and FDP are those of the last instruction with an unmasked exception: FOP since the Pentium 4 (SDM vol. 1, 8.1.9.1),
 * FDP on processors that report CPUID.7.EBX[6], FDP_EXCPTN_ONLY. */
static void note_exception(struct emu *e, const struct insn *i)
{
	struct x87 *f = &e->cpu.fpu;

	f->fop = opcode_of(e, i);
	if (i->is_mem)
		f->fdp = emu_ea(e, i);
}

bool x87_raise(struct emu *e, const struct insn *i, unsigned flags)
{
	struct x87 *f = &e->cpu.fpu;
	const bool unmasked = flags & ~f->cw & X87_EXC;

	f->sw |= (uint16_t)(flags & (X87_EXC | X87_SF));
	if (unmasked) {
		x87_summarise(f);
		note_exception(e, i);
	}
	return unmasked;
}

bool x87_underflow(struct emu *e, const struct insn *i)
{
	x87_cc(&e->cpu.fpu, X87_C1, 0);
	return x87_raise(e, i, X87_IE | X87_SF);
}

bool x87_overflow(struct emu *e, const struct insn *i)
{
	x87_cc(&e->cpu.fpu, X87_C1, X87_C1);
	return x87_raise(e, i, X87_IE | X87_SF);
}

bool x87_finish(struct emu *e, const struct insn *i, const struct fp_x87 *x, unsigned cc)
{
	struct x87 *f = &e->cpu.fpu;

	x87_cc(f, cc, x->sw);
	if (!(x->sw & X87_EXC))
		return false;
	return x87_raise(e, i, x->sw & X87_EXC) && (x->sw & ~f->cw & X87_PRE);
}

void x87_init(struct x87 *f)
{
	f->cw = X87_CW_INIT;
	f->sw = 0;
	f->tag = 0;
	f->fop = 0;
	f->fip = f->fdp = 0;
	f->fcs = f->fds = 0;
}

/* Tag of one register as FNSTENV stores it: 0 valid, 1 zero, 2 special, 3 empty (SDM vol. 1, 8.1.7). */
static unsigned full_tag(const struct x87_reg *r)
{
	const unsigned exponent = r->se & 0x7fff;

	if (exponent == 0)
		return r->sig ? 2 : 1;
	return exponent == 0x7fff || !(r->sig >> 63) ? 2 : 0;
}

uint16_t x87_full_tags(const struct x87 *f)
{
	unsigned tags = 0;

	for (unsigned p = 0; p < 8; p++)
		tags |= (f->tag >> p & 1 ? full_tag(&f->r[p]) : 3) << 2 * p;
	return (uint16_t)tags;
}
