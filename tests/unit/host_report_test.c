/* SPDX-License-Identifier: MIT */
/* What bulkhead host says of hosts that are made up here (vmm/host/host.h): SDM vol. 3, 24.7, A.3, A.7; APM vol. 2, 15.30.1. */
#include "vmm/host/host.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* A bare Intel machine where everything is as it should be. */
static struct host_facts good(void)
{
	struct host_facts f = { .vendor = "GenuineIntel",
				.brand = "A processor",
				.family = 6,
				.model = 143,
				.stepping = 8,
				.processors = 8,
				.has_vmx = true,
				.kvm = { .mode = 0660,
					 .gid = 104,
					 .api = 12,
					 .nested = 'Y',
					 .max_vcpus = 1024,
					 .recommended_vcpus = 8,
					 .probe = { .kind = KVM_HARDWARE, .ps_per_insn = 200, .ns_per_exit = 900 } },
				.user_ns = { .max = 15000 },
				.landlock_abi = 6,
				.pages = { "madvise", "within_size" },
				.cgroup = { true, true, "cpu memory pids" },
				.memory_kib = 16 << 20,
				.available_kib = 8 << 20 };

	f.msr[HOST_MSR_FEATURE_CONTROL].value = 5;
	f.msr[HOST_MSR_CR0_FIXED0].value = 0x80000021;
	f.msr[HOST_MSR_CR0_FIXED1].value = 0xffffffff;
	f.msr[HOST_MSR_CR4_FIXED0].value = 0x2000;
	f.msr[HOST_MSR_CR4_FIXED1].value = 0x3767ff;
	f.msr[HOST_MSR_PROCBASED_CTLS].value = 1ull << 63;
	f.msr[HOST_MSR_PROCBASED_CTLS2].value = 1ull << (32 + 7);
	strcpy(f.kvm.modules, "kvm kvm_intel");
	for (unsigned c = 0; c < HOST_CAPABILITIES_MAX; c++)
		f.kvm.capability[c] = 1;
	return f;
}

static const struct host_finding *find(const struct host_report *r, const char *name)
{
	for (unsigned i = 0; i < r->count; i++)
		if (!strcmp(r->list[i].name, name))
			return &r->list[i];
	return NULL;
}

/* The report's line of that name has this verdict and these words in value or advice. */
static void expect(const struct host_facts *f, const char *name, enum host_verdict verdict, const char *words)
{
	static struct host_report r;
	const struct host_finding *line;

	host_judge(f, &r);
	line = find(&r, name);
	cr_assert(line, "%s: no such line", name);
	cr_expect_eq(line->verdict, verdict, "%s: verdict %d: %s", name, line->verdict, line->value);
	cr_expect(strstr(line->value, words) || strstr(line->advice, words), "%s: \"%s\", \"%s\", without %s", name, line->value,
		  line->advice, words);
}

Test(host_report, nothing_is_missing_on_a_good_host)
{
	struct host_facts f = good();
	static struct host_report r;

	host_judge(&f, &r);
	for (unsigned i = 0; i < r.count; i++) {
		cr_expect(r.list[i].verdict <= HOST_SAY, "%s: %s", r.list[i].name, r.list[i].value);
		cr_expect(r.list[i].value[0], "%s says nothing", r.list[i].name);
		for (unsigned k = 0; k < i; k++)
			cr_expect(strcmp(r.list[i].name, r.list[k].name), "%s comes twice", r.list[i].name);
	}
	cr_expect_lt(r.count, HOST_FINDINGS_MAX);
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_HARDWARE);
}

/* Whatever is worse or missing comes with something to do about it, on a host that has nothing. */
Test(host_report, every_lack_has_its_advice)
{
	struct host_facts f = good();
	static struct host_report r;

	memset(f.kvm.capability, 0, sizeof(f.kvm.capability));
	f.msr[HOST_MSR_FEATURE_CONTROL].value = 1;
	f.msr[HOST_MSR_PROCBASED_CTLS].value = 0;
	f.kvm.probe = (struct kvm_probe){ .kind = KVM_UNFIT, .lacks = "KVM_CREATE_VM", .error = EBUSY };
	f.user_ns.err = f.seccomp_err = f.landlock_err = ENOSYS;
	host_judge(&f, &r);
	for (unsigned i = 0; i < r.count; i++)
		cr_expect(r.list[i].verdict <= HOST_SAY || r.list[i].advice[0], "%s: %s", r.list[i].name, r.list[i].value);
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_NONE);
}

