/* SPDX-License-Identifier: MIT */
/* Frames of displays whose guests wait for nobody: picture.h. */
#include "devices/picture.h"

#include <string.h>

/* A predecessor has filled it in, or nobody has. Keyboard and mouse of a PC are elsewhere. */
static void begin_picture(struct picture *p)
{
	p->format = PICTURE_0RGB32;
	p->flags = PICTURE_NO_INPUT;
	p->version = PICTURE_VERSION;
	__atomic_store_n(&p->magic, PICTURE_MAGIC, __ATOMIC_RELEASE);
}

static struct vga_canvas canvas_of(struct picture *p, uint64_t n)
{
	return (struct vga_canvas){ &p->half[n & 1], p->pixels[n & 1], p->cells[n & 1] };
}

static bool text_differs(const struct vga_canvas *a, const struct vga_canvas *b)
{
	return a->half->cursor != b->half->cursor ||
	       memcmp(a->cells, b->cells, (size_t)a->half->columns * a->half->lines * sizeof(a->cells[0])) != 0;
}

bool picture_show(struct picture *p, uint64_t *shown, void (*paint)(const void *what, const struct vga_canvas *to), const void *what,
		  uint64_t now_ns)
{
	const uint64_t n = *shown + 1;
	const struct vga_canvas next = canvas_of(p, n), last = canvas_of(p, n - 1);
	struct picture_rows rows;

	if (!p->magic)
		begin_picture(p);
	atomic_store_explicit(&p->writing, n, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	paint(what, &next);
	rows = vga_picture_difference(&next, &last);
	if (n > 1 && !rows.bottom && !text_differs(&next, &last))
		return false;
	next.half->rows = n > 1 ? rows : (struct picture_rows){ 0, next.half->height };
	next.half->time_ns = now_ns;
	*shown = n;
	atomic_store_explicit(&p->shown, n, memory_order_release);
	return true;
}
