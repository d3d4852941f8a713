/* SPDX-License-Identifier: MIT */
/*
 * The guest's time-stamp counter: a fixed nominal 1 GHz, whatever the host is, so that one tick is one nanosecond, unless the
 * machine has been given another frequency (struct machine, tsc_khz): then so many nanoseconds are as many ticks as that says. Or it
 * is the host's own, where KVM can show a guest no other (tsc_is_hosts): then nothing is scaled, and nothing drifts apart.
 *
 * On x86-64 hosts with an invariant TSC the nanoseconds are the host's counter scaled by a 64.64 multiplication (about 12 ns to read,
 * synchronous between host processors because theirs are); elsewhere CLOCK_MONOTONIC. The ratio comes from
 * CPUID 15h, or is measured in 4 ms at start: no system call is needed.
 */
#include "tsc.h"
#include "host.h"
#include "machine.h"
#include "proto/clock.h"

#include <pthread.h>

#define NOMINAL_HZ 1000000000ull

/* One reading of both clocks, the tightest of a few, so that a preemption between the two does not spoil it. */
static void read_both(uint64_t (*counter)(void), uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	*tsc = *ns = 0;
	for (int n = 0; n < 16; n++) {
		uint64_t before = counter(), now = clock_ns(), after = counter();

		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			*ns = now;
		}
	}
}

#ifdef HOST_X86_64
#include <cpuid.h>
#include <x86intrin.h>

static struct {
	uint64_t start; /* host TSC at guest TSC zero */
	uint64_t ratio; /* guest ticks per host tick, 2^-32 units */
} clock_source;

/* Ordered after what the guest did before: the counter must not be read early on an out-of-order host. */
static uint64_t host_tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

static bool host_tsc_is_invariant(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

static uint64_t measured_hz(void)
{
	uint64_t tsc0, ns0, tsc1, ns1;

	read_both(host_tsc, &tsc0, &ns0);
	while (clock_ns() - ns0 < 4000000)
		;
	read_both(host_tsc, &tsc1, &ns1);
	return (uint64_t)((unsigned __int128)(tsc1 - tsc0) * NOMINAL_HZ / (ns1 - ns0));
}

static uint64_t enumerated_hz(void)
{
	unsigned a, b, c, d;

	if (!__get_cpuid(0x15, &a, &b, &c, &d) || a == 0 || b == 0 || c == 0)
		return 0;
	return (uint64_t)c * b / a;
}

static void tsc_init(void)
{
	uint64_t hz;

	if (!host_tsc_is_invariant())
		return;
	hz = enumerated_hz();
	if (hz < 100000000)
		hz = measured_hz();
	clock_source.start = host_tsc();
	clock_source.ratio = (uint64_t)(((unsigned __int128)NOMINAL_HZ << 32) / hz);
}

static uint64_t base_tsc(void)
{
	if (clock_source.ratio == 0)
		return clock_ns();
	return (uint64_t)((unsigned __int128)(host_tsc() - clock_source.start) * clock_source.ratio >> 32);
}

bool emu_tsc_has_hosts(void)
{
	return clock_source.ratio != 0;
}
#else
static void tsc_init(void)
{
}

static uint64_t host_tsc(void)
{
	return clock_ns();
}

static uint64_t base_tsc(void)
{
	return clock_ns();
}

bool emu_tsc_has_hosts(void)
{
	return false;
}
#endif

void emu_tsc_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, tsc_init);
}

enum { FRACTION_MOST = 4294 };

struct tsc_fraction tsc_fraction(uint32_t khz)
{
	const uint64_t want = khz ? khz : TSC_NOMINAL_KHZ;
	struct tsc_fraction best = { 1, 1 };
	uint64_t least = UINT64_MAX; /* error of the best, times 2^32 */

	for (uint64_t of = 1; of <= FRACTION_MOST; of++) {
		const uint64_t ticks = (want * of + TSC_NOMINAL_KHZ / 2) / TSC_NOMINAL_KHZ, have = ticks * TSC_NOMINAL_KHZ;
		const uint64_t error = ((have > want * of ? have - want * of : want * of - have) << 32) / of;

		if (ticks > FRACTION_MOST || error >= least)
			continue;
		least = error;
		best = (struct tsc_fraction){ (uint32_t)ticks, (uint32_t)of };
	}
	return best;
}

static uint32_t khz_of(const struct emu *e)
{
	return e->machine ? e->machine->tsc_khz : 0;
}

uint64_t emu_tsc(const struct emu *e)
{
	const bool hosts = e->machine && e->machine->tsc_is_hosts;

	return (hosts ? host_tsc() : tsc_ticks(khz_of(e), base_tsc())) + e->cpu.msr.tsc_offset;
}

uint32_t emu_tsc_khz(const struct emu *e)
{
	return khz_of(e) ? khz_of(e) : TSC_NOMINAL_KHZ;
}

struct tsc_moment emu_tsc_moment(const struct machine *m)
{
	uint64_t count, host_ns;

	read_both(m->tsc_is_hosts ? host_tsc : base_tsc, &count, &host_ns);
	return (struct tsc_moment){ machine_from_host_ns(&m->config.clock, host_ns),
				    m->tsc_is_hosts ? count : tsc_ticks(m->tsc_khz, count) };
}

bool emu_tsc_is_near_hosts(uint64_t tsc)
{
	const uint64_t now = host_tsc(), second = TSC_NOMINAL_KHZ * 1000ull;

	return emu_tsc_has_hosts() && tsc - (now - second) <= 2 * second;
}
