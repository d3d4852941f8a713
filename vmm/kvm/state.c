/* SPDX-License-Identifier: MIT */
/* struct cpu <-> KVM's register files. */
#include "kvm.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static void segment_out(struct kvm_segment *to, const struct segment *from)
{
	*to = (struct kvm_segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.type = from->attr & SEG_ATTR_TYPE,
		.s = (from->attr >> 4) & 1,
		.dpl = (from->attr >> SEG_ATTR_DPL_SHIFT) & 3,
		.present = (from->attr >> 7) & 1,
		.avl = (from->attr >> 12) & 1,
		.l = (from->attr >> 13) & 1,
		.db = (from->attr >> 14) & 1,
		.g = (from->attr >> 15) & 1,
		.unusable = (from->attr & SEG_ATTR_UNUSABLE) != 0,
	};
}

static void segment_in(struct segment *to, const struct kvm_segment *from)
{
	*to = (struct segment){
		.base = from->base,
		.limit = from->limit,
		.selector = from->selector,
		.attr = (uint32_t)from->type | (uint32_t)from->s << 4 | (uint32_t)from->dpl << SEG_ATTR_DPL_SHIFT |
			(uint32_t)from->present << 7 | (uint32_t)from->avl << 12 | (uint32_t)from->l << 13 |
			(uint32_t)from->db << 14 | (uint32_t)from->g << 15 | (from->unusable ? SEG_ATTR_UNUSABLE : 0u),
	};
}

/* KVM's order of general registers differs from the encoding's. */
static const struct {
	enum gpr_index ours;
	size_t theirs;
} gprs[] = {
	{RAX, offsetof(struct kvm_regs, rax)}, {RCX, offsetof(struct kvm_regs, rcx)},
	{RDX, offsetof(struct kvm_regs, rdx)}, {RBX, offsetof(struct kvm_regs, rbx)},
	{RSP, offsetof(struct kvm_regs, rsp)}, {RBP, offsetof(struct kvm_regs, rbp)},
	{RSI, offsetof(struct kvm_regs, rsi)}, {RDI, offsetof(struct kvm_regs, rdi)},
	{R8, offsetof(struct kvm_regs, r8)},   {R9, offsetof(struct kvm_regs, r9)},
	{R10, offsetof(struct kvm_regs, r10)}, {R11, offsetof(struct kvm_regs, r11)},
	{R12, offsetof(struct kvm_regs, r12)}, {R13, offsetof(struct kvm_regs, r13)},
	{R14, offsetof(struct kvm_regs, r14)}, {R15, offsetof(struct kvm_regs, r15)},
};

/* Model-specific registers that both sides keep, `count` of them, each `step` after the one before. APIC base and EFER are not
 * here: they travel in kvm_sregs. */
static const struct {
	uint32_t number;
	uint8_t step, count;
	size_t offset; /* in struct cpu */
} msrs[] = {
	{0xc0000081, 1, 1, offsetof(struct cpu, msr.star)},	      {0xc0000082, 1, 1, offsetof(struct cpu, msr.lstar)},
	{0xc0000083, 1, 1, offsetof(struct cpu, msr.cstar)},	      {0xc0000084, 1, 1, offsetof(struct cpu, msr.sfmask)},
	{0xc0000102, 1, 1, offsetof(struct cpu, msr.kernel_gs_base)}, {0x174, 1, 1, offsetof(struct cpu, msr.sysenter_cs)},
	{0x175, 1, 1, offsetof(struct cpu, msr.sysenter_esp)},	      {0x176, 1, 1, offsetof(struct cpu, msr.sysenter_eip)},
	{0x277, 1, 1, offsetof(struct cpu, msr.pat)},		      {0xc0000103, 1, 1, offsetof(struct cpu, msr.tsc_aux)},
	{0x2ff, 1, 1, offsetof(struct cpu, msr.mtrr_def_type)},	      {0x200, 2, 8, offsetof(struct cpu, msr.mtrr_base)},
	{0x201, 2, 8, offsetof(struct cpu, msr.mtrr_mask)},	      {0x250, 1, 1, offsetof(struct cpu, msr.mtrr_fixed[0])},
	{0x258, 1, 2, offsetof(struct cpu, msr.mtrr_fixed[1])},	      {0x268, 1, 8, offsetof(struct cpu, msr.mtrr_fixed[3])},
	{0x1a0, 1, 1, offsetof(struct cpu, msr.misc_enable)},	      {0x1d9, 1, 1, offsetof(struct cpu, msr.debugctl)},
	{0x3b, 1, 1, offsetof(struct cpu, msr.tsc_adjust)},	      {0x48, 1, 1, offsetof(struct cpu, msr.spec_ctrl)},
	{0xda0, 1, 1, offsetof(struct cpu, msr.xss)},
};

