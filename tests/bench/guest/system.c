/* SPDX-License-Identifier: MIT */
/* What the guest's kernel is asked to do: system calls, processes, page faults, pipes. */
#include "bench.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FAULT_PAGES = 256 };

static uint64_t getpids(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n; k++)
		sum += (uint64_t)syscall(SYS_getpid);
	return sum;
}

/* fork(), not vfork(): copying the address space is part of it. */
static uint64_t fork_exec(uint64_t n)
{
	static char self[] = "/proc/self/exe", nothing[] = "--nothing";
	char *argv[] = { self, nothing, NULL }, *none[] = { NULL };
	uint64_t good = 0;
	int status;

	for (uint64_t k = 0; k < n; k++) {
		pid_t child = fork();

		if (child == 0) {
			execve(self, argv, none);
			_exit(1);
		}
		if (waitpid(child, &status, 0) == child && status == 0)
			good++;
	}
	return good;
}

/* 256 anonymous pages a round, without huge ones. */
static uint64_t page_faults(uint64_t n)
{
	size_t bytes = FAULT_PAGES * 4096;
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n; k++) {
		volatile uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 0;
		madvise((void *)p, bytes, MADV_NOHUGEPAGE);
		for (size_t at = 0; at < bytes; at += 4096)
			sum += p[at]++;
		munmap((void *)p, bytes);
	}
	return sum;
}

static void echo(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
		continue;
	_exit(0);
}

/* A byte to another process and back. That process is made once: what a fork costs has a row of its own. */
static uint64_t pipe_ping_pong(uint64_t n)
{
	static int there[2], back[2];
	uint64_t good = 0;
	char c = 1;

	if (!there[1]) {
		if (pipe(there) || pipe(back))
			return 0;
		if (fork() == 0) {
			close(there[1]);
			close(back[0]);
			echo(there[0], back[1]);
		}
		close(there[0]);
		close(back[1]);
	}
	for (uint64_t k = 0; k < n; k++)
		good += write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1;
	return good;
}

const struct workload system_workloads[] = {
	{ "getpid", "ns", getpids, 0, NULL },
	{ "fork-exec", "ns", fork_exec, 0, NULL },
	{ "page-faults-256", "ns", page_faults, 0, NULL },
	{ "pipe-ping-pong", "ns", pipe_ping_pong, 0, NULL },
	{ NULL, NULL, NULL, 0, NULL },
};
