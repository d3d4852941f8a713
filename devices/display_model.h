/* SPDX-License-Identifier: MIT */
/*
 * The display's model: the frame port, and the events that wait for the guest. Framebuffer and mailbox are objects that the
 * model cannot reach; its shell shows the one and fills the other.
 */
#ifndef BULKHEAD_DEVICES_DISPLAY_MODEL_H
#define BULKHEAD_DEVICES_DISPLAY_MODEL_H

#include "devices/model.h"
#include "proto/screen.h"

enum { DISPLAY_QUEUE = 1024 };

struct display_state {
	uint64_t frame;	  /* frames shown since power-on */
	uint64_t time_ns; /* when the guest asked for the last one */
	uint32_t head, count; /* of the queue */
	uint32_t due;	  /* 0, or 1: the guest has asked for a frame that is not shown yet */
	uint32_t reserved;
	struct screen_event queue[DISPLAY_QUEUE];
};

/* Has the guest asked for a frame? To be asked once for each request: it is shown then. */
bool display_model_take_frame(void *state);
/* What the guest finds in its mailbox for the frame that was taken; the events in there are not waiting any more. */
void display_model_fill(void *state, struct mailbox *out);
/* Events that there is room for. */
unsigned display_model_room(const void *state);
/* 0; -EINVAL: no such events, and none of them is taken; -ENOSPC: no room for all of them. */
int display_model_offer(void *state, const struct screen_event *events, unsigned count);

#endif
