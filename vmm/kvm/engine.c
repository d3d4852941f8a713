/* SPDX-License-Identifier: MIT */
/* Creating a KVM machine, its interrupt routes, kicks: the engine_kvm table (emu/core/engine.h). */
#include "kvm.h"

#include "proto/counters.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Only its arrival matters: it makes KVM_RUN return with EINTR. */
#define KICK_SIGNAL SIGUSR1

static void on_kick(int sig)
{
	(void)sig;
}

static int add_memory(struct kvm_engine *k, const struct engine_config *config)
{
	for (unsigned i = 0; i < config->ram_count; i++) {
		struct kvm_userspace_memory_region r = {
			.slot = i,
			.guest_phys_addr = config->ram[i].gpa,
			.memory_size = config->ram[i].size,
			.userspace_addr = (uintptr_t)config->ram[i].host,
		};

		if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &r) < 0)
			return kvm_fail(k, "KVM_SET_USER_MEMORY_REGION");
	}
	return 0;
}

/* Memory first: adding a region costs 0.1 ms before the irqchip exists and 6 ms after (measured here). */
static int create_machine(struct kvm_engine *k, const struct engine_config *config)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { LAYOUT_IOAPIC_PINS } };
	struct kvm_enable_cap tell = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	struct kvm_enable_cap triple = { .cap = KVM_CAP_X86_TRIPLE_FAULT_EVENT, .args = { 1 } };
	int err;

	if (ioctl(k->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		errno = ENOSYS;
		return kvm_fail(k, "KVM_GET_API_VERSION");
	}
	k->vm_fd = ioctl(k->kvm_fd, KVM_CREATE_VM, 0);
	if (k->vm_fd < 0)
		return kvm_fail(k, "KVM_CREATE_VM");
	err = add_memory(k, config);
	if (err)
		return err;
	/* Intel hosts without unrestricted guest need scratch pages for real mode, below what firmware may take; others ignore these. */
	if (ioctl(k->vm_fd, KVM_SET_TSS_ADDR, 0xfeffd000ul) < 0 && errno != ENOTTY && errno != EINVAL)
		return kvm_fail(k, "KVM_SET_TSS_ADDR");
	if (ioctl(k->vm_fd, KVM_ENABLE_CAP, &split) < 0)
		return kvm_fail(k, "KVM_CAP_SPLIT_IRQCHIP");
	k->tells_failures = ioctl(k->vm_fd, KVM_ENABLE_CAP, &tell) == 0;
	k->has_triple_fault = ioctl(k->vm_fd, KVM_ENABLE_CAP, &triple) == 0;
	return 0;
}

/* What CPUID does not show of KVM's own is not there: its MSRs raise #GP. A KVM too old for that keeps them. */
static void hide_unoffered(int fd)
{
	struct kvm_enable_cap hide = { .cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = { 1 } };

	ioctl(fd, KVM_ENABLE_CAP, &hide);
}

static int create_vcpu(struct kvm_engine *k, unsigned index)
{
	struct kvm_vcpu *v = &k->vcpu[index];
	int err;

	v->fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, (unsigned long)topology_apic_id(&k->topology, index));
	if (v->fd < 0)
		return kvm_fail(k, "KVM_CREATE_VCPU");
	v->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		v->run = NULL;
		return kvm_fail(k, "mmap of kvm_run");
	}
	v->area = k->xsave_bytes ? calloc(1, k->xsave_bytes) : NULL;
	if (k->xsave_bytes && !v->area)
		return -ENOMEM;
	hide_unoffered(v->fd);
	err = kvm_set_cpuid(k, index);
	return err ? err : kvm_mend_init(k, index);
}

static void kvm_engine_destroy(struct engine *e)
{
	struct kvm_engine *k = (struct kvm_engine *)e;

	kvm_fallback_destroy(k);
	for (unsigned i = 0; i < ENGINE_MAX_VCPUS; i++) {
		free(k->vcpu[i].area);
		if (k->vcpu[i].run)
			munmap(k->vcpu[i].run, k->run_size);
		if (k->vcpu[i].fd >= 0)
			close(k->vcpu[i].fd);
	}
	if (k->vm_fd >= 0)
		close(k->vm_fd);
	if (k->kvm_fd >= 0)
		close(k->kvm_fd);
	pthread_mutex_destroy(&k->route_lock);
	free(k);
}

