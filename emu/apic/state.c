/* SPDX-License-Identifier: MIT */
/* Local APIC: its whole state out and in, as the register page that the architecture defines (core/state.h). */
#include "lapic.h"

#include <string.h>

enum { ISR_AT = APIC_ISR / 16, TMR_AT = APIC_TMR / 16, IRR_AT = APIC_IRR / 16 };

static const uint16_t lvt_offsets[LVT_COUNT] = {
	[LVT_TIMER] = APIC_LVT_TIMER, [LVT_THERMAL] = APIC_LVT_THERMAL, [LVT_PERF] = APIC_LVT_PERF,
	[LVT_LINT0] = APIC_LVT_LINT0, [LVT_LINT1] = APIC_LVT_LINT1, [LVT_ERROR] = APIC_LVT_ERROR,
};

static const struct {
	enum mail_flag flag;
	enum apic_pending pending;
} mails[] = {
	{ MAIL_INIT, APIC_PENDING_INIT }, { MAIL_SIPI, APIC_PENDING_SIPI }, { MAIL_EXTINT, APIC_PENDING_EXTINT },
};
enum { MAILS = sizeof(mails) / sizeof(mails[0]) };

static uint32_t *at(struct apic_state *s, unsigned offset)
{
	return &s->reg[offset / 16];
}

static uint32_t from(const struct apic_state *s, unsigned offset)
{
	return s->reg[offset / 16];
}

/* In xAPIC mode the id is in the upper byte (SDM vol. 3, 10.4.6). */
static unsigned id_shift(const struct lapic *a)
{
	return lapic_is_x2(a) ? 0 : 24;
}

void lapic_save(struct lapic *a, struct apic_state *s, uint64_t time_ns)
{
	unsigned flags;

	lapic_advance(a, time_ns); /* nobody may have looked since it expired */
	lapic_drain(a);
	flags = atomic_load(&a->box.flags);
	*s = (struct apic_state){ .esr_pending = a->esr_pending, .tsc_deadline = a->timer.tsc_deadline };
	*at(s, APIC_ID) = atomic_load(&a->id) << id_shift(a);
	*at(s, APIC_TPR) = atomic_load(&a->tpr);
	*at(s, APIC_LDR) = atomic_load(&a->ldr);
	*at(s, APIC_DFR) = atomic_load(&a->dfr);
	*at(s, APIC_SVR) = atomic_load(&a->svr);
	*at(s, APIC_ESR) = a->esr;
	*at(s, APIC_ICR) = (uint32_t)a->icr;
	*at(s, APIC_ICR_HIGH) = (uint32_t)(a->icr >> 32);
	for (unsigned n = 0; n < LVT_COUNT; n++)
		*at(s, lvt_offsets[n]) = a->lvt[n];
	memcpy(&s->reg[ISR_AT], a->isr, sizeof(a->isr));
	memcpy(&s->reg[TMR_AT], a->tmr, sizeof(a->tmr));
	memcpy(&s->reg[IRR_AT], a->irr, sizeof(a->irr));
	*at(s, APIC_TIMER_INITIAL) = a->timer.initial;
	*at(s, APIC_TIMER_CURRENT) = timer_current(a, time_ns);
	*at(s, APIC_TIMER_DIVIDE) = a->timer.divide;
	for (unsigned n = 0; n < MAILS; n++)
		s->pending |= flags & mails[n].flag ? (uint8_t)mails[n].pending : 0;
	s->sipi_vector = (uint8_t)atomic_load(&a->box.sipi_vector);
}

static void restore_mail(struct lapic *a, const struct apic_state *s)
{
	for (unsigned n = 0; n < 8; n++) {
		atomic_store(&a->box.edge[n], 0);
		atomic_store(&a->box.level[n], 0);
	}
	atomic_store(&a->box.sipi_vector, s->sipi_vector);
	atomic_store(&a->box.flags, 0);
	for (unsigned n = 0; n < MAILS; n++)
		atomic_fetch_or(&a->box.flags, s->pending & mails[n].pending ? mails[n].flag : 0u);
	atomic_store(&a->box.mail, 1);
}

void lapic_restore(struct lapic *a, const struct apic_state *s, uint64_t time_ns)
{
	atomic_store(&a->id, from(s, APIC_ID) >> id_shift(a));
	atomic_store(&a->tpr, from(s, APIC_TPR) & 0xff);
	atomic_store(&a->ldr, from(s, APIC_LDR));
	atomic_store(&a->dfr, from(s, APIC_DFR));
	atomic_store(&a->svr, from(s, APIC_SVR));
	a->esr = from(s, APIC_ESR);
	a->esr_pending = s->esr_pending;
	a->icr = from(s, APIC_ICR) | (uint64_t)from(s, APIC_ICR_HIGH) << 32;
	for (unsigned n = 0; n < LVT_COUNT; n++)
		a->lvt[n] = from(s, lvt_offsets[n]);
	memcpy(a->isr, &s->reg[ISR_AT], sizeof(a->isr));
	memcpy(a->tmr, &s->reg[TMR_AT], sizeof(a->tmr));
	memcpy(a->irr, &s->reg[IRR_AT], sizeof(a->irr));
	restore_mail(a, s);
	timer_restore(a,
		      &(struct lapic_timer){ .initial = from(s, APIC_TIMER_INITIAL),
					     .divide = from(s, APIC_TIMER_DIVIDE),
					     .tsc_deadline = s->tsc_deadline },
		      from(s, APIC_TIMER_CURRENT), time_ns);
}