/* SDM vol. 3, 24.7: VMXON needs bit 0 and bit 2; with bit 0 set, nothing but a reset changes them. */
Test(host_report, feature_control)
{
	static const struct {
		uint64_t value;
		enum host_verdict verdict;
		const char *words;
	} cases[] = { { 5, HOST_OK, "allowed" },
		      { 7, HOST_OK, "allowed" },
		      { 1, HOST_WORSE, "firmware" },
		      { 3, HOST_WORSE, "firmware" },
		      { 0, HOST_SAY, "modprobe kvm_intel" },
		      { 4, HOST_SAY, "not locked" } };
	struct host_facts f = good();

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f.msr[HOST_MSR_FEATURE_CONTROL].value = cases[i].value;
		expect(&f, "IA32_FEATURE_CONTROL", cases[i].verdict, cases[i].words);
	}
}

Test(host_report, registers_that_cannot_be_read)
{
	struct host_facts f = good();

	for (unsigned i = 0; i < HOST_MSRS; i++)
		f.msr[i].err = ENOENT;
	expect(&f, "IA32_FEATURE_CONTROL", HOST_SAY, "modprobe msr");
	expect(&f, "CR4 in VMX operation", HOST_SAY, "not known");
	f.msr[HOST_MSR_FEATURE_CONTROL].err = EACCES;
	expect(&f, "IA32_FEATURE_CONTROL", HOST_SAY, "as root");
	f.msr[HOST_MSR_FEATURE_CONTROL].err = EIO;
	expect(&f, "IA32_FEATURE_CONTROL", HOST_SAY, "does not have it");
}

Test(host_report, fixed_bits_and_unrestricted_guest)
{
	struct host_facts f = good();

	expect(&f, "CR0 in VMX operation", HOST_OK, "has to have 0x80000021, may have 0xffffffff");
	expect(&f, "unrestricted guest", HOST_OK, "real mode runs");
	f.msr[HOST_MSR_PROCBASED_CTLS2].value = ~(1ull << (32 + 7));
	expect(&f, "unrestricted guest", HOST_WORSE, "interprets real mode");
	/* Without secondary controls the second register does not exist. */
	f.msr[HOST_MSR_PROCBASED_CTLS].value = 0;
	f.msr[HOST_MSR_PROCBASED_CTLS2].err = EIO;
	expect(&f, "unrestricted guest", HOST_WORSE, "interprets real mode");
}

Test(host_report, amd_has_its_own_register)
{
	struct host_facts f = good();
	static struct host_report r;

	strcpy(f.vendor, "AuthenticAMD");
	f.has_vmx = false;
	f.has_svm = true;
	host_judge(&f, &r);
	cr_expect_null(find(&r, "IA32_FEATURE_CONTROL"));
	expect(&f, "VM_CR", HOST_OK, "allowed");
	f.msr[HOST_MSR_VM_CR].value = 1 << 4 | 1 << 3;
	expect(&f, "VM_CR", HOST_WORSE, "locked");
	f.kvm.err = ENOENT;
	expect(&f, "/dev/kvm", HOST_WORSE, "modprobe kvm_amd");
}

Test(host_report, no_extension)
{
	struct host_facts f = good();

	f.has_vmx = false;
	expect(&f, "virtualisation", HOST_WORSE, "firmware");
	f.kvm.probe = (struct kvm_probe){ .kind = KVM_INTERPRETS, .ps_per_insn = 300000, .ns_per_exit = 10000 };
	expect(&f, "kind", HOST_WORSE, "interprets");
	f.kvm.probe.defects = (struct kvm_defects){ .tsc_is_hosts = true, .breaks_syscall = true };
	expect(&f, "SYSCALL", HOST_WORSE, "refuses");
	expect(&f, "TSC", HOST_SAY, "the host's");
	f.kvm.probe.defects.half_syscall = true;
	expect(&f, "SYSCALL", HOST_SAY, "does the rest");
	expect(&f, "--engine auto", HOST_SAY, "emu");
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_SOFTWARE);
	f.has_hypervisor = true;
	strcpy(f.hypervisor, "KVMKVMKVM");
	expect(&f, "hypervisor", HOST_SAY, "KVMKVMKVM");
	expect(&f, "hypervisor", HOST_SAY, "nested virtualisation");
	expect(&f, "virtualisation", HOST_WORSE, "--engine emu");
}

