/* SPDX-License-Identifier: MIT */
/* How processors are arranged: local APIC ids, and what CPUID tells of them (SDM vol. 3, 8.9, and vol. 2, CPUID). */
#include "emu/core/engine.h"
#include "emu/run/engine_emu.h"
#include "emu/sem/sys/internal.h"
#include "proto/topology.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct cpu_topology all[] = { { 1, 1, 1 }, { 1, 2, 1 }, { 2, 2, 2 }, { 1, 3, 2 }, { 3, 5, 1 }, { 2, 3, 3 }, { 1, 64, 1 } };
enum { ALL = sizeof(all) / sizeof(all[0]) };

/* 8.9.1: each level has bits of its own, so ids have gaps where a number is no power of two. */
Test(topology, apic_ids)
{
	static const unsigned of_3_cores_2_threads[] = { 0, 1, 2, 3, 4, 5 }, of_2_sockets_3_cores[] = { 0, 1, 2, 4, 5, 6 };
	const struct cpu_topology threads = { 1, 3, 2 }, sockets = { 2, 3, 1 };

	for (unsigned n = 0; n < 6; n++) {
		cr_expect_eq(topology_apic_id(&threads, n), of_3_cores_2_threads[n]);
		cr_expect_eq(topology_apic_id(&sockets, n), of_2_sockets_3_cores[n]);
	}
}

/* A state that an older release has saved, of one socket and one thread, is a number. */
Test(topology, in_a_saved_state)
{
	for (unsigned n = 0; n < ALL; n++)
		for (unsigned k = 0; k < ALL; k++)
			cr_expect((topology_word(&all[n]) == topology_word(&all[k])) == (n == k));
	cr_expect_eq(topology_word(&(struct cpu_topology){ 1, 7, 1 }), 7);
}

Test(topology, what_can_be)
{
	for (unsigned n = 0; n < ALL; n++)
		cr_expect(topology_is_valid(&all[n]));
	for (unsigned sockets = 1; sockets <= TOPOLOGY_MAX_CPUS; sockets++)
		for (unsigned cores = 1; cores <= TOPOLOGY_MAX_CPUS / sockets; cores++) {
			const struct cpu_topology t = { sockets, cores, TOPOLOGY_MAX_CPUS / sockets / cores };

			cr_expect(topology_is_valid(&t), "%u sockets of %u cores of %u threads", sockets, cores, t.threads);
		}
	cr_expect_not(topology_is_valid(&(struct cpu_topology){ 0, 1, 1 }));
	cr_expect_not(topology_is_valid(&(struct cpu_topology){ 5, 13, 1 }));
	cr_expect_not(topology_is_valid(&(struct cpu_topology){ 1u << 16, 1u << 16, 1 }));
}

static uint64_t bus_read(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	return ~0ull;
}

static void bus_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
}

static _Alignas(4096) uint8_t ram[1 << 20];

static void check_levels(const struct emu *e, const struct cpu_topology *t, uint32_t id, uint32_t leaf)
{
	const struct cpuid_regs smt = cpuid_read(e, leaf, 0), core = cpuid_read(e, leaf, 1), none = cpuid_read(e, leaf, 2);

	/* EAX: bits to shift for the next level's id; EBX: processors at this level; ECX: level number, type; EDX: x2APIC id. */
	cr_expect(smt.r[2] == 0x100 && core.r[2] == 0x201 && none.r[2] == 2, "types: SMT, core, none");
	cr_expect(smt.r[3] == id && core.r[3] == id && none.r[3] == id);
	cr_expect_eq(smt.r[1], t->threads);
	cr_expect_eq(core.r[1], t->threads * t->cores);
	cr_expect(1u << smt.r[0] >= t->threads && (t->threads == 1 || 1u << smt.r[0] < 2 * t->threads));
	cr_expect(core.r[0] >= smt.r[0] && 1u << (core.r[0] - smt.r[0]) >= t->cores);
	cr_expect(none.r[0] == 0 && none.r[1] == 0);
}

static void check_processor(struct engine *engine, const struct cpu_topology *t, unsigned n)
{
	const struct emu *e = engine_emu_vcpu(engine, n);
	const uint32_t id = topology_apic_id(t, n), package = cpuid_read(e, 0xb, 1).r[0], thread = cpuid_read(e, 0xb, 0).r[0];
	const struct cpuid_regs version = cpuid_read(e, 1, 0);

	check_levels(e, t, id, 0xb);
	check_levels(e, t, id, 0x1f);
	cr_expect_eq(version.r[1] >> 24, id, "initial APIC id");
	cr_expect_eq(version.r[1] >> 16 & 0xff, 1u << package, "addressable ids in the package");
	cr_expect_eq(version.r[3] >> 28 & 1, t->cores * t->threads > 1, "HTT");
	for (unsigned level = 0; level < 4; level++) {
		const uint32_t eax = cpuid_read(e, 4, level).r[0];

		cr_expect_eq((eax >> 14 & 0xfff) + 1, level == 3 ? 1u << package : 1u << thread, "ids that share cache %u",
			     level);
		cr_expect_eq((eax >> 26) + 1, 1u << (package - thread), "ids of cores");
	}
}

Test(topology, cpuid)
{
	const struct engine_bus bus = { .read = bus_read, .write = bus_write };

	for (unsigned n = 0; n < ALL; n++) {
		struct engine_config config = {
			.bus = &bus, .kvm_fd = -1, .ram_count = 1, .single_step = true, .topology = all[n]
		};
		struct engine *engine;

		config.vcpus = topology_cpus(&all[n]);
		config.ram[0] = (struct engine_ram){ .size = sizeof(ram), .host = ram };
		cr_assert_eq(engine_emu.create(&config, &engine), 0);
		for (unsigned cpu = 0; cpu < config.vcpus; cpu++)
			check_processor(engine, &all[n], cpu);
		engine_emu.destroy(engine);
	}
}