enum { GPRS = sizeof(gprs) / sizeof(gprs[0]), MSRS = sizeof(msrs) / sizeof(msrs[0]) };

static int set_regs(struct kvm_engine *k, int fd, const struct cpu *in)
{
	struct kvm_regs regs = { .rip = in->rip, .rflags = in->rflags | RFLAGS_FIXED };

	for (unsigned i = 0; i < GPRS; i++)
		memcpy((uint8_t *)&regs + gprs[i].theirs, &in->gpr[gprs[i].ours], 8);
	return ioctl(fd, KVM_SET_REGS, &regs) < 0 ? kvm_fail(k, "KVM_SET_REGS") : 0;
}

static int set_sregs(struct kvm_engine *k, unsigned vcpu, const struct cpu *in)
{
	const int fd = k->vcpu[vcpu].fd;
	struct kvm_sregs s;

	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return kvm_fail(k, "KVM_GET_SREGS");
	segment_out(&s.es, &in->seg[SEG_ES]);
	segment_out(&s.cs, &in->seg[SEG_CS]);
	segment_out(&s.ss, &in->seg[SEG_SS]);
	segment_out(&s.ds, &in->seg[SEG_DS]);
	segment_out(&s.fs, &in->seg[SEG_FS]);
	segment_out(&s.gs, &in->seg[SEG_GS]);
	segment_out(&s.tr, &in->tr);
	segment_out(&s.ldt, &in->ldtr);
	s.gdt.base = in->gdtr.base;
	s.gdt.limit = in->gdtr.limit;
	s.idt.base = in->idtr.base;
	s.idt.limit = in->idtr.limit;
	s.cr0 = in->cr0;
	s.cr2 = in->cr2;
	s.cr3 = in->cr3;
	s.cr4 = in->cr4;
	s.efer = in->msr.efer;
	if (in->msr.apic_base)
		s.apic_base = in->msr.apic_base;
	k->vcpu[vcpu].run->s.regs.sregs = s; /* syscall.c looks at them there */
	return ioctl(fd, KVM_SET_SREGS, &s) < 0 ? kvm_fail(k, "KVM_SET_SREGS") : 0;
}

int kvm_msr_set(int fd, uint32_t number, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} b = { .head.nmsrs = 1, .entry = { .index = number, .data = value } };

	return ioctl(fd, KVM_SET_MSRS, &b) == 1 ? 0 : -EINVAL;
}

int kvm_msr_get(int fd, uint32_t number, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} b = { .head.nmsrs = 1, .entry.index = number };

	if (ioctl(fd, KVM_GET_MSRS, &b) != 1)
		return -EINVAL;
	*value = b.entry.data;
	return 0;
}

_Static_assert((int)MSRS <= (int)KVM_MSR_ROWS, "a flag for each row");
enum { MSRS_MOST = 64 };

struct msr_list {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[MSRS_MOST];
};

