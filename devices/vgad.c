/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-vgad: the display of a PC. Its memory, the legacy window and the framebuffer, are objects that are mapped into the guest, who
 * writes there without asking anybody; of the guest's other memory it sees nothing. So nobody tells it that there is something
 * new to show: while somebody looks, it looks itself, and shows what has changed.
 */
#include <errno.h>
#include <string.h>

#include "daemons.h"
#include "proto/code_notice.h"
#include "proto/shm.h"
#include "vga_model.h"
#include "vga_picture.h"
#include "viewers.h"

#define LOOK_NS (CLOCK_NS_PER_S / 30)

enum { FD_LEGACY, FD_FRAMEBUFFER, FD_PICTURE, OWN_FDS };

static void look_now(struct viewers *v);
static int offer_nothing(void *model, const struct screen_event *events, unsigned count);
static unsigned room_for_nothing(const void *model);

static struct viewers_state saved;
static struct viewers viewers = {
	.state = &saved, .offer = offer_nothing, .room = room_for_nothing, .fresh = look_now
};
static struct vga_memory memory;
static uint8_t *framebuffer;
static struct picture *picture;
static uint64_t look_at_ns, lit_until_ns;

/* Keyboard and mouse of a PC are elsewhere, and PICTURE says so: whoever sends something all the same is turned away. */
static int offer_nothing(void *model, const struct screen_event *events, unsigned count)
{
	(void)model;
	(void)events;
	(void)count;
	return -EINVAL;
}

static unsigned room_for_nothing(const void *model)
{
	(void)model;
	return SCREEN_PACKET_EVENTS;
}

/* The framebuffer is written for one reason: a mode that begins clear. */
static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	const void *legacy = NULL;
	void *screen = NULL, *rw = NULL;
	int err;

	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	err = shm_map_ro(fds[FD_LEGACY], LAYOUT_VGA_BYTES, &legacy);
	if (!err)
		err = shm_map_rw(fds[FD_FRAMEBUFFER], LAYOUT_SCREEN_BYTES, &screen);
	if (!err)
		err = shm_map_rw(fds[FD_PICTURE], sizeof(struct picture), &rw);
	if (err)
		return err;
	framebuffer = screen;
	memory = (struct vga_memory){ .legacy = legacy, .screen = screen };
	picture = rw;
	viewers.rt = rt;
	viewers_open(&viewers);
	return 0;
}

/* A predecessor has filled it in, or nobody has. */
static void begin_picture(void)
{
	picture->format = PICTURE_0RGB32;
	picture->flags = PICTURE_NO_INPUT;
	picture->version = PICTURE_VERSION;
	__atomic_store_n(&picture->magic, PICTURE_MAGIC, __ATOMIC_RELEASE);
}

static struct vga_canvas canvas_of(uint64_t n)
{
	return (struct vga_canvas){ &picture->half[n & 1], picture->pixels[n & 1], picture->cells[n & 1] };
}

static void paint(const struct vga_state *s, struct vga_blink blink, const struct vga_canvas *to)
{
	struct dispi_mode mode;

	if (vga_model_linear(s, &mode))
		vga_picture_linear(&s->vga, &mode, &memory, to);
	else
		vga_picture(&s->vga, &memory, blink, to);
}

static bool text_differs(const struct vga_canvas *a, const struct vga_canvas *b)
{
	return a->half->cursor != b->half->cursor ||
	       memcmp(a->cells, b->cells, (size_t)a->half->columns * a->half->lines * sizeof(a->cells[0])) != 0;
}

/*
 * Frame n + 1 is painted where n - 1 was; if it is frame n once more, it is not shown. Done again by a successor that finds it
 * painted and not committed.
 */
static bool show(struct runtime *rt, struct vga_blink blink, uint64_t now_ns)
{
	const uint64_t n = saved.shown + 1;
	const struct vga_canvas next = canvas_of(n), last = canvas_of(n - 1);
	struct picture_rows rows;

	if (!picture->magic)
		begin_picture();
	atomic_store_explicit(&picture->writing, n, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	paint(rt->state, blink, &next);
	rows = vga_picture_difference(&next, &last);
	if (n > 1 && !rows.bottom && !text_differs(&next, &last))
		return false;
	next.half->rows = n > 1 ? rows : (struct picture_rows){ 0, next.half->height };
	next.half->time_ns = now_ns;
	saved.shown = n;
	atomic_store_explicit(&picture->shown, n, memory_order_release);
	return true;
}

/* Nothing blinks before whoever has come has had a look. */
static struct vga_blink blink_of(uint64_t now_ns)
{
	return now_ns < lit_until_ns ? (struct vga_blink){ false, false } : vga_blink_at(now_ns);
}

/* Somebody has come, and is told of nothing older; with the cursor where it is to be seen. */
static void look_now(struct viewers *v)
{
	uint64_t now_ns = runtime_now(v->rt);

	lit_until_ns = now_ns + CLOCK_NS_PER_S;
	if (viewers_hold(v) || !show(v->rt, blink_of(now_ns), now_ns))
		return;
	viewers_shown(v, now_ns);
	runtime_touch(v->rt);
}

/* The guest waits for the answer, so that nothing of what it draws is cleared; a successor clears once more. */
static void applied(struct runtime *rt, uint64_t now_ns)
{
	struct dispi_mode mode;

	(void)now_ns;
	if (!vga_model_take_clear(rt->state) || !vga_model_linear(rt->state, &mode))
		return;
	memset(framebuffer + mode.start, 0, (size_t)mode.pitch * mode.height);
	code_notice_give(&rt->ring.rsp->written, LAYOUT_SCREEN_BASE + mode.start, (uint64_t)mode.pitch * mode.height);
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	viewers_tell(&viewers);
}

/* Nobody looks: nothing is painted, and nobody is woken. */
static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	uint64_t again = viewers_settle(&viewers, now_ns);

	if (!viewers_any(&viewers))
		return again;
	if (now_ns >= look_at_ns && !viewers_hold(&viewers)) {
		look_at_ns = now_ns + LOOK_NS;
		if (show(rt, blink_of(now_ns), now_ns)) {
			viewers_shown(&viewers, now_ns);
			runtime_touch(rt);
		}
	}
	if (look_at_ns <= now_ns) /* a strict viewer has not seen the last one yet */
		look_at_ns = now_ns + LOOK_NS;
	return look_at_ns < again ? look_at_ns : again;
}

/* CONSOLE_CLIENT, as for a console: a connection of a viewer. */
static int admit(struct runtime *rt, struct frame *f)
{
	return viewers_take_client(&viewers, rt->child.control_fd, f);
}

static int validate(const void *state, const char **field)
{
	return viewers_validate(state, field);
}

const struct daemon_shell vgad_shell = {
	.kind = KIND_VGAD,
	.model = &vga_model,
	.shell_state = &saved,
	.shell_size = sizeof(saved),
	.shell_version = VGAD_SHELL_VERSION,
	.start = start,
	.validate = validate,
	.applied = applied,
	.committed = committed,
	.settle = settle,
	.admit = admit,
};
