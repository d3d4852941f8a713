/* SPDX-License-Identifier: MIT */
/* All that a processor under KVM is, out and in: core/state.h. */
#include "kvm.h"

#include "emu/core/state.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

enum { MSR_TSC = 0x10, MSR_TSC_DEADLINE = 0x6e0 };

_Static_assert(sizeof(struct kvm_lapic_state) == 16 * APIC_REGISTERS, "KVM's page is the architecture's");

static int save_apic(struct kvm_engine *k, int fd, struct apic_state *out)
{
	struct kvm_lapic_state page;

	if (ioctl(fd, KVM_GET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_GET_LAPIC");
	for (unsigned n = 0; n < APIC_REGISTERS; n++)
		memcpy(&out->reg[n], page.regs + 16 * n, 4);
	kvm_msr_get(fd, MSR_TSC_DEADLINE, &out->tsc_deadline);
	return 0;
}

static int restore_apic(struct kvm_engine *k, int fd, const struct apic_state *in)
{
	struct kvm_lapic_state page;

	if (ioctl(fd, KVM_GET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_GET_LAPIC");
	for (unsigned n = 0; n < APIC_REGISTERS; n++)
		memcpy(page.regs + 16 * n, &in->reg[n], 4);
	if (ioctl(fd, KVM_SET_LAPIC, &page) < 0)
		return kvm_fail(k, "KVM_SET_LAPIC");
	kvm_msr_set(fd, MSR_TSC_DEADLINE, in->tsc_deadline);
	return 0;
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
	err = kvm_state_get(k, vcpu, &out->cpu);
	if (!err)
		err = save_apic(k, k->vcpu[vcpu].fd, &out->apic);
	if (!err)
		err = kvm_msr_get(k->vcpu[vcpu].fd, MSR_TSC, &out->tsc);
	out->time_ns = machine_ns(&k->clock);
	return err;
}

/* The counter has gone on while nobody ran. (The local APIC's timer, unless it waits for the counter, goes on from its count.) */
static uint64_t tsc_now(const struct kvm_engine *k, const struct engine_state *s)
{
	return s->tsc + (uint64_t)((unsigned __int128)engine_state_age(s, machine_ns(&k->clock)) * k->tsc_khz / 1000000);
}

int kvm_restore(struct engine *e, unsigned vcpu, const struct engine_state *in, const char **field)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	int err = engine_state_check(in, field);

	if (!err && vcpu >= k->vcpus)
		err = -EINVAL;
	/* KVM keeps these to itself. Whoever meets one lets the processor take one more step where it is. */
	if (!err && (in->debug_pending || in->task_trap)) {
		*field = "debug: KVM cannot be given a pending #DB";
		err = -EINVAL;
	}
	if (err)
		return err;
	*field = "kvm";
	err = kvm_msr_set(k->vcpu[vcpu].fd, MSR_TSC, tsc_now(k, in));
	if (!err)
		err = kvm_state_set(k, vcpu, &in->cpu);
	return err ? err : restore_apic(k, k->vcpu[vcpu].fd, &in->apic);
}
