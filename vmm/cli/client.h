/* SPDX-License-Identifier: MIT */
/* The command line's side of a machine's control socket. */
#ifndef BULKHEAD_VMM_CLIENT_H
#define BULKHEAD_VMM_CLIENT_H

#include "../common/rundir.h"

#include "../../proto/frame.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct machine_ref {
	const char *name;
	char path[RUNDIR_PATH_MAX];
};

/* Where a machine of that name is, or was. Prints what is wrong with the name and returns an exit code, or 0. */
int client_locate(const char *name, struct machine_ref *ref);
/* Says that there is none, and none has left a record; returns the exit code. */
int client_not_found(const char *name);

/* Finds a living machine. Prints what is wrong and returns an exit code, or 0. */
int client_find(const char *name, struct machine_ref *ref);

/* Answers come here, one at a time: a command talks to one machine after the other. Large, so that there is only one. */
extern struct frame client_frame;

/*
 * One request, with `fd` unless that is -1, and one reply. 0: `frame` holds MSG_OK. Else -errno: -ECONNREFUSED,
 * -ETIMEDOUT, -ECONNRESET (the machine ended before it answered), -EPERM (peer.h), or -EREMOTEIO: it refused, and `frame`
 * holds its MSG_ERROR. Strings in `frame` hold no control characters, but for line feeds in what WAIT brings.
 */
int client_call(const char *dir, uint16_t type, const ProtobufCMessage *msg, int fd, int timeout_ms, struct frame *frame);
/* Was that what came of it, and the answer EAGAIN: whoever is to serve it is on its way back? */
bool client_is_put_off(int rc, const struct frame *frame);

/* The directory goes a moment after the last answer: waits for that, so that the next command finds the name free. */
void client_wait_gone(const struct machine_ref *ref);
/* Has the machine ended over a call that returned `rc`? Then its record is there. */
bool client_is_over(const struct machine_ref *ref, int rc);

/* Prints what such an error means for the machine and what to do; returns the exit code. `frame`: as client_call left it. */
int client_complain(const char *name, const struct frame *frame, int rc);

/* The keeper is who listens at the machine's sockets, whatever is written in its directory (peer.h). Its pid, 0 if unknown. */
pid_t client_keeper_pid(const char *dir);
/* Ends it, and the machine with it. 0 or -errno, as peer_connect() and peer_kill(). */
int client_kill_keeper(const char *dir);

/* The machine's console as a plain stream, non-blocking; or -errno as peer_connect(). */
int client_console(const char *dir);

/* How a client wants to attach, numbered as in control.proto. */
enum client_console_mode { CONSOLE_AS_PLAIN, CONSOLE_TO_TYPE, CONSOLE_TO_WATCH, CONSOLE_TO_STEAL };
struct client_attached {
	int sock; /* non-blocking */
	bool types;
	uint64_t history; /* so many bytes come first that were printed before */
};

/*
 * The same with a say in who types, at port `port` (0: COM1). 0, or -errno as client_call(). It waits for a console's daemon that is
 * being started again.
 */
int client_attach(const char *dir, enum client_console_mode mode, unsigned port, struct frame *frame, struct client_attached *out);

#endif
