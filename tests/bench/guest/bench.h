/* SPDX-License-Identifier: MIT */
/*
 * The guest's half of `make bench`: small workloads that time themselves and print "name value unit".
 *
 * A workload does its work `n` times and returns something that depends on it, so that the compiler cannot drop it.
 * The same static binary runs natively, in our emulator and under QEMU.
 */
#ifndef BULKHEAD_BENCH_GUEST_H
#define BULKHEAD_BENCH_GUEST_H

#include <stdbool.h>
#include <stdint.h>

struct workload {
	const char *name;
	const char *unit; /* "ns": for one round, or for one of its `bytes` operations; "MB/s": `bytes` are moved in one round */
	uint64_t (*run)(uint64_t n);
	uint64_t bytes;
	bool (*supported)(void); /* NULL: everywhere */
};

extern const struct workload integer_workloads[], memory_workloads[], simd_workloads[], system_workloads[], parallel_workloads[], disk_workloads[];

#endif
