/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL, for a KVM that does half of it. One that interprets a guest's kernel may run the guest's programs on the processor itself.
 * Their SYSCALL then loads RIP, RCX, R11 and RFLAGS (SDM vol. 2, SYSCALL), but not CS and SS: the program goes on at the entry of
 * its kernel, with its own privilege, may not fetch from there, and a page fault is delivered that no processor would raise.
 *
 * So each page fault is looked at before the guest sees it, by a breakpoint at its handler. Of one that is such a SYSCALL
 * the rest is done: CS, SS, the program's stack pointer. Any other goes on, past the breakpoint by a single step.
 *
 * What is left of it in the guest: CR2, and 48 bytes below the stack pointer that its task-state segment has. The guest's own
 * breakpoints in debug registers do not hit meanwhile.
 */
#include "kvm.h"

#include "emu/core/flags.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { MSR_STAR = 0xc0000081, MSR_LSTAR, MSR_FMASK = 0xc0000084, PAGE = 4096, GATE_BYTES = 16, GATE_PRESENT = 0x80 };
enum { DR6_OWN = 1 << (KVM_SLOTS - 1), DR6_OTHERS = DR6_OWN - 1, ERROR_USER = 4 };

/* What the delivery of a fault with an error code pushes (SDM vol. 3, 6.14.2), the last one first. */
struct frame {
	uint64_t error, rip, cs, rflags, rsp, ss;
};

struct entry_msrs {
	uint64_t star, lstar, fmask;
};

int kvm_mend_init(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	if (!k->mends_syscall)
		return 0;
	v->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
	return ioctl(v->fd, KVM_GET_SREGS, &v->run->s.regs.sregs) < 0 ? kvm_fail(k, "KVM_GET_SREGS") : 0;
}

/* Offset of a 64-bit gate (SDM vol. 3, 6.14.1); 0: it is not present. Its segment begins at 0. */
static uint64_t gate_offset(const uint8_t *gate)
{
	uint16_t low, middle;
	uint32_t high;

	memcpy(&low, gate, 2);
	memcpy(&middle, gate + 6, 2);
	memcpy(&high, gate + 8, 4);
	return gate[5] & GATE_PRESENT ? low | (uint64_t)middle << 16 | (uint64_t)high << 32 : 0;
}

static void find_gate(struct kvm_engine *k, unsigned vcpu, const struct kvm_sregs *s)
{
	struct kvm_mend *m = &k->vcpu[vcpu].mend;

	m->idt_base = s->idt.base;
	m->cr3 = s->cr3;
	m->gate = s->idt.limit >= GATE_BYTES * (VEC_PF + 1) - 1 && (s->idt.base & 7) == 0
			  ? kvm_host_of(k, vcpu, s->idt.base + GATE_BYTES * VEC_PF)
			  : NULL;
}

int kvm_mend_watch(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	const struct kvm_sregs *s = &v->run->s.regs.sregs;
	struct kvm_mend *m = &v->mend;
	uint64_t handler = 0;

	if (!k->mends_syscall || m->passing)
		return 0;
	if (s->efer & EFER_LMA) {
		if (!m->gate || s->idt.base != m->idt_base || s->cr3 != m->cr3)
			find_gate(k, vcpu, s);
		handler = m->gate ? gate_offset(m->gate) : 0;
	}
	if (handler == m->handler)
		return 0;
	m->handler = handler;
	return kvm_debug_tell(k, vcpu);
}

static bool read_linear(struct kvm_engine *k, unsigned vcpu, uint64_t at, void *to, size_t bytes)
{
	const size_t first = PAGE - at % PAGE < bytes ? PAGE - at % PAGE : bytes;
	const uint8_t *from = kvm_host_of(k, vcpu, at);

	if (!from)
		return false;
	memcpy(to, from, first);
	return first == bytes || read_linear(k, vcpu, at + first, (uint8_t *)to + first, bytes - first);
}

static bool read_msrs(const struct kvm_engine *k, unsigned vcpu, struct entry_msrs *out)
{
	const int fd = k->vcpu[vcpu].fd;

	return kvm_msr_get(fd, MSR_LSTAR, &out->lstar) == 0 && kvm_msr_get(fd, MSR_FMASK, &out->fmask) == 0 &&
	       kvm_msr_get(fd, MSR_STAR, &out->star) == 0;
}

