/* SPDX-License-Identifier: MIT */
/*
 * A supervisor whose spawner is not well: before its first answer it stops itself (BULKHEAD_SPAWNER=stops); or each answer
 * takes it milliseconds of work.
 */
#include "../../vmm/supervisor/spawner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int __wrap_packet_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds);
int __real_packet_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds);

enum { WORK = 20000000 };

static void work(void)
{
	for (volatile unsigned i = 0; i < WORK; i++)
		;
}

int __wrap_packet_send(int sock, const void *data, size_t len, const int *fds, unsigned nfds)
{
	const char *how = getenv("BULKHEAD_SPAWNER");
	const struct spawn_answer *answer = data;

	if (len == sizeof(*answer) && !answer->sequence && how && !strcmp(how, "stops"))
		kill(getpid(), SIGSTOP);
	if (len == sizeof(*answer) && answer->sequence)
		work();
	return __real_packet_send(sock, data, len, fds, nfds);
}
