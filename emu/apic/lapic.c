/* SPDX-License-Identifier: MIT */
/* Local APIC: life, priorities, acknowledgement, end of interrupt (SDM vol. 3, 10.8). */
#include "lapic.h"
#include "emu/core/machine.h"
#include "emu/core/tsc.h"

#include <stdlib.h>
#include <string.h>

static uint32_t x2apic_ldr(uint32_t id)
{
	return (id >> 4) << 16 | 1u << (id & 15);
}

/* SDM vol. 3, 10.4.7.1. In x2APIC mode the logical id is derived, not programmed (10.12.10.2). */
void lapic_reset_registers(struct lapic *a)
{
	atomic_store(&a->id, a->initial_id);
	atomic_store(&a->ldr, lapic_is_x2(a) ? x2apic_ldr(a->initial_id) : 0);
	atomic_store(&a->dfr, UINT32_MAX);
	atomic_store(&a->tpr, 0);
	atomic_store(&a->svr, 0xff);
	a->esr = a->esr_pending = 0;
	a->icr = 0;
	for (unsigned n = 0; n < LVT_COUNT; n++)
		a->lvt[n] = LVT_MASKED;
	memset(a->irr, 0, sizeof(a->irr));
	memset(a->isr, 0, sizeof(a->isr));
	memset(a->tmr, 0, sizeof(a->tmr));
	timer_reset(a);
}

struct lapic *lapic_create(struct machine *m, struct emu *e, unsigned id)
{
	struct lapic *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->machine = m;
	a->emu = e;
	a->initial_id = id;
	a->now_ns = emu_now_ns;
	a->tsc = emu_tsc;
	lapic_reset_registers(a);
	return a;
}

void lapic_destroy(struct lapic *a)
{
	free(a);
}

void lapic_init_signal(struct lapic *a)
{
	lapic_reset_registers(a);
}

/* ---- bit maps ------------------------------------------------------------------------------------------------ */

static void set_bit(uint32_t *map, uint8_t vector)
{
	map[vector / 32] |= 1u << (vector % 32);
}

static void clear_bit(uint32_t *map, uint8_t vector)
{
	map[vector / 32] &= ~(1u << (vector % 32));
}

static bool test_bit(const uint32_t *map, uint8_t vector)
{
	return map[vector / 32] >> (vector % 32) & 1;
}

static int highest(const uint32_t *map)
{
	for (int n = 7; n >= 0; n--) {
		if (map[n])
			return n * 32 + 31 - __builtin_clz(map[n]);
	}
	return -1;
}

/* ---- priorities ------------------------------------------------------------------------------------------------ */

/* The higher of task priority and the class in service (SDM vol. 3, 10.8.3.1). */
uint32_t lapic_ppr(const struct lapic *a)
{
	uint32_t tpr = atomic_load_explicit(&a->tpr, memory_order_relaxed);
	int in_service = highest(a->isr);
	uint32_t class = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;

	return (tpr & 0xf0) >= class ? tpr : class;
}

int lapic_pending(struct lapic *a)
{
	int vector;

	lapic_drain(a);
	if (!lapic_is_enabled(a))
		return -1;
	vector = highest(a->irr);
	if (vector < 0 || ((uint32_t)vector & 0xf0) <= (lapic_ppr(a) & 0xf0))
		return -1;
	return vector;
}

void lapic_ack(struct lapic *a, uint8_t vector)
{
	clear_bit(a->irr, vector);
	set_bit(a->isr, vector);
}

/* The highest in service ends; a level-triggered one is told to the IOAPICs (SDM vol. 3, 10.8.5). */
void lapic_eoi(struct lapic *a)
{
	int vector = highest(a->isr);

	if (vector < 0)
		return;
	clear_bit(a->isr, (uint8_t)vector);
	if (test_bit(a->tmr, (uint8_t)vector) && a->machine->bus.eoi)
		a->machine->bus.eoi(a->machine->bus.ctx, a->emu->cpu.vcpu, (uint8_t)vector);
	emu_attention(a->emu);
}

