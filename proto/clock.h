/* SPDX-License-Identifier: MIT */
/*
 * The two clocks, in nanoseconds, and the one place where they are converted.
 *
 * The host's clock is CLOCK_MONOTONIC. With it processes watch and wait for each other, and stamp what users see.
 *
 * The machine's clock is all that a guest ever gets to see of time: what devices, their journals, deadlines and shadowed
 * registers, requests in rings, local APICs and the state of processors mean by a time. It is the host's less an offset,
 * which the supervisor makes when it starts the machine and hands to every process in SETUP (MachineConfig), and it starts
 * at zero. So what the machine has written down holds on another host: there it gets another offset, and goes on at the
 * time at which it was stopped.
 */
#ifndef BULKHEAD_PROTO_CLOCK_H
#define BULKHEAD_PROTO_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S 1000000000ull
#define CLOCK_NS_PER_MS 1000000ull

static inline uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* All zero: the host's clock. The offset does not change while a process runs. */
struct machine_clock {
	int64_t offset_ns; /* negative on a host that was started after the machine */
};

/* The clock that shows `machine_ns` when the host's shows `host_ns`. */
static inline struct machine_clock machine_clock_at(uint64_t host_ns, uint64_t machine_ns)
{
	return (struct machine_clock){ (int64_t)(host_ns - machine_ns) };
}

static inline uint64_t machine_from_host_ns(const struct machine_clock *c, uint64_t host_ns)
{
	return host_ns - (uint64_t)c->offset_ns;
}

/* For a timer of the host. What is never (UINT64_MAX), or later than the host can tell, stays never; what was before the host
 * was started is 0. */
static inline uint64_t machine_to_host_ns(const struct machine_clock *c, uint64_t machine_ns)
{
	uint64_t ns = machine_ns + (uint64_t)c->offset_ns;

	if (machine_ns == UINT64_MAX || (c->offset_ns >= 0 && ns < machine_ns))
		return UINT64_MAX;
	return c->offset_ns < 0 && ns > machine_ns ? 0 : ns;
}

static inline uint64_t machine_ns(const struct machine_clock *c)
{
	return machine_from_host_ns(c, clock_ns());
}

#endif
