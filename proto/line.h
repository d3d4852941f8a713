/* SPDX-License-Identifier: MIT */
/*
 * The LINE page: one word per interrupt line (level and count of rising edges), written by the one device
 * that drives it, sampled by irqd. Words are absolute: publishing one twice changes nothing.
 */
#ifndef BULKHEAD_PROTO_LINE_H
#define BULKHEAD_PROTO_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ISA interrupts and IOAPIC pins. The PIT (ISA 0) is wired to IOAPIC pin 2, everything else to the pin of its number. */
enum { MODEL_LINES = 24 };

/*
 * One interrupt line as its device drives it: bit 0 is the level, bits 1..31 count rising edges (mod 2^31).
 * Absolute, so that publishing it twice changes nothing.
 */
#define LINE_LEVEL 1u
#define LINE_EDGE 2u

/* Lowers or raises a line word; counts the rising edge. */
static inline uint32_t line_set(uint32_t word, bool level)
{
	if (level && !(word & LINE_LEVEL))
		word += LINE_EDGE;
	return (word & ~LINE_LEVEL) | (level ? LINE_LEVEL : 0);
}

/* Writer: one device daemon. Reader: irqd. Each word is stored (release) before the reply of the access that moved it. */
struct line_page {
	_Atomic uint32_t words[MODEL_LINES];
};
_Static_assert(sizeof(struct line_page) == 96, "LINE");

/* Stores the words of the lines in `owned`; true if any differs from what the page held in `last` (private copy). */
bool line_publish(struct line_page *page, uint32_t last[MODEL_LINES], const uint32_t words[MODEL_LINES], uint32_t owned);

/* Loads the words of the lines in `owned`, the others of `out` are left alone: a device cannot speak for another's. */
void line_sample(const struct line_page *page, uint32_t out[MODEL_LINES], uint32_t owned);

/*
 * The same for lines that several devices may drive: joins them with what `out` holds. The line is high while one of them
 * holds it high. Rises of one count also while another holds it high; a wire would not show those, and who listens for
 * edges on a shared line has to look at all its devices anyway.
 */
void line_join(const struct line_page *page, uint32_t out[MODEL_LINES], uint32_t owned);

#endif
