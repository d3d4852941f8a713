/* SPDX-License-Identifier: MIT */
/* RESET and INIT (SDM vol. 3, 9.1). Also for the loader, which has no emulator. */
#include "cpu.h"

#include <string.h>

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
	c->gpr[RDX] = CPU_SIGNATURE;
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

void cpu_reset_fpu(struct cpu *c)
{
	memset(&c->fpu, 0, sizeof(c->fpu));
	c->fpu.cw = 0x40;
	c->fpu.tag = 0xff;
	c->mxcsr = 0x1f80;
}

void cpu_reset(struct cpu *c)
{
	uint8_t vcpu = c->vcpu;

	memset(c, 0, sizeof(*c));
	c->vcpu = vcpu;
	reset_common(c);
	cpu_reset_fpu(c);
	c->cr0 = CR0_ET | CR0_NW | CR0_CD;
	c->xcr0 = 1;
	c->msr.pat = 0x0007040600070406ull;
	c->msr.apic_base = APIC_BASE_DEFAULT | APIC_BASE_ENABLED | (vcpu == 0 ? APIC_BASE_BSP : 0);
	/* Fast strings on; branch trace store and PEBS unavailable; MONITOR, where there is one, on. */
	c->msr.misc_enable = 1ull << 0 | 1ull << 11 | 1ull << 12 | MISC_ENABLE_MONITOR;
}

void cpu_init(struct cpu *c)
{
	uint64_t cr0 = CR0_ET | (c->cr0 & (CR0_CD | CR0_NW));

	reset_common(c);
	c->cr0 = cr0;
}