Test(host_report, nested)
{
	struct host_facts f = good();

	f.has_hypervisor = true;
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_NESTED);
	expect(&f, "kind", HOST_SAY, "goes through both");
	expect(&f, "--engine auto", HOST_SAY, "kvm");
}

Test(host_report, device_of_kvm)
{
	struct host_facts f = good();

	f.kvm.err = EACCES;
	expect(&f, "/dev/kvm", HOST_WORSE, "usermod -aG");
	f.kvm.mode = 0600;
	expect(&f, "/dev/kvm", HOST_WORSE, "chgrp kvm");
	f.kvm.err = ENXIO;
	expect(&f, "/dev/kvm", HOST_WORSE, "modprobe kvm_intel");
	f.has_vmx = false;
	expect(&f, "/dev/kvm", HOST_WORSE, "there is no KVM to load");
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_NONE);
}

static int *capability(struct host_facts *f, const char *name)
{
	unsigned c = 0;

	while (kvm_caps[c].name && strcmp(kvm_caps[c].name, name))
		c++;
	cr_assert(kvm_caps[c].name);
	return &f->kvm.capability[c];
}

Test(host_report, kvm_that_lacks_something)
{
	struct host_facts f = good();

	*capability(&f, "XSAVE2") = 0;
	expect(&f, "XSAVE2", HOST_WORSE, "AMX");
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_HARDWARE);
	*capability(&f, "SPLIT_IRQCHIP") = -EINVAL;
	expect(&f, "SPLIT_IRQCHIP", HOST_MISSING, "newer kernel");
	f.kvm.probe = (struct kvm_probe){ .kind = KVM_UNFIT, .lacks = "KVM_CREATE_VM", .error = EBUSY };
	expect(&f, "kind", HOST_MISSING, "VirtualBox");
	expect(&f, "kind", HOST_MISSING, "KVM_CREATE_VM");
	cr_expect_eq(host_kvm_kind(&f), HOST_KVM_NONE);
	f.kvm.api = 11;
	expect(&f, "API version", HOST_MISSING, "11");
}

Test(host_report, fences)
{
	struct host_facts f = good();

	f.user_ns.err = ENOSPC;
	f.user_ns.max = 0;
	expect(&f, "user namespaces", HOST_WORSE, "user.max_user_namespaces");
	f.user_ns.max = 15000;
	f.user_ns.is_off_by_sysctl = true;
	expect(&f, "user namespaces", HOST_WORSE, "unprivileged_userns_clone");
	f.user_ns.is_off_by_sysctl = false;
	f.user_ns.is_restricted_by_apparmor = true;
	expect(&f, "user namespaces", HOST_WORSE, "AppArmor");
	f.user_ns.is_restricted_by_apparmor = false;
	expect(&f, "user namespaces", HOST_WORSE, "container");
	f.landlock_err = EOPNOTSUPP;
	expect(&f, "Landlock", HOST_WORSE, "lsm=");
	f.landlock_err = 0;
	f.landlock_abi = 3;
	expect(&f, "Landlock", HOST_OK, "6.12");
	f.seccomp_err = EINVAL;
	expect(&f, "seccomp", HOST_MISSING, "CONFIG_SECCOMP_FILTER");
}

Test(host_report, resources)
{
	struct host_facts f = good();

	expect(&f, "memory", HOST_SAY, "16384 MiB");
	expect(&f, "huge pages", HOST_OK, "within_size");
	strcpy(f.pages.shmem, "never");
	expect(&f, "huge pages", HOST_SAY, "shmem_enabled");
	f.cgroup.is_writable = false;
	expect(&f, "control groups", HOST_SAY, "Delegate=yes");
	f.cgroup.is_unified = false;
	expect(&f, "control groups", HOST_SAY, "systemd.unified_cgroup_hierarchy=1");
}
