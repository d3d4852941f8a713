/* SPDX-License-Identifier: MIT */
/* Interrupt line words: see line.h. */
#include "line.h"

bool line_publish(struct line_page *page, uint32_t last[MODEL_LINES], const uint32_t words[MODEL_LINES], uint32_t owned)
{
	bool changed = false;

	for (unsigned i = 0; i < MODEL_LINES; i++) {
		if (!(owned & (1u << i)) || words[i] == last[i])
			continue;
		atomic_store_explicit(&page->words[i], words[i], memory_order_release);
		last[i] = words[i];
		changed = true;
	}
	return changed;
}

void line_sample(const struct line_page *page, uint32_t out[MODEL_LINES], uint32_t owned)
{
	for (unsigned i = 0; i < MODEL_LINES; i++) {
		if (owned & (1u << i))
			out[i] = atomic_load_explicit(&page->words[i], memory_order_acquire);
	}
}

void line_join(const struct line_page *page, uint32_t out[MODEL_LINES], uint32_t owned)
{
	for (unsigned i = 0; i < MODEL_LINES; i++) {
		uint32_t word;

		if (!(owned & (1u << i)))
			continue;
		word = atomic_load_explicit(&page->words[i], memory_order_acquire);
		out[i] = ((out[i] & ~LINE_LEVEL) + (word & ~LINE_LEVEL)) | ((out[i] | word) & LINE_LEVEL);
	}
}
