/* SPDX-License-Identifier: MIT */
/* What KVM_RUN comes back for beyond the usual (step.c): names, and answers that are the same for each guest. Pure. */
#include "kvm.h"

#include <linux/kvm_para.h>

#define NAME(exit) [exit] = #exit

/* Those of x86, by number (<linux/kvm.h>). */
static const char *const names[] = {
	NAME(KVM_EXIT_UNKNOWN),	       NAME(KVM_EXIT_EXCEPTION),      NAME(KVM_EXIT_IO),
	NAME(KVM_EXIT_HYPERCALL),      NAME(KVM_EXIT_DEBUG),	      NAME(KVM_EXIT_HLT),
	NAME(KVM_EXIT_MMIO),	       NAME(KVM_EXIT_IRQ_WINDOW_OPEN), NAME(KVM_EXIT_SHUTDOWN),
	NAME(KVM_EXIT_FAIL_ENTRY),     NAME(KVM_EXIT_INTR),	      NAME(KVM_EXIT_SET_TPR),
	NAME(KVM_EXIT_TPR_ACCESS),     NAME(KVM_EXIT_NMI),	      NAME(KVM_EXIT_INTERNAL_ERROR),
	NAME(KVM_EXIT_SYSTEM_EVENT),   NAME(KVM_EXIT_IOAPIC_EOI),     NAME(KVM_EXIT_HYPERV),
	NAME(KVM_EXIT_X86_RDMSR),      NAME(KVM_EXIT_X86_WRMSR),      NAME(KVM_EXIT_DIRTY_RING_FULL),
	NAME(KVM_EXIT_AP_RESET_HOLD),  NAME(KVM_EXIT_X86_BUS_LOCK),   NAME(KVM_EXIT_XEN),
	NAME(KVM_EXIT_NOTIFY),	       NAME(KVM_EXIT_MEMORY_FAULT),
};

const char *kvm_exit_name(uint32_t reason)
{
	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : NULL;
}

bool kvm_exit_answer(struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_NMI: /* the host's */
	case KVM_EXIT_TPR_ACCESS:
	case KVM_EXIT_X86_BUS_LOCK:
		return true;
	case KVM_EXIT_NOTIFY:
		return !(run->notify.flags & KVM_NOTIFY_CONTEXT_INVALID);
	case KVM_EXIT_HYPERCALL: /* what KVM does not serve by itself nobody does */
		run->hypercall.ret = (uint64_t)-KVM_ENOSYS;
		return true;
	case KVM_EXIT_X86_RDMSR: /* nobody else has it: #GP */
	case KVM_EXIT_X86_WRMSR:
		run->msr.error = 1;
		return true;
	}
	return false;
}
