/* SPDX-License-Identifier: MIT */
/*
 * What every child process does alike: its command line, its name, HELLO, events to the supervisor.
 *
 *   int main(int argc, char **argv)
 *       child_start(&child, ROLE, "bulkhead-vcpu", summary, argc, argv)   returns >= 0: exit code (help, version, usage)
 *       sandbox_enter_setup(...)
 *       child_hello(&child)
 *       frame_recv(child.control_fd, &child.frame) ... MSG_SETUP_*
 */
#ifndef BULKHEAD_PROTO_CHILD_H
#define BULKHEAD_PROTO_CHILD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "sandbox.h"

enum { CHILD_CONTROL_FD = 3, CHILD_EVENT_FD = 4, CHILD_VM_MAX = 64 };

struct child {
	Bulkhead__Role role;
	const char *program;
	int control_fd; /* requests of the supervisor, blocking; end of file: the supervisor is gone */
	int event_fd;	/* events to it; -1 when it gave us none */
	const char *replay; /* --replay: this file, instead of a supervisor; NULL: no */
	char vm[CHILD_VM_MAX];
	uint32_t incarnation;
	uint32_t instance; /* of a kind that may have several */
	enum sandbox_mode sandbox; /* --sandbox on|log|off, for sandbox_enter_setup(); SETUP_* may narrow it for run */
	char *title;	  /* the memory behind argv that ps shows */
	size_t title_len;
	_Atomic uint64_t events_lost;
	struct frame frame;
};

/*
 * Parses the command line (see --help) and leaves control_fd ready; with --socket or LISTEN_FDS it waits for the one who
 * connects (child_socket.h). Before any sandbox.
 * < 0: go on. >= 0: the exit code with which to leave now (--help, --version: 0, wrong usage or socket: 2).
 */
int child_start(struct child *c, Bulkhead__Role role, const char *program, const char *summary, int argc, char **argv);

/* Waits for the supervisor's HELLO, checks and answers it, takes name and log
 * level from it. In --socket mode HELLO brings the event channel as a descriptor. 0 or -errno, reported to the peer. */
int child_hello(struct child *c);

/* Sets comm ("bh-seriald") and what ps shows ("bulkhead: vm1/seriald"). */
void child_set_title(struct child *c);

/* Sends an event without ever blocking. 0; -EAGAIN: the supervisor's buffer is full, try again; -ENOTCONN. Any thread. */
int child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text);
/* The same of a device of which there may be several. */
int child_device_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, unsigned instance,
		       const char *text);

#endif
