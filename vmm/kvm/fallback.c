/* SPDX-License-Identifier: MIT */
/*
 * What KVM gives up on, our emulator runs: the state is taken out, some instructions run on the same guest memory, what they
 * changed is put back. KVM keeps the local APIC and all that counts time; instructions that ask for these are not run here
 * (emu/run/stretch.h).
 *
 * To take the state out and in costs as much as some hundred instructions of the emulator. Where KVM is back in no time, since it
 * interprets, or since the guest wants such instructions one after the other, the next stretch is twice as long; where the
 * guest has run longer between than the last one took, half as long, down to the one instruction.
 */
#include "kvm.h"

#include "emu/core/emu.h"
#include "emu/core/xstate.h"
#include "emu/native/memory.h"
#include "emu/run/stretch.h"
#include "proto/clock.h"
#include "proto/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { STRETCH_MOST = 4096, CODE_BYTES = 65536 /* of each processor: nothing is decoded ahead */ };

/* Which bits MXCSR has, by this host's processor. */
static uint32_t mxcsr_mask(const struct kvm_engine *k)
{
	const struct kvm_vcpu *v = &k->vcpu[0];

	if (!v->area || kvm_xstate_read(k, 0))
		return 0;
	return ((const struct fx_image *)(const void *)v->area)->mxcsr_mask;
}

int kvm_fallback_create(struct kvm_engine *k, const struct engine_config *config)
{
	static const struct native_memory none;
	const struct cpu_model model = { .base = CPU_BASE_V2, .possible = k->features };
	struct engine_config c = *config;
	int err;

	c.lent = c.single_step = c.no_translator = true;
	c.mxcsr_mask = mxcsr_mask(k);
	c.cpu = &model;
	c.cpu_error = NULL;
	c.counters = NULL;
	c.code_map = NULL;
	c.writer_count = 0;
	c.trace = NULL;
	c.code_cache_bytes = (size_t)CODE_BYTES * k->vcpus;
	if (!c.native)
		c.native = &none;
	err = engine_emu.create(&c, &k->emulator);
	for (unsigned n = 0; !err && n < k->vcpus; n++)
		k->vcpu[n].stretch.limit = 1;
	return err;
}

void kvm_fallback_destroy(struct kvm_engine *k)
{
	if (k->emulator)
		engine_emu.destroy(k->emulator);
}

/* Only these leave the state as it was before what they are about. */
static bool can_help(const struct kvm_run *run)
{
	return run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION || run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV;
}

/* INT n, INT3, INTO: RIP is at the instruction, which does it all again. */
static bool is_of_instruction(const struct kvm_vcpu_events *v)
{
	return v->exception.injected ? v->exception.nr == VEC_BP || v->exception.nr == VEC_OF : v->interrupt.soft;
}

/* A KVM that does not tell of failures has left a #UD for the instruction that it could not do. */
static bool is_left_behind(const struct kvm_engine *k, const struct kvm_vcpu_events *v, const struct kvm_run *run)
{
	return !k->tells_failures && run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	       run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && v->exception.injected && v->exception.nr == VEC_UD;
}

/* What KVM was about to deliver is delivered here. */
static void take_event(const struct kvm_engine *k, const struct kvm_run *run, struct kvm_vcpu_events *v, struct stretch *s)
{
	if (is_of_instruction(v) || is_left_behind(k, v, run)) {
		/* nothing is left to do for it */
	} else if (v->exception.injected) {
		s->event = STRETCH_EXCEPTION;
		s->vector = v->exception.nr;
		s->has_error = v->exception.has_error_code;
		s->error = v->exception.error_code;
	} else if (v->nmi.injected) {
		s->event = STRETCH_NMI;
	} else if (v->interrupt.injected) {
		s->event = STRETCH_INTERRUPT;
		s->vector = v->interrupt.nr;
	}
	v->exception.injected = v->exception.pending = v->nmi.injected = v->interrupt.injected = 0;
}

