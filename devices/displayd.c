/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-displayd: the frame port, and what is shown and typed through it. It sees the framebuffer and the mailbox, which are
 * objects of their own, and nothing else of the guest's memory. What a viewer types comes here as well: an event is the
 * guest's in the same commit in which its frame is shown, so that neither is lost alone.
 */
#include <errno.h>
#include <string.h>

#include "daemons.h"
#include "display_model.h"
#include "proto/code_notice.h"
#include "proto/shm.h"
#include "viewers.h"

enum { FD_SCREEN, FD_MAILBOX, FD_PICTURE, OWN_FDS };

static struct viewers_state saved;
static struct viewers viewers = { .state = &saved, .offer = display_model_offer, .room = display_model_room };
static const uint32_t *screen; /* the guest's, who may write to it at any time but while it waits for us */
static struct mailbox *mailbox;
static struct picture *picture;

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	const void *ro = NULL;
	void *rw = NULL, *page = NULL;
	int err;

	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	err = shm_map_ro(fds[FD_SCREEN], LAYOUT_FRAME_BUFFER_BYTES, &ro);
	if (!err)
		err = shm_map_rw(fds[FD_MAILBOX], LAYOUT_FRAME_MAILBOX_BYTES, &page);
	if (!err)
		err = shm_map_rw(fds[FD_PICTURE], sizeof(struct picture), &rw);
	if (err)
		return err;
	screen = ro;
	mailbox = page;
	picture = rw;
	viewers.rt = rt;
	viewers_open(&viewers);
	return 0;
}

/* A predecessor has filled it in, or nobody has. */
static void begin_picture(void)
{
	picture->format = PICTURE_0RGB32;
	picture->version = PICTURE_VERSION;
	__atomic_store_n(&picture->magic, PICTURE_MAGIC, __ATOMIC_RELEASE);
}

static const uint32_t *row_of(const uint32_t *pixels, unsigned y)
{
	return pixels + (size_t)y * LAYOUT_FRAME_WIDTH;
}

/* Frame n begins from frame n - 2, and what is told is what differs from frame n - 1. */
static struct picture_rows copy(uint32_t *to, const uint32_t *before)
{
	struct picture_rows rows = { 0, 0 };
	const size_t bytes = LAYOUT_FRAME_WIDTH * sizeof(*to);

	for (unsigned y = 0; y < LAYOUT_FRAME_HEIGHT; y++) {
		uint32_t *row = to + (size_t)y * LAYOUT_FRAME_WIDTH;

		memcpy(row, row_of(screen, y), bytes);
		if (!memcmp(row, row_of(before, y), bytes))
			continue;
		rows.top = rows.bottom ? rows.top : y;
		rows.bottom = y + 1;
	}
	return rows;
}

/* Done again by a successor that finds the request uncommitted: the guest waits meanwhile, and the framebuffer is the same. */
static void show(uint64_t n, uint64_t time_ns)
{
	unsigned half = n & 1;

	if (!picture->magic)
		begin_picture();
	atomic_store_explicit(&picture->writing, n, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	picture->half[half] = (struct picture_half){ .time_ns = time_ns,
						     .width = LAYOUT_FRAME_WIDTH,
						     .height = LAYOUT_FRAME_HEIGHT,
						     .rows = copy(picture->pixels[half], picture->pixels[!half]),
						     .cursor = UINT32_MAX };
	atomic_store_explicit(&picture->shown, n, memory_order_release);
}

/*
 * Of memory that vCPUs may run code in, the mailbox is what we write. Who decides whether they did is the vcpu process: we have no
 * code map, which would tell of the guest's other memory.
 */
static void fill_mailbox(struct runtime *rt)
{
	struct mailbox m;

	display_model_fill(rt->state, &m);
	memcpy(mailbox, &m, offsetof(struct mailbox, events) + m.count * sizeof(m.events[0]));
	code_notice_give(&rt->ring.rsp->written, LAYOUT_FRAME_MAILBOX, LAYOUT_FRAME_MAILBOX_BYTES);
}

static void applied(struct runtime *rt, uint64_t now_ns)
{
	if (!display_model_take_frame(rt->state))
		return;
	show(++saved.shown, now_ns);
	fill_mailbox(rt);
	viewers_shown(&viewers, now_ns);
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	viewers_tell(&viewers);
}

static bool is_full(const struct runtime *rt)
{
	(void)rt;
	return viewers_hold(&viewers);
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	return viewers_settle(&viewers, now_ns);
}

static int admit(struct runtime *rt, struct frame *f)
{
	return viewers_take_client(&viewers, rt->child.control_fd, f);
}

static int validate(const void *state, const char **field)
{
	return viewers_validate(state, field);
}

const struct daemon_shell displayd_shell = {
	.kind = KIND_DISPLAYD,
	.model = &display_model,
	.shell_state = &saved,
	.shell_size = sizeof(saved),
	.shell_version = DISPLAYD_SHELL_VERSION,
	.start = start,
	.validate = validate,
	.applied = applied,
	.committed = committed,
	.is_full = is_full,
	.settle = settle,
	.admit = admit,
};
