/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's inside (SDM vol. 3, chapter 10).
 *
 * Everything but the mailbox belongs to the vCPU's own thread. Other threads put interrupts into the mailbox with
 * atomic ORs, raise `mail`, and call emu_wake(): the bits are there before the wake-up, so that whoever is woken, or
 * looks without having slept, finds them.
 */
#ifndef BULKHEAD_EMU_LAPIC_H
#define BULKHEAD_EMU_LAPIC_H

#include "apic.h"
#include "emu/core/machine.h"
#include "emu/core/state.h"

#include <stdatomic.h>

enum lapic_offset {
	APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_APR = 0x90, APIC_PPR = 0xa0, APIC_EOI = 0xb0,
	APIC_LDR = 0xd0, APIC_DFR = 0xe0, APIC_SVR = 0xf0, APIC_ISR = 0x100, APIC_TMR = 0x180, APIC_IRR = 0x200,
	APIC_ESR = 0x280, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310, APIC_LVT_TIMER = 0x320, APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340, APIC_LVT_LINT0 = 0x350, APIC_LVT_LINT1 = 0x360, APIC_LVT_ERROR = 0x370,
	APIC_TIMER_INITIAL = 0x380, APIC_TIMER_CURRENT = 0x390, APIC_TIMER_DIVIDE = 0x3e0, APIC_SELF_IPI = 0x3f0,
};

enum {
	LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT,
	LVT_MASKED = 1 << 16,
	LVT_MODE_SHIFT = 8,
	LVT_TIMER_PERIODIC = 1 << 17,
	LVT_TIMER_DEADLINE = 2 << 17,
	SVR_ENABLED = 1 << 8,
	ESR_SEND_ILLEGAL = 1 << 5, ESR_RECEIVE_ILLEGAL = 1 << 6, ESR_ILLEGAL_REGISTER = 1 << 7,
};

/* Delivery modes of ICR, LVT and MSI. */
enum delivery {
	DELIVER_FIXED, DELIVER_LOWEST, DELIVER_SMI, DELIVER_RESERVED, DELIVER_NMI, DELIVER_INIT, DELIVER_SIPI,
	DELIVER_EXTINT,
};

enum mail_flag { MAIL_NMI = 1, MAIL_INIT = 2, MAIL_SIPI = 4, MAIL_EXTINT = 8, MAIL_ILLEGAL = 16 };

struct lapic_mailbox {
	atomic_uint mail; /* something below is set */
	atomic_uint edge[8], level[8];
	atomic_uint flags; /* enum mail_flag */
	atomic_uint sipi_vector;
};

struct lapic_timer {
	uint32_t initial, divide;
	uint64_t deadline_ns; /* UINT64_MAX: stopped */
	uint64_t tsc_deadline; /* 0: disarmed */
};

struct lapic {
	struct machine *machine;
	struct emu *emu;
	uint32_t initial_id;
	/* Read by senders on other threads to find the destination. */
	atomic_uint id, ldr, dfr, tpr, svr;
	uint32_t esr, esr_pending, lvt[LVT_COUNT];
	uint64_t icr;
	uint32_t irr[8], isr[8], tmr[8];
	struct lapic_timer timer;
	struct lapic_mailbox box;
	/* Clocks, replaced by tests. */
	uint64_t (*now_ns)(const struct emu *);
	uint64_t (*tsc)(const struct emu *e);
};

static inline bool lapic_is_enabled(const struct lapic *a)
{
	return __atomic_load_n(&a->emu->cpu.msr.apic_base, __ATOMIC_RELAXED) & APIC_BASE_ENABLED;
}

static inline bool lapic_is_x2(const struct lapic *a)
{
	return __atomic_load_n(&a->emu->cpu.msr.apic_base, __ATOMIC_RELAXED) & APIC_BASE_X2;
}

/* Switched on by software. Any thread. */
static inline bool lapic_takes_vectors(const struct lapic *a)
{
	return atomic_load_explicit(&a->svr, memory_order_relaxed) & SVR_ENABLED;
}

void lapic_reset_registers(struct lapic *a);
uint32_t lapic_ppr(const struct lapic *a);
void lapic_eoi(struct lapic *a);
/* Own thread: an interrupt from inside (LVT, self-IPI). */
void lapic_raise(struct lapic *a, uint8_t vector, bool level);
void lapic_raise_lvt(struct lapic *a, unsigned lvt);
void lapic_error(struct lapic *a, uint32_t bit);

/* deliver.c */
void lapic_drain(struct lapic *a);
void lapic_send_icr(struct lapic *a);

/* timer.c */
void timer_reset(struct lapic *a);
void timer_set_initial(struct lapic *a, uint32_t count);
void timer_set_divide(struct lapic *a, uint32_t value);
void timer_set_lvt(struct lapic *a, uint32_t value);
uint32_t timer_current(const struct lapic *a, uint64_t now_ns);
void timer_set_deadline(struct lapic *a, uint64_t tsc);
/* As `in`, with `current` of the count left at time_ns, from which deadline_ns follows; 0: it has run out, or the timer is in
 * TSC-deadline mode. */
void timer_restore(struct lapic *a, const struct lapic_timer *in, uint32_t current, uint64_t time_ns);

#endif
