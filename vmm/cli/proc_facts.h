/* SPDX-License-Identifier: MIT */
/*
 * What a process can still do, as the kernel tells it in /proc. Nothing is asked of the process
 * itself, nor of its supervisor. Root sees everything; others see only what stands in
 * /proc/PID/status, since our processes are not dumpable: then the rest is marked as unknown.
 */
#ifndef BULKHEAD_VMM_PROC_FACTS_H
#define BULKHEAD_VMM_PROC_FACTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum fact_ns { FACT_USER, FACT_PID, FACT_MNT, FACT_NET, FACT_IPC, FACT_UTS, FACT_CGROUP };
enum { FACT_NAMESPACES = FACT_CGROUP + 1 };
extern const char *const fact_ns_names[FACT_NAMESPACES];

enum fact_fd { FACT_FD_NULL, FACT_FD_PIPE, FACT_FD_SOCKET, FACT_FD_MEMFD, FACT_FD_KVM, FACT_FD_ANON, FACT_FD_FILE };
enum { FACT_FDS = FACT_FD_FILE + 1 };
extern const char *const fact_fd_names[FACT_FDS];

enum { FACT_OBJECTS = 24, FACT_OBJECT_LEN = 32 };

struct proc_facts {
	pid_t pid, parent;
	char comm[17];

	/* status: everybody may read it */
	uint32_t uid, gid;
	uint64_t caps; /* effective ones, and permitted ones, which a process can make effective; with no_new_privs the others
			* lead to none */
	unsigned threads, seccomp_mode, seccomp_filters;
	bool no_new_privs;
	uint64_t rss_kib;

	/* the rest */
	bool is_visible; /* could it be read? */
	bool is_dumpable;
	bool ns_private[FACT_NAMESPACES]; /* not those of this program */
	bool root_empty, root_read_only;
	unsigned fds[FACT_FDS];
	char writable[FACT_OBJECTS][FACT_OBJECT_LEN]; /* shared objects mapped writable */
	unsigned writable_count;
	bool maps_guest_memory, has_wx_memory;
	uint64_t limit_nproc, limit_nofile, limit_as; /* UINT64_MAX: none */
};

/* 0, or -ESRCH. */
int proc_facts_read(pid_t pid, struct proc_facts *f);

/* Calls `visit` for each process whose parent is `parent`. */
void proc_facts_children(pid_t parent, void (*visit)(void *ctx, pid_t pid), void *ctx);

#endif
