/* SPDX-License-Identifier: MIT */
/* The processor, and whether its virtualisation can be used: host.h. */
#include "judge.h"

#include <errno.h>
#include <string.h>

#define AREA "processor"

static bool is_amd(const struct host_facts *f)
{
	return !strcmp(f->vendor, "AuthenticAMD") || !strcmp(f->vendor, "HygonGenuine");
}

static void judge_hypervisor(const struct host_facts *f, struct host_report *r)
{
	if (!f->has_hypervisor) {
		host_find(r, AREA, "hypervisor", HOST_OK, "none: this is the machine itself");
		return;
	}
	host_find(r, AREA, "hypervisor", HOST_SAY, "this host is a guest itself%s%s", f->hypervisor[0] ? ", of " : "",
		  f->hypervisor);
	if (!f->has_vmx && !f->has_svm)
		host_advise(r,
			    "ask whoever runs it for nested virtualisation (KVM: the nested parameter of kvm_intel or kvm_amd, "
			    "and -cpu host), or take a machine of bare metal");
}

static void judge_extension(const struct host_facts *f, struct host_report *r)
{
	if (f->has_vmx || f->has_svm) {
		host_find(r, AREA, "virtualisation", HOST_OK, f->has_vmx ? "VMX in CPUID" : "SVM in CPUID");
		return;
	}
	host_find(r, AREA, "virtualisation", HOST_WORSE, "neither VMX nor SVM in CPUID");
	if (f->has_hypervisor)
		host_advise(r, "the hypervisor below does not lend it; the emulator needs none (--engine emu)");
	else
		host_advise(r, "switch on %s in the firmware's set-up, if it has that; the emulator needs none (--engine emu)",
			    is_amd(f) ? "SVM (AMD-V)" : "VMX (Intel Virtualization Technology)");
}

static const struct {
	int err;
	const char *why, *advice;
} unreadable[] = {
	{ ENOENT, "not known: no /dev/cpu/0/msr", "modprobe msr, as root; only to see it here" },
	{ ENXIO, "not known: no /dev/cpu/0/msr", "modprobe msr, as root; only to see it here" },
	{ EACCES, "not known: /dev/cpu/0/msr is for root", "run bulkhead host as root; only to see it here" },
	{ EPERM, "not known: /dev/cpu/0/msr is for root", "run bulkhead host as root, outside of containers; only to see it here" },
	{ EIO, "this processor, or the hypervisor below, does not have it", "" },
};

