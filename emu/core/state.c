/* SPDX-License-Identifier: MIT */
/* Is this a state of a processor? core/state.h. */
#include "state.h"

#include <errno.h>
#include <string.h>

enum { MXCSR_RESERVED_FROM = 16, APIC_ISR_AT = 0x10, APIC_IRR_AT = 0x20, APIC_LVTS_AT = 0x32, APIC_LVTS = 6 };

/* A bool that came from outside is a byte until it has been looked at. */
static bool is_truth(const void *p)
{
	uint8_t v;

	memcpy(&v, p, 1);
	return v <= 1;
}

/* SDM vol. 3, 2.5 and 4.1.1: paging needs protection, long mode needs PAE and is active exactly with paging. */
static const char *check_control(const struct cpu *c)
{
	const bool paging = c->cr0 & CR0_PG, lme = c->msr.efer & EFER_LME, lma = c->msr.efer & EFER_LMA;

	if ((c->cr0 >> 32) || (paging && !(c->cr0 & CR0_PE)))
		return "cr0";
	if (lma != (lme && paging) || (lma && !(c->cr4 & CR4_PAE)))
		return "efer";
	if (!(c->xcr0 & 1))
		return "xcr0";
	return NULL;
}

static const char *check_registers(const struct cpu *c)
{
	if (c->mxcsr >> MXCSR_RESERVED_FROM)
		return "mxcsr";
	if (!(c->rflags & RFLAGS_FIXED))
		return "rflags";
	for (unsigned n = 0; n < SEG_COUNT; n++)
		if (c->seg[n].attr >> 17)
			return "seg";
	if ((c->msr.efer & EFER_LMA) && (c->seg[SEG_CS].attr & SEG_ATTR_L) && !cpu_is_canonical(c->rip, 57))
		return "rip";
	return NULL;
}

static const char *check_activity(const struct cpu *c)
{
	if ((unsigned)c->activity > CPU_SHUTDOWN)
		return "activity";
	if (c->shadow & ~(SHADOW_STI | SHADOW_MOV_SS))
		return "shadow";
	if (!is_truth(&c->nmi_blocked) || !is_truth(&c->nmi_pending))
		return "nmi";
	return NULL;
}

/* Vectors below 16 are not deliverable (SDM vol. 3, 10.5.2); LVT entries have 19 bits. */
static const char *check_apic(const struct apic_state *a)
{
	if ((a->reg[APIC_ISR_AT] | a->reg[APIC_IRR_AT]) & 0xffff)
		return "apic: vector below 16";
	for (unsigned n = 0; n < APIC_LVTS; n++)
		if (a->reg[APIC_LVTS_AT + n] >> 19)
			return "apic: local vector table";
	return a->pending & ~APIC_PENDING_ALL ? "apic: pending" : NULL;
}

int engine_state_check(const struct engine_state *s, const char **field)
{
	const char *wrong = NULL;

	if (s->version != ENGINE_STATE_VERSION || s->bytes != sizeof(*s))
		wrong = "version";
	if (!wrong)
		wrong = check_control(&s->cpu);
	if (!wrong)
		wrong = check_registers(&s->cpu);
	if (!wrong)
		wrong = check_activity(&s->cpu);
	if (!wrong)
		wrong = check_apic(&s->apic);
	if (!wrong && (s->task_trap > 1 || s->in_rep > 1 || s->by_kvm > 1 || s->debug_pending & ~0xe00full))
		wrong = "debug";
	*field = wrong;
	return wrong ? -EINVAL : 0;
}
