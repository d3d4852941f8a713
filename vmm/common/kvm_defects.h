/* SPDX-License-Identifier: MIT */
/* What a guest would stumble over that no capability tells of: some KVMs that interpret get it wrong, none that is hardware does. */
#ifndef BULKHEAD_VMM_KVM_DEFECTS_H
#define BULKHEAD_VMM_KVM_DEFECTS_H

#include <stdbool.h>

struct kvm_run;

struct kvm_defects {
	bool tsc_is_hosts;   /* a guest's counter is the host's, whatever is written to it */
	bool breaks_syscall; /* SYSCALL of a 64-bit program does not arrive in its kernel: systems with such programs do not live */
	bool half_syscall;   /* and that in the way that engine kvm mends (vmm/kvm/syscall.c) */
};

enum { KVM_DEFECTS_BYTES = 5 * 4096 /* and a mapping of more that nothing touches */ };

/*
 * What cannot be told is false. `vcpu` is a scratch machine's only processor, and
 * of no use afterwards; `memory` is that machine's, KVM_DEFECTS_BYTES of it at its address 0.
 */
void kvm_defects_find(int vcpu, struct kvm_run *run, void *memory, struct kvm_defects *out);

#endif
