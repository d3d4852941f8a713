/* SPDX-License-Identifier: MIT */
/* KVM: whether it is there, may be used, and has what the engine asks of it: host.h. */
#include "judge.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#define AREA "kvm"

enum host_kvm host_kvm_kind(const struct host_facts *f)
{
	if (f->kvm.err || f->kvm.probe.kind == KVM_ABSENT || f->kvm.probe.kind == KVM_UNFIT)
		return HOST_KVM_NONE;
	if (f->kvm.probe.kind == KVM_INTERPRETS)
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

static const char *nested_word(char nested)
{
	return nested == 'Y' || nested == '1' ? "; guests may use virtualisation themselves (nested)"
	       : nested			      ? "; guests may not use virtualisation themselves (nested=0)"
					      : "";
}

static void judge_kind(const struct host_facts *f, struct host_report *r)
{
	const char *name = "kind", *nested = nested_word(f->kvm.nested);
	char measured[KVM_PROBE_TEXT];

	kvm_probe_text(&f->kvm.probe, measured);
	switch (host_kvm_kind(f)) {
	case HOST_KVM_NONE:
		host_find(r, AREA, name, HOST_MISSING, "cannot be used: %s", measured);
		host_advise(r,
			    f->kvm.probe.error == EBUSY
				    ? "another hypervisor (VirtualBox, VMware) has the processor: end it, and unload its module"
				    : "a newer kernel may have it, and its log (dmesg) may tell more; --engine emu goes without");
		break;
	case HOST_KVM_SOFTWARE:
		host_find(r, AREA, name, HOST_WORSE, "software: %s (modules: %s)", measured, f->kvm.modules);
		host_advise(r, "--engine emu is faster for whole systems");
		break;
	case HOST_KVM_NESTED:
		host_find(r, AREA, name, HOST_SAY, "nested: %s%s (modules: %s)", measured, nested, f->kvm.modules);
		host_advise(r,
			    "the hypervisor below lends its hardware: each exit goes through both; programs run at full speed");
		break;
	case HOST_KVM_HARDWARE:
		host_find(r, AREA, name, HOST_OK, "hardware: %s%s (modules: %s)", measured, nested, f->kvm.modules);
		break;
	}
}

/* What no capability tells. */
static void judge_defects(const struct kvm_probe *p, struct host_report *r)
{
	for (unsigned n = 0; n < KVM_COMPLAINTS; n++) {
		const struct kvm_complaint c = kvm_complaint(p, n);

		if (!c.what || !strcmp(c.name, "speed")) /* the kind says that */
			continue;
		host_find(r, AREA, c.name, c.harms ? HOST_WORSE : HOST_SAY, "%s", c.what);
		host_advise(r, "%s", c.advice);
	}
}

static void judge_capability(struct host_report *r, const struct kvm_cap_row *row, int value)
{
	if (value > 0) {
		host_find(r, AREA, row->name, HOST_OK, "%d: %s", value, row->what);
	} else if (row->needed) {
		host_find(r, AREA, row->name, HOST_MISSING, "%d, and --engine kvm needs it: %s", value, row->what);
		host_advise(r, "a newer kernel has it (Linux 4.12 has all that are needed); until then --engine emu");
	} else {
		host_find(r, AREA, row->name, HOST_WORSE, "%d: not there, %s", value, row->what);
		host_advise(r, "a newer kernel may have it; --engine emu goes without");
	}
}

/* What --engine auto takes, and why. */
static void judge_auto(const struct host_facts *f, struct host_report *r)
{
	const enum host_kvm kind = host_kvm_kind(f);

	host_find(r, AREA, "--engine auto", HOST_SAY,
		  kind == HOST_KVM_NESTED || kind == HOST_KVM_HARDWARE ? "takes kvm: it runs guest code on the processor itself"
								       : "takes emu: our own emulator, translator included");
}

void host_judge_kvm(const struct host_facts *f, struct host_report *r)
{
	judge_device(f, r);
	if (!f->kvm.err)
		judge_api(f, r);
	if (!f->kvm.err && f->kvm.api == KVM_API_VERSION) {
		judge_kind(f, r);
		judge_defects(&f->kvm.probe, r);
		for (unsigned c = 0; c < HOST_CAPABILITIES_MAX && kvm_caps[c].name; c++)
			judge_capability(r, &kvm_caps[c], f->kvm.capability[c]);
		host_find(r, AREA, "processors", HOST_SAY, "%d of one machine at most, %d are recommended", f->kvm.max_vcpus,
			  f->kvm.recommended_vcpus);
	}
	judge_auto(f, r);
}
