/* SPDX-License-Identifier: MIT */
/*
 * What is at the other end of a serial port: clients that connect to a stream socket, get the history and then the output
 * as it comes, and what they send is typed; or something that is always there, a pseudo terminal or a file. None of them can
 * hold up the guest for long, or cost more than a cursor in the port's backlog. They outlive the daemon: connections are
 * kept in a stash, cursors in the journal.
 *
 *   console.c       output to clients, input from them, patience
 *   console_door.c  who comes, who goes, who may type
 *   console_tty.c   a pseudo terminal, whose input cannot be looked at before it is taken
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

/* What a client may do. One types, if there is one that has asked for that; then those that have asked for nothing do not. */
enum console_mode {
	CONSOLE_PLAIN,	 /* it came to the socket, and is only a stream of bytes */
	CONSOLE_WRITER,
	CONSOLE_WATCHER,
	CONSOLE_STEALER, /* as a request: the writer there is becomes a watcher */
	CONSOLE_MODES,
};

/* Its descriptor, which calls that takes, and whether somebody is there. */
enum console_connector {
	CONSOLE_SOCKET, /* of a client */
	CONSOLE_TTY,	/* a pseudo terminal: nobody may have opened it */
	CONSOLE_FILE,	/* takes everything, unless the host's disk is full, and says nothing */
};

struct console_client {
	struct console *console;
	int fd; /* -1: free */
	enum console_connector connector;
	bool blocked;	/* its socket is full: `writable` tells when it is not */
	bool half_open; /* it has said all it will say, but still listens */
	bool warned;	/* it was told that it does not type */
	uint64_t patience_ns; /* how much longer the guest is held up for it: see console_holds() */
	uint32_t peeked; /* bytes that are in the input already, but still in the socket: until they are committed */
	uint64_t active_ns; /* when bytes last went either way */
	char note[96]; /* what has to be said before the next output */
	uint8_t note_len, note_sent;
	struct event readable, writable;
};

/* How far a client has got. */
struct console_place {
	uint32_t id; /* 0: nobody */
	uint16_t typed; /* not 0: it has, and does not only read */
	uint16_t mode; /* enum console_mode */
	uint64_t cursor;
	uint64_t skipped; /* bytes that it has missed */
};

/* The journalled part: neither typed characters nor clients' places are lost in a restart. */
struct console_counts {
	uint32_t next_id;
	uint32_t landings; /* pieces that a terminal's input came in (console_tty.c) */
	uint32_t input_len; /* input that the port has not taken yet */
	uint32_t reserved;
};

struct console_listener {
	struct console *console;
	int fd; /* -1: none */
	struct event event;
};

struct console {
	struct runtime *rt;
	struct backlog *backlog;
	/* in the journalled state of the shell: */
	struct console_counts *counts;
	struct console_place *places; /* clients[i]'s */
	uint8_t *input;
	unsigned input_max;
	unsigned port;	/* 0: COM1 */
	unsigned ports; /* bit mask of those that there are: their connections lie in the same stash */
	struct stash stash;
	unsigned clients_max;
	bool paused;	     /* no room for input: nobody is read from */
	uint64_t retry_ns;   /* out of descriptors: accept again then; 0: not so */
	uint64_t flushed_ns; /* last time output was sent */
	uint64_t held_ns;    /* last time the guest was seen held up; 0: it is not */
	uint64_t bytes_in, bytes_dropped;
	struct console_listener listeners[2]; /* the machine's own, and what the user has asked for */
	struct console_client clients[CONSOLE_CLIENTS_MAX];
};

/*
 * All but counts, places, input, their sizes, port, ports, rt, backlog and stash is made here; clients of an earlier incarnation
 * go on. What is to be listened on, and what is always there, is added then. 0 or -errno.
 */
int console_open(struct console *c);
/* The descriptor is the console's from now on. 0 or -errno. */
int console_listen(struct console *c, int fd);
/* The first place is this one's: the descriptor is the console's, and goes with no client. 0 or -errno. */
int console_connect(struct console *c, int fd, enum console_connector connector);
/* A state that was read from a journal: 0, or -EINVAL and *field. */
int console_validate(const struct console_counts *counts, unsigned input_max, const char **field);

/*
 * A client that came another way, its connection the console's from now on. 0, with what it may do, and how much of the stream that
 * it gets is history; -EBUSY: there is no place, or somebody else types.
 */
int console_admit(struct console *c, int fd, enum console_mode wanted, enum console_mode *got, uint64_t *history);

/*
 * Sends what is new. Small pieces are held back for a millisecond after the last sending, so that a guest that prints
 * byte by byte does not cost a system call for each. Returns when to come back (UINT64_MAX: no need).
 */
uint64_t console_flush(struct console *c, uint64_t now_ns);
/* Listens again after a pause, if there is one. Returns when to come back, too. */
uint64_t console_retry_accept(struct console *c, uint64_t now_ns);
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
/* The port has taken so much of the input: read on if it was full. */
void console_consume(struct console *c, size_t len);

/*
 * The parts of the console, for its own files.
 */

static inline struct console_place *console_place(const struct console_client *client)
{
	return &client->console->places[client - client->console->clients];
}
/* console.c: it is to be listened to; its output begins to flow. */
void console_attach(struct console *c, struct console_client *client, int fd, enum console_connector connector);
void console_pump(struct console_client *client);
ssize_t console_send(const struct console_client *client, const void *buf, size_t len);
void console_note(struct console_client *client, const char *format, uint64_t n);
void console_drop(struct console_client *client);
struct console_client *console_find_writer(const struct console *c);
/* console_tty.c: into the input, up to `room` bytes. As read(). */
ssize_t console_tty_receive(struct console_client *client, size_t room);
/* What a predecessor took from the terminal, and did not commit, comes first. */
void console_tty_recover(struct console *c);

#endif
