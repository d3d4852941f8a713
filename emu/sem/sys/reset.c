/* SPDX-License-Identifier: MIT */
/* RESET, INIT and SIPI (SDM vol. 3, 9.1 and 8.4), and the life of struct sys. */
#include "sys.h"
#include "emu/sem/fp/provider.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE_IN_DX 0x000806f8ull /* as CPUID 1 EAX, see cpuid.c */
#define APIC_BASE_DEFAULT 0xfee00000ull
#define APIC_BASE_BSP (1ull << 8)
#define APIC_BASE_ENABLED (1ull << 11)

enum {
	ATTR_CODE = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_RW | SEG_ATTR_ACCESSED,
	ATTR_DATA = SEG_ATTR_P | SEG_ATTR_S | SEG_ATTR_RW | SEG_ATTR_ACCESSED,
	ATTR_LDT = SEG_ATTR_P | 2,
	ATTR_TSS = SEG_ATTR_P | 11,
};

/* Table 9-1, the columns that RESET and INIT have in common. */
static void reset_common(struct cpu *c)
{
	memset(c->gpr, 0, sizeof(c->gpr));
	c->gpr[RDX] = SIGNATURE_IN_DX;
	c->rip = 0xfff0;
	c->rflags = RFLAGS_FIXED;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		c->seg[n] = (struct segment){ .limit = 0xffff, .attr = ATTR_DATA };
	c->seg[SEG_CS] = (struct segment){ .base = 0xffff0000, .limit = 0xffff, .attr = ATTR_CODE, .selector = 0xf000 };
	c->ldtr = (struct segment){ .limit = 0xffff, .attr = ATTR_LDT };
	c->tr = (struct segment){ .limit = 0xffff, .attr = ATTR_TSS };
	c->gdtr = (struct dtable){ .limit = 0xffff };
	c->idtr = (struct dtable){ .limit = 0xffff };
	c->cr2 = c->cr3 = c->cr4 = 0;
	memset(c->pdpte, 0, sizeof(c->pdpte));
	memset(c->dr, 0, sizeof(c->dr));
	c->dr[6] = 0xffff0ff0;
	c->dr[7] = 0x400;
	c->msr.efer = 0;
	c->shadow = 0;
	c->nmi_blocked = false;
	c->nmi_pending = false;
	c->activity = c->vcpu == 0 ? CPU_RUNNING : CPU_WAIT_SIPI;
}

void cpu_reset(struct cpu *c)
{
	uint8_t vcpu = c->vcpu;

	memset(c, 0, sizeof(*c));
	c->vcpu = vcpu;
	reset_common(c);
	c->cr0 = CR0_ET | CR0_NW | CR0_CD;
	c->xcr0 = 1;
	c->msr.pat = 0x0007040600070406ull;
	c->msr.apic_base = APIC_BASE_DEFAULT | APIC_BASE_ENABLED | (vcpu == 0 ? APIC_BASE_BSP : 0);
	/* Fast strings on; branch trace store and PEBS unavailable; MONITOR, where there is one, on. */
	c->msr.misc_enable = 1ull << 0 | 1ull << 11 | 1ull << 12 | MISC_ENABLE_MONITOR;
	fpu_reset(c);
}

/* INIT keeps the floating-point state, the MSRs, and the cache bits of CR0. */
void sys_init_signal(struct emu *e)
{
	uint64_t cr0 = CR0_ET | (e->cpu.cr0 & (CR0_CD | CR0_NW));

	reset_common(&e->cpu);
	e->cpu.cr0 = cr0;
	emu_flags_set(e, ~0ull, RFLAGS_FIXED);
	e->fault.pending = false;
	e->sys->pending_dr6 = 0;
	e->sys->task_trap = false;
	e->sys->held_dr6 = 0;
	lapic_init_signal(e->lapic);
	emu_mode_changed(e);
	mmu_flush_all(e);
}

void sys_sipi(struct emu *e, uint8_t vector)
{
	if (e->cpu.activity != CPU_WAIT_SIPI)
		return;
	e->cpu.seg[SEG_CS].selector = (uint16_t)(vector << 8);
	e->cpu.seg[SEG_CS].base = (uint64_t)vector << 12;
	e->cpu.rip = 0;
	e->cpu.activity = CPU_RUNNING;
	emu_mode_changed(e);
}

int sys_init(struct emu *e)
{
	int r;

	tsc_init_once();
	fp_provider_init();
	e->sys = calloc(1, sizeof(*e->sys));
	if (!e->sys)
		return -ENOMEM;
	r = rng_init(&e->sys->rng);
	if (r)
		sys_fini(e);
	return r;
}

void sys_fini(struct emu *e)
{
	free(e->sys);
	e->sys = NULL;
}
