/* SPDX-License-Identifier: MIT */
/*
 * How a machine's processors are arranged, and the local APIC id of each (SDM vol. 3, 8.9): the number of the thread in its
 * core, of the core in its package, and of the package, each in as many bits as the largest takes. Whoever tells the guest,
 * CPUID, the local APICs, ACPI and MP tables, asks here.
 */
#ifndef BULKHEAD_PROTO_TOPOLOGY_H
#define BULKHEAD_PROTO_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

enum {
	TOPOLOGY_MAX_CPUS = 64,
	TOPOLOGY_MAX_ID = 254, /* ffh is everybody */
};

struct cpu_topology {
	unsigned sockets, cores, threads; /* cores of a socket, threads of a core */
};

static inline unsigned topology_cpus(const struct cpu_topology *t)
{
	return t->sockets * t->cores * t->threads;
}

/* Bits that number `count` things. */
static inline unsigned topology_bits(unsigned count)
{
	return count > 1 ? 32 - (unsigned)__builtin_clz(count - 1) : 0;
}

static inline unsigned topology_thread_bits(const struct cpu_topology *t)
{
	return topology_bits(t->threads);
}

/* Of the number of a processor within its package. */
static inline unsigned topology_package_bits(const struct cpu_topology *t)
{
	return topology_bits(t->threads) + topology_bits(t->cores);
}

static inline unsigned topology_apic_id(const struct cpu_topology *t, unsigned cpu)
{
	const unsigned core = cpu / t->threads, socket = core / t->cores;

	return socket << topology_package_bits(t) | core % t->cores << topology_thread_bits(t) | cpu % t->threads;
}

/* What a machine can have: a product that is not larger for each of its factors, and ids of eight bits. */
static inline bool topology_is_valid(const struct cpu_topology *t)
{
	return t->sockets && t->cores && t->threads && t->sockets <= TOPOLOGY_MAX_CPUS && t->cores <= TOPOLOGY_MAX_CPUS &&
	       t->threads <= TOPOLOGY_MAX_CPUS && topology_cpus(t) <= TOPOLOGY_MAX_CPUS &&
	       topology_apic_id(t, topology_cpus(t) - 1) <= TOPOLOGY_MAX_ID;
}

/* How a saved state tells it: the number of processors, and above it what is not flat. */
static inline uint32_t topology_word(const struct cpu_topology *t)
{
	return topology_cpus(t) | (t->sockets - 1) << 16 | (t->threads - 1) << 24;
}

/* One socket of so many cores. */
static inline struct cpu_topology topology_flat(unsigned cpus)
{
	return (struct cpu_topology){ 1, cpus, 1 };
}

#endif
