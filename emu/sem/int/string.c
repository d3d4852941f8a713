/* SPDX-License-Identifier: MIT */
/*
 * Semantics: string instructions, alone and repeated.
 *
 * A repeated one works in runs: as many items as lie in the current pages are done with one translation; then the
 * counters are brought up to date, so that a fault or an interrupt finds the state of an iteration boundary. Runs are
 * bounded, and between them the run loop may look at interrupts with RIP still at the instruction.
 */
#include "operand.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"
#include "emu/sem/sys/sys.h"

enum { RUN_BYTES = 4096 };

struct string_op {
	struct emu *e;
	const struct insn *i;
	unsigned size;	 /* of an item */
	bool repeated;
	uint64_t mask;	 /* of the address size */
	int64_t step;
	uint64_t count;	 /* items still to do */
};

static void begin(struct string_op *s, struct emu *e, const struct insn *i, unsigned operand)
{
	s->e = e;
	s->i = i;
	s->size = operand_bytes(i, operand);
	s->repeated = i->prefixes & (PFX_REP | PFX_REPNE);
	s->mask = size_mask(i->asize);
	s->step = e->cpu.rflags & RFLAGS_DF ? -(int64_t)s->size : (int64_t)s->size;
	s->count = s->repeated ? e->cpu.gpr[RCX] & s->mask : 1;
}

static void advance(struct string_op *s, unsigned r, uint64_t items)
{
	reg_write(s->e, r, s->i->asize, s->e->cpu.gpr[r] + items * (uint64_t)s->step);
}

static void count_down(struct string_op *s, uint64_t items)
{
	s->count -= items;
	if (s->repeated)
		reg_write(s->e, RCX, s->i->asize, s->count);
}

/* After a run: 0 = the instruction is done; otherwise RIP stays on it and the loop gets a chance to interrupt. */
static int finish(struct string_op *s, bool more)
{
	struct emu *e = s->e;

	if (!more)
		return 0;
	e->in_rep = true;
	return emu_jump(e, emu_rip(e, s->i));
}

static bool tracing(const struct emu *e)
{
	return (e->cpu.rflags & RFLAGS_TF) || e->cpu.shadow || sys_debug_trap_pending(e);
}

/* Items from `offset` on that stay inside the page and the address space in the direction of travel. */
static uint64_t items_in_page(const struct string_op *s, uint64_t offset, uint64_t linear)
{
	uint64_t in_page = linear & (PAGE_SIZE - 1), wrap;

	if (s->step > 0) {
		wrap = s->mask - offset;
		if (wrap < PAGE_SIZE && in_page + wrap + 1 < PAGE_SIZE)
			return (wrap + 1) / s->size;
		return (PAGE_SIZE - in_page) / s->size;
	}
	if (in_page + s->size > PAGE_SIZE)
		return 0;
	if (offset < in_page)
		return offset / s->size + 1;
	return in_page / s->size + 1;
}

/*
 * A run of plain RAM starting at the operand: *host points to the item at the current address, the result is how many
 * items may be done there (0: take the exact path for one item). Negative: fault. The caller's `linear` is filled.
 */
static int64_t plain_run(struct string_op *s, unsigned seg, uint64_t offset, bool write, uint8_t **host)
{
	uint64_t linear, n, last;

	if (!s->repeated || s->count < 2 || tracing(s->e))
		return 0;
	if (s->e->cpl == 3 && (s->e->cpu.rflags & RFLAGS_AC) && (s->e->cpu.cr0 & CR0_AM))
		return 0;
	if (emu_seg_linear(s->e, seg, offset, s->size, write, &linear))
		return -1;
	n = items_in_page(s, offset, linear);
	if (n > s->count)
		n = s->count;
	if (n == 0)
		return 0;
	/* Segment limits: the whole run must be inside, else go item by item up to the fault. */
	if (s->e->code_size != 8) {
		last = offset + (n - 1) * (uint64_t)s->step;
		if (emu_seg_linear(s->e, seg, last & s->mask, s->size, write, &linear)) {
			s->e->fault.pending = false;
			return 0;
		}
		emu_seg_linear(s->e, seg, offset, s->size, write, &linear);
	}
	if (mmu_page_ptr(s->e, seg, linear, write, host))
		return -1;
	return *host ? (int64_t)n : 0;
}

/* Lowest address of a run of n items whose first item is at p. */
static uint8_t *run_start(const struct string_op *s, uint8_t *p, uint64_t n)
{
	return s->step > 0 ? p : p - (n - 1) * s->size;
}

