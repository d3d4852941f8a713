/* SPDX-License-Identifier: MIT */
/* The run loop of one vCPU: blocks, single steps, faults, interrupts, HLT. */
#include "emu/block/block.h"
#include "emu/core/flags.h"
#include "emu/isa/isa.h"
#include "emu/mmu/mmu.h"
#include "emu/decode/decode.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	SLICE = 20000,			  /* instructions between looks at the clock: below 100 us */
	DEFAULT_CODE_CACHE = 11 << 19, /* 5.5 MiB: most of what a vcpu process holds */
};

static uint64_t emu_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what semantic functions call ---- */

uint64_t emu_flags_get(struct emu *e)
{
	return (e->cpu.rflags & ~(uint64_t)RFLAGS_ARITH) | flags_to_arith(e->lf.image) | RFLAGS_FIXED;
}

void emu_flags_set(struct emu *e, uint64_t mask, uint64_t value)
{
	uint16_t arith = flags_from_arith(mask & RFLAGS_ARITH);

	e->lf.image = (uint16_t)((e->lf.image & ~arith) | (flags_from_arith(value) & arith));
	e->cpu.rflags = (e->cpu.rflags & ~mask) | (value & mask) | RFLAGS_FIXED;
	if (mask & RFLAGS_AC)
		mmu_mask_changed(e);
}

uint64_t emu_rip(const struct emu *e, const struct insn *i)
{
	uint64_t rip = e->cpu.gpr[GPR_PC] + i->off;

	return e->code_size == 8 ? rip : (uint32_t)rip;
}

int emu_jump(struct emu *e, uint64_t rip)
{
	e->cpu.rip = rip;
	return EMU_STOP;
}

int emu_end_block(struct emu *e, const struct insn *i)
{
	return emu_jump(e, emu_next_rip(e, i));
}

int emu_fault(struct emu *e, enum vector vector)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector };
	return EMU_STOP;
}

int emu_fault_code(struct emu *e, enum vector vector, uint32_t error)
{
	e->fault = (struct fault){ .pending = true, .vector = (uint8_t)vector, .has_error = true, .error = error };
	return EMU_STOP;
}

static bool segment_flat(const struct segment *s)
{
	return s->base == 0 && s->limit == UINT32_MAX && !(s->attr & SEG_ATTR_UNUSABLE);
}

void emu_mode_changed(struct emu *e)
{
	struct cpu *c = &e->cpu;
	bool protected = c->cr0 & CR0_PE, code64;

	e->long_mode = c->msr.efer & EFER_LMA;
	e->paging = c->cr0 & CR0_PG;
	e->cpl = (uint8_t)(!protected ? 0 : c->rflags & RFLAGS_VM ? 3 : cpu_cpl(c));
	code64 = e->long_mode && (c->seg[SEG_CS].attr & SEG_ATTR_L);
	e->code_size = code64 ? 8 : c->seg[SEG_CS].attr & SEG_ATTR_DB ? 4 : 2;
	e->stack_size = code64 ? 8 : c->seg[SEG_SS].attr & SEG_ATTR_DB ? 4 : 2;
	e->flat = code64;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		e->seg_base[n] = code64 && n != SEG_FS && n != SEG_GS ? 0 : c->seg[n].base;
	e->mode_key = (uint32_t)(e->code_size | e->stack_size << MODE_KEY_STACK_SHIFT);
	if (code64 || (protected && segment_flat(&c->seg[SEG_CS])))
		e->mode_key |= MODE_KEY_FLAT;
	mmu_mode_changed(e);
}

/* ---- single-step tier ---- */

/* Adds what the page (or the code segment) still holds behind the `*got` bytes fetched so far. */
static int fetch(struct emu *e, uint8_t *bytes, unsigned *got)
{
	uint64_t pc = e->cpu.rip + *got, linear = pc + e->seg_base[SEG_CS], gpa, room;
	bool limited = e->code_size != 8;
	uint8_t *host;

	if (limited && pc > e->cpu.seg[SEG_CS].limit)
		return emu_gp0(e);
	if (limited)
		linear = (uint32_t)linear;
	if (mmu_fetch_page(e, linear, &host, &gpa))
		return EMU_STOP;
	room = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
	if (limited && e->cpu.seg[SEG_CS].limit - pc < room)
		room = e->cpu.seg[SEG_CS].limit - pc + 1;
	for (uint64_t n = 0; n < room && *got < INSN_MAX_BYTES; n++)
		bytes[(*got)++] = host ? host[n] : 0xff; /* what is not RAM reads as ones */
	return 0;
}

