/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-inputd: PS/2 keyboard and mouse. What viewers and the command line type and move comes over connections like those of a
 * screen (proto/screen.h), without the screen; it is answered when it is in the journal, with the state of the devices.
 */
#include <errno.h>

#include "daemons.h"
#include "input_model.h"
#include "viewers.h"

/* A processor's reset that the supervisor has not been told of yet; journalled, so that it cannot get lost. */
static struct {
	struct viewers_state viewers;
	uint32_t reset_due, reserved;
} saved;
static struct viewers viewers = { .state = &saved.viewers, .offer = input_model_offer, .room = input_model_room };

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	(void)setup;
	(void)fds;
	if (nfds != 0)
		return -EINVAL;
	viewers.rt = rt;
	viewers_open(&viewers);
	return 0;
}

static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	saved.reset_due = 0;
}

static void applied(struct runtime *rt, uint64_t now_ns)
{
	(void)now_ns;
	saved.reset_due |= input_model_take_reset(rt->state);
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	viewers_tell(&viewers);
}

/* Whatever keeps it from being told (no room, no memory for a moment): it stays, unless there is nobody to be told. */
static bool tell_reset(struct runtime *rt)
{
	const struct child *c = &rt->child;
	int err = 0;

	if (saved.reset_due)
		err = child_event(&rt->child, BULKHEAD__EVENT_TYPE__EVENT_RESET, 0, c->role, "the guest asked for a reset");
	if (err && err != -ENOTCONN)
		return false;
	if (saved.reset_due)
		runtime_touch(rt);
	saved.reset_due = 0;
	return true;
}

#define RETRY_NS CLOCK_NS_PER_MS

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	const uint64_t again = tell_reset(rt) ? UINT64_MAX : now_ns + RETRY_NS, theirs = viewers_settle(&viewers, now_ns);

	return again < theirs ? again : theirs;
}

static bool has_news(struct runtime *rt)
{
	(void)rt;
	return saved.reset_due;
}

static int admit(struct runtime *rt, struct frame *f)
{
	return viewers_take_client(&viewers, rt->child.control_fd, f);
}

static int validate(const void *state, const char **field)
{
	const __typeof__(saved) *s = state;

	*field = "pending reset";
	return s->reset_due > 1 || s->reserved ? -EINVAL : viewers_validate(&s->viewers, field);
}

const struct daemon_shell inputd_shell = {
	.kind = KIND_INPUTD,
	.model = &input_model,
	.shell_state = &saved,
	.shell_size = sizeof(saved),
	.shell_version = INPUTD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.validate = validate,
	.applied = applied,
	.committed = committed,
	.settle = settle,
	.has_output = has_news,
	.has_news = has_news,
	.admit = admit,
};
