/* SPDX-License-Identifier: MIT */
/* When displayd looks after its viewers again (viewers.h). What they say is tested with displayd itself, and fuzzed. */
#include "devices/viewers.h"

#include <criterion/criterion.h>

static struct runtime rt;
static unsigned touched;

void runtime_touch(struct runtime *r)
{
	(void)r;
	touched++;
}

int runtime_watch(struct runtime *r, struct event *ev, int fd, short what, event_callback_fn callback, void *arg)
{
	(void)r;
	(void)ev;
	(void)fd;
	(void)what;
	(void)callback;
	(void)arg;
	return 0;
}

static unsigned room(const void *model)
{
	(void)model;
	return SCREEN_PACKET_EVENTS;
}

static struct viewers_state state;
static struct viewers viewers = { .rt = &rt, .state = &state, .room = room };

static void record_from(uint64_t shown, uint64_t seen, uint64_t waits_until_ns)
{
	viewers_open(&viewers);
	state = (struct viewers_state){ .shown = shown, .strict = { .nonce = 1, .seen = seen } };
	viewers.waits_until_ns = waits_until_ns;
}

/* A guest that shows nothing for a long time keeps nobody busy: who asks to be called at a moment that has passed is called at once, for
 * ever. */
Test(viewers, a_recorder_of_a_guest_that_stands_still_has_no_deadline)
{
	record_from(7, 7, 1000);
	cr_expect_eq(viewers_settle(&viewers, 500), UINT64_MAX);
	cr_expect_eq(viewers_settle(&viewers, 2000), UINT64_MAX);
	cr_expect_eq(state.strict.nonce, 1, "it is waited for when there is a frame");
}

Test(viewers, a_recorder_that_takes_no_frame_is_waited_for_until_its_time_is_over)
{
	record_from(8, 7, 1000);
	cr_expect_eq(viewers_settle(&viewers, 500), 1000);
	cr_expect(viewers_hold(&viewers));
	cr_expect_eq(viewers_settle(&viewers, 1000), UINT64_MAX);
	cr_expect_eq(state.strict.nonce, 0);
	cr_expect(touched);
}