/* Asked one by one: a list with one that this KVM lacks ends there. */
void kvm_state_init(struct kvm_engine *k)
{
	uint64_t value;

	for (unsigned i = 0; i < MSRS; i++)
		k->has_msr[i] = kvm_msr_get(k->vcpu[0].fd, msrs[i].number, &value) == 0;
}

static uint8_t *msr_place(struct cpu *c, unsigned row, unsigned n)
{
	return (uint8_t *)c + msrs[row].offset + 8 * n;
}

/* One at a time: a value that KVM refuses stops a list, and the others still matter. `before`: only what differs from it. */
static void set_msrs(const struct kvm_engine *k, int fd, const struct cpu *in, const struct cpu *before)
{
	for (unsigned i = 0; i < MSRS; i++)
		for (unsigned n = 0; k->has_msr[i] && n < msrs[i].count; n++) {
			const size_t at = msrs[i].offset + 8 * n;
			uint64_t value;

			if (before && memcmp((const uint8_t *)in + at, (const uint8_t *)before + at, 8) == 0)
				continue;
			memcpy(&value, (const uint8_t *)in + at, 8);
			kvm_msr_set(fd, msrs[i].number + n * msrs[i].step, value);
		}
}

/* What is not known must not be taken for zero. */
static int get_msrs(struct kvm_engine *k, int fd, struct cpu *out)
{
	struct msr_list list = { 0 };
	unsigned done = 0;

	for (unsigned i = 0; i < MSRS; i++)
		for (unsigned n = 0; k->has_msr[i] && n < msrs[i].count && list.head.nmsrs < MSRS_MOST; n++)
			list.entry[list.head.nmsrs++].index = msrs[i].number + n * msrs[i].step;
	errno = EIO; /* unless it says what: a list ends at one that KVM refuses */
	if (ioctl(fd, KVM_GET_MSRS, &list) != (int)list.head.nmsrs)
		return kvm_fail(k, "KVM_GET_MSRS");
	for (unsigned i = 0; i < MSRS; i++)
		for (unsigned n = 0; k->has_msr[i] && n < msrs[i].count && done < list.head.nmsrs; n++)
			memcpy(msr_place(out, i, n), &list.entry[done++].data, 8);
	return 0;
}

/* Without XSAVE there is nothing that XCR0 would switch on. */
static int set_xcr0(struct kvm_engine *k, int fd, const struct cpu *in)
{
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs[0] = { .xcr = 0, .value = in->xcr0 } };

	if (!k->has_xcrs || in->xcr0 <= 1)
		return 0;
	return ioctl(fd, KVM_SET_XCRS, &x) < 0 ? kvm_fail(k, "KVM_SET_XCRS") : 0;
}

static void get_xcr0(struct kvm_engine *k, int fd, struct cpu *out)
{
	struct kvm_xcrs x = { 0 };

	out->xcr0 = 1;
	if (k->has_xcrs && ioctl(fd, KVM_GET_XCRS, &x) == 0 && x.nr_xcrs > 0)
		out->xcr0 = x.xcrs[0].value;
}

static void set_debug(int fd, const struct cpu *in)
{
	struct kvm_debugregs d = { .dr6 = in->dr[6], .dr7 = in->dr[7] };

	memcpy(d.db, in->dr, sizeof(d.db));
	ioctl(fd, KVM_SET_DEBUGREGS, &d); /* a KVM without it keeps them for itself */
}

static void get_debug(int fd, struct cpu *out)
{
	struct kvm_debugregs d;

	if (ioctl(fd, KVM_GET_DEBUGREGS, &d) < 0)
		return;
	memcpy(out->dr, d.db, sizeof(d.db));
	out->dr[6] = d.dr6;
	out->dr[7] = d.dr7;
}

/* A KVM without KVM_CAP_VCPU_EVENTS does not know the call. */
static int no_events(struct kvm_engine *k)
{
	return errno == ENOTTY || errno == EINVAL ? 0 : kvm_fail(k, "KVM_GET_VCPU_EVENTS");
}

