/* SPDX-License-Identifier: MIT */
/* Exits of KVM that a guest here has no use for: each is answered, or told by its name. No KVM is needed. */
#include "vmm/kvm/kvm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct kvm_run run;

static bool answer(uint32_t reason)
{
	memset(&run, 0, sizeof(run));
	run.exit_reason = reason;
	return kvm_exit_answer(&run);
}

/* The kernel's Documentation/virt/kvm/api.rst, "The kvm_run structure": what user space is to write there. */
Test(kvm_exits, answers)
{
	cr_expect(answer(KVM_EXIT_X86_RDMSR));
	cr_expect_eq(run.msr.error, 1, "#GP");
	cr_expect(answer(KVM_EXIT_X86_WRMSR));
	cr_expect_eq(run.msr.error, 1, "#GP");
	cr_expect(answer(KVM_EXIT_HYPERCALL));
	cr_expect_eq(run.hypercall.ret, (uint64_t)-1000, "-KVM_ENOSYS");
	cr_expect(answer(KVM_EXIT_X86_BUS_LOCK));
	cr_expect(answer(KVM_EXIT_TPR_ACCESS));
	cr_expect(answer(KVM_EXIT_NMI));
	cr_expect(answer(KVM_EXIT_NOTIFY));
	run.notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
	cr_expect_not(kvm_exit_answer(&run), "what is left of the guest is not its state");
}

/* <linux/kvm.h>; not those of other architectures. */
Test(kvm_exits, names)
{
	static const uint32_t others[] = { 13, 14, 15, 18, 19, 20, 21, 22, 23, 25, 28, 35, 36, 38 };

	for (uint32_t n = 0; n <= KVM_EXIT_MEMORY_FAULT; n++) {
		bool is_other = false;

		for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			is_other |= others[i] == n;
		cr_expect_eq(kvm_exit_name(n) != NULL, !is_other, "%u", n);
	}
	cr_expect_str_eq(kvm_exit_name(KVM_EXIT_HYPERV), "KVM_EXIT_HYPERV");
	cr_expect_null(kvm_exit_name(~0u));
}

static void expect_report(struct kvm_engine *k, uint32_t reason, const char *part)
{
	memset(&run, 0, sizeof(run));
	run.exit_reason = reason;
	run.hw.hardware_exit_reason = 0x80000021;
	cr_expect_eq(kvm_unserved(k, 0), ENGINE_ERROR);
	cr_expect(strstr(k->error, part), "%s: %s", part, k->error);
}

Test(kvm_exits, reports)
{
	static struct kvm_engine k;

	k.vcpu[0] = (struct kvm_vcpu){ .fd = -1, .run = &run };
	expect_report(&k, KVM_EXIT_FAIL_ENTRY, "refused the guest's state (KVM_EXIT_FAIL_ENTRY, reason 0x80000021)");
	expect_report(&k, KVM_EXIT_UNKNOWN, "(KVM_EXIT_UNKNOWN, reason 0x80000021)");
	expect_report(&k, KVM_EXIT_XEN, "(KVM_EXIT_XEN)");
	expect_report(&k, 1000, "(exit 1000, which came after this program)");
	run.exit_reason = KVM_EXIT_MEMORY_FAULT;
	errno = EFAULT;
	cr_expect_eq(kvm_run_failed(&k, 0), ENGINE_ERROR);
	cr_expect(strstr(k.error, "KVM_RUN") && strstr(k.error, "(KVM_EXIT_MEMORY_FAULT)"), "%s", k.error);
	errno = ENOMEM;
	kvm_run_failed(&k, 0);
	cr_expect_not(strstr(k.error, "KVM_EXIT_"), "the number is of an exit before: %s", k.error);
}
