/* SPDX-License-Identifier: MIT */
/* What two processors do at once: the first two of the machine, each with a process of its own pinned to it. */
#include "bench.h"
#include "mix.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Operations in a round: many, as each begins with a new process. */
enum { MIXES = 4000, ADDS = 1000000, TURNS = 30000, BARRIERS = 1000 };

struct shared {
	_Alignas(64) atomic_uint ready;
	_Alignas(64) atomic_ulong count;
	_Alignas(64) atomic_ulong turn;
};

static struct shared *shared;

static bool has_two(void)
{
	if (!shared)
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared != MAP_FAILED && sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Neither begins before both are there. */
static void meet(void)
{
	atomic_fetch_add(&shared->ready, 1);
	while (atomic_load(&shared->ready) < 2)
		;
}

static uint64_t in_two_processes(uint64_t n, uint64_t (*work)(uint64_t n, unsigned side))
{
	uint64_t sum;
	pid_t child;

	atomic_store(&shared->ready, 0);
	child = fork();
	if (child == 0) {
		pin(1);
		meet();
		_exit((int)(work(n, 1) & 1));
	}
	pin(0);
	meet();
	sum = work(n, 0);
	waitpid(child, NULL, 0);
	return sum;
}

static uint64_t mix(uint64_t n, unsigned side)
{
	(void)side;
	return integer_mix(n * MIXES);
}

static uint64_t mix_of_one(uint64_t n)
{
	pin(0);
	return integer_mix(n * MIXES);
}

/* As much again on the other: with two whole processors it takes no longer. */
static uint64_t mix_of_two(uint64_t n)
{
	return in_two_processes(n, mix);
}

static uint64_t add(uint64_t n, unsigned side)
{
	(void)side;
	for (uint64_t k = 0; k < n * ADDS; k++)
		atomic_fetch_add(&shared->count, 1);
	return n;
}

static uint64_t contended_xadd(uint64_t n)
{
	return in_two_processes(n, add);
}

static uint64_t take_turns(uint64_t n, unsigned side)
{
	const unsigned long start = side;

	for (uint64_t k = 0; k < n * TURNS; k++) {
		while (atomic_load_explicit(&shared->turn, memory_order_acquire) != 2 * k + start)
			__builtin_ia32_pause();
		atomic_store_explicit(&shared->turn, 2 * k + start + 1, memory_order_release);
	}
	return n;
}

/* A line goes there and back. */
static uint64_t ping_pong(uint64_t n)
{
	atomic_store(&shared->turn, 0);
	return in_two_processes(n, take_turns);
}

static atomic_bool over;

static void *be_there(void *arg)
{
	pin(1);
	atomic_fetch_add(&shared->ready, 1);
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		;
	return arg;
}

/* The kernel sends an interrupt to the other processor, which runs a thread of ours, and waits until it has been there. */
static uint64_t membarriers(uint64_t n)
{
	pthread_t thread;

	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	atomic_store(&over, false);
	atomic_store(&shared->ready, 1);
	pin(0);
	if (pthread_create(&thread, NULL, be_there, NULL))
		return 0;
	while (atomic_load(&shared->ready) < 2)
		;
	for (uint64_t k = 0; k < n * BARRIERS; k++)
		syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	return n;
}

const struct workload parallel_workloads[] = {
	{ "mix-of-one", "ns", mix_of_one, MIXES, has_two },
	{ "mix-of-two", "ns", mix_of_two, MIXES, has_two },
	{ "contended-xadd", "ns", contended_xadd, ADDS, has_two },
	{ "flag-ping-pong", "ns", ping_pong, TURNS, has_two },
	{ "membarrier-ipi", "ns", membarriers, BARRIERS, has_two },
	{ NULL, NULL, NULL, 0, NULL },
};