static int load_item(struct string_op *s, unsigned seg, uint64_t offset, uint64_t *v)
{
	uint64_t linear;

	*v = 0;
	if (emu_seg_linear(s->e, seg, offset, s->size, false, &linear))
		return EMU_STOP;
	return emu_read(s->e, seg, linear, v, s->size);
}

static int store_item(struct string_op *s, uint64_t offset, uint64_t v)
{
	uint64_t linear;

	if (emu_seg_linear(s->e, SEG_ES, offset, s->size, true, &linear))
		return EMU_STOP;
	return emu_write(s->e, SEG_ES, linear, &v, s->size);
}

static uint64_t source(const struct string_op *s)
{
	return s->e->cpu.gpr[RSI] & s->mask;
}

static uint64_t destination(const struct string_op *s)
{
	return s->e->cpu.gpr[RDI] & s->mask;
}

/* ---- MOVS ---- */

static int movs_once(struct string_op *s)
{
	uint64_t v;

	if (load_item(s, s->i->seg, source(s), &v) || store_item(s, destination(s), v))
		return EMU_STOP;
	advance(s, RSI, 1);
	advance(s, RDI, 1);
	count_down(s, 1);
	return 0;
}

int sem_str_movs(struct emu *e, const struct insn *i)
{
	struct string_op s;
	uint8_t *from, *to;
	int64_t n, m;

	begin(&s, e, i, 0);
	for (unsigned runs = 0; s.count > 0; runs++) {
		if (runs && (tracing(e) || e->budget < 0 || e->stop || runs > 16))
			return finish(&s, true);
		n = plain_run(&s, i->seg, source(&s), false, &from);
		m = n > 0 ? plain_run(&s, SEG_ES, destination(&s), true, &to) : n;
		if (n < 0 || m < 0)
			return EMU_STOP;
		if (m == 0) {
			if (movs_once(&s))
				return EMU_STOP;
			continue;
		}
		n = n < m ? n : m;
		ram_move(run_start(&s, to, (uint64_t)n), run_start(&s, from, (uint64_t)n), (uint64_t)n, s.size, s.step < 0);
		advance(&s, RSI, (uint64_t)n);
		advance(&s, RDI, (uint64_t)n);
		count_down(&s, (uint64_t)n);
	}
	return 0;
}

/* ---- STOS ---- */

int sem_str_stos(struct emu *e, const struct insn *i)
{
	struct string_op s;
	uint8_t *to;
	int64_t n;

	begin(&s, e, i, 0);
	for (unsigned runs = 0; s.count > 0; runs++) {
		if (runs && (tracing(e) || e->budget < 0 || e->stop || runs > 16))
			return finish(&s, true);
		n = plain_run(&s, SEG_ES, destination(&s), true, &to);
		if (n < 0)
			return EMU_STOP;
		if (n == 0) {
			if (store_item(&s, destination(&s), e->cpu.gpr[RAX]))
				return EMU_STOP;
			n = 1;
		} else {
			ram_fill(run_start(&s, to, (uint64_t)n), (uint64_t)n, s.size, e->cpu.gpr[RAX]);
		}
		advance(&s, RDI, (uint64_t)n);
		count_down(&s, (uint64_t)n);
	}
	return 0;
}

/* ---- LODS, SCAS, CMPS: item by item ---- */

int sem_str_lods(struct emu *e, const struct insn *i)
{
	struct string_op s;
	uint64_t v;

	begin(&s, e, i, 0);
	for (unsigned runs = 0; s.count > 0; runs++) {
		if (runs && (tracing(e) || e->budget < 0 || runs > RUN_BYTES))
			return finish(&s, true);
		if (load_item(&s, i->seg, source(&s), &v))
			return EMU_STOP;
		reg_write(e, RAX, s.size, v);
		advance(&s, RSI, 1);
		count_down(&s, 1);
	}
	return 0;
}

/* REPE goes on while equal, REPNE while different. */
static bool compare_ends(const struct string_op *s)
{
	bool equal = s->e->flags_image & IMG_ZF;

	return s->i->prefixes & PFX_REPNE ? equal : !equal;
}

