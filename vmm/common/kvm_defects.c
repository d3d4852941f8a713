/* SPDX-License-Identifier: MIT */
/* kvm_defects.h. */
#include "kvm_defects.h"

#if defined(__x86_64__)

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

enum { MSR_TSC = 0x10, MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_FMASK = 0xc0000084 };

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static int msr_set(int vcpu, uint32_t number, uint64_t value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry = { .index = number, .data = value } };

	return ioctl(vcpu, KVM_SET_MSRS, &m) == 1 ? 0 : -EINVAL;
}

/* Written to 0, does it show what the host's shows, between two looks at that? */
static bool tsc_is_hosts(int vcpu)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = MSR_TSC };
	uint64_t before;

	msr_set(vcpu, MSR_TSC, 0); /* refused, or not: what it shows then is what matters */
	before = __rdtsc();
	return ioctl(vcpu, KVM_GET_MSRS, &m) == 1 && before <= m.entry.data && m.entry.data <= __rdtsc();
}

/* Where in memory; the tables map the first 2 MiB to themselves, for all privilege levels. */
enum { USER_CODE = 0x100, KERNEL_CODE = 0x200, PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PORT_KERNEL = 0x82 };
enum { PTE_ALL = 7 /* present, writable, for users */, PTE_LARGE = 0x80 };
enum { KERNEL_CS = 0x10, USER_CS32 = 0x20, USER_CS = (USER_CS32 + 16) | 3, USER_SS = (USER_CS32 + 8) | 3 };

static void write_guest(uint8_t *memory)
{
	static const uint8_t user[] = { 0x0f, 0x05, 0xeb, 0xfc };	   /* syscall, again and again */
	static const uint8_t kernel[] = { 0xe6, PORT_KERNEL, 0xeb, 0xfc }; /* out 82h, al, again and again */
	const uint64_t pml4e = PDPT | PTE_ALL, pdpte = PD | PTE_ALL, pde = PTE_LARGE | PTE_ALL;

	memset(memory, 0, KVM_DEFECTS_BYTES);
	memcpy(memory + USER_CODE, user, sizeof(user));
	memcpy(memory + KERNEL_CODE, kernel, sizeof(kernel));
	memcpy(memory + PML4, &pml4e, 8);
	memcpy(memory + PDPT, &pdpte, 8);
	memcpy(memory + PD, &pde, 8);
}

static int enter_user_mode(int vcpu)
{
	const struct kvm_segment code = {
		.limit = ~0u, .selector = USER_CS, .type = 11, .present = 1, .s = 1, .dpl = 3, .l = 1, .g = 1
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = USER_CODE, .rflags = 2 };
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return -errno;
	data.selector = USER_SS;
	data.type = 3;
	data.l = 0;
	data.db = 1;
	s.cs = code;
	s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cr0 = 0x80000031; /* PG, NE, ET, PE */
	s.cr3 = PML4;
	s.cr4 = 0x20;	/* PAE */
	s.efer = 0x501; /* LMA, LME, SCE */
	return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

static int aim_syscall(int vcpu)
{
	const uint64_t star = (uint64_t)USER_CS32 << 48 | (uint64_t)KERNEL_CS << 32;

	return msr_set(vcpu, MSR_STAR, star) || msr_set(vcpu, MSR_LSTAR, KERNEL_CODE) || msr_set(vcpu, MSR_FMASK, 0) ? -EINVAL
														     : 0;
}

/* It loads CS and SS from IA32_STAR with privilege level 0 (SDM vol. 2, SYSCALL). One that shuts down, or asks for anything but the
 * port, has gone wrong before it; a KVM_RUN that fails tells nothing. */
static bool breaks_syscall(int vcpu, struct kvm_run *run)
{
	struct kvm_sregs s;
	int rc;

	do
		rc = ioctl(vcpu, KVM_RUN, 0);
	while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc < 0 || ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		return false;
	return run->exit_reason != KVM_EXIT_IO || run->io.port != PORT_KERNEL || s.cs.selector != KERNEL_CS || s.ss.dpl != 0;
}

void kvm_defects_find(int vcpu, struct kvm_run *run, void *memory, struct kvm_defects *out)
{
	*out = (struct kvm_defects){ .tsc_is_hosts = tsc_is_hosts(vcpu) };
	write_guest(memory);
	if (enter_user_mode(vcpu) == 0 && aim_syscall(vcpu) == 0)
		out->breaks_syscall = breaks_syscall(vcpu, run);
}

#else

void kvm_defects_find(int vcpu, struct kvm_run *run, void *memory, struct kvm_defects *out)
{
	*out = (struct kvm_defects){ 0 };
}

#endif
