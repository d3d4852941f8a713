/* SPDX-License-Identifier: MIT */
/*
 * Does a vCPU come back when it is called? Once a second the helper thread calls each that runs guest code, and looks
 * whether it has come since the last call: then it is well, whatever its guest does. One that has not may wait for a
 * device, which is excused, or for a processor, which its processor time tells; or it is lost inside the engine. No clock
 * and no thread in here.
 */
#ifndef BULKHEAD_VMM_VCPU_PULSE_H
#define BULKHEAD_VMM_VCPU_PULSE_H

#include <stdbool.h>
#include <stdint.h>

struct pulse_sample {
	uint64_t now_ns; /* watch time (proto/watch_time.h) */
	uint64_t cpu_ns; /* processor time that its thread has used so far */
	uint32_t rounds; /* how often it has come back so far */
	bool excused;	 /* does not run guest code, or waits for a device */
};

/* All zeroes at first. */
struct pulse {
	bool called;
	uint64_t called_ns, called_cpu_ns;
	uint32_t rounds;
};

/* NULL, or what is wrong with it. Call it after this. */
const char *pulse_look(struct pulse *p, const struct pulse_sample *s);

#endif
