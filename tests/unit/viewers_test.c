/* SPDX-License-Identifier: MIT */
/* The viewers of a screen (viewers.h). Most of what they say is tested with displayd itself, and fuzzed. */
#include "devices/viewers.h"

#include <criterion/criterion.h>
#include <sys/socket.h>
#include <unistd.h>

static struct runtime rt;
static unsigned touched;
static event_callback_fn on_readable;
static void *on_readable_arg;

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
	on_readable = callback;
	on_readable_arg = arg;
	return 0;
}

static unsigned room(const void *model)
{
	(void)model;
	return SCREEN_PACKET_EVENTS;
}

static int offer(void *model, const struct screen_event *events, unsigned count)
{
	(void)model;
	(void)events;
	(void)count;
	return 0;
}

static struct viewers_state state;
static struct viewers viewers = { .rt = &rt, .state = &state, .offer = offer, .room = room };

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

/* A connection, and what is called when there is something to read of it. */
struct peer {
	int ours, theirs;
	event_callback_fn readable;
	void *arg;
};

static void says(const struct peer *p, enum screen_type type, uint64_t number)
{
	const struct screen_packet packet = { .type = (uint16_t)type, .number = number };

	cr_assert_eq(send(p->ours, &packet, SCREEN_PACKET_HEAD, 0), SCREEN_PACKET_HEAD);
	p->readable(p->theirs, EV_READ, p->arg);
}

static struct peer comes(uint64_t nonce)
{
	int pair[2];
	struct peer p;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	cr_assert_eq(viewers_admit(&viewers, pair[1]), 0);
	p = (struct peer){ pair[0], pair[1], on_readable, on_readable_arg };
	says(&p, SCREEN_JOIN, nonce);
	return p;
}

static void leaves(const struct peer *p)
{
	close(p->ours);
	p->readable(p->theirs, EV_READ, p->arg);
}

/* A script that waits now and then, while somebody takes one screenshot after the other. */
Test(viewers, whoever_is_here_is_not_forgotten_for_those_who_come_and_go)
{
	struct peer typist;

	record_from(0, 0, 0);
	state.strict.nonce = 0;
	typist = comes(1000);
	says(&typist, SCREEN_INPUT, 1);
	for (uint64_t n = 1; n <= 3 * VIEWERS_WRITERS; n++) {
		const struct peer other = comes(n);

		leaves(&other);
	}
	says(&typist, SCREEN_INPUT, 2);
	cr_expect_eq(viewers.refused, 0);
	leaves(&typist);
}
