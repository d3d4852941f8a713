/* SPDX-License-Identifier: MIT */
/* The page of interrupt messages, out and in: see msi.h. */
#include "msi.h"

#include <errno.h>
#include <string.h>

#define PIC_OUT_MASK 0xffffffff0000ff01ull /* seq, vector, intr */

int msi_save(const struct msi_page *page, uint32_t head, struct msi_image *out)
{
	memset(out, 0, sizeof(*out));
	out->tail = atomic_load_explicit(&page->tail, memory_order_acquire);
	out->pic_out = atomic_load_explicit(&page->pic_out, memory_order_acquire);
	if (out->tail - head > MSI_SLOTS)
		return -EPROTO;
	for (uint32_t seq = head; seq != out->tail; seq++)
		out->slots[seq % MSI_SLOTS] = page->slots[seq % MSI_SLOTS];
	return 0;
}

/* What is in a message, its reader checks when it takes it (msi_pop). */
int msi_restore(struct msi_page *page, uint32_t head, const struct msi_image *in)
{
	if (in->reserved || in->tail - head > MSI_SLOTS || (in->pic_out & ~PIC_OUT_MASK))
		return -EINVAL;
	for (uint32_t seq = head; seq != in->tail; seq++)
		if (in->slots[seq % MSI_SLOTS].seq != seq)
			return -EINVAL;
	memcpy(page->slots, in->slots, sizeof(page->slots));
	atomic_store(&page->pic_out, in->pic_out);
	atomic_store(&page->tail, in->tail);
	return 0;
}
