/* SPDX-License-Identifier: MIT */
/*
 * User-mode networking by libslirp: what the guest connects to, this host connects to, by its own sockets. One thread, one loop:
 * frames of the card's, sockets, and the library's timers.
 */
#include "uplink.h"

#include "../../proto/net_open.h"

#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { POLLS = 1024, TIMERS = 4, FRAMES_AT_ONCE = 64, FRAME_POLL = 0, EXIT_OVER = 0, EXIT_FAILED = 1 };

struct timer {
	SlirpTimerCb call;
	void *ctx;
	int64_t at_ms; /* -1: it does not run */
};

struct user {
	Slirp *slirp;
	struct pollfd polls[POLLS];
	unsigned count;
	struct timer timers[TIMERS];
	uint8_t message[NET_FRAME_MAX];
};

static struct user user;

/* ---- what the library asks for ---- */

static int64_t clock_ns(void *ctx)
{
	struct timespec t;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A guest that does not take it loses it, as from any wire. What the library has made has its checksums. */
static ssize_t send_packet(const void *frame, size_t bytes, void *ctx)
{
	struct net_header h = { .flags = NET_DATA_VALID };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)(uintptr_t)frame, bytes } };

	(void)ctx;
	if (bytes + NET_HEADER > NET_FRAME_MAX || writev(UPLINK_FRAMES, iov, 2) < 0)
		return (ssize_t)bytes;
	return (ssize_t)bytes;
}

static void guest_error(const char *text, void *ctx)
{
	(void)text;
	(void)ctx;
}

static void *timer_new(SlirpTimerCb call, void *call_ctx, void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *t = &user.timers[i];

		if (t->call)
			continue;
		*t = (struct timer){ call, call_ctx, -1 };
		return t;
	}
	return NULL;
}

static void timer_free(void *timer, void *ctx)
{
	(void)ctx;
	if (timer)
		memset(timer, 0, sizeof(struct timer));
}

static void timer_mod(void *timer, int64_t at_ms, void *ctx)
{
	struct timer *t = timer;

	(void)ctx;
	if (t)
		t->at_ms = at_ms;
}

static void nothing_of_fd(int fd, void *ctx)
{
	(void)fd;
	(void)ctx;
}

static void nothing(void *ctx)
{
	(void)ctx;
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = nothing_of_fd,
	.unregister_poll_fd = nothing_of_fd,
	.notify = nothing,
};

/* ---- the loop ---- */

static int add_poll(int fd, int events, void *ctx)
{
	short wanted = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
			       (events & SLIRP_POLL_OUT ? POLLOUT : 0)); /* urgent data are data */

	(void)ctx;
	if (user.count == POLLS)
		return -1;
	user.polls[user.count] = (struct pollfd){ .fd = fd, .events = wanted };
	return (int)user.count++;
}

static int get_revents(int index, void *ctx)
{
	short r = index >= 0 && (unsigned)index < user.count ? user.polls[index].revents : 0;

	(void)ctx;
	return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* False: the card is gone. */
static bool take_frames(void)
{
	for (unsigned i = 0; i < FRAMES_AT_ONCE; i++) {
		ssize_t n = read(UPLINK_FRAMES, user.message, sizeof(user.message));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		/* Like a driver that knows no offloads: checksums are completed. */
		if (net_frame_admit(user.message, (size_t)n, 0))
			slirp_input(user.slirp, user.message + NET_HEADER, (int)n - NET_HEADER);
	}
	return true;
}

static uint32_t until_timers(uint32_t timeout_ms)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (unsigned i = 0; i < TIMERS; i++) {
		const struct timer *t = &user.timers[i];

		if (t->call && t->at_ms >= 0 && t->at_ms - now < timeout_ms)
			timeout_ms = t->at_ms > now ? (uint32_t)(t->at_ms - now) : 0;
	}
	return timeout_ms;
}

static void run_timers(void)
{
	int64_t now = clock_ns(NULL) / 1000000;

	for (unsigned i = 0; i < TIMERS; i++) {
		struct timer *t = &user.timers[i];

		if (!t->call || t->at_ms < 0 || t->at_ms > now)
			continue;
		t->at_ms = -1;
		t->call(t->ctx);
	}
}

static bool step(void)
{
	uint32_t timeout_ms = 1000;
	int rc;

	user.count = 0;
	add_poll(UPLINK_FRAMES, SLIRP_POLL_IN, NULL);
	slirp_pollfds_fill(user.slirp, &timeout_ms, add_poll, NULL);
	rc = poll(user.polls, user.count, (int)until_timers(timeout_ms));
	slirp_pollfds_poll(user.slirp, rc < 0, get_revents, NULL);
	run_timers();
	return !(rc > 0 && user.polls[FRAME_POLL].revents) || take_frames();
}

/* ---- how it begins ---- */

static struct in_addr address(uint32_t host_order)
{
	return (struct in_addr){ htonl(host_order) };
}

static Slirp *make(const struct net_spec *spec)
{
	const SlirpConfig config = {
		.version = 3,
		.in_enabled = true,
		.vnetwork = address(spec->network),
		.vnetmask = address(~0u << (32 - spec->prefix)),
		.vhost = address(spec->network + NET_ROUTER),
		.vdhcp_start = address(net_guest_address(spec)),
		.vnameserver = address(spec->network + NET_DNS),
		.if_mtu = NET_MTU_LARGE,
		.if_mru = NET_MTU_LARGE,
	};

	return slirp_new(&config, &callbacks, NULL);
}

static const char *forward(const struct net_spec *spec)
{
	static char why[160];

	for (unsigned i = 0; i < spec->forward_count; i++) {
		const struct net_forward *f = &spec->forwards[i];

		if (slirp_add_hostfwd(user.slirp, f->udp, address(f->host_addr), f->host_port, address(net_guest_address(spec)),
				      f->guest_port) == 0)
			continue;
		snprintf(why, sizeof(why), "port %u of this host: %s; choose another%s", f->host_port, strerror(errno),
			 f->host_port < 1024 ? ", from 1024 on" : ", or end who listens there");
		return why;
	}
	return NULL;
}

int user_serve(const struct net_spec *spec, void (*ready)(const char *why))
{
	const char *why;

	user.slirp = make(spec);
	why = user.slirp ? forward(spec) : "libslirp takes no such network";
	ready(why);
	if (why)
		return EXIT_FAILED;
	while (step())
		continue;
	return EXIT_OVER;
}
