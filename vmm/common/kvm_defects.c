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

/* Where in memory. The tables map the first 2 MiB to themselves, for programs, and once more behind that, for the kernel alone. */
enum { USER_CODE = 0x100, KERNEL_CODE = 0x200, HANDLER = 0x300, PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, IDT = 0x4000, GDT = 0x4400 };
enum { TSS = 0x4500, STACK = 0x5000, KERNEL = 0x200000, PORT_KERNEL = 0x82, PORT_FAULT = 0x83, VEC_PF = 14 };
enum { PTE_KERNEL = 3 /* present, writable */, PTE_ALL = 7 /* for users, too */, PTE_LARGE = 0x80 };
enum { KERNEL_CS = 0x10, USER_CS32 = 0x20, USER_CS = (USER_CS32 + 16) | 3, USER_SS = (USER_CS32 + 8) | 3 };

static void put(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, 8);
}

static void write_guest(uint8_t *memory)
{
	static const uint8_t user[] = { 0x0f, 0x05, 0xeb, 0xfc };	   /* syscall, again and again */
	static const uint8_t kernel[] = { 0xe6, PORT_KERNEL, 0xeb, 0xfc }; /* out 82h, al, again and again */
	static const uint8_t handler[] = { 0xe6, PORT_FAULT, 0xeb, 0xfc }; /* out 83h, al, again and again */

	memset(memory, 0, KVM_DEFECTS_BYTES);
	memcpy(memory + USER_CODE, user, sizeof(user));
	memcpy(memory + KERNEL_CODE, kernel, sizeof(kernel));
	memcpy(memory + HANDLER, handler, sizeof(handler));
	put(memory + PML4, PDPT | PTE_ALL);
	put(memory + PDPT, PD | PTE_ALL);
	put(memory + PD, PTE_LARGE | PTE_ALL);
	put(memory + PD + 8, PTE_LARGE | PTE_KERNEL);
	put(memory + GDT + KERNEL_CS, 0x00af9b000000ffff);
	put(memory + GDT + KERNEL_CS + 8, 0x00cf93000000ffff);
	put(memory + IDT + 16 * VEC_PF, (uint64_t)(KERNEL >> 16) << 48 | 0x8e0000000000 | KERNEL_CS << 16 | HANDLER);
	put(memory + TSS + 4, KERNEL + STACK);
}

static void set_tables(struct kvm_sregs *s)
{
	s->gdt.base = KERNEL + GDT;
	s->gdt.limit = KERNEL_CS + 15;
	s->idt.base = KERNEL + IDT;
	s->idt.limit = 16 * (VEC_PF + 1) - 1;
	s->tr = (struct kvm_segment){ .base = KERNEL + TSS, .limit = 0x67, .selector = 0x40, .type = 11, .present = 1 };
}

static int enter_user_mode(int vcpu)
{
	const struct kvm_segment code = {
		.limit = ~0u, .selector = USER_CS, .type = 11, .present = 1, .s = 1, .dpl = 3, .l = 1, .g = 1
	};
	struct kvm_segment data = code;
	struct kvm_regs regs = { .rip = USER_CODE, .rflags = 0x202 };
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
	set_tables(&s);
	return ioctl(vcpu, KVM_SET_SREGS, &s) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

static int aim_syscall(int vcpu)
{
	const uint64_t star = (uint64_t)USER_CS32 << 48 | (uint64_t)KERNEL_CS << 32;

	return msr_set(vcpu, MSR_STAR, star) || msr_set(vcpu, MSR_LSTAR, KERNEL + KERNEL_CODE) || msr_set(vcpu, MSR_FMASK, 0x200)
		       ? -EINVAL
		       : 0;
}

/* Does the page fault of a SYSCALL that is half done stop at its handler, by which engine kvm sees and mends it? */
static void watch_handler(int vcpu)
{
	struct kvm_guest_debug d = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP };

	d.arch.debugreg[0] = KERNEL + HANDLER;
	d.arch.debugreg[7] = 0x602;
	ioctl(vcpu, KVM_SET_GUEST_DEBUG, &d); /* refused: it does not stop */
}

/* What the fault has pushed: error code, RIP, CS (SDM vol. 3, 6.14.2). */
static bool is_half_done(const struct kvm_run *run, const struct kvm_regs *r, const uint8_t *memory)
{
	uint64_t frame[3];

	if (run->exit_reason != KVM_EXIT_DEBUG || r->rip != KERNEL + HANDLER || r->rsp != KERNEL + STACK - 48)
		return false;
	memcpy(frame, memory + STACK - 48, sizeof(frame));
	return frame[1] == KERNEL + KERNEL_CODE && frame[2] == USER_CS && r->rcx == USER_CODE + 2 && r->r11 == 0x202;
}

/* It loads CS and SS from IA32_STAR with privilege level 0 (SDM vol. 2, SYSCALL). One that shuts down, or asks for anything but the
 * port, has gone wrong before it; a KVM_RUN that fails tells nothing. */
static void try_syscall(int vcpu, struct kvm_run *run, const uint8_t *memory, struct kvm_defects *out)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	int rc;

	watch_handler(vcpu);
	do
		rc = ioctl(vcpu, KVM_RUN, 0);
	while (rc < 0 && (errno == EINTR || errno == EAGAIN));
	if (rc < 0 || ioctl(vcpu, KVM_GET_SREGS, &s) < 0 || ioctl(vcpu, KVM_GET_REGS, &r) < 0)
		return;
	out->breaks_syscall =
		run->exit_reason != KVM_EXIT_IO || run->io.port != PORT_KERNEL || s.cs.selector != KERNEL_CS || s.ss.dpl != 0;
	out->half_syscall = out->breaks_syscall && is_half_done(run, &r, memory);
}

void kvm_defects_find(int vcpu, struct kvm_run *run, void *memory, struct kvm_defects *out)
{
	*out = (struct kvm_defects){ .tsc_is_hosts = tsc_is_hosts(vcpu) };
	write_guest(memory);
	if (enter_user_mode(vcpu) == 0 && aim_syscall(vcpu) == 0)
		try_syscall(vcpu, run, memory, out);
}

#else

void kvm_defects_find(int vcpu, struct kvm_run *run, void *memory, struct kvm_defects *out)
{
	*out = (struct kvm_defects){ 0 };
}

#endif