/* Says why the register is not known, if it is not. */
static bool is_unknown(const struct host_facts *f, struct host_report *r, enum host_msr msr, const char *name)
{
	const int err = f->msr[msr].err;

	if (!err)
		return false;
	for (unsigned i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		if (unreadable[i].err == err) {
			host_find(r, AREA, name, HOST_SAY, "%s", unreadable[i].why);
			host_advise(r, "%s", unreadable[i].advice);
			return true;
		}
	host_find(r, AREA, name, HOST_SAY, "not known: %s", strerror(err));
	return true;
}

/* SDM vol. 3, 24.7: VMXON is #GP unless bit 0 (lock) and bit 2 (outside of SMX) are set; unlocked, the kernel sets them. */
static void judge_feature_control(const struct host_facts *f, struct host_report *r)
{
	const uint64_t value = f->msr[HOST_MSR_FEATURE_CONTROL].value;
	const bool is_locked = value & 1, allows = value >> 2 & 1;
	const char *name = "IA32_FEATURE_CONTROL";

	if (is_unknown(f, r, HOST_MSR_FEATURE_CONTROL, name))
		return;
	if (is_locked && !allows) {
		host_find(r, AREA, name, HOST_WORSE, "0x%llx: locked, VMXON is not allowed", (unsigned long long)value);
		host_advise(
			r,
			"switch on Intel Virtualization Technology in the firmware's set-up, and switch the machine off and on");
	} else if (!is_locked) {
		host_find(r, AREA, name, HOST_SAY, "0x%llx: not locked", (unsigned long long)value);
		host_advise(r, "modprobe kvm_intel: the kernel allows VMXON then");
	} else {
		host_find(r, AREA, name, HOST_OK, "0x%llx: locked, VMXON is allowed", (unsigned long long)value);
	}
}

/* SDM vol. 3, A.7 and A.8: a bit that is 1 in FIXED0 has to be 1 in VMX operation, one that is 0 in FIXED1 has to be 0. */
static void judge_fixed_bits(const struct host_facts *f, struct host_report *r)
{
	static const struct {
		const char *name;
		enum host_msr zero, one;
	} registers[] = {
		{ "CR0 in VMX operation", HOST_MSR_CR0_FIXED0, HOST_MSR_CR0_FIXED1 },
		{ "CR4 in VMX operation", HOST_MSR_CR4_FIXED0, HOST_MSR_CR4_FIXED1 },
	};

	for (unsigned i = 0; i < 2; i++)
		if (!is_unknown(f, r, registers[i].zero, registers[i].name) &&
		    !is_unknown(f, r, registers[i].one, registers[i].name))
			host_find(r, AREA, registers[i].name, HOST_OK, "has to have 0x%llx, may have 0x%llx",
				  (unsigned long long)f->msr[registers[i].zero].value,
				  (unsigned long long)f->msr[registers[i].one].value);
}

/* SDM vol. 3, A.3.2 and A.3.3: the upper half of each says what may be 1. Bit 31 of the first: there is a second; bit 7 of
 * that: unrestricted guest, without which KVM interprets real mode. */
static void judge_unrestricted(const struct host_facts *f, struct host_report *r)
{
	const char *name = "unrestricted guest";
	const bool has_second = f->msr[HOST_MSR_PROCBASED_CTLS].value >> 63 & 1;

	if (is_unknown(f, r, HOST_MSR_PROCBASED_CTLS, name))
		return;
	if (has_second && is_unknown(f, r, HOST_MSR_PROCBASED_CTLS2, name))
		return;
	if (has_second && (f->msr[HOST_MSR_PROCBASED_CTLS2].value >> (32 + 7) & 1)) {
		host_find(r, AREA, name, HOST_OK, "yes: real mode runs on the processor");
		return;
	}
	host_find(r, AREA, name, HOST_WORSE, "no: KVM interprets real mode");
	host_advise(r, "nothing to do for kernels that start in 64-bit mode; a guest in real mode is slow, and --engine emu may "
		       "be faster");
}

/* APM vol. 2, 15.30.1: VM_CR.SVMDIS (bit 4) keeps EFER.SVME zero, LOCK (bit 3) keeps SVMDIS. */
static void judge_vm_cr(const struct host_facts *f, struct host_report *r)
{
	const uint64_t value = f->msr[HOST_MSR_VM_CR].value;

	if (is_unknown(f, r, HOST_MSR_VM_CR, "VM_CR"))
		return;
	if (!(value >> 4 & 1)) {
		host_find(r, AREA, "VM_CR", HOST_OK, "0x%llx: SVM is allowed", (unsigned long long)value);
		return;
	}
	host_find(r, AREA, "VM_CR", HOST_WORSE, "0x%llx: SVM is switched off%s", (unsigned long long)value,
		  value >> 3 & 1 ? ", and locked" : "");
	host_advise(r, "switch on SVM (AMD-V) in the firmware's set-up, and switch the machine off and on");
}

void host_judge_processor(const struct host_facts *f, struct host_report *r)
{
	host_find(r, AREA, "model", HOST_SAY, "%s (%s, family %u, model %u, stepping %u), %u of them",
		  f->brand[0] ? f->brand : "without a name", f->vendor, f->family, f->model, f->stepping, f->processors);
	judge_hypervisor(f, r);
	judge_extension(f, r);
	if (f->has_vmx) {
		judge_feature_control(f, r);
		judge_fixed_bits(f, r);
		judge_unrestricted(f, r);
	}
	if (f->has_svm)
		judge_vm_cr(f, r);
}
