/* SPDX-License-Identifier: MIT */
/*
 * Room that is filled from its start on, in two halves: when one is full, what lies in the other is forgotten, and that one is
 * filled next. What has been made of late outlives a turn so.
 */
#ifndef BULKHEAD_EMU_CORE_HALVES_H
#define BULKHEAD_EMU_CORE_HALVES_H

#include <stdbool.h>
#include <stddef.h>

/* In bytes, or whatever is counted. Everything between `start` and `used` is in the half being filled, as is what comes up to `end`. */
struct halves {
	size_t first, middle, last; /* first == middle: too small for halves, all is one */
	size_t start, used, end;
	size_t other, other_used; /* what the other half holds: [other, other_used) */
};

/* [first, last), the second half from a multiple of `align` on; in one piece if a half were less than `least`. */
static inline struct halves halves_of(size_t first, size_t last, size_t least, size_t align)
{
	const size_t middle = (first + (last - first) / 2) & ~(align - 1);
	const bool one = middle < first + least;

	return (struct halves){ .first = first,
				.middle = one ? first : middle,
				.last = last,
				.start = first,
				.used = first,
				.end = one ? last : middle,
				.other = one ? first : middle,
				.other_used = one ? first : middle };
}

static inline size_t halves_room(const struct halves *h)
{
	return h->end - h->used;
}

/* Is it in one piece? Then a turn forgets all. */
static inline bool halves_are_one(const struct halves *h)
{
	return h->middle == h->first;
}

/* For what has to be turned together with something that is in one piece. Nothing has been put in yet. */
static inline void halves_join(struct halves *h)
{
	*h = halves_of(h->first, h->last, h->last, 1);
}

/* Will the next turn forget what lies there? */
static inline bool halves_are_left(const struct halves *h, size_t at)
{
	if (halves_are_one(h))
		return true;
	return h->start == h->first ? at >= h->middle : at < h->middle;
}

/* The other half is filled from now on, from its start. */
static inline void halves_turn(struct halves *h)
{
	const bool lower = h->start == h->first;

	if (halves_are_one(h)) {
		h->used = h->first;
		return;
	}
	h->other = h->start;
	h->other_used = h->used;
	h->start = h->used = lower ? h->middle : h->first;
	h->end = lower ? h->last : h->middle;
}

/* All is forgotten. */
static inline void halves_empty(struct halves *h)
{
	h->start = h->used = h->first;
	h->end = halves_are_one(h) ? h->last : h->middle;
	h->other = h->other_used = h->middle;
}

#endif
