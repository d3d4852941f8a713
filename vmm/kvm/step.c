/* SPDX-License-Identifier: MIT */
/* One KVM_RUN: inject what the 8259 has, enter the guest, serve the exit. */
#include "kvm.h"

#include "proto/counters.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

static void serve_port(struct kvm_engine *k, unsigned vcpu, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	const struct engine_bus *bus = &k->bus;
	uint64_t value = 0;

	if (run->io.count > 1) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus->read_string(bus->ctx, vcpu, run->io.port, data, run->io.count, run->io.size);
		else
			bus->write_string(bus->ctx, vcpu, run->io.port, data, run->io.count, run->io.size);
		return;
	}
	if (run->io.direction == KVM_EXIT_IO_IN) {
		value = bus->read(bus->ctx, vcpu, IO_PORT, run->io.port, run->io.size);
		memcpy(data, &value, run->io.size);
	} else {
		memcpy(&value, data, run->io.size);
		bus->write(bus->ctx, vcpu, IO_PORT, run->io.port, value, run->io.size);
	}
}

/* KVM hands over 1 to 8 bytes; the bus knows powers of two only. */
static void serve_mmio(struct kvm_engine *k, unsigned vcpu, struct kvm_run *run)
{
	const struct engine_bus *bus = &k->bus;
	uint32_t left = run->mmio.len, done = 0;

	while (left > 0 && done < 8) {
		uint32_t size = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
		uint64_t value = 0;

		if (run->mmio.is_write) {
			memcpy(&value, run->mmio.data + done, size);
			bus->write(bus->ctx, vcpu, IO_MMIO, run->mmio.phys_addr + done, value, size);
		} else {
			value = bus->read(bus->ctx, vcpu, IO_MMIO, run->mmio.phys_addr + done, size);
			memcpy(run->mmio.data + done, &value, size);
		}
		done += size;
		left -= size;
	}
}

static void count(const struct kvm_vcpu *v, enum counter which)
{
	if (v->counters)
		counter_add(&v->counters->of[which], 1);
}

/* A vector that the 8259 was already asked for, or the one that it has now; negative: none. */
static int take_vector(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	if (!v->has_vector) {
		int vector = k->bus.intack(k->bus.ctx, vcpu);

		if (vector < 0)
			return vector;
		v->has_vector = true;
		v->vector = (uint8_t)vector;
		if (v->counters)
			counter_add(&v->counters->vector[v->vector], 1);
	}
	return v->vector;
}

/*
 * The 8259's vector goes in by KVM_INTERRUPT, which in split mode is exactly an ExtINT. Ask for the window only while
 * there is something to inject: a request without one spins (kernel history: 71cc849b7093).
 *
 * A KVM_RUN that a signal ended early has not taken the vector before this one; then KVM has no room for another
 * (EEXIST). The 8259 believes that it was delivered, so it is kept until there is.
 */
static int inject_extint(struct kvm_engine *k, unsigned vcpu)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	struct kvm_run *run = v->run;
	struct kvm_interrupt irq;
	int vector;

	run->request_interrupt_window = 0;
	if (kvm_debug_holds_interrupts(k, vcpu))
		return 0;
	if (!v->has_vector && !k->bus.extint_pending(k->bus.ctx, vcpu))
		return 0;
	/* Where LINT0 is closed KVM opens no window, but does once the guest has opened it: of that nobody else hears. */
	if (!run->ready_for_interrupt_injection || !run->if_flag || (!v->has_vector && !kvm_lint0_takes(k, vcpu))) {
		run->request_interrupt_window = 1;
		return 0;
	}
	vector = take_vector(k, vcpu);
	if (vector < 0)
		return 0;
	irq.irq = (uint32_t)vector;
	if (ioctl(v->fd, KVM_INTERRUPT, &irq) == 0)
		v->has_vector = false;
	else if (errno == EEXIST)
		run->request_interrupt_window = 1;
	else
		return kvm_fail(k, "KVM_INTERRUPT");
	run->ready_for_interrupt_injection = 0;
	return 0;
}

