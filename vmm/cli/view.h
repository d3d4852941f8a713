/* SPDX-License-Identifier: MIT */
/*
 * The command line as a viewer of a machine's screen (proto/screen.h). What breaks while displayd is being started again is mended
 * here: nothing that was sent arrives twice, or not at all, and whoever wants each frame gets each.
 */
#ifndef BULKHEAD_VMM_VIEW_H
#define BULKHEAD_VMM_VIEW_H

#include "client.h"

#include "../../proto/screen.h"

struct view {
	const struct machine_ref *ref;
	int sock; /* -1: not connected */
	uint16_t flags;	 /* SCREEN_STRICT, SCREEN_PACED */
	bool types_only; /* at a machine's keyboard and mouse, wherever those are: it sees no picture */
	uint64_t nonce, input; /* number of the latest */
	uint64_t seen;	 /* number of the latest frame that was copied */
	const struct picture *picture;
};

struct view_frame {
	uint64_t number;
	struct picture_half half; /* its size has been checked; its rows differ from the frame before it, number - 1 */
	uint16_t cells[PICTURE_CELLS]; /* of a text screen */
	uint32_t pixels[PICTURE_PIXELS]; /* 0RGB, half.width in a row */
};

/* Memory for a picture is taken when there is to be one: other commands have no use for it. NULL, and that has been told: there is none. */
void *view_allocate(size_t bytes);

/* 0, or an exit code; what is wrong has been told. */
int view_open(struct view *v, const struct machine_ref *ref, uint16_t flags);
/* The same, for view_input() alone; of every machine that has a keyboard. */
int view_open_input(struct view *v, const struct machine_ref *ref);
void view_close(struct view *v);

/* Up to SCREEN_PACKET_EVENTS events; returns when they are in the journal of displayd, or inputd. 0, -ECONNRESET: the machine has ended; -ETIMEDOUT. */
int view_input(struct view *v, const struct screen_event *events, unsigned count);

/* How large the screen is: of the frame that is shown, or of a frame machine's, which shows one later. */
void view_size(const struct view *v, uint32_t *width, uint32_t *height);
/* The frame that is shown now: 0, -EAGAIN: none has been shown yet. */
int view_latest(struct view *v, struct view_frame *out);
/* The next one that has not been copied yet. 0, -ETIMEDOUT (timeout_ms -1: never), -ECONNRESET: the machine has ended, -EINTR. */
int view_next(struct view *v, int timeout_ms, struct view_frame *out);

#endif
