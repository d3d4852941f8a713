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
			(uint32_t)from->db << 14 | (uint32_t)from->g << 15 |
			(from->unusable ? SEG_ATTR_UNUSABLE : 0u),
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

/* Model-specific registers that both sides keep. APIC base is not here: it travels in kvm_sregs. */
static const struct {
	uint32_t number;
	size_t offset; /* in struct cpu */
} msrs[] = {
	{0xc0000081, offsetof(struct cpu, msr.star)},	       {0xc0000082, offsetof(struct cpu, msr.lstar)},
	{0xc0000083, offsetof(struct cpu, msr.cstar)},	       {0xc0000084, offsetof(struct cpu, msr.sfmask)},
	{0xc0000102, offsetof(struct cpu, msr.kernel_gs_base)}, {0x174, offsetof(struct cpu, msr.sysenter_cs)},
	{0x175, offsetof(struct cpu, msr.sysenter_esp)},       {0x176, offsetof(struct cpu, msr.sysenter_eip)},
	{0x277, offsetof(struct cpu, msr.pat)},		       {0xc0000103, offsetof(struct cpu, msr.tsc_aux)},
	{0x2ff, offsetof(struct cpu, msr.mtrr_def_type)},
};

enum { GPRS = sizeof(gprs) / sizeof(gprs[0]), MSRS = sizeof(msrs) / sizeof(msrs[0]) };

struct msr_block {
	struct kvm_msrs head;
	struct kvm_msr_entry entry[MSRS];
};

static int set_regs(struct kvm_engine *k, int fd, const struct cpu *in)
{
	struct kvm_regs regs = {.rip = in->rip, .rflags = in->rflags | RFLAGS_FIXED};

	for (unsigned i = 0; i < GPRS; i++)
		memcpy((uint8_t *)&regs + gprs[i].theirs, &in->gpr[gprs[i].ours], 8);
	return ioctl(fd, KVM_SET_REGS, &regs) < 0 ? kvm_fail(k, "KVM_SET_REGS") : 0;
}

static int set_sregs(struct kvm_engine *k, int fd, const struct cpu *in)
{
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
	return ioctl(fd, KVM_SET_SREGS, &s) < 0 ? kvm_fail(k, "KVM_SET_SREGS") : 0;
}

static int set_fpu(struct kvm_engine *k, int fd, const struct cpu *in)
{
	struct kvm_fpu f = {
		.fcw = in->fpu.cw,
		.fsw = in->fpu.sw,
		.ftwx = in->fpu.tag,
		.last_opcode = in->fpu.fop,
		.last_ip = in->fpu.fip,
		.last_dp = in->fpu.fdp,
		.mxcsr = in->mxcsr,
	};
	unsigned top = (in->fpu.sw >> 11) & 7;

	for (unsigned i = 0; i < 8; i++) {
		const struct x87_reg *r = &in->fpu.r[(top + i) & 7];

		memcpy(f.fpr[i], &r->sig, 8);
		memcpy(f.fpr[i] + 8, &r->se, 2);
	}
	for (unsigned i = 0; i < 16; i++)
		memcpy(f.xmm[i], in->vec[i].u8, 16);
	return ioctl(fd, KVM_SET_FPU, &f) < 0 ? kvm_fail(k, "KVM_SET_FPU") : 0;
}

/* One at a time: a KVM that lacks one of them stops at it, and the others still matter. */
static void set_msrs(int fd, const struct cpu *in)
{
	for (unsigned i = 0; i < MSRS; i++) {
		struct msr_block b = {.head.nmsrs = 1, .entry[0].index = msrs[i].number};
		uint64_t value;

		memcpy(&value, (const uint8_t *)in + msrs[i].offset, 8);
		b.entry[0].data = value;
		ioctl(fd, KVM_SET_MSRS, &b);
	}
}

int kvm_state_set(struct kvm_engine *k, unsigned vcpu, const struct cpu *in)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_RUNNABLE};
	int err;

	if (in->activity == CPU_HALTED)
		mp.mp_state = KVM_MP_STATE_HALTED;
	else if (in->activity == CPU_WAIT_SIPI)
		mp.mp_state = KVM_MP_STATE_INIT_RECEIVED;
	err = set_sregs(k, fd, in);
	if (!err)
		err = set_regs(k, fd, in);
	if (!err)
		err = set_fpu(k, fd, in);
	if (err)
		return err;
	set_msrs(fd, in);
	return ioctl(fd, KVM_SET_MP_STATE, &mp) < 0 ? kvm_fail(k, "KVM_SET_MP_STATE") : 0;
}

static void get_fpu(int fd, struct cpu *out)
{
	struct kvm_fpu f;
	unsigned top;

	if (ioctl(fd, KVM_GET_FPU, &f) < 0)
		return;
	out->fpu.cw = f.fcw;
	out->fpu.sw = f.fsw;
	out->fpu.tag = f.ftwx;
	out->fpu.fop = f.last_opcode;
	out->fpu.fip = f.last_ip;
	out->fpu.fdp = f.last_dp;
	out->mxcsr = f.mxcsr;
	top = (f.fsw >> 11) & 7;
	for (unsigned i = 0; i < 8; i++) {
		struct x87_reg *r = &out->fpu.r[(top + i) & 7];

		memcpy(&r->sig, f.fpr[i], 8);
		memcpy(&r->se, f.fpr[i] + 8, 2);
	}
	for (unsigned i = 0; i < 16; i++)
		memcpy(out->vec[i].u8, f.xmm[i], 16);
}

int kvm_state_get(struct kvm_engine *k, unsigned vcpu, struct cpu *out)
{
	int fd = k->vcpu[vcpu].fd;
	struct kvm_mp_state mp;
	struct kvm_regs regs;
	struct kvm_sregs s;

	memset(out, 0, sizeof(*out));
	out->vcpu = (uint8_t)vcpu;
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
	out->gdtr = (struct dtable){s.gdt.base, s.gdt.limit};
	out->idtr = (struct dtable){s.idt.base, s.idt.limit};
	out->cr0 = s.cr0;
	out->cr2 = s.cr2;
	out->cr3 = s.cr3;
	out->cr4 = s.cr4;
	out->msr.efer = s.efer;
	out->msr.apic_base = s.apic_base;
	get_fpu(fd, out);
	for (unsigned i = 0; i < MSRS; i++) {
		struct msr_block b = {.head.nmsrs = 1, .entry[0].index = msrs[i].number};

		if (ioctl(fd, KVM_GET_MSRS, &b) == 1)
			memcpy((uint8_t *)out + msrs[i].offset, &b.entry[0].data, 8);
	}
	if (ioctl(fd, KVM_GET_MP_STATE, &mp) == 0 && mp.mp_state == KVM_MP_STATE_HALTED)
		out->activity = CPU_HALTED;
	return 0;
}
