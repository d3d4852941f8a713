/* SPDX-License-Identifier: MIT */
/*
 * Console clients of seriald: they connect to a stream socket, get the history and then the output as it comes, and
 * what they send goes to COM1. None of them can hold up the guest for long, or cost more than a cursor in the backlog.
 * They outlive the daemon: connections are kept in a stash, cursors in the journal.
 */
#ifndef BULKHEAD_DEVICES_CONSOLE_H
#define BULKHEAD_DEVICES_CONSOLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "backlog.h"
#include "stash.h"
#include "runtime.h"

enum { CONSOLE_CLIENTS_MAX = 16, CONSOLE_CLIENTS_DEFAULT = 8, CONSOLE_INPUT = 1024 };

struct console;

struct console_client {
	struct console *console;
	int fd; /* -1: free */
	bool blocked;	/* its socket is full: `writable` tells when it is not */
	bool half_open; /* it has said all it will say, but still listens */
	uint64_t patience_ns; /* how much longer the guest is held up for it: see console_holds() */
	uint32_t peeked; /* bytes that are in the input already, but still in the socket: until they are committed */
	uint64_t active_ns; /* when bytes last went either way */
	char note[96]; /* what has to be said before the next output */
	uint8_t note_len, note_sent;
	struct event readable, writable;
};

/* Input that COM1 has not taken yet. */
struct console_input {
	uint32_t len;
	uint8_t bytes[CONSOLE_INPUT];
};

/* How far a client has got. */
struct console_place {
	uint32_t id; /* 0: nobody */
	uint32_t typed; /* not 0: it has, and does not only read */
	uint64_t cursor;
	uint64_t skipped; /* bytes that it has missed */
};

/* The journalled part: neither typed characters nor clients' places are lost in a restart. */
struct console_state {
	uint32_t next_id;
	uint32_t reserved;
	struct console_place places[CONSOLE_CLIENTS_MAX]; /* clients[i]'s */
	struct console_input input;
};

struct console {
	struct runtime *rt;
	struct backlog *backlog;
	struct console_state *state;
	struct stash stash;
	int listen_fd;
	unsigned clients_max;
	bool paused;	     /* no room for input: nobody is read from */
	uint64_t retry_ns;   /* out of descriptors: accept again then; 0: not so */
	uint64_t flushed_ns; /* last time output was sent */
	uint64_t held_ns;    /* last time the guest was seen held up; 0: it is not */
	uint64_t bytes_in, bytes_dropped;
	struct event accept_event;
	struct console_client clients[CONSOLE_CLIENTS_MAX];
};

/* listen_fd and the stash are the console's from now on; clients of an earlier incarnation go on. 0 or -errno. */
int console_open(struct console *c, struct runtime *rt, struct backlog *backlog, struct console_state *state,
		 int listen_fd, struct stash stash, unsigned clients_max);
/* A state that was read from a journal: 0, or -EINVAL and *field. */
int console_validate(const struct console_state *state, const char **field);
/*
 * Sends what is new. Small pieces are held back for a millisecond after the last sending, so that a guest that prints
 * byte by byte does not cost a system call for each. Returns when to come back (UINT64_MAX: no need).
 */
uint64_t console_flush(struct console *c, uint64_t now_ns);
/* Has a client not got all of the output yet? */
bool console_is_behind(const struct console *c);
/*
 * Would more output overwrite what a client has not got yet? Then the guest waits for it, but for a second at most, and a
 * second more for each backlog that it takes: a reader that is slow for a moment loses nothing, one that does not read at
 * all is left behind, and told so when it reads again.
 */
bool console_holds(const struct console *c);
/* Bytes of output that the best served client has not got, or has missed; 0 without clients. */
uint64_t console_least_lost(const struct console *c);
/* recvmsg() that never blocks. */
ssize_t console_receive(int fd, void *buf, size_t len, int flags);
/* Input that was read is in the journal now: it can leave the sockets. */
void console_committed(struct console *c);
/* Input has been taken: read on if it was full. */
void console_resume(struct console *c);

#endif