/*
 * Has a program got to the kernel's entry by SYSCALL, and not by a jump? Its flags have been masked, interrupts among them, which it
 * cannot do itself. Under a kernel that leaves these on, R11 must at least not give it ports, which SYSRET would let it keep.
 */
static bool is_half_done(const struct entry_msrs *m, const struct frame *f, const struct kvm_regs *r)
{
	return f->rip == m->lstar && (f->cs & 3) == 3 &&
	       ((f->rflags ^ (r->r11 & ~m->fmask)) & ~(RFLAGS_FIXED | RFLAGS_RF)) == 0 &&
	       (m->fmask & RFLAGS_IF || !(r->r11 & RFLAGS_IOPL));
}

/* The rest of it: SDM vol. 2, SYSCALL, "Operation". */
static int finish(struct kvm_engine *k, unsigned vcpu, const struct entry_msrs *m, const struct frame *f)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct kvm_regs r = v->run->s.regs.regs;
	struct kvm_sregs *s = &v->run->s.regs.sregs;
	const uint16_t cs = m->star >> 32 & 0xfffc;

	r.rip = f->rip;
	r.rflags = f->rflags & ~(uint64_t)RFLAGS_RF;
	r.rsp = f->rsp;
	s->cs = (struct kvm_segment){ .selector = cs, .limit = ~0u, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
	s->ss = (struct kvm_segment){
		.selector = (uint16_t)(cs + 8), .limit = ~0u, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1
	};
	if (ioctl(v->fd, KVM_SET_SREGS, s) < 0)
		return kvm_fail(k, "KVM_SET_SREGS");
	return ioctl(v->fd, KVM_SET_REGS, &r) < 0 ? kvm_fail(k, "KVM_SET_REGS") : 0;
}

/* At the handler's first instruction. */
static bool mend(struct kvm_engine *k, unsigned vcpu)
{
	const struct kvm_sync_regs *regs = &k->vcpu[vcpu].run->s.regs;
	struct entry_msrs m;
	struct frame f;

	return read_linear(k, vcpu, regs->regs.rsp, &f, sizeof(f)) && f.rip == regs->sregs.cr2 && f.error & ERROR_USER &&
	       read_msrs(k, vcpu, &m) && is_half_done(&m, &f, &regs->regs) && finish(k, vcpu, &m, &f) == 0;
}

bool kvm_mend_exit(struct kvm_engine *k, unsigned vcpu)
{
	const struct kvm_debug_exit_arch *a = &k->vcpu[vcpu].run->debug.arch;
	struct kvm_mend *m = &k->vcpu[vcpu].mend;

	if (m->passing) {
		m->passing = false;
		return kvm_debug_tell(k, vcpu) == 0 && a->exception == VEC_DB && !(a->dr6 & DR6_OTHERS) &&
		       !kvm_debug_holds_interrupts(k, vcpu);
	}
	if (!m->handler || a->pc != m->handler || a->exception != VEC_DB || !(a->dr6 & DR6_OWN))
		return false;
	if (mend(k, vcpu))
		return true;
	if (a->dr6 & DR6_OTHERS)
		return false;
	m->passing = true;
	return kvm_debug_tell(k, vcpu) == 0;
}

int kvm_mend_settle(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_sync_regs *regs = &k->vcpu[vcpu].run->s.regs;
	const int fd = k->vcpu[vcpu].fd;
	struct entry_msrs m;
	struct frame f;

	if (!k->mends_syscall)
		return 0;
	if (ioctl(fd, KVM_GET_REGS, &regs->regs) < 0)
		return kvm_fail(k, "KVM_GET_REGS");
	if (ioctl(fd, KVM_GET_SREGS, &regs->sregs) < 0)
		return kvm_fail(k, "KVM_GET_SREGS");
	f = (struct frame){
		.rip = regs->regs.rip, .cs = regs->sregs.cs.selector, .rflags = regs->regs.rflags, .rsp = regs->regs.rsp
	};
	return regs->sregs.cs.l && read_msrs(k, vcpu, &m) && is_half_done(&m, &f, &regs->regs) ? finish(k, vcpu, &m, &f) : 0;
}
