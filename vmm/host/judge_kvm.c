/* SPDX-License-Identifier: MIT */
/* KVM: whether it is there, may be used, and has what the engine asks of it: host.h. */
#include "judge.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#define AREA "kvm"

const struct host_capability_row host_capability_rows[HOST_CAPABILITIES] = {
#define CAPABILITY(NAME, need, purpose, lost) { "KVM_CAP_" #NAME, KVM_CAP_##NAME, HOST_##need, purpose, lost },
#include "capabilities.def"
};

enum host_kvm host_kvm_kind(const struct host_facts *f)
{
	if (f->kvm.err || f->kvm.api != KVM_API_VERSION || f->kvm.vm_err)
		return HOST_KVM_NONE;
	for (unsigned c = 0; c < HOST_CAPABILITIES; c++)
		if (host_capability_rows[c].need == HOST_NEEDED && f->kvm.capability[c] <= 0)
			return HOST_KVM_NONE;
	if (!f->has_vmx && !f->has_svm)
		return HOST_KVM_SOFTWARE;
	return f->has_hypervisor ? HOST_KVM_NESTED : HOST_KVM_HARDWARE;
}

/* The module that this processor wants. */
static const char *module_of(const struct host_facts *f)
{
	return f->has_svm ? "kvm_amd" : "kvm_intel";
}

static void advise_module(const struct host_facts *f, struct host_report *r)
{
	if (f->has_vmx || f->has_svm)
		host_advise(r, "modprobe %s, as root; in a container: give it the device /dev/kvm; until then --engine emu",
			    module_of(f));
	else
		host_advise(r, "nothing: without VMX or SVM there is no KVM to load; --engine emu needs none");
}

/* A missing KVM is no lack of the host's where its processor could not carry one. */
static void judge_device(const struct host_facts *f, struct host_report *r)
{
	const char *name = "/dev/kvm";

	switch (f->kvm.err) {
	case 0:
		host_find(r, AREA, name, HOST_OK, "may be used (mode %04o, user %u, group %u)", f->kvm.mode & 07777, f->kvm.uid,
			  f->kvm.gid);
		break;
	case ENOENT:
	case ENXIO:
	case ENODEV:
		host_find(r, AREA, name, HOST_WORSE, f->kvm.err == ENOENT ? "is not there" : "is there, and no KVM behind it");
		advise_module(f, r);
		break;
	case EACCES:
	case EPERM:
		host_find(r, AREA, name, HOST_WORSE, "may not be used by you (mode %04o, user %u, group %u)", f->kvm.mode & 07777,
			  f->kvm.uid, f->kvm.gid);
		host_advise(r, f->kvm.mode & 060 && f->kvm.gid
				       ? "be a member of its group: usermod -aG kvm USER, as root, then log in anew"
				       : "let a group have it: chgrp kvm /dev/kvm; chmod 660 /dev/kvm, as root; in a container, "
					 "its device list");
		break;
	default:
		host_find(r, AREA, name, HOST_WORSE, "cannot be opened: %s", strerror(f->kvm.err));
	}
}

static void judge_api(const struct host_facts *f, struct host_report *r)
{
	if (f->kvm.api == KVM_API_VERSION) {
		host_find(r, AREA, "API version", HOST_OK, "%d", f->kvm.api);
		return;
	}
	host_find(r, AREA, "API version", HOST_MISSING, "%d, and not %d", f->kvm.api, KVM_API_VERSION);
	host_advise(r, "what lies at /dev/kvm is no KVM of Linux 2.6.22 or later");
}

static void judge_machine(const struct host_facts *f, struct host_report *r)
{
	if (!f->kvm.vm_err) {
		host_find(r, AREA, "a machine", HOST_OK, "can be made");
		return;
	}
	host_find(r, AREA, "a machine", HOST_MISSING, "cannot be made: %s", strerror(f->kvm.vm_err));
	host_advise(r, f->kvm.vm_err == EBUSY
			       ? "another hypervisor (VirtualBox, VMware) has the processor: end it, unload its module"
			       : "look into the kernel's log (dmesg); --engine emu goes without");
}

static const char *nested_word(char nested)
{
	return nested == 'Y' || nested == '1' ? "; guests may use virtualisation themselves (nested)"
	       : nested			      ? "; guests may not use virtualisation themselves (nested=0)"
					      : "";
}

static void judge_kind(const struct host_facts *f, struct host_report *r)
{
	const char *name = "kind";

	switch (host_kvm_kind(f)) {
	case HOST_KVM_NONE:
		break;
	case HOST_KVM_SOFTWARE:
		host_find(r, AREA, name, HOST_WORSE, "software: there is no VMX or SVM under it (modules: %s)", f->kvm.modules);
		host_advise(r, "it interprets the guest's kernel; --engine emu is faster for whole systems");
		break;
	case HOST_KVM_NESTED:
		host_find(r, AREA, name, HOST_SAY, "nested: the hypervisor below lends its hardware%s (modules: %s)",
			  nested_word(f->kvm.nested), f->kvm.modules);
		host_advise(r, "each exit goes through two hypervisors and costs ten times as much; programs run at full speed");
		break;
	case HOST_KVM_HARDWARE:
		host_find(r, AREA, name, HOST_OK, "hardware%s (modules: %s)", nested_word(f->kvm.nested), f->kvm.modules);
		break;
	}
}

static void judge_capability(const struct host_facts *f, struct host_report *r, enum host_capability c)
{
	const struct host_capability_row *row = &host_capability_rows[c];
	const int value = f->kvm.capability[c];

	if (value > 0) {
		host_find(r, AREA, row->name, row->need == HOST_NUMBER ? HOST_SAY : HOST_OK, "%d: %s", value, row->purpose);
		return;
	}
	switch (row->need) {
	case HOST_NEEDED:
		host_find(r, AREA, row->name, HOST_MISSING, "%d, and --engine kvm needs it: %s", value, row->purpose);
		host_advise(r, "a newer kernel has it (Linux 4.12 has all that are needed); until then --engine emu");
		break;
	case HOST_BETTER:
		host_find(r, AREA, row->name, HOST_WORSE, "%d: %s", value, row->lost);
		host_advise(r, "a newer kernel may have it; --engine emu goes without");
		break;
	case HOST_NUMBER:
		host_find(r, AREA, row->name, HOST_SAY, "not told: %s", row->purpose);
		break;
	}
}

void host_judge_kvm(const struct host_facts *f, struct host_report *r)
{
	judge_device(f, r);
	if (f->kvm.err)
		return;
	judge_api(f, r);
	if (f->kvm.api != KVM_API_VERSION)
		return;
	judge_machine(f, r);
	judge_kind(f, r);
	for (unsigned c = 0; c < HOST_CAPABILITIES; c++)
		judge_capability(f, r, (enum host_capability)c);
}
