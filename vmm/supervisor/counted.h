/* SPDX-License-Identifier: MIT */
/* What the vcpu process has counted (proto/counters.h), as a message. */
#ifndef BULKHEAD_VMM_COUNTED_H
#define BULKHEAD_VMM_COUNTED_H

#include "vm.h"

#include "../../proto/counters.h"

/* Sums of all threads, read one word after the other: close to each other in time, not at one moment. */
struct counted {
	unsigned vcpus;
	uint64_t vcpu[COUNTERS_VCPUS][COUNTERS];
	uint64_t vector[COUNTERS_VECTORS];
	unsigned device_count;
	struct counted_device {
		const struct proc *proc;
		uint64_t posted, synchronous, shadowed, round_ns, rounds[COUNTERS_BUCKETS];
	} device[DEVICES];
	uint64_t uptime_ns;
};

/* Of one counter, of all vCPUs. */
uint64_t counted_sum(const struct vm *vm, enum counter which);
void counted_read(const struct vm *vm, struct counted *out);

/* Its rows, for as long as the message lives. */
struct counted_parts {
	Bulkhead__VcpuCounters vcpus[COUNTERS_VCPUS], *vcpu_list[COUNTERS_VCPUS];
	Bulkhead__DeviceCounters devices[DEVICES], *device_list[DEVICES];
	uint32_t vectors[COUNTERS_VECTORS];
	uint64_t vector_counts[COUNTERS_VECTORS];
};
void counted_message(struct counted *c, Bulkhead__Counters *out, struct counted_parts *parts);

#endif
