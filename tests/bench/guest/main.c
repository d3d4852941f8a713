/* SPDX-License-Identifier: MIT */
/* Chooses workloads by name (without arguments all that want one processor), runs each in short slices, prints the best one. */
#include "bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SLICE_NS = 15000000, SLICES = 30, LIMIT_NS = 1500000000 };

static volatile uint64_t sink;
static sigjmp_buf illegal;

/* CPUID promised what the processor, or whoever plays it, does not do. */
static void on_illegal(int signal)
{
	siglongjmp(illegal, signal);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t timed(const struct workload *w, uint64_t n)
{
	uint64_t start = now_ns();

	sink += w->run(n);
	return now_ns() - start;
}

/* Rounds that take a slice; at least one. */
static uint64_t rounds_in_slice(const struct workload *w)
{
	uint64_t n = 1, ns;

	while ((ns = timed(w, n)) < SLICE_NS / 4 && n < UINT64_MAX / 2)
		n *= 2;
	return ns < SLICE_NS ? n * SLICE_NS / ns : n;
}

/* Machines are shared: the best of many short slices is the one in which nobody else ran. */
static void measure(const struct workload *w)
{
	volatile uint64_t best = UINT64_MAX;
	uint64_t n, ns, start = now_ns();
	double round;

	if (w->supported && !w->supported()) {
		printf("%s SKIP not here\n", w->name);
		return;
	}
	if (sigsetjmp(illegal, 1)) {
		printf("%s SKIP illegal instruction\n", w->name);
		return;
	}
	n = rounds_in_slice(w);
	for (unsigned k = 0; k < SLICES && now_ns() - start < LIMIT_NS; k++) {
		ns = timed(w, n);
		best = ns < best ? ns : best;
	}
	round = (double)best / (double)n;
	if (w->bytes)
		round = strcmp(w->unit, "ns") ? (double)w->bytes * 1e3 / round : round / (double)w->bytes;
	printf("%s %.4g %s\n", w->name, round, w->unit);
	fflush(stdout);
}

/* Those for two processors only by name, since they pin the process; and those for a disk, since they write to it. */
static bool is_wanted(const struct workload *w, bool unasked, int argc, char **argv)
{
	for (int k = 1; k < argc; k++) {
		if (!strcmp(argv[k], w->name))
			return true;
	}
	return argc < 2 && unasked;
}

int main(int argc, char **argv)
{
	const struct workload *const groups[] = { integer_workloads, memory_workloads,	 simd_workloads,
						  system_workloads,  parallel_workloads, disk_workloads };
	const unsigned unasked = 4;

	if (argc == 2 && !strcmp(argv[1], "--nothing")) /* what the fork and exec workload runs */
		return 0;
	signal(SIGILL, on_illegal);
	for (unsigned g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
		for (const struct workload *w = groups[g]; w->name; w++) {
			if (is_wanted(w, g < unasked, argc, argv))
				measure(w);
		}
	}
	return 0;
}
