/* SPDX-License-Identifier: MIT */
/* All that a processor under KVM is, out and in: core/state.h. */
#include "kvm.h"

#include "emu/core/state.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { MSR_TSC = 0x10, MSR_TSC_DEADLINE = 0x6e0, MSR_KVM_FIRST = 0x4b564d00 };

_Static_assert(sizeof(struct kvm_lapic_state) == 16 * APIC_REGISTERS, "KVM's page is the architecture's");

enum { APIC_ID = 0x02 };

/* KVM's page has the id in the upper byte, as the register page has it, in x2APIC mode, too, where the register is the id itself
 * (SDM vol. 3, 10.12.5.1), unless KVM_CAP_X2APIC_API is switched on. */
static unsigned id_shift(uint64_t apic_base)
{
	return apic_base & APIC_BASE_X2 ? 24 : 0;
}

static int save_apic(struct kvm_engine *k, int fd, uint64_t apic_base, struct apic_state *out)
{
	struct kvm_lapic_state page;

	if (ioctl(fd, KVM_GET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_GET_LAPIC");
	for (unsigned n = 0; n < APIC_REGISTERS; n++)
		memcpy(&out->reg[n], page.regs + 16 * n, 4);
	out->reg[APIC_ID] >>= id_shift(apic_base);
	kvm_msr_get(fd, MSR_TSC_DEADLINE, &out->tsc_deadline);
	return 0;
}

static int restore_apic(struct kvm_engine *k, unsigned vcpu, uint64_t apic_base, const struct apic_state *in)
{
	const uint32_t id = in->reg[APIC_ID] << id_shift(apic_base);
	struct kvm_lapic_state page;
	const int fd = k->vcpu[vcpu].fd;

	if (ioctl(fd, KVM_GET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_GET_LAPIC");
	for (unsigned n = 0; n < APIC_REGISTERS; n++)
		memcpy(page.regs + 16 * n, &in->reg[n], 4);
	memcpy(page.regs + 16 * APIC_ID, &id, 4);
	if (vcpu == 0)
		kvm_lint0_open(&page);
	if (ioctl(fd, KVM_SET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_SET_LAPIC");
	kvm_msr_set(fd, MSR_TSC_DEADLINE, in->tsc_deadline);
	return 0;
}

/* Does the counter lie between two readings of the first one's? Then they are the same, as nearly as a guest can tell. */
static bool is_in_step(struct kvm_engine *k, unsigned vcpu)
{
	uint64_t before, mine, after;

	return kvm_msr_get(k->vcpu[0].fd, MSR_TSC, &before) == 0 && kvm_msr_get(k->vcpu[vcpu].fd, MSR_TSC, &mine) == 0 &&
	       kvm_msr_get(k->vcpu[0].fd, MSR_TSC, &after) == 0 && before <= mine && mine <= after;
}

/* Counters of several processors that are in step stay so, to the tick: by the reading that the first one's state has. */
static int save_tsc(struct kvm_engine *k, unsigned vcpu, struct engine_state *out)
{
	int err = 0;

	if (vcpu == 0 || !is_in_step(k, vcpu)) {
		err = kvm_msr_get(k->vcpu[vcpu].fd, MSR_TSC, &out->tsc);
		out->time_ns = machine_ns(&k->clock);
	} else {
		out->tsc = k->tsc_saved;
		out->time_ns = k->tsc_saved_ns;
	}
	if (vcpu == 0) {
		k->tsc_saved = out->tsc;
		k->tsc_saved_ns = out->time_ns;
	}
	return err;
}

int kvm_save(struct engine *e, unsigned vcpu, struct engine_state *out)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	int err;

	if (vcpu >= k->vcpus)
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	out->version = ENGINE_STATE_VERSION;
	out->bytes = sizeof(*out);
	err = kvm_settle(k, vcpu);
	if (!err)
		err = kvm_state_get(k, vcpu, &out->cpu);
	if (!err)
		err = save_apic(k, k->vcpu[vcpu].fd, out->cpu.msr.apic_base, &out->apic);
	if (!err)
		err = save_tsc(k, vcpu, out);
	out->tsc_khz = (uint32_t)k->tsc_khz;
	out->by_kvm = true;
	for (unsigned n = 0; n < KVM_AIDS; n++) /* those that this KVM has */
		kvm_msr_get(k->vcpu[vcpu].fd, MSR_KVM_FIRST + n, &out->kvm_aid[n]);
	return err;
}

/* The counter has gone on while nobody ran. (The local APIC's timer, unless it waits for the counter, goes on from its count.) */
static uint64_t tsc_now(const struct kvm_engine *k, const struct engine_state *s)
{
	return s->tsc + (uint64_t)((unsigned __int128)engine_state_age(s, machine_ns(&k->clock)) * k->tsc_khz / 1000000);
}

/*
 * Has this KVM kept the counter that it was given? One that interprets may leave the host's in its place, and a guest that sees time
 * jump by the host's days does not survive it. A good one shifts it by up to a second: processors whose counters are written within
 * the second are put in step (the kernel's Documentation/virt/kvm/devices/vcpu.rst, KVM_VCPU_TSC_CTRL).
 */
static bool keeps_tsc(const struct kvm_engine *k, int fd, uint64_t written, const struct engine_state *s)
{
	const uint64_t second = 1000 * (k->tsc_khz ? k->tsc_khz : 1000000);
	uint64_t read;

	if (kvm_msr_get(fd, MSR_TSC, &read))
		return false;
	return read - (written - second) <= tsc_now(k, s) + second - (written - second);
}

/* -ENOTSUP: it is not kept. */
static int restore_tsc(const struct kvm_engine *k, int fd, const struct engine_state *s)
{
	const uint64_t tsc = tsc_now(k, s);
	const int err = kvm_msr_set(fd, MSR_TSC, tsc);

	return err ? err : keeps_tsc(k, fd, tsc, s) ? 0 : -ENOTSUP;
}

/* NULL, or what of it KVM cannot go on with. */
static const char *complaint(const struct kvm_engine *k, const struct engine_state *in)
{
	const uint64_t khz = in->tsc_khz ? in->tsc_khz : 1000000;

	/* KVM keeps these to itself. Whoever meets one lets the processor take one more step where it is. */
	if (in->debug_pending || in->task_trap)
		return "debug: KVM cannot be given a pending #DB";
	if (k->no_syscall && in->cpu.msr.efer & EFER_SCE)
		return "syscall: this host's KVM does not bring SYSCALL to the guest's kernel (bulkhead host), and the guest's "
		       "programs "
		       "use it; they would die; --force brings it there all the same";
	if (in->cpu.activity == CPU_SHUTDOWN && !k->has_triple_fault)
		return "activity: this KVM cannot be given a processor that has shut down";
	if (k->tsc_khz && khz != k->tsc_khz)
		return "tsc: its frequency is not this host's, which KVM cannot change here; start the machine with --engine "
		       "auto on "
		       "this host";
	if (!in->by_kvm && !kvm_xstate_is_ours(in->cpu.xcr0))
		return "xsave: this host's processor keeps a part of the extended state at another place; start the machine with "
		       "--cpu x86-64-v3";
	return NULL;
}

static void restore_aids(int fd, const struct engine_state *in)
{
	for (unsigned n = 0; n < KVM_AIDS; n++)
		if (in->kvm_aid[n])
			kvm_msr_set(fd, MSR_KVM_FIRST + n, in->kvm_aid[n]);
}

int kvm_restore(struct engine *e, unsigned vcpu, const struct engine_state *in, const char **field)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	int err = engine_state_check(in, field);

	if (!err && vcpu >= k->vcpus)
		err = -EINVAL;
	if (err)
		return err;
	*field = complaint(k, in);
	if (*field)
		return -EINVAL;
	*field = k->error;
	err = restore_tsc(k, k->vcpu[vcpu].fd, in);
	if (err == -ENOTSUP) {
		*field = "tsc: this KVM does not keep a time-stamp counter that is written to it (IA32_TSC), by which the guest "
			 "measures time; start the machine with --engine kvm, so that it has KVM's from the beginning";
		return -EINVAL;
	}
	if (!err)
		err = kvm_state_set(k, vcpu, &in->cpu);
	if (!err)
		err = restore_apic(k, vcpu, in->cpu.msr.apic_base, &in->apic);
	if (!err)
		restore_aids(k->vcpu[vcpu].fd, in);
	return err;
}
