/* SPDX-License-Identifier: MIT */
/*
 * A set of RAM pages that several threads add to and one takes out of: one bit for each page, and one in a summary for each
 * word of these. Nobody waits for anybody.
 */
#ifndef BULKHEAD_EMU_PAGE_SET_H
#define BULKHEAD_EMU_PAGE_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_set {
	_Atomic uint64_t *bits, *summary; /* zeroed memory for page_set_words() words */
	uint64_t summary_words;
};

static inline uint64_t page_set_words(uint64_t pages)
{
	const uint64_t bits = (pages + 63) / 64, summary = (bits + 63) / 64;

	return bits + summary + 1;
}

static inline void page_set_init(struct page_set *s, uint64_t pages, _Atomic uint64_t *memory)
{
	const uint64_t bits = (pages + 63) / 64;

	*s = (struct page_set){ .bits = memory, .summary = memory + bits, .summary_words = (bits + 63) / 64 };
}

static inline bool page_set_has(const struct page_set *s, uint64_t page)
{
	return atomic_load_explicit(&s->bits[page / 64], memory_order_relaxed) >> (page % 64) & 1;
}

/* First the bit, then the summary: whoever takes the summary's bit down looks at the word afterwards. */
static inline void page_set_add(struct page_set *s, uint64_t page)
{
	atomic_fetch_or(&s->bits[page / 64], 1ull << (page % 64));
	atomic_fetch_or(&s->summary[page / 4096], 1ull << (page / 64 % 64));
}

static inline void page_set_remove(struct page_set *s, uint64_t page)
{
	atomic_fetch_and(&s->bits[page / 64], ~(1ull << (page % 64)));
}

/* Takes pages out of it: the next word that has any, from summary word *at on. 0: there are none; else the pages *first + n for
 * each bit n. */
static inline uint64_t page_set_take(struct page_set *s, uint64_t *at, uint64_t *first)
{
	for (; *at < s->summary_words; ++*at) {
		uint64_t words = atomic_load_explicit(&s->summary[*at], memory_order_relaxed);

		while (words) {
			const uint64_t word = *at * 64 + (unsigned)__builtin_ctzll(words), bit = words & -words;
			uint64_t pages;

			words &= ~bit;
			atomic_fetch_and(&s->summary[*at], ~bit);
			pages = atomic_exchange(&s->bits[word], 0);
			*first = word * 64;
			if (pages)
				return pages;
		}
	}
	return 0;
}

#endif
