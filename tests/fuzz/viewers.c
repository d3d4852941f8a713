/* SPDX-License-Identifier: MIT */
/*
 * Viewers of a screen: packets of any kind over real sockets, frames shown in between, and deaths of displayd, after which the
 * journalled state is all there is. What must hold: the state validates, and the guest is not held for ever.
 */
#include "devices/viewers.c"

#include "devices/display_model.h"
#include "fuzz.h"

enum { PEERS = 3, OPS_MAX = 200 };

static struct runtime rt;
static struct viewers_state state;
static struct viewers v;
static int peers[PEERS];

/* The shell around it: no event loop, no log. */
void runtime_touch(struct runtime *r)
{
	(void)r;
}

int runtime_watch(struct runtime *r, struct event *ev, int fd, short what, event_callback_fn callback, void *arg)
{
	return 0;
}

int event_add(struct event *ev, const struct timeval *timeout)
{
	return 0;
}

int event_del(struct event *ev)
{
	return 0;
}

bool log_wants(enum log_level level)
{
	return false;
}

void log_line(struct log_site *site, enum log_level level, const char *fmt, ...)
{
}

static void hang_up(unsigned n)
{
	if (peers[n] >= 0)
		close(peers[n]);
	peers[n] = -1;
}

static void come(unsigned n)
{
	int pair[2];

	hang_up(n);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
		exit(1);
	if (viewers_admit(&v, pair[1]))
		close(pair[1]);
	peers[n] = pair[0];
}

/* Mostly packets that make sense, so that it gets past JOIN. */
static void say(struct input *in, unsigned n)
{
	struct screen_packet p = { .type = (uint16_t)take_below(in, 8), .flags = (uint16_t)take_below(in, 5) };
	size_t len;

	p.count = take_below(in, 4) ? take_below(in, 3) : (uint32_t)take(in, 4);
	p.number = take_below(in, 6);
	for (unsigned i = 0; i < 3; i++)
		p.events[i] = (struct screen_event){ (uint16_t)take_below(in, 6), (uint16_t)take(in, 2), (uint32_t)take(in, 2) };
	len = take_below(in, 8) ? SCREEN_PACKET_HEAD + (p.count & 3) * sizeof(p.events[0]) : 1 + take_below(in, sizeof(p));
	if (peers[n] >= 0)
		send(peers[n], &p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void serve(void)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		if (v.of[i].fd >= 0 && !v.of[i].paused)
			on_readable(v.of[i].fd, EV_READ, &v.of[i]);
	viewers_settle(&v, rt.now_ns);
	viewers_tell(&v);
}

static void show(void)
{
	static struct mailbox m;

	if (viewers_hold(&v))
		return;
	state.shown++;
	display_model_fill(rt.state, &m);
	viewers_shown(&v, rt.now_ns);
}

static void die(void)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		if (v.of[i].fd >= 0)
			close(v.of[i].fd);
	v = (struct viewers){ .rt = &rt, .state = &state, .offer = display_model_offer, .room = display_model_room };
	viewers_open(&v);
}

static void check(void)
{
	const char *field = NULL;

	CHECK(viewers_validate(&state, &field) == 0);
	CHECK(display_model.validate(rt.state, &field) == 0);
	CHECK(!state.strict.nonce == !v.waits_until_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct display_state model;
	const struct model_config config = { .vcpus = 1 };
	struct input in = { data, size };

	memset(&state, 0, sizeof(state));
	rt.state = &model;
	display_model.reset(&model, &config, 0);
	memset(v.of, 0, sizeof(v.of));
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		v.of[i].fd = -1;
	die();
	memset(peers, -1, sizeof(peers));
	for (unsigned i = 0; i < OPS_MAX && in.left > 0; i++) {
		unsigned op = take_below(&in, 16), n = take_below(&in, PEERS);

		if (op == 0)
			come(n);
		else if (op == 1)
			hang_up(n);
		else if (op == 2)
			die();
		else if (op < 6)
			show();
		else
			say(&in, n);
		serve();
		check();
	}
	for (unsigned n = 0; n < PEERS; n++)
		hang_up(n);
	serve();
	return 0;
}
