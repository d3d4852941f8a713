/* SPDX-License-Identifier: MIT */
/*
 * What a vcpu process counts of itself: an object (COUNTERS) that it alone writes and the supervisor reads whenever
 * somebody asks, so that nobody has to be interrupted for an answer. Each thread has a part of its own: a count is a plain
 * addition, without a lock and without a neighbour on its cache line. A new vcpu process, after a reset, goes on where the
 * old one stopped: counts never fall. The reader believes nothing but that these are numbers.
 */
#ifndef BULKHEAD_PROTO_COUNTERS_H
#define BULKHEAD_PROTO_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "layout.h"
#include "kind.h"

enum counter {
#define COUNTER(NAME, ...) COUNTER_##NAME,
#include "counters.def"
	COUNTERS
};

/* Round trips by their time: bucket n holds those below 2^n ns (and not below 2^(n-1)), the last one all longer ones. */
enum { COUNTERS_BUCKETS = 36, COUNTERS_VCPUS = 64, COUNTERS_THREADS = COUNTERS_VCPUS + 1, COUNTERS_VECTORS = 256 };

typedef _Atomic uint64_t counter_word;

/* Accesses to one device, by how they were answered. */
struct counters_device {
	counter_word posted, synchronous, shadowed;
	counter_word round_ns; /* all round trips together */
	counter_word rounds[COUNTERS_BUCKETS];
};

/* Writer: one thread. Channels are numbered as in SETUP_VCPU. */
struct counters {
	_Alignas(4096) counter_word of[COUNTERS];
	counter_word vector[COUNTERS_VECTORS]; /* interrupts delivered (engine emu), or sent to local APICs */
	struct counters_device device[DEVICES_MAX];
};

/* A thread for each vCPU; the last is the helper's, which takes irqd's messages. */
struct counters_page {
	struct counters thread[COUNTERS_THREADS];
};
enum { COUNTERS_HELPER = COUNTERS_VCPUS };

static inline void counter_add(counter_word *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const counter_word *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

/* The bucket of a round trip. */
static inline unsigned counters_bucket(uint64_t ns)
{
	unsigned n = ns ? 64 - (unsigned)__builtin_clzll(ns) : 0;

	return n < COUNTERS_BUCKETS ? n : COUNTERS_BUCKETS - 1;
}

static inline void counters_round(struct counters_device *d, uint64_t ns)
{
	counter_add(&d->round_ns, ns);
	counter_add(&d->rounds[counters_bucket(ns)], 1);
}

/* The time that so many of a thousand round trips do not exceed, by the upper bound of their bucket; 0: there were none. */
uint64_t counters_quantile(const uint64_t rounds[COUNTERS_BUCKETS], unsigned per_mille);

extern const char *const counter_names[COUNTERS], *const counter_texts[COUNTERS];

#endif