/* Interrupt shadow and NMIs, and a shutdown that nobody has been told of. */
static int set_events(struct kvm_engine *k, int fd, const struct cpu *in)
{
	struct kvm_vcpu_events v;

	if (ioctl(fd, KVM_GET_VCPU_EVENTS, &v) < 0)
		return no_events(k);
	v.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	v.nmi.pending = in->nmi_pending;
	v.nmi.masked = in->nmi_blocked;
	if (k->has_triple_fault) {
		v.flags |= KVM_VCPUEVENT_VALID_TRIPLE_FAULT;
		v.triple_fault.pending = in->activity == CPU_SHUTDOWN;
	}
	v.interrupt.shadow = (in->shadow & SHADOW_STI ? KVM_X86_SHADOW_INT_STI : 0) |
			     (in->shadow & SHADOW_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
	return ioctl(fd, KVM_SET_VCPU_EVENTS, &v) < 0 ? kvm_fail(k, "KVM_SET_VCPU_EVENTS") : 0;
}

static int get_events(struct kvm_engine *k, int fd, struct cpu *out)
{
	struct kvm_vcpu_events v;

	if (ioctl(fd, KVM_GET_VCPU_EVENTS, &v) < 0)
		return no_events(k);
	if (v.flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT && v.triple_fault.pending)
		out->activity = CPU_SHUTDOWN;
	out->nmi_pending = v.nmi.pending;
	out->nmi_blocked = v.nmi.masked;
	out->shadow = (uint8_t)((v.interrupt.shadow & KVM_X86_SHADOW_INT_STI ? SHADOW_STI : 0) |
				(v.interrupt.shadow & KVM_X86_SHADOW_INT_MOV_SS ? SHADOW_MOV_SS : 0));
	return 0;
}

int kvm_state_set(struct kvm_engine *k, unsigned vcpu, const struct cpu *in)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int err;

	if (in->activity == CPU_HALTED)
		mp.mp_state = KVM_MP_STATE_HALTED;
	else if (in->activity == CPU_WAIT_SIPI)
		mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	err = set_sregs(k, vcpu, in);
	if (!err)
		err = set_regs(k, fd, in);
	if (!err)
		err = set_xcr0(k, fd, in);
	if (!err)
		err = kvm_xstate_set(k, vcpu, in);
	if (err)
		return err;
	set_msrs(k, fd, in, NULL);
	set_debug(fd, in);
	err = set_events(k, fd, in);
	if (err)
		return err;
	return ioctl(fd, KVM_SET_MP_STATE, &mp) < 0 ? kvm_fail(k, "KVM_SET_MP_STATE") : 0;
}

static bool differs(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) != 0;
}

static bool sregs_differ(const struct cpu *a, const struct cpu *b)
{
	return differs(a->seg, b->seg, sizeof(a->seg)) || differs(&a->ldtr, &b->ldtr, sizeof(a->ldtr)) ||
	       differs(&a->tr, &b->tr, sizeof(a->tr)) || differs(&a->gdtr, &b->gdtr, sizeof(a->gdtr)) ||
	       differs(&a->idtr, &b->idtr, sizeof(a->idtr)) || a->cr0 != b->cr0 || a->cr2 != b->cr2 || a->cr3 != b->cr3 ||
	       a->cr4 != b->cr4 || a->msr.efer != b->msr.efer;
}

static bool xstate_differs(const struct cpu *a, const struct cpu *b)
{
	return differs(&a->fpu, &b->fpu, sizeof(a->fpu)) || differs(a->vec, b->vec, sizeof(a->vec)) ||
	       differs(a->k, b->k, sizeof(a->k)) || a->mxcsr != b->mxcsr || a->pkru != b->pkru;
}

