/* SPDX-License-Identifier: MIT */
/*
 * The model of keyboard and mouse: an 8042 with both plugged in. What is typed and moved comes as events of Linux's evdev and waits here
 * until the devices have room, so that nothing is lost while the guest reads at all. If it holds a device's clock low, or has
 * turned it off, it does not listen: then that device does what its data sheet says.
 */
#ifndef BULKHEAD_DEVICES_INPUT_MODEL_H
#define BULKHEAD_DEVICES_INPUT_MODEL_H

#include "devices/chips/i8042.h"
#include "devices/chips/ps2_keyboard.h"
#include "devices/chips/ps2_mouse.h"
#include "devices/model.h"
#include "proto/screen.h"

enum { INPUT_QUEUE = 256 };

struct input_state {
	struct ps2_keyboard keyboard;
	struct ps2_mouse mouse;
	struct i8042 controller;
	uint8_t release;   /* the controller's translator has seen F0h: 80h, or 0 */
	uint8_t reset_due; /* the guest has pulled the machine's reset line: 1, or 0 */
	uint8_t reserved[6];
	uint32_t keyboard_line, mouse_line; /* line words */
	int32_t x, y;			    /* the last position that was told: the mouse goes from there */
	uint32_t head, count;		    /* of the queue */
	struct screen_event queue[INPUT_QUEUE];
};

/* Has the guest pulled the reset line? To be asked once for each request. */
bool input_model_take_reset(void *state);
/* Events that there is room for. */
unsigned input_model_room(const void *state);
/* 0; -EINVAL: no such events, and none of them is taken; -ENOSPC: no room for all of them. They are seen when time is told next. */
int input_model_offer(void *state, const struct screen_event *events, unsigned count);

#endif
