/* SPDX-License-Identifier: MIT */
/*
 * The viewers of a screen: connections of proto/screen.h, which the supervisor hands to us. Nobody who reads slowly, or not at all,
 * holds up anybody but the guest, and that only where it has asked for each frame, and for so long.
 */
#ifndef BULKHEAD_DEVICES_VIEWERS_H
#define BULKHEAD_DEVICES_VIEWERS_H

#include "devices/runtime.h"
#include "proto/screen.h"

enum { VIEWERS_WRITERS = 16 };

/* The journalled part: who has written what, and whom the guest waits for. */
struct viewers_state {
	uint64_t shown; /* frames since the machine was started */
	struct {
		uint64_t nonce, number; /* its last input that was taken */
	} writers[VIEWERS_WRITERS];
	uint32_t oldest, reserved; /* of the writers: whose place a new one gets */
	struct {
		uint64_t nonce, seen; /* the frame that it has; nonce 0: nobody */
	} strict;
};

struct viewers;

struct viewer {
	struct viewers *all;
	int fd; /* -1: free */
	struct event readable;
	uint64_t nonce; /* 0: it has not joined yet */
	uint16_t flags;
	uint64_t told;	/* the last frame that it was told of */
	uint64_t owed;	/* answer to its input, when that is committed */
	bool owes, paused; /* paused: nothing is read of it until there is room */
};

struct viewers {
	struct runtime *rt;
	struct viewers_state *state; /* in the shell's journalled state */
	/* Events go there. As display_model_offer() and display_model_room(). */
	int (*offer)(void *model, const struct screen_event *events, unsigned count);
	unsigned (*room)(const void *model);
	/* Somebody joins: what there is to see shall be a frame before they are told of one. NULL: the guest says when there is one. */
	void (*fresh)(struct viewers *v);
	uint64_t waits_until_ns; /* for whoever is strict; 0: for nobody */
	uint64_t next_ns;	 /* not before that comes the next frame, while anybody is paced */
	uint64_t refused;	 /* packets that made no sense */
	struct viewer of[SCREEN_VIEWERS];
};

/* `rt`, `state`, `offer` and `room` are set. */
void viewers_open(struct viewers *v);
/* The connection is ours from now on: 0; -EBUSY: there are enough of them. */
int viewers_admit(struct viewers *v, int fd);
/* CONSOLE_CLIENT with such a connection: taken out of the frame, and answered. 0 or -errno of the channel. */
int viewers_take_client(struct viewers *v, int control_fd, struct frame *f);
/* Of a screen whose keyboard and mouse are elsewhere, as PICTURE says: whoever sends something all the same is turned away. */
int viewers_offer_nothing(void *model, const struct screen_event *events, unsigned count);
unsigned viewers_room_for_nothing(const void *model);
/* Does anybody look? */
bool viewers_any(const struct viewers *v);
/* A frame has been shown: the state says which. Once it is committed, viewers_tell() tells them. */
void viewers_shown(struct viewers *v, uint64_t now_ns);
void viewers_tell(struct viewers *v);
/* May the next frame come? */
bool viewers_hold(const struct viewers *v);
/* Now and then. Returns when to come again (UINT64_MAX: no need). */
uint64_t viewers_settle(struct viewers *v, uint64_t now_ns);
/* A state that was read from a journal: 0, or -EINVAL and *field. */
int viewers_validate(const struct viewers_state *s, const char **field);

#endif
