/* SPDX-License-Identifier: MIT */
/*
 * What kind of KVM this host has. That /dev/kvm is there says little: where the host is a virtual machine itself, KVM may
 * interpret guest code, and is slower by far than our own emulator. So it is measured, in some milliseconds.
 */
#ifndef BULKHEAD_VMM_KVM_PROBE_H
#define BULKHEAD_VMM_KVM_PROBE_H

#include "kvm_defects.h"

#include <stdbool.h>
#include <stdint.h>

enum kvm_kind {
	KVM_ABSENT,	 /* no /dev/kvm, or not for us: `error` is why */
	KVM_UNFIT,	 /* it cannot do what we need of it: `lacks` names it, `error` is what it said or 0 */
	KVM_INTERPRETS,	 /* it works, slowly */
	KVM_HARDWARE,
};

struct kvm_probe {
	enum kvm_kind kind;
	int error; /* errno, positive */
	const char *lacks; /* KVM_UNFIT: a capability or a call by name */
	uint64_t ps_per_insn; /* picoseconds for an instruction of privileged code; these two 0: not measured */
	uint32_t tsc_khz;     /* of a guest's time-stamp counter; 0: it does not tell */
	uint64_t ns_per_exit; /* for a port write that its process answers */
	struct kvm_defects defects;
};

enum { KVM_PROBE_TEXT = 160 };

/* A capability that the engine asks for. */
struct kvm_cap_row {
	const char *name;
	int number;
	bool needed; /* without it there is no engine kvm */
	const char *what; /* it is for */
};
/* Ends with a row without a name. Empty where engine kvm cannot be. */
extern const struct kvm_cap_row kvm_caps[];

/* /dev/kvm, or -errno. */
int kvm_open(void);
/* What KVM_CHECK_EXTENSION says of it: 0 and negative mean no. */
int kvm_cap(int kvm_fd, int number);
/*
 * Measures with a scratch machine of some pages: up to 40,000 instructions of ring 0, 100 exits. Some milliseconds, below one where
 * it is hardware (plus what making a machine takes). `kvm_fd` stays the caller's; negative: -errno of kvm_open().
 */
void kvm_probe(int kvm_fd, struct kvm_probe *out);
/*
 * What a guest may stumble over under this KVM, by a row number: what it is and what to do about it, for `bulkhead host`, `status` and who
 * asks for --engine kvm. `what` is NULL where there is nothing to say.
 */
enum { KVM_COMPLAINTS = 3 };
struct kvm_complaint {
	const char *name, *what, *advice;
	bool harms; /* the guest, and not only its speed */
};
struct kvm_complaint kvm_complaint(const struct kvm_probe *p, unsigned row);
/* The finding in a sentence that says what it means for the choice of an engine. */
void kvm_probe_text(const struct kvm_probe *p, char out[KVM_PROBE_TEXT]);

#endif
