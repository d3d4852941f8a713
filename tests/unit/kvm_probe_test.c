/* SPDX-License-Identifier: MIT */
/* What is said of the host's KVM, and that measuring it comes to a finding wherever it is there. */
#include "vmm/common/kvm_probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

Test(kvm_probe, absent)
{
	char text[KVM_PROBE_TEXT];
	struct kvm_probe p;

	kvm_probe(-ENOENT, &p);
#if defined(__x86_64__)
	cr_expect_eq(p.kind, KVM_ABSENT);
	cr_expect_eq(p.error, ENOENT);
	kvm_probe_text(&p, text);
	cr_expect(strstr(text, "/dev/kvm"), "%s", text);
#endif
}

/* Something else under that name is not believed. */
Test(kvm_probe, another_device)
{
	char text[KVM_PROBE_TEXT];
	struct kvm_probe p;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	kvm_probe(fd, &p);
	cr_expect_eq(p.kind, KVM_UNFIT);
	cr_assert(p.lacks);
	kvm_probe_text(&p, text);
	cr_expect(strstr(text, p.lacks), "%s", text);
	close(fd);
}

Test(kvm_probe, this_host)
{
	int fd = kvm_open();
	struct kvm_probe p;

	if (fd < 0)
		cr_skip_test("no /dev/kvm for us");
	kvm_probe(fd, &p);
	cr_expect_neq(p.kind, KVM_ABSENT);
	if (p.kind == KVM_HARDWARE || p.kind == KVM_INTERPRETS) {
		cr_expect_gt(p.ps_per_insn, 0);
		cr_expect_gt(p.ns_per_exit, 0);
		for (const struct kvm_cap_row *row = kvm_caps; row->name; row++)
			cr_expect(!row->needed || kvm_cap(fd, row->number) > 0, "%s", row->name);
	} else {
		cr_expect(p.lacks);
	}
	/* Hardware does it, and shifts a counter to what is written (the kernel's api.rst, KVM_SET_MSRS). */
	if (p.kind == KVM_HARDWARE)
		cr_expect(!p.defects.breaks_syscall && !p.defects.tsc_is_hosts);
	close(fd);
}
