/* SPDX-License-Identifier: MIT */
/* What the processes of a machine use of the host, as the kernel tells it in /proc: nothing is asked of them. */
#ifndef BULKHEAD_VMM_USAGE_H
#define BULKHEAD_VMM_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { USAGE_MAX = 48, USAGE_NAME = 16 };

struct usage_row {
	pid_t pid, parent;
	char name[USAGE_NAME]; /* "keeper", "vcpu", ... as the process calls itself */
	uint64_t cpu_ns, rss_bytes;
	bool has_pss;
	uint64_t pss_bytes; /* of processes that are not dumpable only root can read it */
};

struct usage {
	unsigned count;
	struct usage_row of[USAGE_MAX];
};

/* The keeper, and all processes below it; none if there is no such process. `with_pss` costs the kernel a walk of their
 * page tables. */
void usage_read(pid_t keeper, bool with_pss, struct usage *out);
/* By its pid; NULL: it is not there. */
const struct usage_row *usage_find(const struct usage *u, pid_t pid);

/* One line of /proc/PID/stat. False: it is none. For tests. */
bool usage_parse_stat(const char *line, struct usage_row *out);

#endif
