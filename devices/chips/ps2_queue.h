/* SPDX-License-Identifier: MIT */
/* The buffer of a PS/2 device: 16 bytes (PS/2 Hardware Interface Technical Reference, "Keyboard Buffer"). */
#ifndef BULKHEAD_DEVICES_CHIPS_PS2_QUEUE_H
#define BULKHEAD_DEVICES_CHIPS_PS2_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum { PS2_QUEUE = 16 };

struct ps2_queue {
	uint8_t head, count;
	uint8_t bytes[PS2_QUEUE];
};

static inline unsigned ps2_queue_room(const struct ps2_queue *q)
{
	return PS2_QUEUE - q->count;
}

/* False: it is full. */
static inline bool ps2_queue_put(struct ps2_queue *q, uint8_t byte)
{
	if (q->count == PS2_QUEUE)
		return false;
	q->bytes[(q->head + q->count) % PS2_QUEUE] = byte;
	q->count++;
	return true;
}

/* It is not empty. */
static inline uint8_t ps2_queue_take(struct ps2_queue *q)
{
	const uint8_t byte = q->bytes[q->head];

	q->head = (uint8_t)((q->head + 1) % PS2_QUEUE);
	q->count--;
	return byte;
}

/* What was in there is of no interest any more: states with the same contents are the same bytes. */
static inline void ps2_queue_clear(struct ps2_queue *q)
{
	*q = (struct ps2_queue){ .head = 0 };
}

static inline bool ps2_queue_is_valid(const struct ps2_queue *q)
{
	return q->head < PS2_QUEUE && q->count <= PS2_QUEUE;
}

#endif