int kvm_state_change(struct kvm_engine *k, unsigned vcpu, const struct cpu *before, const struct cpu *after)
{
	const int fd = k->vcpu[vcpu].fd;
	int err = 0;

	if (sregs_differ(before, after))
		err = set_sregs(k, vcpu, after);
	if (!err)
		err = set_regs(k, fd, after);
	if (!err && xstate_differs(before, after))
		err = kvm_xstate_set(k, vcpu, after);
	if (err)
		return err;
	set_msrs(k, fd, after, before);
	if (differs(before->dr, after->dr, sizeof(before->dr)))
		set_debug(fd, after);
	if (before->shadow != after->shadow || before->nmi_blocked != after->nmi_blocked)
		err = set_events(k, fd, after);
	return err;
}

/* KVM keeps them to itself; they are what MOV CR3 has read from there (SDM vol. 3, 4.4.1). */
static void get_pdptes(const struct kvm_engine *k, struct cpu *out)
{
	const uint64_t at = out->cr3 & 0xffffffe0;

	if (!(out->cr0 & CR0_PG) || !(out->cr4 & CR4_PAE) || (out->msr.efer & EFER_LMA))
		return;
	for (unsigned i = 0; i < k->ram_count; i++)
		if (at - k->ram[i].gpa < k->ram[i].size && k->ram[i].size - (at - k->ram[i].gpa) >= sizeof(out->pdpte))
			memcpy(out->pdpte, k->ram[i].host + (at - k->ram[i].gpa), sizeof(out->pdpte));
}

int kvm_state_get(struct kvm_engine *k, unsigned vcpu, struct cpu *out)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;
	struct kvm_sregs s;
	int err;

	memset(out, 0, sizeof(*out));
	out->vcpu = (uint8_t)vcpu;
	/* First: INIT and SIPI that have come are taken by this, and change the rest. */
	if (ioctl(fd, KVM_GET_MP_STATE, &mp) < 0)
		return kvm_fail(k, "KVM_GET_MP_STATE");
	if (ioctl(fd, KVM_GET_REGS, &regs) < 0)
		return kvm_fail(k, "KVM_GET_REGS");
	if (ioctl(fd, KVM_GET_SREGS, &s) < 0)
		return kvm_fail(k, "KVM_GET_SREGS");
	for (unsigned i = 0; i < GPRS; i++)
		memcpy(&out->gpr[gprs[i].ours], (uint8_t *)&regs + gprs[i].theirs, 8);
	out->rip = regs.rip;
	out->rflags = regs.rflags;
	segment_in(&out->seg[SEG_ES], &s.es);
	segment_in(&out->seg[SEG_CS], &s.cs);
	segment_in(&out->seg[SEG_SS], &s.ss);
	segment_in(&out->seg[SEG_DS], &s.ds);
	segment_in(&out->seg[SEG_FS], &s.fs);
	segment_in(&out->seg[SEG_GS], &s.gs);
	segment_in(&out->tr, &s.tr);
	segment_in(&out->ldtr, &s.ldt);
	out->gdtr = (struct dtable){ s.gdt.base, s.gdt.limit };
	out->idtr = (struct dtable){ s.idt.base, s.idt.limit };
	out->cr0 = s.cr0;
	out->cr2 = s.cr2;
	out->cr3 = s.cr3;
	out->cr4 = s.cr4;
	out->msr.efer = s.efer;
	out->msr.apic_base = s.apic_base;
	get_pdptes(k, out);
	get_xcr0(k, fd, out);
	get_debug(fd, out);
	err = get_msrs(k, fd, out);
	if (!err)
		err = get_events(k, fd, out);
	if (!err)
		err = kvm_xstate_get(k, vcpu, out);
	if (err)
		return err;
	if (mp.mp_state == KVM_MP_STATE_HALTED)
		out->activity = CPU_HALTED;
	else if (mp.mp_state == KVM_MP_STATE_INIT_RECEIVED || mp.mp_state == KVM_MP_STATE_UNINITIALIZED)
		out->activity = CPU_WAIT_SIPI;
	return 0;
}