static int compare(struct emu *e, const struct insn *i, bool scan)
{
	struct string_op s;
	uint64_t a, b;

	begin(&s, e, i, 0);
	for (unsigned runs = 0; s.count > 0; runs++) {
		if (runs && (tracing(e) || e->budget < 0 || runs > RUN_BYTES))
			return finish(&s, true);
		a = e->cpu.gpr[RAX];
		if (!scan && load_item(&s, i->seg, source(&s), &a))
			return EMU_STOP;
		if (load_item(&s, SEG_ES, destination(&s), &b))
			return EMU_STOP;
		portable_sbb(s.size, a, b, 0, &e->flags_image);
		if (!scan)
			advance(&s, RSI, 1);
		advance(&s, RDI, 1);
		count_down(&s, 1);
		if (s.repeated && compare_ends(&s))
			return 0;
		if (!s.repeated)
			return 0;
	}
	return 0;
}

int sem_str_scas(struct emu *e, const struct insn *i)
{
	return compare(e, i, true);
}

int sem_str_cmps(struct emu *e, const struct insn *i)
{
	return compare(e, i, false);
}

/* ---- INS, OUTS: memory is translated before the device hears of it ---- */

static unsigned port_size(const struct insn *i, unsigned operand)
{
	unsigned size = operand_bytes(i, operand);

	return size > 4 ? 4 : size;
}

static void ins_run(struct string_op *s, uint16_t port, uint8_t *to, uint64_t n)
{
	const struct engine_bus *bus = &s->e->machine->bus;

	if (bus->read_string)
		bus->read_string(bus->ctx, s->e->cpu.vcpu, port, to, (uint32_t)n, s->size);
	else
		ram_fill(to, n, s->size, UINT64_MAX);
}

static int ins_once(struct string_op *s, uint16_t port)
{
	const struct engine_bus *bus = &s->e->machine->bus;
	uint64_t linear, v = UINT64_MAX;

	if (emu_seg_linear(s->e, SEG_ES, destination(s), s->size, true, &linear) ||
	    emu_probe_write(s->e, SEG_ES, linear, s->size))
		return EMU_STOP;
	if (bus->read)
		v = bus->read(bus->ctx, s->e->cpu.vcpu, IO_PORT, port, s->size);
	return emu_write(s->e, SEG_ES, linear, &v, s->size);
}

int sem_str_ins(struct emu *e, const struct insn *i)
{
	uint16_t port = (uint16_t)e->cpu.gpr[RDX];
	struct string_op s;
	uint8_t *to;
	int64_t n;

	begin(&s, e, i, 0);
	s.size = port_size(i, 0);
	s.step = s.step < 0 ? -(int64_t)s.size : (int64_t)s.size;
	if (sys_check_port(e, port, s.size))
		return EMU_STOP;
	if (s.count == 0)
		return 0;
	n = s.step > 0 ? plain_run(&s, SEG_ES, destination(&s), true, &to) : 0;
	if (n < 0)
		return EMU_STOP;
	if (n > 0) {
		ins_run(&s, port, to, (uint64_t)n);
	} else {
		n = 1;
		if (ins_once(&s, port))
			return EMU_STOP;
	}
	advance(&s, RDI, (uint64_t)n);
	count_down(&s, (uint64_t)n);
	emu_attention(e);
	return finish(&s, s.repeated && s.count > 0);
}

static int outs_once(struct string_op *s, uint16_t port)
{
	const struct engine_bus *bus = &s->e->machine->bus;
	uint64_t v;

	if (load_item(s, s->i->seg, source(s), &v))
		return EMU_STOP;
	if (bus->write)
		bus->write(bus->ctx, s->e->cpu.vcpu, IO_PORT, port, v, s->size);
	return 0;
}

int sem_str_outs(struct emu *e, const struct insn *i)
{
	const struct engine_bus *bus = &e->machine->bus;
	uint16_t port = (uint16_t)e->cpu.gpr[RDX];
	struct string_op s;
	uint8_t *from;
	int64_t n;

	begin(&s, e, i, 1);
	s.size = port_size(i, 1);
	s.step = s.step < 0 ? -(int64_t)s.size : (int64_t)s.size;
	if (sys_check_port(e, port, s.size))
		return EMU_STOP;
	if (s.count == 0)
		return 0;
	n = s.step > 0 ? plain_run(&s, i->seg, source(&s), false, &from) : 0;
	if (n < 0)
		return EMU_STOP;
	if (n > 0) {
		if (bus->write_string)
			bus->write_string(bus->ctx, e->cpu.vcpu, port, from, (uint32_t)n, s.size);
	} else {
		n = 1;
		if (outs_once(&s, port))
			return EMU_STOP;
	}
	advance(&s, RSI, (uint64_t)n);
	count_down(&s, (uint64_t)n);
	emu_attention(e);
	return finish(&s, s.repeated && s.count > 0);
}
