/* SPDX-License-Identifier: MIT */
/* A machine at one moment, as numbers, and what lies between two of them. */
#ifndef BULKHEAD_VMM_SAMPLE_H
#define BULKHEAD_VMM_SAMPLE_H

#include "usage.h"

#include "../common/config.h"

#include "../../proto/control.pb-c.h"
#include "../../proto/counters.h"

enum { SAMPLE_COUNTERS = 64, SAMPLE_NAME = 40, SAMPLE_VCPUS = 64, SAMPLE_VECTORS = 256 };

struct sample_device {
	char name[KIND_NAME_MAX], state[24];
	uint32_t deaths;
	uint64_t posted, synchronous, shadowed, round_ns, rounds[COUNTERS_BUCKETS];
};

struct sample {
	char name[VM_NAME_MAX + 1], state[32], engine[8], sandbox[8];
	uint64_t ns, uptime_ns; /* CLOCK_MONOTONIC */
	uint32_t reboots;
	unsigned counter_count;
	char counter_name[SAMPLE_COUNTERS][SAMPLE_NAME];
	uint64_t counter[SAMPLE_COUNTERS]; /* all vCPUs together */
	unsigned vcpus;
	uint64_t instructions[SAMPLE_VCPUS];
	uint64_t vector[SAMPLE_VECTORS];
	unsigned device_count;
	struct sample_device device[DEVICES_MAX];
	struct usage usage;
};

/* From what its supervisor has answered to COUNTERS, of which nothing is believed but that these are numbers and texts. */
void sample_take(struct sample *s, const Bulkhead__Status *status, const Bulkhead__Counters *counters);

/* By its name in counters.def; 0 if its supervisor does not know it. */
uint64_t sample_counter(const struct sample *s, const char *name);

/*
 * What has been counted between the two, in *out, whose `uptime_ns` is the time between them. What fell in between (a process
 * that is another one now) counts from 0. `before` NULL: since the machine was started.
 */
void sample_subtract(const struct sample *now, const struct sample *before, struct sample *out);

#endif
