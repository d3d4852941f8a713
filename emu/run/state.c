/* SPDX-License-Identifier: MIT */
/* All that a processor of the emulator is, out and in: core/state.h. */
#include "engine_emu.h"
#include "run.h"
#include "emu/apic/apic.h"
#include "emu/core/machine.h"
#include "emu/core/state.h"
#include "emu/core/tsc.h"
#include "emu/sem/sys/sys.h"

#include <errno.h>
#include <string.h>

/*
 * Counters of several processors are to stay as they are to each other, to the tick. So the first one's state says when
 * that of the machine is taken, or put back, and the others go by that.
 */
static const struct tsc_moment *take_moment(struct machine *m, unsigned vcpu)
{
	if (vcpu == 0)
		m->moment = emu_tsc_moment(m);
	return &m->moment;
}

int emu_save(struct engine *engine, unsigned vcpu, struct engine_state *out)
{
	const struct tsc_moment *now;
	struct emu *e;
	int r;

	if (vcpu < engine_emu_vcpu(engine, 0)->machine->vcpus)
		run_start_up(engine_emu_vcpu(engine, vcpu));
	memset(out, 0, sizeof(*out));
	r = engine->ops->get_state(engine, vcpu, &out->cpu);
	if (r)
		return r;
	e = engine_emu_vcpu(engine, vcpu);
	out->version = ENGINE_STATE_VERSION;
	out->bytes = sizeof(*out);
	now = take_moment(e->machine, vcpu);
	out->time_ns = now->machine_ns;
	out->tsc = now->ticks + e->cpu.msr.tsc_offset;
	out->tsc_khz = emu_tsc_khz(e);
	out->cpu.msr.tsc_offset = 0;
	out->cpu.nmi_pending |= lapic_take_nmi(e->lapic);
	e->cpu.nmi_pending = out->cpu.nmi_pending;
	lapic_save(e->lapic, &out->apic, now->machine_ns);
	sys_debug_save(e, &out->debug_pending, &out->task_trap);
	out->in_rep = e->in_rep;
	return 0;
}

/* What the processor model has not cannot be switched on in it. */
static const char *check_model(const struct machine *m, const struct cpu *c)
{
	if (c->cr4 & ~m->cr4_supported)
		return "cr4: the processor model has not what it switches on";
	if (c->xcr0 & ~(m->xcr0_supported | 1)) /* without XSAVE it is 1 all the same */
		return "xcr0: the processor model has not what it switches on";
	return NULL;
}

enum { AID_CLOCK = 1, AID_ON = 1 };

/* What nobody would do any more for a guest that relies on it. */
static const char *check_aids(const struct engine_state *in)
{
	for (unsigned n = AID_CLOCK; n < KVM_AIDS; n++)
		if (in->kvm_aid[n] & AID_ON)
			return "kvm: the guest uses what only KVM does for it (kvmclock, or its like), and would stand still";
	return NULL;
}

/* At the frequency that it had there. The host's counter stays that: KVM may be to have it back (vmm/kvm/whole.c, keeps_tsc()). */
static void go_on_counting(struct machine *m, const struct engine_state *in)
{
	const uint64_t age = engine_state_age(in, machine_ns(&m->config.clock));

	m->tsc_is_hosts =
		in->tsc_khz && (m->tsc_is_hosts ? in->tsc_khz == m->config.tsc_khz
						: in->by_kvm && emu_tsc_is_near_hosts(in->tsc + tsc_ticks(in->tsc_khz, age)));
	m->tsc_khz = in->tsc_khz;
}

int emu_restore(struct engine *engine, unsigned vcpu, const struct engine_state *in, const char **field)
{
	const struct tsc_moment *now;
	uint64_t age;
	struct emu *e;
	int r = engine_state_check(in, field);

	if (r)
		return r;
	e = engine_emu_vcpu(engine, vcpu);
	*field = check_model(e->machine, &in->cpu);
	if (!*field)
		*field = check_aids(in);
	if (*field)
		return -EINVAL;
	r = engine->ops->set_state(engine, vcpu, &in->cpu);
	if (r)
		return r;
	if (vcpu == 0)
		go_on_counting(e->machine, in);
	now = take_moment(e->machine, vcpu);
	age = engine_state_age(in, now->machine_ns);
	e->cpu.msr.tsc_offset = in->tsc + tsc_ticks(e->machine->tsc_khz, age) - now->ticks;
	lapic_restore(e->lapic, &in->apic, now->machine_ns - age);
	sys_debug_restore(e, in->debug_pending, in->task_trap);
	e->in_rep = in->in_rep;
	return 0;
}
