/* SPDX-License-Identifier: MIT */
/* The emulator behind engine.h: one struct emu per vCPU, the run loop in run.c. */
#include "engine_emu.h"
#include "run.h"
#include "emu/apic/apic.h"
#include "emu/block/block.h"
#include "emu/core/flags.h"
#include "emu/core/machine.h"
#include "emu/decode/decode.h"
#include "emu/jit/jit.h"
#include "emu/mmu/mmu.h"
#include "emu/native/host.h"
#include "emu/native/memory.h"
#include "emu/sem/sys/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct engine_of_emu {
	struct engine engine;
	struct machine machine;
};

static struct engine_of_emu *impl(struct engine *e)
{
	return (struct engine_of_emu *)e;
}

struct emu *engine_emu_vcpu(struct engine *e, unsigned vcpu)
{
	return impl(e)->machine.emu[vcpu];
}

static bool has_feature(const void *ctx, unsigned feature)
{
	return machine_has_feature(ctx, feature);
}

static void destroy_vcpu(struct emu *e)
{
	if (!e)
		return;
	if (e->lapic)
		lapic_destroy(e->lapic);
	if (e->sys)
		sys_fini(e);
	trace_destroy(e);
	jit_destroy(e);
	block_destroy(e);
	mmu_destroy(e);
	jit_free(e);
}

static const struct emu_hooks hooks = {
	.code_written = code_drop,
	.data_accessed = debugger_data,
	.translations_dropped = jit_translations_dropped,
	.page_dropped = jit_page_dropped,
	.block_hot = jit_hot,
	.block_killed = jit_killed,
	.code_turns = jit_turns,
	.code_turned = jit_turned,
	.code_given_back = jit_given_back,
	.step = step_one,
};

enum { TRANSLATE_AFTER = 32 };

/* The translator reserves some hundred megabytes of addresses, and some for each processor. */
static bool has_address_space(unsigned vcpus)
{
	struct rlimit most;

	return getrlimit(RLIMIT_AS, &most) != 0 || most.rlim_cur >= (640ull + 256 * (vcpus - 1)) << 20;
}

static unsigned threshold(const struct engine_config *c)
{
	return !has_address_space(c->vcpus) || c->no_translator || c->single_step ? 0
	       : c->translate_after						  ? c->translate_after
										  : TRANSLATE_AFTER;
}

/* What a processor's share of the memory for code is used for. Touched as it is filled. */
struct shares {
	size_t blocks, native, tables;
};

enum { FIRST = 192 << 20, FURTHER = 48 << 20, UNTRANSLATED = 11 << 19 };

static size_t bytes_of_code(const struct machine *m)
{
	if (m->config.code_cache_bytes)
		return m->config.code_cache_bytes / m->vcpus;
	return (FIRST + (size_t)FURTHER * (m->vcpus - 1)) / m->vcpus;
}

/* A translation lives as long as its block; not each block has one. Half as much for its code, and for what else is known of it. */
static struct shares shares(const struct machine *m)
{
	const size_t bytes = bytes_of_code(m);
	struct shares s = { .blocks = bytes / 2, .native = bytes / 4, .tables = bytes / 4 };

	if (!threshold(&m->config))
		s.blocks = m->config.code_cache_bytes ? bytes / 2 : UNTRANSLATED;
	return s;
}

/* The processor's part of what the machine was lent, else memory of its own. */
static int create_blocks(struct machine *m, struct emu *e, unsigned n)
{
	const struct shares s = shares(m);
	struct native_memory part;
	int r;

	if (m->config.native) {
		part = native_memory_part(m->config.native, n, m->vcpus);
		if (part.bytes > s.native)
			part.bytes = s.native;
	}
	r = block_create(e, s.blocks, m->config.native ? &part : NULL);
	return r ? r : jit_create(e, threshold(&m->config), s.tables);
}

static int create_vcpu(struct machine *m, unsigned n)
{
	struct emu *e = jit_allocate(threshold(&m->config) != 0);
	int r;

	if (!e)
		return -ENOMEM;
	e->machine = m;
	e->hooks = &hooks;
	e->budget = -1;
	e->retired = (uint64_t)-1;
	e->counters = &m->config.counters[n];
	e->counted_before = counter_get(&e->counters->of[COUNTER_INSTRUCTIONS]);
	e->cpu.vcpu = (uint8_t)n;
	m->emu[n] = e;
	r = mmu_create(e);
	if (r == 0)
		r = create_blocks(m, e, n);
	if (r)
		return r;
	cpu_reset(&e->cpu);
	e->flags_image = flags_from_arith(e->cpu.rflags);
	if (trace_create(e) || sys_init(e))
		return -ENOMEM;
	e->lapic = lapic_create(m, e, topology_apic_id(&m->topology, n));
	if (!e->lapic)
		return -ENOMEM;
	mmu_mode_changed(e);
	return 0;
}

static void emu_destroy(struct engine *e)
{
	for (unsigned n = 0; n < impl(e)->machine.vcpus; n++)
		destroy_vcpu(impl(e)->machine.emu[n]);
	mmu_unmap_code(&impl(e)->machine);
	free(impl(e)->machine.own_counters);
	free(e);
}