void lapic_raise(struct lapic *a, uint8_t vector, bool level)
{
	if (!lapic_takes_vectors(a))
		return;
	set_bit(a->irr, vector);
	if (level)
		set_bit(a->tmr, vector);
	else
		clear_bit(a->tmr, vector);
	emu_attention(a->emu);
}

void lapic_raise_lvt(struct lapic *a, unsigned lvt)
{
	uint32_t entry = a->lvt[lvt];

	if (entry & LVT_MASKED)
		return;
	if ((entry >> LVT_MODE_SHIFT & 7) == DELIVER_NMI && lvt != LVT_TIMER && lvt != LVT_ERROR) {
		atomic_fetch_or(&a->box.flags, MAIL_NMI);
		emu_attention(a->emu);
		return;
	}
	if ((entry & 0xff) >= 16)
		lapic_raise(a, (uint8_t)entry, false);
	else
		a->esr_pending |= ESR_RECEIVE_ILLEGAL;
}

/* Collected until software writes the register, which makes them readable (SDM vol. 3, 10.5.3). */
void lapic_error(struct lapic *a, uint32_t bit)
{
	bool is_new = !(a->esr_pending & bit);

	a->esr_pending |= bit;
	if (is_new)
		lapic_raise_lvt(a, LVT_ERROR);
}

/* ---- pins and signals -------------------------------------------------------------------------------------------- */

/* Virtual wire: LVT0 passes the 8259 through, and so does an APIC that is switched off (SDM vol. 3, 10.4.3). A kernel
 * started without firmware finds LVT0 masked by RESET, but then has not enabled the APIC by software either. */
bool lapic_accepts_extint(struct lapic *a)
{
	uint32_t lint0 = a->lvt[LVT_LINT0];

	if (!lapic_is_enabled(a))
		return a->emu->cpu.vcpu == 0;
	if (atomic_fetch_and(&a->box.flags, ~(unsigned)MAIL_EXTINT) & MAIL_EXTINT)
		return true;
	if (!lapic_takes_vectors(a))
		return a->emu->cpu.vcpu == 0;
	return !(lint0 & LVT_MASKED) && (lint0 >> LVT_MODE_SHIFT & 7) == DELIVER_EXTINT;
}

static bool take_flag(struct lapic *a, unsigned flag)
{
	if (!(atomic_load_explicit(&a->box.flags, memory_order_acquire) & flag))
		return false;
	return atomic_fetch_and(&a->box.flags, ~flag) & flag;
}

bool lapic_take_nmi(struct lapic *a)
{
	return take_flag(a, MAIL_NMI);
}

bool lapic_take_init(struct lapic *a)
{
	return take_flag(a, MAIL_INIT);
}

/* A SIPI that arrives while the processor does not wait for one is lost. Not while an INIT is in the mailbox: that was sent before the
 * SIPI (post_init()), and the processor is about to wait for it. */
int lapic_take_sipi(struct lapic *a)
{
	unsigned flags = atomic_load_explicit(&a->box.flags, memory_order_relaxed);

	while ((flags & (MAIL_SIPI | MAIL_INIT)) == MAIL_SIPI)
		if (atomic_compare_exchange_weak(&a->box.flags, &flags, flags & ~(unsigned)MAIL_SIPI))
			return a->emu->cpu.activity == CPU_WAIT_SIPI ? (int)atomic_load(&a->box.sipi_vector) : -1;
	return -1;
}

uint8_t lapic_cr8_read(struct lapic *a)
{
	return (uint8_t)(atomic_load_explicit(&a->tpr, memory_order_relaxed) >> 4);
}

void lapic_cr8_write(struct lapic *a, uint8_t tpr)
{
	atomic_store_explicit(&a->tpr, (unsigned)tpr << 4, memory_order_relaxed);
	emu_attention(a->emu);
}