static int fetch_and_decode(struct emu *e, struct insn *i)
{
	uint8_t bytes[INSN_MAX_BYTES];
	unsigned got = 0;
	enum decode_result r;

	do {
		if (fetch(e, bytes, &got))
			return EMU_STOP;
		r = decode(bytes, got, e->code_size, i);
	} while (r == DECODE_MORE);
	if (r == DECODE_UD)
		return emu_ud(e);
	return r == DECODE_TOO_LONG ? emu_gp0(e) : 0;
}

/* One instruction in the single-step tier. Traps after it are recorded as a fault with RIP behind it. */
void step_one(struct emu *e)
{
	bool tf = e->cpu.rflags & RFLAGS_TF, debug = sys_debug_active(e), resumed = e->interp->in_rep;
	uint8_t shadow = e->cpu.shadow;
	struct insn i;
	int r;

	e->block = NULL;
	e->interp->in_rep = false;
	if (debug && sys_debug_before(e, resumed))
		return;
	e->cpu.gpr[GPR_PC] = e->cpu.rip;
	e->cpu.shadow = 0;
	if (fetch_and_decode(e, &i))
		return;
	r = insn_execute(e, &i);
	e->stop = false;
	if (e->fault.pending) {
		e->cpu.rip = emu_rip(e, &i);
		sys_debug_fault(e);
		return;
	}
	if (r == 0)
		e->cpu.rip = emu_next_rip(e, &i);
	e->budget--;
	/* A second MOV SS in a row does not shield again (SDM vol. 3, 6.8.3). */
	e->cpu.shadow &= (uint8_t)~(shadow & SHADOW_MOV_SS);
	if (e->cpu.activity == CPU_SHUTDOWN)
		return;
	if (debug || sys_debug_active(e))
		sys_debug_after(e, tf, r != 0 && (isa_rows[i.id].attr & ISA_BRANCH));
}

/* ---- events ---- */

static void refill(struct emu *e)
{
	if (e->budget < 0) {
		e->retired += (uint64_t)((int64_t)SLICE - e->budget);
		e->budget = SLICE;
	}
}

