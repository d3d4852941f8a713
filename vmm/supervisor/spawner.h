/* SPDX-License-Identifier: MIT */
/*
 * The spawner: a process beside the supervisor that makes all others.
 *
 * The supervisor listens to children, any of which may have been taken over, and to clients. Making processes takes what
 * nobody should have who listens to those: clone, execveat, changes of user, capabilities, and every call that a program
 * makes until it is behind its own filter, since filters are inherited. So that is left to a process that listens to the
 * supervisor alone, and knows one request.
 *
 * A child is the supervisor's (CLONE_PARENT): it hears of its end, and a child ends with it.
 */
#ifndef BULKHEAD_VMM_SPAWNER_H
#define BULKHEAD_VMM_SPAWNER_H

#include "../common/launch.h"

#include <stdint.h>
#include <sys/types.h>

/* Descriptors of a request: the child's program, its channels, its stderr. */
enum spawn_fd { SPAWN_PROGRAM, SPAWN_CONTROL, SPAWN_EVENT, SPAWN_LOG, SPAWN_FDS };

struct spawn_packet {
	uint32_t sequence; /* repeated in the answer; not 0 */
	uint32_t role;	   /* enum sandbox_role: what it is fenced as, before its program is executed */
	uint32_t mode;	   /* enum sandbox_mode */
	uint32_t uid;	   /* with ISOLATION_UIDS: in the supervisor's user namespace; 1 to LAUNCH_UIDS - 2 */
	char name[32];	   /* argv[0] */
};

/* With it comes the child's pidfd. */
struct spawn_answer {
	uint32_t sequence;
	int32_t error; /* 0 or -errno: there is no child */
	int32_t pid;   /* in the machine's pid namespace */
	int32_t host_pid; /* 0: unknown */
};

struct spawner {
	int sock; /* answers come from here */
	enum isolation isolation;
	uint32_t id; /* user and group under ISOLATION_ROOT */
	enum sandbox_mode mode; /* no child's is less */
	const char *vm;
	int fdinfo_fd; /* its own: the host's /proc/self/fdinfo as a detached mount, or -1 */
};

/*
 * Never returns: to be run in a process of its own, in the supervisor's namespaces. An answer with sequence 0 says that it
 * does not need the host's files any more; a request with sequence 0, that it has its root directory.
 */
_Noreturn void spawner_main(struct spawner *s);

#endif