static int build(struct kvm_engine *k, const struct engine_config *config)
{
	struct sigaction sa = { .sa_handler = on_kick }; /* no SA_RESTART: KVM_RUN must return */
	int size, err;

	sigaction(KICK_SIGNAL, &sa, NULL);
	size = ioctl(k->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (size >= 0 && size < (int)sizeof(struct kvm_run))
		errno = EPROTO;
	if (size < (int)sizeof(struct kvm_run))
		return kvm_fail(k, "KVM_GET_VCPU_MMAP_SIZE");
	k->run_size = (size_t)size;
	err = create_machine(k, config);
	if (!err)
		kvm_xstate_init(k);
	if (!err) {
		int flags = ioctl(k->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_GUEST_DEBUG2);

		k->debug_flags = flags > 0 ? (uint32_t)flags : 0;
	}
	for (unsigned i = 0; !err && i < k->vcpus; i++)
		err = create_vcpu(k, i);
	if (err)
		return err;
	kvm_state_init(k);
	k->falls_back = !config->no_fallback;
	k->no_syscall = config->no_syscall;
	return kvm_fallback_create(k, config);
}

static bool has_synced_registers(int kvm_fd)
{
	const int want = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS, has = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);

	return has > 0 && (has & want) == want;
}

static int kvm_engine_create(const struct engine_config *config, struct engine **out)
{
	struct kvm_engine *k;
	int err;

	if (config->kvm_fd < 0 || config->vcpus == 0 || config->vcpus > ENGINE_MAX_VCPUS)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	k->base.ops = &engine_kvm;
	k->bus = *config->bus;
	k->kvm_fd = config->kvm_fd;
	k->vm_fd = -1;
	k->vcpus = config->vcpus;
	k->topology = config->topology.sockets ? config->topology : topology_flat(config->vcpus);
	memcpy(k->ram, config->ram, sizeof(k->ram));
	k->ram_count = config->ram_count;
	k->clock = config->clock;
	k->mends_syscall = config->mends_syscall && has_synced_registers(k->kvm_fd);
	if (config->cpu)
		k->cpu = *config->cpu;
	else
		cpu_model_parse(&k->cpu, "host", k->error);
	pthread_mutex_init(&k->route_lock, NULL);
	for (unsigned i = 0; i < ENGINE_MAX_VCPUS; i++)
		k->vcpu[i].fd = -1;
	for (unsigned i = 0; config->counters && i < k->vcpus; i++)
		k->vcpu[i].counters = &config->counters[i];
	err = build(k, config);
	if (err) {
		if (err == -ENOTSUP && config->cpu_error)
			snprintf(config->cpu_error, CPU_MODEL_ERROR_MAX, "%.*s", CPU_MODEL_ERROR_MAX - 1, k->error);
		else if (k->bus.log)
			k->bus.log(k->bus.ctx, 0, k->error);
		k->kvm_fd = -1; /* still the caller's */
		kvm_engine_destroy(&k->base);
		return err;
	}
	*out = &k->base;
	return 0;
}

/*
 * The kicked flag is for a thread that is about to enter KVM_RUN, immediate_exit for one that has passed the flag's
 * test, the signal for one that is inside. Whoever is nowhere near sees the flag at its next run().
 */
static void kvm_engine_kick(struct engine *e, unsigned vcpu)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct kvm_vcpu *v = &k->vcpu[vcpu];

	atomic_store(&v->kicked, true);
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	if (atomic_load(&v->inside))
		pthread_kill(v->thread, KICK_SIGNAL);
}

static enum engine_stop kvm_engine_run(struct engine *e, unsigned vcpu)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct kvm_vcpu *v = &k->vcpu[vcpu];
	enum engine_stop stop;

	v->thread = pthread_self();
	atomic_store(&v->inside, true);
	do {
		__atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
		if (atomic_load(&v->kicked) && !kvm_complete(k, vcpu, &stop))
			break;
		if (atomic_exchange(&v->kicked, false)) {
			stop = ENGINE_KICKED;
			break;
		}
	} while (kvm_step(k, vcpu, &stop));
	atomic_store(&v->inside, false);
	return stop;
}

