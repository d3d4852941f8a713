/* SPDX-License-Identifier: MIT */
/*
 * The frame-port machine (docs/guests.md), as its guests see it: a serial port, an exit port, a framebuffer, and a port that
 * shows a frame and brings what the user did meanwhile. Two implementations: guest.c, on the machine itself, and native.c, in
 * a process of the host, which has the same memory at the same addresses. So a guest's C is also a program of the host's,
 * and what the two show can be compared.
 */
#ifndef BULKHEAD_TESTS_FIRST_FRAME_H
#define BULKHEAD_TESTS_FIRST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FRAME_WIDTH = 640,
	FRAME_HEIGHT = 480,
	FRAME_PIXELS = FRAME_WIDTH * FRAME_HEIGHT,
	FRAME_MAX_EVENTS = 256,

	FRAME_MAILBOX_ADDRESS = 0x00f00000,
	FRAME_BUFFER_ADDRESS = 0x01000000,
	FRAME_SCRATCH_ADDRESS = 0x01800000,
	FRAME_PROGRAM_ADDRESS = 0x02000000,
	FRAME_MEMORY_END = 0x04000000,
};

/* Linux's evdev codes, as far as the machine sends them (input-event-codes.h). */
enum {
	EVENT_KEY = 1,
	EVENT_RELATIVE = 2,
	EVENT_ABSOLUTE = 3,

	AXIS_X = 0,
	AXIS_Y = 1,
	WHEEL = 8,

	KEY_ESCAPE = 1,
	KEY_DIGIT_1 = 2,
	KEY_SPACE = 57,
	KEY_HOME = 102,
	BUTTON_LEFT = 0x110,
};

struct frame_event {
	uint16_t type;
	uint16_t code;
	uint32_t value; /* of a key: 1 pressed, 0 released, 2 repeated; of the rest: signed */
};

struct frame_mailbox {
	uint64_t frame;
	uint64_t time_ns;
	uint32_t count; /* of events */
	uint32_t zero;
	struct frame_event events[FRAME_MAX_EVENTS];
};

_Static_assert(sizeof(struct frame_event) == 8, "an event takes 8 bytes");
_Static_assert(offsetof(struct frame_mailbox, events) == 24, "events begin behind the header");

/* A file given with --program. */
struct frame_program {
	uint64_t length; /* 0: none */
	uint64_t zero;
	uint8_t bytes[];
};

/* 640 x 480 words of 00RRGGBB, row by row from the top. */
static inline uint32_t *frame_pixels(void)
{
	return (uint32_t *)(uintptr_t)FRAME_BUFFER_ADDRESS;
}

static inline const struct frame_mailbox *frame_mailbox(void)
{
	return (const struct frame_mailbox *)(uintptr_t)FRAME_MAILBOX_ADDRESS;
}

static inline const struct frame_program *frame_program(void)
{
	return (const struct frame_program *)(uintptr_t)FRAME_PROGRAM_ADDRESS;
}

/* How many events the mailbox holds, which is written by others. */
static inline uint32_t frame_event_count(void)
{
	uint32_t n = frame_mailbox()->count;

	return n < FRAME_MAX_EVENTS ? n : FRAME_MAX_EVENTS;
}

/* Shows what is in the framebuffer; when it returns, the mailbox is filled. */
void frame_show(void);

/* Ends the machine (or the process) with this exit code. */
_Noreturn void frame_exit(uint8_t code);

/* One byte to the serial port. */
void frame_putc(uint8_t c);
/* One byte from it, waited for. */
uint8_t frame_getc(void);

/* Lets AVX and AVX-512 be used where CPUID has them, with all their registers. A process finds this done. */
void frame_enable_vectors(void);

/* The guest, entered once. */
void guest_main(void);

#endif
