/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-gpud: the back-end of a virtio GPU, and its screen. The guest says when there is something new to show; while somebody looks,
 * it is painted and told, and otherwise only kept.
 */
#include <errno.h>

#include "daemons.h"
#include "devices/backend.h"
#include "devices/gpu.h"
#include "devices/gpu_picture.h"
#include "devices/picture.h"
#include "proto/shm.h"
#include "viewers.h"

enum { FD_STORE, FD_PICTURE, OWN_FDS };

static void look_now(struct viewers *v);

static struct viewers_state saved;
static struct viewers viewers = {
	.state = &saved, .offer = viewers_offer_nothing, .room = viewers_room_for_nothing, .fresh = look_now
};
static struct gpu gpu;
static struct picture *picture;
static bool was_reset; /* before there was a store */

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	void *store = NULL, *page = NULL;
	int err;

	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	err = shm_map_rw(fds[FD_STORE], sizeof(struct gpu_store), &store);
	if (!err)
		err = shm_map_rw(fds[FD_PICTURE], sizeof(struct picture), &page);
	if (err)
		return err;
	picture = page;
	gpu_init(&gpu, store, backend_served, backend_lost);
	if (was_reset)
		gpu_forget(gpu.store);
	backend_init(rt, &gpu.device);
	viewers.rt = rt;
	viewers_open(&viewers);
	return 0;
}

/* The machine starts again. Whoever looks keeps the last picture until then. */
static void reset(struct runtime *rt, uint64_t now_ns)
{
	backend_reset(rt, now_ns);
	was_reset = true;
	if (gpu.store)
		gpu_forget(gpu.store);
	gpu.is_due = true;
}

static void paint(const void *what, const struct vga_canvas *to)
{
	gpu_picture(what, to);
}

static void show(struct runtime *rt, uint64_t now_ns)
{
	if (viewers_hold(&viewers))
		return; /* whoever it is for comes again */
	gpu.is_due = false;
	if (!picture_show(picture, &saved.shown, paint, gpu.store, now_ns))
		return;
	viewers_shown(&viewers, now_ns);
	runtime_touch(rt);
}

/* Somebody has come, and is told of nothing older. */
static void look_now(struct viewers *v)
{
	show(v->rt, runtime_now(v->rt));
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	viewers_tell(&viewers);
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	const uint64_t again = viewers_settle(&viewers, now_ns);

	backend_settle(rt, now_ns);
	if (gpu.is_due && viewers_any(&viewers))
		show(rt, now_ns);
	return again;
}

static int admit(struct runtime *rt, struct frame *f)
{
	return viewers_take_client(&viewers, rt->child.control_fd, f);
}

static int validate(const void *state, const char **field)
{
	return viewers_validate(state, field);
}

const struct daemon_shell gpud_shell = {
	.kind = KIND_GPUD,
	.model = &backend_model,
	.shell_state = &saved,
	.shell_size = sizeof(saved),
	.shell_version = GPUD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.validate = validate,
	.committed = committed,
	.settle = settle,
	.admit = admit,
	.link = backend_link,
};