/* Long enough that the next one is not due before it would have paid. */
static void adapt(struct kvm_stretch *st, uint64_t began_ns, uint64_t now_ns)
{
	const bool soon = st->ended_ns && began_ns - st->ended_ns < st->took_ns;

	if (soon && st->limit < STRETCH_MOST)
		st->limit *= 2;
	else if (!soon && st->limit > 1)
		st->limit /= 2;
	st->ended_ns = now_ns;
	st->took_ns = now_ns - began_ns;
}

static void count(const struct kvm_vcpu *v, unsigned instructions)
{
	if (!v->counters)
		return;
	counter_add(&v->counters->of[COUNTER_FALLBACKS], 1);
	counter_add(&v->counters->of[COUNTER_FALLBACK_INSNS], instructions);
}

static bool run_stretch(struct kvm_engine *k, unsigned vcpu, struct kvm_vcpu_events *events, unsigned limit)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	const struct kvm_vcpu_events were = *events;
	struct stretch s = { .cpu = &v->stretch.after, .limit = limit };

	take_event(k, v->run, events, &s);
	v->stretch.after = v->stretch.before;
	emu_stretch(k->emulator, vcpu, &s);
	if (!s.done)
		return false;
	if (limit)
		count(v, s.done);
	if (memcmp(&were, events, sizeof(were)) == 0 || ioctl(v->fd, KVM_SET_VCPU_EVENTS, events) == 0)
		return true;
	kvm_fail(k, "KVM_SET_VCPU_EVENTS");
	return false;
}

/* A debugger that waits for the end of this instruction. */
static void tell_debugger(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop)
{
	if (!kvm_debug_holds_interrupts(k, vcpu))
		return;
	k->hit[vcpu] = (struct engine_hit){ .why = ENGINE_HIT_STEP };
	*stop = ENGINE_DEBUG;
}

bool kvm_fallback(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct kvm_stretch *st = &v->stretch;
	const uint64_t began_ns = clock_ns();
	struct kvm_vcpu_events events;

	if (!k->falls_back || !can_help(v->run) || ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return false;
	if (kvm_state_get(k, vcpu, &st->before) || !run_stretch(k, vcpu, &events, engine_debug_is_on(&k->debug) ? 1 : st->limit))
		return false;
	if (kvm_state_change(k, vcpu, &st->before, &st->after))
		*stop = ENGINE_ERROR;
	else if (st->after.activity == CPU_SHUTDOWN)
		*stop = ENGINE_TRIPLE_FAULT;
	else
		tell_debugger(k, vcpu, stop);
	adapt(st, began_ns, clock_ns());
	return true;
}

static bool is_interruptible(const struct cpu *c)
{
	return c->rflags & RFLAGS_IF && !c->shadow;
}

/* The 8259 believes that it was delivered. */
static void offer_vector(struct kvm_vcpu *v, struct kvm_vcpu_events *events)
{
	if (!v->has_vector || events->interrupt.injected || !is_interruptible(&v->stretch.before))
		return;
	events->interrupt.injected = 1;
	events->interrupt.nr = v->vector;
	events->interrupt.soft = 0;
	v->has_vector = false;
}

int kvm_settle(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct kvm_stretch *st = &v->stretch;
	struct kvm_vcpu_events events;
	int err = kvm_mend_settle(k, vcpu);

	if (!err)
		err = kvm_state_get(k, vcpu, &st->before);
	if (err)
		return err;
	if (ioctl(v->fd, KVM_GET_VCPU_EVENTS, &events) < 0)
		return kvm_fail(k, "KVM_GET_VCPU_EVENTS");
	if (!events.exception.injected && !events.nmi.injected)
		offer_vector(v, &events);
	if (!events.exception.injected && !events.nmi.injected && !events.interrupt.injected)
		return v->has_vector ? -EBUSY : 0;
	if (!run_stretch(k, vcpu, &events, 0)) /* an INT n, which is still to be done: RIP is at it */
		return ioctl(v->fd, KVM_SET_VCPU_EVENTS, &events) < 0 ? kvm_fail(k, "KVM_SET_VCPU_EVENTS") : 0;
	err = kvm_state_change(k, vcpu, &st->before, &st->after);
	return err ? err : v->has_vector ? -EBUSY : 0;
}