static bool config_is_valid(const struct engine_config *c)
{
	if (!c->bus || c->vcpus == 0 || c->vcpus > ENGINE_MAX_VCPUS || c->ram_count > ENGINE_MAX_RAM)
		return false;
	if (c->topology.sockets && (!topology_is_valid(&c->topology) || topology_cpus(&c->topology) != c->vcpus))
		return false;
	for (unsigned n = 0; n < c->ram_count; n++) {
		if (((c->ram[n].gpa | c->ram[n].size | (uintptr_t)c->ram[n].host) & (PAGE_SIZE - 1)) || !c->ram[n].host)
			return false;
	}
	return c->code_cache_bytes == 0 || c->code_cache_bytes / c->vcpus >= 65536;
}

static int make_counters(struct machine *m)
{
	if (m->config.counters)
		return 0;
	m->config.counters = m->own_counters = aligned_alloc(_Alignof(struct counters), m->vcpus * sizeof(struct counters));
	if (!m->own_counters)
		return -ENOMEM;
	memset(m->own_counters, 0, m->vcpus * sizeof(struct counters));
	return 0;
}

static int emu_create(const struct engine_config *config, struct engine **out)
{
	struct engine_of_emu *p;
	int r = 0;

	if (!config_is_valid(config) || (config->host_lacks && native_hide(config->host_lacks) != 0))
		return -EINVAL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->engine.ops = &engine_emu;
	p->machine.bus = *config->bus;
	p->machine.config = *config;
	p->machine.ram_count = config->ram_count;
	p->machine.vcpus = config->vcpus;
	p->machine.topology = config->topology.sockets ? config->topology : topology_flat(config->vcpus);
	memcpy(p->machine.ram, config->ram, sizeof(p->machine.ram));
	r = machine_init(&p->machine);
	decode_init(has_feature, &p->machine); /* before the first processor: its translator encodes what the tables say */
	if (r == 0)
		r = make_counters(&p->machine);
	if (r == 0)
		r = mmu_map_code(&p->machine);
	for (unsigned n = 0; n < config->vcpus && r == 0; n++)
		r = create_vcpu(&p->machine, n);
	if (r) {
		emu_destroy(&p->engine);
		return r;
	}
	*out = &p->engine;
	return 0;
}

static int emu_get_state(struct engine *e, unsigned vcpu, struct cpu *out)
{
	struct emu *c;

	if (vcpu >= impl(e)->machine.vcpus)
		return -EINVAL;
	c = impl(e)->machine.emu[vcpu];
	*out = c->cpu;
	out->rflags = emu_flags_get(c);
	return 0;
}

static int emu_set_state(struct engine *e, unsigned vcpu, const struct cpu *in)
{
	struct emu *c;

	if (vcpu >= impl(e)->machine.vcpus)
		return -EINVAL;
	c = impl(e)->machine.emu[vcpu];
	c->cpu = *in;
	c->cpu.vcpu = (uint8_t)vcpu;
	c->flags_image = flags_from_arith(in->rflags);
	c->cpu.rflags |= RFLAGS_FIXED;
	c->fault.pending = false;
	code_flush(c); /* whoever sets the state has probably filled memory too */
	mmu_mode_changed(c);
	mmu_flush_all(c);
	return 0;
}

static enum engine_stop emu_run_vcpu(struct engine *e, unsigned vcpu)
{
	return emu_run(impl(e)->machine.emu[vcpu]);
}

static void emu_kick(struct engine *e, unsigned vcpu)
{
	struct emu *c = impl(e)->machine.emu[vcpu];

	atomic_fetch_or(&c->kicked, EMU_KICK_STOP);
	emu_wake(c);
}

static int emu_signal_msi(struct engine *e, uint64_t addr, uint32_t data)
{
	return lapic_deliver_msi(&impl(e)->machine, addr, data);
}

/* The messages themselves say which vectors are level-triggered: nothing to remember. */
static int emu_set_route(struct engine *e, unsigned pin, uint64_t addr, uint32_t data, bool masked)
{
	return 0;
}

static void emu_ram_written(struct engine *e, uint64_t gpa, uint64_t size)
{
	mmu_ram_written(&impl(e)->machine, gpa, size);
}

static void emu_extint_changed(struct engine *e)
{
	struct machine *m = &impl(e)->machine;

	for (unsigned n = 0; n < m->vcpus; n++) /* each knows for itself whether its LINT0 takes it */
		emu_wake(m->emu[n]);
}

static void emu_features(struct engine *e, struct cpu_feature_set *out)
{
	*out = impl(e)->machine.features;
}

static uint64_t emu_instructions(struct engine *e, unsigned vcpu)
{
	return atomic_load_explicit(&impl(e)->machine.emu[vcpu]->retired_told, memory_order_relaxed);
}

static const char *emu_last_error(struct engine *e)
{
	return impl(e)->machine.error;
}

const struct engine_ops engine_emu = {
	.name = "emu",
	.create = emu_create,
	.destroy = emu_destroy,
	.get_state = emu_get_state,
	.set_state = emu_set_state,
	.save = emu_save,
	.restore = emu_restore,
	.debug = debugger_set,
	.debug_hit = debugger_hit,
	.translate = debugger_translate,
	.run = emu_run_vcpu,
	.kick = emu_kick,
	.signal_msi = emu_signal_msi,
	.set_route = emu_set_route,
	.ram_written = emu_ram_written,
	.extint_changed = emu_extint_changed,
	.features = emu_features,
	.instructions = emu_instructions,
	.last_error = emu_last_error,
};