/* In HLT with interrupts off, or not started: nothing but NMI, INIT or SIPI would end that. */
static bool is_idle(const struct kvm_vcpu *v)
{
	struct kvm_mp_state mp;

	if (ioctl(v->fd, KVM_GET_MP_STATE, &mp) < 0)
		return false;
	return mp.mp_state == KVM_MP_STATE_UNINITIALIZED || mp.mp_state == KVM_MP_STATE_INIT_RECEIVED ||
	       (mp.mp_state == KVM_MP_STATE_HALTED && !v->run->if_flag);
}

/*
 * HLT sleeps in the kernel, so who sleeps for ever is found when it is kicked, once a second. Of several, all are, and the looks
 * are not at the same time: one that has been seen may have been woken by another since. Each is idle three times in a row.
 */
static bool is_dead_halt(struct kvm_engine *k, unsigned vcpu)
{
	const unsigned enough = k->vcpus > 1 ? 3 : 1;
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	atomic_store(&v->idle_looks, is_idle(v) ? atomic_load(&v->idle_looks) + 1 : 0);
	for (unsigned n = 0; n < k->vcpus; n++)
		if (atomic_load(&k->vcpu[n].idle_looks) < enough)
			return false;
	return true;
}

static bool serve_exit(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop)
{
	struct kvm_run *run = k->vcpu[vcpu].run;

	atomic_store_explicit(&k->vcpu[vcpu].idle_looks, 0, memory_order_relaxed);
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		k->vcpu[vcpu].owes = true;
		serve_port(k, vcpu, run);
		return true;
	case KVM_EXIT_MMIO:
		k->vcpu[vcpu].owes = true;
		serve_mmio(k, vcpu, run);
		return true;
	case KVM_EXIT_IOAPIC_EOI:
		k->bus.eoi(k->bus.ctx, vcpu, run->eoi.vector);
		return true;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		count(&k->vcpu[vcpu], COUNTER_WINDOW);
		return true;
	case KVM_EXIT_INTR:
	case KVM_EXIT_SET_TPR:
		count(&k->vcpu[vcpu], COUNTER_OTHER);
		return true;
	case KVM_EXIT_HLT:
		if (run->if_flag)
			return true;
		*stop = ENGINE_HALTED;
		return false;
	case KVM_EXIT_DEBUG:
		if (kvm_mend_exit(k, vcpu))
			return true;
		*stop = ENGINE_DEBUG;
		return !kvm_debug_exit(k, vcpu);
	case KVM_EXIT_SHUTDOWN:
		*stop = kvm_shut_down(k, vcpu);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		*stop = ENGINE_KICKED;
		if (kvm_fallback(k, vcpu, stop))
			return *stop == ENGINE_KICKED;
		*stop = kvm_gave_up(k, vcpu);
		return false;
	default:
		if (kvm_exit_answer(run)) {
			count(&k->vcpu[vcpu], COUNTER_OTHER);
			k->vcpu[vcpu].owes = true;
			return true;
		}
		*stop = kvm_unserved(k, vcpu);
		return false;
	}
}

bool kvm_complete(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	while (v->owes) { /* an access can be answered in several parts */
		v->owes = false;
		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (ioctl(v->fd, KVM_RUN, 0) == 0 && !serve_exit(k, vcpu, stop))
			return false;
	}
	return true;
}

bool kvm_step(struct kvm_engine *k, unsigned vcpu, enum engine_stop *stop)
{
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	if (kvm_mend_watch(k, vcpu) || inject_extint(k, vcpu)) {
		*stop = ENGINE_ERROR;
		return false;
	}
	v->owes = false;
	if (ioctl(v->fd, KVM_RUN, 0) == 0)
		return serve_exit(k, vcpu, stop);
	if (errno == EINTR || errno == EAGAIN) {
		count(v, COUNTER_SIGNAL);
		if (!is_dead_halt(k, vcpu))
			return true;
		*stop = ENGINE_HALTED;
		return false;
	}
	*stop = kvm_run_failed(k, vcpu);
	return false;
}
