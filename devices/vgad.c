/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-vgad: the display of a PC. Its memory, the legacy window and the framebuffer, are objects that are mapped into the guest, who
 * writes there without asking anybody; of the guest's other memory it sees nothing. So nobody tells it that there is something
 * new to show: while somebody looks, it looks itself, and shows what has changed.
 */
#include <errno.h>
#include <string.h>

#include "daemons.h"
#include "picture.h"
#include "proto/code_notice.h"
#include "proto/shm.h"
#include "vga_model.h"
#include "vga_picture.h"
#include "viewers.h"

#define LOOK_NS (CLOCK_NS_PER_S / 30)

enum { FD_LEGACY, FD_FRAMEBUFFER, FD_PICTURE, OWN_FDS };

static void look_now(struct viewers *v);
static struct viewers_state saved;
static struct viewers viewers = {
	.state = &saved, .offer = viewers_offer_nothing, .room = viewers_room_for_nothing, .fresh = look_now
};
static struct vga_memory memory;
static uint8_t *framebuffer;
static struct picture *picture;
static uint64_t look_at_ns, lit_until_ns;

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

struct look {
	const struct vga_state *state;
	struct vga_blink blink;
};

static void paint(const void *what, const struct vga_canvas *to)
{
	const struct look *l = what;
	struct dispi_mode mode;

	if (vga_model_linear(l->state, &mode))
		vga_picture_linear(&l->state->vga, &mode, &memory, to);
	else
		vga_picture(&l->state->vga, &memory, l->blink, to);
}

static bool show(struct runtime *rt, struct vga_blink blink, uint64_t now_ns)
{
	const struct look look = { rt->state, blink };

	return picture_show(picture, &saved.shown, paint, &look, now_ns);
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
