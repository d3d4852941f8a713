/* SPDX-License-Identifier: MIT */
/*
 * The guest's time-stamp counter: a fixed nominal 1 GHz, whatever the host is, so that one tick is one nanosecond and
 * a snapshot can move between hosts.
 *
 * On x86-64 hosts with an invariant TSC it is the host's counter scaled by a 64.64 multiplication (about 12 ns to read,
 * synchronous between host processors because theirs are); elsewhere CLOCK_MONOTONIC. The ratio comes from
 * CPUID 15h, or is measured in 4 ms at start: no system call is needed.
 */
#include "sys.h"
#include "emu/core/host.h"

#include <pthread.h>
#include <time.h>

#define NOMINAL_HZ 1000000000ull

uint64_t sys_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

#ifdef HOST_X86_64
#include <cpuid.h>
#include <x86intrin.h>

static struct {
	uint64_t start; /* host TSC at guest TSC zero */
	uint64_t ratio; /* guest ticks per host tick, 2^-32 units */
} clock_source;

/* Ordered after what the guest did before: the counter must not be read early on an out-of-order host. */
static inline uint64_t host_tsc(void)
{
	_mm_lfence();
	return __rdtsc();
}

static bool host_tsc_is_invariant(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & 1u << 8);
}

/* One reading of both clocks, the tightest of a few, so that a preemption between the two does not spoil it. */
static void read_both(uint64_t *tsc, uint64_t *ns)
{
	uint64_t best = UINT64_MAX;

	*tsc = *ns = 0;
	for (int n = 0; n < 16; n++) {
		uint64_t before = host_tsc(), now = sys_now_ns(), after = host_tsc();

		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			*ns = now;
		}
	}
}

static uint64_t measured_hz(void)
{
	uint64_t tsc0, ns0, tsc1, ns1;

	read_both(&tsc0, &ns0);
	while (sys_now_ns() - ns0 < 4000000)
		;
	read_both(&tsc1, &ns1);
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
		return sys_now_ns();
	return (uint64_t)((unsigned __int128)(host_tsc() - clock_source.start) * clock_source.ratio >> 32);
}
#else
static void tsc_init(void)
{
}

static uint64_t base_tsc(void)
{
	return sys_now_ns();
}
#endif

void tsc_init_once(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, tsc_init);
}

uint64_t sys_tsc(const struct emu *e)
{
	return base_tsc() + e->cpu.msr.tsc_offset;
}

uint64_t sys_tsc_hz(void)
{
	return NOMINAL_HZ;
}

/* ---- RDTSC, RDTSCP, RDPMC, RDPID -------------------------------------------------------------------------------- */

static bool tsc_is_forbidden(const struct emu *e)
{
	return (e->cpu.cr4 & CR4_TSD) && e->cpl > 0;
}

static void load_edx_eax(struct emu *e, uint64_t value)
{
	e->cpu.gpr[RAX] = (uint32_t)value;
	e->cpu.gpr[RDX] = value >> 32;
}

int sem_rdtsc(struct emu *e, const struct insn *i)
{
	if (tsc_is_forbidden(e))
		return emu_gp0(e);
	load_edx_eax(e, sys_tsc(e));
	return 0;
}

int sem_rdtscp(struct emu *e, const struct insn *i)
{
	if (tsc_is_forbidden(e))
		return emu_gp0(e);
	load_edx_eax(e, sys_tsc(e));
	e->cpu.gpr[RCX] = (uint32_t)e->cpu.msr.tsc_aux;
	return 0;
}

int sem_rdpid(struct emu *e, const struct insn *i)
{
	e->cpu.gpr[i->rm] = (uint32_t)e->cpu.msr.tsc_aux;
	return 0;
}

/* CPUID 0Ah reports no counters, so every index is out of range (SDM vol. 2, RDPMC). */
int sem_rdpmc(struct emu *e, const struct insn *i)
{
	return emu_gp0(e);
}

int sem_rdrand(struct emu *e, const struct insn *i)
{
	sys_set_reg(e, i->rm, i->size, rng_next(&e->sys->rng));
	emu_flags_set(e, RFLAGS_ARITH, RFLAGS_CF);
	return 0;
}