/*
 * A signal that only asks to look at the 8259 again must not end run(): no flag, the step loop re-evaluates. Each knows for itself
 * whether its LINT0 takes it.
 */
static void kvm_engine_extint_changed(struct engine *e)
{
	struct kvm_engine *k = (struct kvm_engine *)e;

	for (unsigned n = 0; n < k->vcpus; n++) {
		struct kvm_vcpu *v = &k->vcpu[n];

		__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		if (atomic_load(&v->inside))
			pthread_kill(v->thread, KICK_SIGNAL);
	}
}

static int kvm_engine_signal_msi(struct engine *e, uint64_t addr, uint32_t data)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct kvm_msi msi = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data };

	if ((addr & 0xfff00000) != LAYOUT_LAPIC_BASE)
		return -EINVAL;
	/* 0 means that no local APIC wanted it (masked, disabled): for the guest that is a lost edge, not an error. */
	return ioctl(k->vm_fd, KVM_SIGNAL_MSI, &msi) < 0 ? -errno : 0;
}

/*
 * KVM reports the EOI of a level-triggered vector only if one of the reserved GSIs has a route with that vector, so
 * every live pin has one, although messages are injected with KVM_SIGNAL_MSI.
 */
static int kvm_engine_set_route(struct engine *e, unsigned pin, uint64_t addr, uint32_t data, bool masked)
{
	struct kvm_engine *k = (struct kvm_engine *)e;
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry[LAYOUT_IOAPIC_PINS];
	} table = { 0 };
	int err = 0;

	if (pin >= LAYOUT_IOAPIC_PINS)
		return -EINVAL;
	pthread_mutex_lock(&k->route_lock);
	k->routed[pin] = !masked;
	k->route[pin] = (struct kvm_irq_routing_entry){
		.gsi = pin,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = (uint32_t)addr, .address_hi = (uint32_t)(addr >> 32), .data = data },
	};
	for (unsigned i = 0; i < LAYOUT_IOAPIC_PINS; i++)
		if (k->routed[i])
			table.entry[table.head.nr++] = k->route[i];
	if (ioctl(k->vm_fd, KVM_SET_GSI_ROUTING, &table) < 0)
		err = -errno;
	pthread_mutex_unlock(&k->route_lock);
	return err;
}

static int kvm_engine_get_state(struct engine *e, unsigned vcpu, struct cpu *out)
{
	return kvm_state_get((struct kvm_engine *)e, vcpu, out);
}

static int kvm_engine_set_state(struct engine *e, unsigned vcpu, const struct cpu *in)
{
	return kvm_state_set((struct kvm_engine *)e, vcpu, in);
}

static uint64_t kvm_engine_instructions(struct engine *e, unsigned vcpu)
{
	(void)e;
	(void)vcpu;
	return 0;
}

static const char *kvm_engine_last_error(struct engine *e)
{
	return ((struct kvm_engine *)e)->error;
}

/* The processor sees it by itself. */
static void kvm_ram_written(struct engine *e, uint64_t gpa, uint64_t size)
{
}

static void kvm_engine_features(struct engine *e, struct cpu_feature_set *out)
{
	*out = ((struct kvm_engine *)e)->features;
}

const struct engine_ops engine_kvm = {
	.name = "kvm",
	.create = kvm_engine_create,
	.destroy = kvm_engine_destroy,
	.get_state = kvm_engine_get_state,
	.set_state = kvm_engine_set_state,
	.save = kvm_save,
	.restore = kvm_restore,
	.debug = kvm_debug,
	.debug_hit = kvm_debug_hit,
	.translate = kvm_translate,
	.run = kvm_engine_run,
	.kick = kvm_engine_kick,
	.signal_msi = kvm_engine_signal_msi,
	.set_route = kvm_engine_set_route,
	.extint_changed = kvm_engine_extint_changed,
	.ram_written = kvm_ram_written,
	.features = kvm_engine_features,
	.instructions = kvm_engine_instructions,
	.last_error = kvm_engine_last_error,
};
