/* SPDX-License-Identifier: MIT */
/* LINT0 of KVM's local APICs: the 8259 is wired to all of them, and who lets it through takes its interrupts (SDM vol. 3, 10.5.1). */
#include "kvm.h"

#include <string.h>
#include <sys/ioctl.h>

enum { APIC_SVR = 0x0f, APIC_LVT_LINT0 = 0x35, SVR_ENABLED = 1 << 8, LVT_EXTINT = 7 << 8, LVT_MODE = 7 << 8, LVT_MASKED = 1 << 16 };

static uint32_t reg(const struct kvm_lapic_state *page, unsigned n)
{
	uint32_t value;

	memcpy(&value, page->regs + 16 * n, 4);
	return value;
}

/*
 * While software has not switched its local APIC on, the first processor takes the 8259's interrupts as if there were none (the
 * emulator does by that rule). KVM asks LINT0 even then, and says after a reset that it is ExtINT, which no masked entry is.
 */
void kvm_lint0_open(struct kvm_lapic_state *page)
{
	const uint32_t extint = LVT_EXTINT;

	if (!(reg(page, APIC_SVR) & SVR_ENABLED))
		memcpy(page->regs + 16 * APIC_LVT_LINT0, &extint, 4);
}

bool kvm_lint0_takes(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_lapic_state page;

	if (k->vcpus == 1)
		return true; /* KVM itself asks LINT0 before it opens the window */
	if (!(k->vcpu[vcpu].run->apic_base & APIC_BASE_ENABLED) || ioctl(k->vcpu[vcpu].fd, KVM_GET_LAPIC, &page) < 0 ||
	    !(reg(&page, APIC_SVR) & SVR_ENABLED))
		return vcpu == 0;
	return (reg(&page, APIC_LVT_LINT0) & (LVT_MASKED | LVT_MODE)) == LVT_EXTINT;
}
