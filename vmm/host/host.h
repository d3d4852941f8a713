/* SPDX-License-Identifier: MIT */
/*
 * What this host offers to machines, and what is missing. host_read() asks the host and judges nothing; host_judge() is
 * pure, says what the facts mean and what to do, and so is tested with hosts that nobody has here.
 */
#ifndef BULKHEAD_VMM_HOST_H
#define BULKHEAD_VMM_HOST_H

#include <stdbool.h>
#include <stdint.h>

enum host_need { HOST_NEEDED, HOST_BETTER, HOST_NUMBER };

enum host_capability {
#define CAPABILITY(NAME, ...) HOST_CAP_##NAME,
#include "capabilities.def"
	HOST_CAPABILITIES
};

struct host_capability_row {
	const char *name;
	unsigned number; /* KVM_CAP_* */
	enum host_need need;
	const char *purpose, *lost;
};
extern const struct host_capability_row host_capability_rows[HOST_CAPABILITIES];

/* Model-specific registers that say whether VMX or SVM can be used (SDM vol. 3, appendix A and 24.7; APM vol. 2, 15.30.1). */
enum host_msr {
	HOST_MSR_FEATURE_CONTROL,
	HOST_MSR_CR0_FIXED0,
	HOST_MSR_CR0_FIXED1,
	HOST_MSR_CR4_FIXED0,
	HOST_MSR_CR4_FIXED1,
	HOST_MSR_PROCBASED_CTLS,
	HOST_MSR_PROCBASED_CTLS2,
	HOST_MSR_VM_CR,
	HOST_MSRS
};

/* Everything that is called err is 0 or a positive errno: why it is not known, or does not work. */
struct host_facts {
	/* CPUID, as this program sees it */
	char vendor[13], brand[49], hypervisor[13]; /* hypervisor: of leaf 40000000h, empty on bare metal */
	unsigned family, model, stepping, processors;
	bool has_vmx, has_svm, has_hypervisor;

	struct {
		int err;
		uint64_t value;
	} msr[HOST_MSRS];

	struct {
		int err; /* of opening /dev/kvm */
		unsigned mode, uid, gid; /* of /dev/kvm, if it is there */
		bool is_there;
		int api, api_err, vm_err; /* vm: of making one */
		int capability[HOST_CAPABILITIES]; /* as KVM_CHECK_EXTENSION answers on a machine, or on /dev/kvm if there is none */
		char modules[64]; /* kvm and those whose name begins so, with spaces between */
		char nested; /* kvm_intel's or kvm_amd's parameter: 'Y', 'N', or 0 if neither is loaded */
	} kvm;

	struct {
		int err; /* of making those that a machine's processes get, and of mounting inside */
		uint64_t max; /* user.max_user_namespaces; UINT64_MAX: not there */
		bool is_off_by_sysctl, is_restricted_by_apparmor;
	} user_ns;
	int seccomp_err, landlock_err, landlock_abi;

	struct {
		char transparent[16], shmem[16]; /* the word in brackets; empty: this kernel has none */
	} pages;
	struct {
		bool is_unified; /* version 2 alone */
		bool is_writable; /* may this user make groups below that of this program? */
		char controllers[128];
	} cgroup;
	uint64_t memory_kib, available_kib;
	unsigned uid;
};

void host_read(struct host_facts *out);

enum host_verdict {
	HOST_OK,     /* it is there */
	HOST_SAY,    /* worth knowing; nothing is missing */
	HOST_WORSE,  /* machines run, and lack something */
	HOST_MISSING /* something does not work at all */
};

enum { HOST_FINDINGS_MAX = 64, HOST_TEXT_MAX = 256 };

/* A line of the report. `area` and `name` are words for scripts and stay what they are. */
struct host_finding {
	const char *area, *name;
	enum host_verdict verdict;
	char value[HOST_TEXT_MAX], advice[HOST_TEXT_MAX]; /* advice: what to do about it; may be empty */
};

struct host_report {
	struct host_finding list[HOST_FINDINGS_MAX];
	unsigned count;
};

enum host_kvm {
	HOST_KVM_NONE,     /* cannot be used */
	HOST_KVM_SOFTWARE, /* without VMX or SVM: it interprets or translates */
	HOST_KVM_NESTED,   /* hardware, lent by another hypervisor */
	HOST_KVM_HARDWARE
};

enum host_kvm host_kvm_kind(const struct host_facts *f);
void host_judge(const struct host_facts *f, struct host_report *out);

#endif
