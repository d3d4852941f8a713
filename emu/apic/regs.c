/* SPDX-License-Identifier: MIT */
/* The registers of the local APIC, memory-mapped and as x2APIC MSRs (SDM vol. 3, tables 10-1 and 10-6). */
#include "lapic.h"
#include "emu/model/features.h"

#include <errno.h>

#define VERSION (0x14u | (LVT_COUNT - 1u) << 16)
#define APIC_BASE_MASK (((1ull << EMU_MAXPHYADDR) - 1) & ~0xfffull)

enum reg_access {
	REG_R = 1,     /* readable in both modes */
	REG_W = 2,     /* writable in both modes */
	REG_W_XAPIC = 4, /* writable only memory-mapped */
	REG_NO_X2 = 8, /* does not exist as an MSR */
	REG_ONLY_X2 = 16,
};

/* `mask`: bits that software can write; in x2APIC mode the others must be zero (#GP). */
static const struct {
	uint16_t first, last;
	uint8_t access;
	uint32_t mask;
} regs[] = {
	{ APIC_ID, APIC_ID, REG_R | REG_W_XAPIC, 0xff000000 },
	{ APIC_VERSION, APIC_VERSION, REG_R, 0 },
	{ APIC_TPR, APIC_TPR, REG_R | REG_W, 0xff },
	{ APIC_APR, APIC_APR, REG_R | REG_NO_X2, 0 },
	{ APIC_PPR, APIC_PPR, REG_R, 0 },
	{ APIC_EOI, APIC_EOI, REG_W, 0 },
	{ APIC_LDR, APIC_LDR, REG_R | REG_W_XAPIC, 0xff000000 },
	{ APIC_DFR, APIC_DFR, REG_R | REG_W_XAPIC | REG_NO_X2, 0xf0000000 },
	{ APIC_SVR, APIC_SVR, REG_R | REG_W, 0x3ff },
	{ APIC_ISR, APIC_ISR + 0x70, REG_R, 0 },
	{ APIC_TMR, APIC_TMR + 0x70, REG_R, 0 },
	{ APIC_IRR, APIC_IRR + 0x70, REG_R, 0 },
	{ APIC_ESR, APIC_ESR, REG_R | REG_W, 0 },
	{ APIC_ICR, APIC_ICR, REG_R | REG_W, 0xccfff },
	{ APIC_ICR_HIGH, APIC_ICR_HIGH, REG_R | REG_W | REG_NO_X2, 0xff000000 },
	{ APIC_LVT_TIMER, APIC_LVT_TIMER, REG_R | REG_W, 0x700ff },
	{ APIC_LVT_THERMAL, APIC_LVT_PERF, REG_R | REG_W, 0x107ff },
	{ APIC_LVT_LINT0, APIC_LVT_LINT1, REG_R | REG_W, 0x1a7ff },
	{ APIC_LVT_ERROR, APIC_LVT_ERROR, REG_R | REG_W, 0x100ff },
	{ APIC_TIMER_INITIAL, APIC_TIMER_INITIAL, REG_R | REG_W, 0xffffffff },
	{ APIC_TIMER_CURRENT, APIC_TIMER_CURRENT, REG_R, 0 },
	{ APIC_TIMER_DIVIDE, APIC_TIMER_DIVIDE, REG_R | REG_W, 0xb },
	{ APIC_SELF_IPI, APIC_SELF_IPI, REG_W | REG_ONLY_X2, 0xff },
};

enum { REG_COUNT = sizeof(regs) / sizeof(regs[0]), REG_NONE = REG_COUNT };

static unsigned find(uint32_t offset)
{
	for (unsigned n = 0; n < REG_COUNT; n++) {
		if (offset >= regs[n].first && offset <= regs[n].last)
			return n;
	}
	return REG_NONE;
}