void emu_wake(struct emu *e)
{
	atomic_fetch_or(&e->kicked, EMU_KICK_EVENT);
	atomic_fetch_add(&e->interp->generation, 1);
	syscall(SYS_futex, &e->interp->generation, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* What interrupts a repeated instruction between two iterations pushes RF set (SDM vol. 3, 17.3.1.1). */
static void mark_resume(struct emu *e)
{
	if (e->interp->in_rep)
		e->cpu.rflags |= RFLAGS_RF;
	e->interp->in_rep = false;
}

/* Delivers at most one interrupt. True if something was delivered. */
static bool deliver_interrupt(struct emu *e)
{
	const struct engine_bus *bus = &e->machine->bus;
	int vector;

	if (!(e->cpu.rflags & RFLAGS_IF) || e->cpu.shadow)
		return false;
	vector = e->lapic ? lapic_pending(e->lapic) : -1;
	if (vector >= 0) {
		lapic_ack(e->lapic, (uint8_t)vector);
	} else if (bus->extint_pending && bus->extint_pending(bus->ctx, e->cpu.vcpu) &&
		   (!e->lapic || lapic_accepts_extint(e->lapic))) {
		vector = bus->intack ? bus->intack(bus->ctx, e->cpu.vcpu) : -EAGAIN;
	}
	if (vector < 0)
		return false;
	e->cpu.activity = CPU_RUNNING;
	mark_resume(e);
	exc_deliver_interrupt(e, (uint8_t)vector);
	return true;
}

static bool deliver_nmi(struct emu *e)
{
	if (e->lapic && lapic_take_nmi(e->lapic))
		e->cpu.nmi_pending = true;
	if (!e->cpu.nmi_pending || e->cpu.nmi_blocked || (e->cpu.shadow & SHADOW_MOV_SS))
		return false;
	e->cpu.nmi_pending = false;
	e->cpu.activity = CPU_RUNNING;
	mark_resume(e);
	exc_deliver_nmi(e);
	return true;
}

static void start_up(struct emu *e)
{
	int vector;

	if (e->lapic && lapic_take_init(e->lapic))
		sys_init_signal(e);
	if (e->cpu.activity != CPU_WAIT_SIPI || !e->lapic)
		return;
	vector = lapic_take_sipi(e->lapic);
	if (vector >= 0)
		sys_sipi(e, (uint8_t)vector);
}

/* Everything that can happen at an instruction boundary, in the order of SDM vol. 3, table 6-2. */
static void events(struct emu *e)
{
	atomic_fetch_and(&e->kicked, ~(unsigned)EMU_KICK_EVENT);
	e->interp->next_event_ns = e->lapic ? lapic_advance(e->lapic, emu_now_ns()) : UINT64_MAX;
	start_up(e);
	if (e->cpu.activity == CPU_RUNNING || e->cpu.activity == CPU_HALTED) {
		if (!sys_debug_trap_due(e) && !deliver_nmi(e))
			deliver_interrupt(e);
	}
	refill(e);
	e->interp->patch = NULL; /* RIP may lead elsewhere now */
}

/* HLT that nothing can end but INIT: with one processor there is nobody to send it. */
static bool is_dead(const struct emu *e)
{
	return e->cpu.activity == CPU_HALTED && !(e->cpu.rflags & RFLAGS_IF) && e->machine->vcpus == 1 &&
	       !e->cpu.nmi_pending;
}

/* Sleeps until the generation moves on or the timer is due. The generation was read before events() looked for work:
 * whatever arrived since has changed it, and the futex does not sleep. */
static void sleep_until_event(struct emu *e, unsigned generation)
{
	uint64_t now = emu_now_ns(), until = e->interp->next_event_ns;
	struct timespec t, *timeout = NULL;

	if (until != UINT64_MAX) {
		if (until <= now)
			return;
		t = (struct timespec){ .tv_sec = (time_t)((until - now) / 1000000000u),
				       .tv_nsec = (long)((until - now) % 1000000000u) };
		timeout = &t;
	}
	syscall(SYS_futex, &e->interp->generation, FUTEX_WAIT_PRIVATE, generation, timeout, NULL, 0);
}

static void run_block(struct emu *e)
{
	struct block **patch = e->interp->patch;
	uint64_t generation = e->code->generation;
	struct block *b = block_find(e);

	e->interp->patch = NULL;
	if (e->fault.pending)
		return;
	if (!b) {
		step_one(e);
		return;
	}
	if (patch && !b->host2 && generation == e->code->generation)
		*patch = b;
	block_run(e, b);
	e->block = NULL;
}

void emu_advance(struct emu *e, bool step_only)
{
	bool shadowed = e->cpu.shadow;

	e->stop = false;
	if (!step_only && !shadowed && !sys_debug_active(e)) {
		e->interp->in_rep = false;
		run_block(e);
		return;
	}
	e->interp->patch = NULL;
	step_one(e);
	if (shadowed) /* events are looked at right after the shadow */
		emu_attention(e);
}

/* Runs until something has to be looked at. */
static void run_slice(struct emu *e)
{
	bool step_only = e->machine->config.single_step;

	while (e->budget >= 0 && e->cpu.activity == CPU_RUNNING) {
		emu_advance(e, step_only);
		if (e->fault.pending) {
			mark_resume(e);
			exc_deliver_fault(e);
			e->interp->patch = NULL;
		}
	}
}

enum engine_stop emu_run(struct emu *e)
{
	unsigned generation;

	emu_attention(e);
	for (;;) {
		generation = atomic_load(&e->interp->generation);
		if (atomic_load_explicit(&e->kicked, memory_order_relaxed) & EMU_KICK_STOP) {
			atomic_fetch_and(&e->kicked, ~(unsigned)EMU_KICK_STOP);
			return ENGINE_KICKED;
		}
		events(e);
		if (e->cpu.activity == CPU_RUNNING)
			run_slice(e);
		if (e->cpu.activity == CPU_SHUTDOWN)
			return ENGINE_TRIPLE_FAULT;
		if (e->cpu.activity != CPU_RUNNING) {
			if (e->budget >= 0)
				emu_attention(e);
			generation = atomic_load(&e->interp->generation);
			events(e);
			if (e->cpu.activity == CPU_RUNNING)
				continue;
			if (atomic_load(&e->kicked) & EMU_KICK_STOP)
				continue;
			if (is_dead(e))
				return ENGINE_HALTED;
			sleep_until_event(e, generation);
		}
	}
}

/* ---- life ---- */

int interp_create(struct emu *e)
{
	size_t bytes = e->machine->config.code_cache_bytes;

	e->interp = calloc(1, sizeof(*e->interp));
	e->code = calloc(1, sizeof(*e->code));
	if (!e->interp || !e->code)
		return -ENOMEM;
	e->code->bytes = bytes ? bytes : DEFAULT_CODE_CACHE;
	e->code->memory = mmu_reserve(e->code->bytes);
	e->code->page_blocks = mmu_reserve((e->mmu->ram_pages + 1) * sizeof(*e->code->page_blocks));
	if (!e->code->memory || !e->code->page_blocks)
		return -ENOMEM;
	e->budget = -1;
	e->retired = (uint64_t)-1;
	return 0;
}

void interp_destroy(struct emu *e)
{
	if (e->code) {
		mmu_unreserve(e->code->memory, e->code->bytes);
		mmu_unreserve(e->code->page_blocks, (e->mmu->ram_pages + 1) * sizeof(*e->code->page_blocks));
	}
	free(e->code);
	free(e->interp);
	e->code = NULL;
	e->interp = NULL;
}
