/* SPDX-License-Identifier: MIT */
/*
 * A viewer's connection to displayd (proto/screen.h) for programs with a loop of their own, which wait for nothing here: events are
 * queued, sent as displayd takes them, and sent again when it has been started again. Whoever uses it gets new connections from
 * the machine's control socket and hands them to link_attach().
 */
#ifndef BULKHEAD_VMM_LINK_H
#define BULKHEAD_VMM_LINK_H

#include "proto/screen.h"

enum { LINK_QUEUE = 16384 };

struct link {
	int sock; /* -1: broken; bring another one */
	uint16_t flags; /* SCREEN_PACED */
	bool joined; /* it has welcomed us */
	bool owed; /* `packet` was sent, and has not been answered */
	uint64_t nonce, number; /* number: of the latest packet of events */
	struct screen_packet packet;
	struct screen_event queue[LINK_QUEUE];
	unsigned head, count;
	uint64_t dropped; /* events for which there was no room: a guest that takes none */
	const struct picture *picture; /* NULL: of a link for events alone */
	/* A PC's display takes no events (PICTURE_NO_INPUT): they go by this link, to the machine's keyboard and mouse. NULL: nowhere. */
	struct link *keys;
	uint64_t seen; /* number of the frame that was copied last */
};

/* 0, or -errno: no random numbers. */
int link_init(struct link *l, uint16_t flags);
/* Both descriptors are the link's, whatever it returns; picture_fd -1: it is for events alone. 0 or -errno: then there is no
 * connection. */
int link_attach(struct link *l, int sock, int picture_fd);
/* Takes what has come, by its `keys`, too. 0, or -ECONNRESET: the connection is broken and closed. */
int link_read(struct link *l);
/* Do events go by `keys`, and has that no connection? */
bool link_wants_keys(const struct link *l);
/* Has everything been taken? */
bool link_is_idle(const struct link *l);
/* An event into the queue; a screen without keyboard and mouse gets none. Of moves of the mouse in a row the last one counts when the guest is far behind. */
void link_push(struct link *l, uint16_t type, uint16_t code, uint32_t value);
void link_point(struct link *l, uint32_t x, uint32_t y);
/* A character as on a keyboard with the US layout: false: it has none. "\r\n" is one line feed. */
bool link_type(struct link *l, char c);
/* Sends what can be sent. */
void link_flush(struct link *l);

/* ---- the picture ----------------------------------------------------------------------------------------------- */

/* Its size, which may change at any time; false: there is none yet, or it is out of range. */
bool link_size(const struct link *l, uint32_t *width, uint32_t *height);
/* Is there a frame that has not been copied? */
bool link_is_new(const struct link *l);
/* Copies the latest frame, rows of `width` pixels (0RGB): 0, -EAGAIN: it changes faster than it can be copied, or has another size. */
int link_copy(struct link *l, uint32_t *pixels, uint32_t width, uint32_t height);

#endif