/* Bits of register `n` that software can write: TSC-deadline mode of the timer only where there is one. */
static uint32_t writable(const struct lapic *a, unsigned n)
{
	if (regs[n].first == APIC_LVT_TIMER && !cpu_has(&a->machine->features, CPUF_TSC_DEADLINE))
		return regs[n].mask & ~(uint32_t)LVT_TIMER_DEADLINE;
	return regs[n].mask;
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static uint32_t read_register(struct lapic *a, uint32_t offset)
{
	if (offset >= APIC_ISR && offset < APIC_TMR)
		return a->isr[(offset - APIC_ISR) / 16];
	if (offset >= APIC_TMR && offset < APIC_IRR)
		return a->tmr[(offset - APIC_TMR) / 16];
	if (offset >= APIC_IRR && offset < APIC_ESR)
		return a->irr[(offset - APIC_IRR) / 16];
	if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR)
		return a->lvt[(offset - APIC_LVT_TIMER) / 16];
	switch (offset) {
	case APIC_ID:
		return lapic_is_x2(a) ? atomic_load(&a->id) : atomic_load(&a->id) << 24;
	case APIC_VERSION:
		return VERSION;
	case APIC_TPR:
		return atomic_load(&a->tpr);
	case APIC_APR:
	case APIC_PPR:
		return lapic_ppr(a);
	case APIC_LDR:
		return atomic_load(&a->ldr);
	case APIC_DFR:
		return atomic_load(&a->dfr);
	case APIC_SVR:
		return atomic_load(&a->svr);
	case APIC_ESR:
		return a->esr;
	case APIC_ICR:
		return (uint32_t)a->icr;
	case APIC_ICR_HIGH:
		return (uint32_t)(a->icr >> 32);
	case APIC_TIMER_INITIAL:
		return a->timer.initial;
	case APIC_TIMER_CURRENT:
		return timer_current(a, a->now_ns(a->emu));
	case APIC_TIMER_DIVIDE:
		return a->timer.divide;
	}
	return 0;
}

uint32_t lapic_mmio_read(struct lapic *a, uint32_t offset)
{
	unsigned n = find(offset & ~0xfu);

	/* Registers are 32 bits wide at 16-byte steps; what lies between is undefined. */
	if (offset & 0xf)
		return 0;
	lapic_drain(a);
	if (n == REG_NONE || !(regs[n].access & REG_R) || (regs[n].access & REG_ONLY_X2)) {
		if (n == REG_NONE)
			lapic_error(a, ESR_ILLEGAL_REGISTER);
		return 0;
	}
	return read_register(a, offset);
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* Switched off by software, every LVT entry is masked and stays so (SDM vol. 3, 10.4.7.2). */
static void write_svr(struct lapic *a, uint32_t value)
{
	atomic_store(&a->svr, value);
	for (unsigned n = 0; !(value & SVR_ENABLED) && n < LVT_COUNT; n++)
		a->lvt[n] |= LVT_MASKED;
	emu_attention(a->emu);
}

static void write_lvt(struct lapic *a, uint32_t offset, uint32_t value)
{
	unsigned n = (offset - APIC_LVT_TIMER) / 16;

	if (!lapic_takes_vectors(a))
		value |= LVT_MASKED;
	if (n == LVT_TIMER)
		timer_set_lvt(a, value);
	else
		a->lvt[n] = value;
	emu_attention(a->emu);
}

static void write_register(struct lapic *a, uint32_t offset, uint32_t value)
{
	if (offset >= APIC_LVT_TIMER && offset <= APIC_LVT_ERROR) {
		write_lvt(a, offset, value);
		return;
	}
	switch (offset) {
	case APIC_ID:
		atomic_store(&a->id, value >> 24);
		break;
	case APIC_TPR:
		atomic_store(&a->tpr, value);
		emu_attention(a->emu);
		break;
	case APIC_EOI:
		lapic_eoi(a);
		break;
	case APIC_LDR:
		atomic_store(&a->ldr, value);
		break;
	case APIC_DFR:
		atomic_store(&a->dfr, value | 0x0fffffff);
		break;
	case APIC_SVR:
		write_svr(a, value);
		break;
	case APIC_ESR:
		a->esr = a->esr_pending;
		a->esr_pending = 0;
		break;
	case APIC_ICR:
		a->icr = (a->icr & 0xffffffff00000000ull) | value;
		lapic_send_icr(a);
		break;
	case APIC_ICR_HIGH:
		a->icr = (uint64_t)value << 32 | (uint32_t)a->icr;
		break;
	case APIC_TIMER_INITIAL:
		timer_set_initial(a, value);
		break;
	case APIC_TIMER_DIVIDE:
		timer_set_divide(a, value);
		break;
	}
}

void lapic_mmio_write(struct lapic *a, uint32_t offset, uint32_t value)
{
	unsigned n = find(offset & ~0xfu);

	if (offset & 0xf)
		return;
	lapic_drain(a);
	if (n == REG_NONE || !(regs[n].access & (REG_W | REG_W_XAPIC)) || (regs[n].access & REG_ONLY_X2)) {
		lapic_error(a, ESR_ILLEGAL_REGISTER);
		return;
	}
	write_register(a, offset, value & writable(a, n));
}

/* ---- MSRs -------------------------------------------------------------------------------------------------------- */

enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };

static int x2_read(struct lapic *a, uint32_t offset, uint64_t *value)
{
	unsigned n = find(offset);

	if (!lapic_is_x2(a) || n == REG_NONE || !(regs[n].access & REG_R) || (regs[n].access & REG_NO_X2))
		return -EINVAL;
	lapic_drain(a);
	*value = offset == APIC_ICR ? a->icr : read_register(a, offset);
	return 0;
}

static int x2_write(struct lapic *a, uint32_t offset, uint64_t value)
{
	unsigned n = find(offset);
	uint64_t mask;

	if (!lapic_is_x2(a) || n == REG_NONE || !(regs[n].access & REG_W) || (regs[n].access & REG_NO_X2))
		return -EINVAL;
	mask = writable(a, n) | (offset == APIC_ICR ? 0xffffffff00000000ull : 0);
	if (value & ~mask)
		return -EINVAL;
	lapic_drain(a);
	if (offset == APIC_ICR) {
		a->icr = value;
		lapic_send_icr(a);
	} else if (offset == APIC_SELF_IPI) {
		if (value >= 16)
			lapic_raise(a, (uint8_t)value, false);
		else
			lapic_error(a, ESR_SEND_ILLEGAL | ESR_RECEIVE_ILLEGAL);
	} else {
		write_register(a, offset, (uint32_t)value);
	}
	return 0;
}

/* The permitted transitions of SDM vol. 3, figure 10-27. */
static bool mode_change_is_valid(uint64_t old, uint64_t new)
{
	bool was_x2 = old & APIC_BASE_X2, is_x2 = new &APIC_BASE_X2;
	bool was_on = old & APIC_BASE_ENABLED, is_on = new &APIC_BASE_ENABLED;

	if (is_x2 && !is_on)
		return false;
	if (was_x2 && is_on && !is_x2)
		return false;
	return !(is_x2 && !was_on);
}

static int base_write(struct lapic *a, uint64_t value)
{
	uint64_t *base = &a->emu->cpu.msr.apic_base, old = *base;

	if (value & ~(APIC_BASE_MASK | APIC_BASE_BSP | APIC_BASE_X2 | APIC_BASE_ENABLED))
		return -EINVAL;
	if (!mode_change_is_valid(old, value))
		return -EINVAL;
	__atomic_store_n(base, value, __ATOMIC_RELAXED);
	if ((old & ~value & APIC_BASE_ENABLED) || (~old & value & APIC_BASE_ENABLED))
		lapic_reset_registers(a);
	if (~old & value & APIC_BASE_X2) {
		atomic_store(&a->id, a->initial_id);
		atomic_store(&a->ldr, (a->initial_id >> 4) << 16 | 1u << (a->initial_id & 15));
		a->icr &= UINT32_MAX;
	}
	return 0;
}

int lapic_msr_read(struct lapic *a, uint32_t msr, uint64_t *value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*value = a->emu->cpu.msr.apic_base;
		return 0;
	case MSR_TSC_DEADLINE:
		/* Expired since the last look: reads as zero. */
		*value = a->timer.tsc_deadline && a->tsc(a->emu) < a->timer.tsc_deadline ? a->timer.tsc_deadline : 0;
		return 0;
	}
	return msr - MSR_X2APIC < 0x100 ? x2_read(a, (msr - MSR_X2APIC) << 4, value) : -EINVAL;
}

int lapic_msr_write(struct lapic *a, uint32_t msr, uint64_t value)
{
	switch (msr) {
	case MSR_APIC_BASE:
		return base_write(a, value);
	case MSR_TSC_DEADLINE:
		timer_set_deadline(a, value);
		return 0;
	}
	return msr - MSR_X2APIC < 0x100 ? x2_write(a, (msr - MSR_X2APIC) << 4, value) : -EINVAL;
}
