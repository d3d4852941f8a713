/* SPDX-License-Identifier: MIT */
/*
 * A screen, as displayd shows it to viewers, and vgad that of a PC.
 *
 * PICTURE, the object that viewers have read-only: the latest frame, and the one before it. Writer: displayd, who copies a frame out
 * of the guest's framebuffer while the guest waits, so that nobody sees half of one; or vgad, whose guest waits for nobody: its frames are
 * what it has found when it looked. Order: writing = n -> full fence -> pixels
 * of half n & 1, its size and its rows -> shown = n (release). A reader takes n = shown (acquire), copies half n & 1, and has frame n if
 * after a full fence `writing` is still below n + 2; else it looks again (screen_is_whole()).
 *
 * The connection of a viewer (SOCK_SEQPACKET, one struct screen_packet each way at a time; the supervisor makes it, SCREEN in
 * control.proto). The first packet of a viewer is JOIN. Input is numbered by the viewer and answered when it is in
 * displayd's journal; a viewer whose connection broke comes again under the same nonce, sends again what was not answered, and
 * nothing arrives twice.
 */
#ifndef BULKHEAD_PROTO_SCREEN_H
#define BULKHEAD_PROTO_SCREEN_H

#include "layout.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PICTURE_MAGIC = 0x54434950, /* "PICT" */ PICTURE_VERSION = 2, PICTURE_0RGB32 = 1, PICTURE_NO_INPUT = 1 << 0 /* no keyboard, no mouse */ };
/* The largest picture; rows of one lie behind each other without gaps. Pages that no frame has reached cost nothing. */
#define PICTURE_PIXELS (LAYOUT_SCREEN_BYTES / 4)
/* Of a text screen: characters in rows, each with its attribute in the upper byte (code page 437, as adapters have it). */
enum { PICTURE_CELLS = 8192 };

/* Rows that differ from the frame before: [top, bottom); none: both 0. */
struct picture_rows {
	uint32_t top, bottom;
};

struct picture_half {
	uint64_t time_ns; /* the machine's clock */
	struct picture_rows rows;
	uint32_t width, height;	    /* at least 1 each, and at most PICTURE_PIXELS together */
	uint16_t columns, lines; /* what is shown is text, of so many cells; 0: pixels */
	uint32_t cursor;	    /* the cell that it is in; UINT32_MAX: none is shown */
};

struct picture {
	uint32_t magic, version; /* stored last when the object is filled for the first time */
	uint32_t format, flags; /* PICTURE_NO_INPUT */
	_Atomic uint64_t writing, shown; /* numbers of frames, from 1 on, for as long as the machine lives; 0: none yet */
	struct picture_half half[2];
	uint8_t pad[4096 - 96];
	uint16_t cells[2][PICTURE_CELLS];
	uint32_t pixels[2][PICTURE_PIXELS];
};
_Static_assert(offsetof(struct picture, writing) == 16 && offsetof(struct picture, half) == 32, "PICTURE");
_Static_assert(offsetof(struct picture, cells) == 4096 && offsetof(struct picture, pixels) == 4096 + 32768, "PICTURE");

/* Readers have what another process wrote: does the picture's size make sense? */
static inline bool picture_size_is_good(const struct picture_half *h)
{
	return h->width && h->height && h->width <= PICTURE_PIXELS / h->height &&
	       (uint32_t)h->columns * h->lines <= PICTURE_CELLS;
}

/* Was frame `n`, which has been copied, nobody else's meanwhile? */
static inline bool screen_is_whole(const struct picture *p, uint64_t n)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&p->writing, memory_order_relaxed) < n + 2;
}

/* Linux's evdev: struct input_event without its time. */
struct screen_event {
	uint16_t type, code;
	uint32_t value;
};
_Static_assert(sizeof(struct screen_event) == 8, "as in the mailbox");

enum screen_event_code {
	SCREEN_EV_SYN = 0,
	SCREEN_EV_KEY = 1,
	SCREEN_EV_REL = 2,
	SCREEN_EV_ABS = 3,
	SCREEN_ABS_X = 0,
	SCREEN_ABS_Y = 1,
	SCREEN_REL_X = 0,
	SCREEN_REL_Y = 1,
	SCREEN_REL_WHEEL = 8,
	SCREEN_BTN_LEFT = 0x110,
	SCREEN_BTN_RIGHT = 0x111,
	SCREEN_BTN_MIDDLE = 0x112,
	SCREEN_BTN_SIDE = 0x113,
	SCREEN_BTN_EXTRA = 0x114,
	SCREEN_CODE_MAX = 0x2ff, /* KEY_MAX */
	SCREEN_WAY_MAX = 32767,	 /* of a movement or a position that anybody means */
};

enum screen_type {
	/* from a viewer */
	SCREEN_JOIN = 1, /* number: its nonce, not 0; flags */
	SCREEN_INPUT,	 /* number: its own, one more each time, from 1 on; count events */
	SCREEN_SEEN,	 /* number: of the frame; a strict viewer has it, and the next one may come */
	/* to a viewer */
	SCREEN_WELCOME, /* number: of the input of this nonce that was taken last */
	SCREEN_TAKEN,	/* number: of the input that is in the journal now */
	SCREEN_FRAME,	/* number: there is this frame. A viewer that is behind misses some of these, and none of the latest. A strict
			 * one says again what it has SEEN: who shows this frame may be a successor that has not heard it */
};
enum {
	SCREEN_STRICT = 1 << 0, /* it wants each frame: the guest waits until it has been SEEN */
	SCREEN_PACED = 1 << 1,	/* for people: no more than SCREEN_RATE frames a second */
	SCREEN_FLAGS = SCREEN_STRICT | SCREEN_PACED,
	SCREEN_RATE = 60,
	SCREEN_PACKET_EVENTS = 64,
	SCREEN_VIEWERS = 8,
};

struct screen_packet {
	uint16_t type, flags;
	uint32_t count; /* of events; the packet ends behind them */
	uint64_t number;
	struct screen_event events[SCREEN_PACKET_EVENTS];
};
enum { SCREEN_PACKET_HEAD = offsetof(struct screen_packet, events) };
_Static_assert(SCREEN_PACKET_HEAD == 16, "a packet without events");

/* What a frame machine's guest finds at LAYOUT_FRAME_MAILBOX when its write to the frame port is done. */
enum { MAILBOX_EVENTS = 256 };
struct mailbox {
	uint64_t frame;	  /* frames shown since the guest was started, this one included */
	uint64_t time_ns; /* the machine's clock */
	uint32_t count, reserved;
	struct screen_event events[MAILBOX_EVENTS];
};
_Static_assert(offsetof(struct mailbox, events) == 24 && sizeof(struct mailbox) <= LAYOUT_FRAME_MAILBOX_BYTES, "mailbox");

#endif
