/* SPDX-License-Identifier: MIT */
/* The viewers of a screen: viewers.h. */
#include "viewers.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"

#define STRICT_PATIENCE_NS (5 * CLOCK_NS_PER_S) /* with a viewer that wants each frame and takes none; also while it is away */
#define FRAME_NS (CLOCK_NS_PER_S / SCREEN_RATE)

enum { PACKETS_AT_ONCE = 16 };
_Static_assert((int)VIEWERS_WRITERS > (int)SCREEN_VIEWERS, "somebody can always be forgotten");

/* ---- whoever wants each frame ---------------------------------------------------------------------------------- */

static void wait_longer(struct viewers *v)
{
	v->waits_until_ns = machine_ns(&v->rt->clock) + STRICT_PATIENCE_NS;
}

static void release(struct viewers *v)
{
	v->state->strict.nonce = 0;
	v->waits_until_ns = 0;
	runtime_touch(v->rt);
}

bool viewers_hold(const struct viewers *v)
{
	if (v->state->strict.nonce && v->state->strict.seen < v->state->shown)
		return true;
	return v->next_ns && machine_ns(&v->rt->clock) < v->next_ns;
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

/* False: not now. A peer that is gone is seen to be when it is read from. */
static bool tell(const struct viewer *w, enum screen_type type, uint64_t number)
{
	const struct screen_packet p = { .type = (uint16_t)type, .number = number };

	return send(w->fd, &p, SCREEN_PACKET_HEAD, MSG_DONTWAIT | MSG_NOSIGNAL) == SCREEN_PACKET_HEAD || errno != EAGAIN;
}

static void answer(struct viewer *w)
{
	if (w->owes)
		w->owes = !tell(w, SCREEN_TAKEN, w->owed);
}

/* ---- coming and going ------------------------------------------------------------------------------------------ */

static void drop(struct viewer *w)
{
	struct viewers *v = w->all;

	event_del(&w->readable);
	close(w->fd);
	if (w->nonce && w->nonce == v->state->strict.nonce)
		release(v);
	*w = (struct viewer){ .all = v, .fd = -1 };
}

/* One that talks nonsense, or too early. */
static void refuse(struct viewer *w, const char *why)
{
	w->all->refused++;
	log_warning("a viewer of the screen is turned away: %s", why);
	drop(w);
}

static bool is_here(const struct viewers *v, uint64_t nonce)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		if (v->of[i].fd >= 0 && v->of[i].nonce == nonce)
			return true;
	return false;
}

/* Of those who have gone, who came first is forgotten: there are more places for writers than for viewers. */
static uint64_t *last_of(struct viewers *v, uint64_t nonce)
{
	struct viewers_state *s = v->state;
	uint32_t n;

	for (n = 0; n < VIEWERS_WRITERS; n++)
		if (s->writers[n].nonce == nonce)
			return &s->writers[n].number;
	n = s->oldest;
	while (s->writers[n].nonce && is_here(v, s->writers[n].nonce))
		n = (n + 1) % VIEWERS_WRITERS;
	s->oldest = (n + 1) % VIEWERS_WRITERS;
	s->writers[n].nonce = nonce;
	s->writers[n].number = 0;
	return &s->writers[n].number;
}

/* Of two that want each frame, one gets it. */
static bool become_strict(struct viewers *v, uint64_t nonce)
{
	if (v->state->strict.nonce && v->state->strict.nonce != nonce)
		return false;
	if (!v->state->strict.nonce)
		v->state->strict.seen = v->state->shown;
	v->state->strict.nonce = nonce;
	wait_longer(v);
	return true;
}

static void join(struct viewer *w, const struct screen_packet *p)
{
	struct viewers *v = w->all;

	if (w->nonce || !p->number || p->count || (p->flags & ~SCREEN_FLAGS)) {
		refuse(w, "it joins twice, or as nobody");
		return;
	}
	if ((p->flags & SCREEN_STRICT) && !become_strict(v, p->number)) {
		refuse(w, "somebody else records each frame already");
		return;
	}
	if (v->fresh)
		v->fresh(v);
	w->nonce = p->number;
	w->flags = p->flags;
	tell(w, SCREEN_WELCOME, *last_of(v, w->nonce));
	if (v->state->shown)
		tell(w, SCREEN_FRAME, v->state->shown);
	runtime_touch(v->rt);
}

/* ---- what they say --------------------------------------------------------------------------------------------- */

/* What comes a second time, was taken when it came first: the answer was lost, not the events. */
static void take_input(struct viewer *w, const struct screen_packet *p)
{
	struct viewers *v = w->all;
	uint64_t *last = last_of(v, w->nonce);

	if (p->number == *last + 1 && !v->offer(v->rt->state, p->events, p->count)) {
		*last = p->number;
	} else if (p->number != *last) {
		refuse(w, "its input is none, or out of order");
		return;
	}
	w->owes = true;
	w->owed = p->number;
	runtime_touch(v->rt);
}

/* A frame is in PICTURE before it is committed: when a predecessor died in between, a viewer may have seen one that is not shown yet. */
static void take_seen(struct viewer *w, uint64_t number)
{
	struct viewers *v = w->all;

	if (v->state->strict.nonce != w->nonce)
		return;
	number = number < v->state->shown ? number : v->state->shown;
	if (number > v->state->strict.seen)
		v->state->strict.seen = number;
	wait_longer(v);
	runtime_touch(v->rt);
}

static void take_packet(struct viewer *w, const struct screen_packet *p, size_t len)
{
	if (len < SCREEN_PACKET_HEAD || p->count > SCREEN_PACKET_EVENTS ||
	    len != SCREEN_PACKET_HEAD + p->count * sizeof(p->events[0]))
		refuse(w, "a packet of a wrong size");
	else if (p->type == SCREEN_JOIN)
		join(w, p);
	else if (!w->nonce)
		refuse(w, "it speaks before it has joined");
	else if (p->type == SCREEN_INPUT)
		take_input(w, p);
	else if (p->type == SCREEN_SEEN)
		take_seen(w, p->number);
	else
		refuse(w, "a packet that nobody knows");
}

/* recvmsg() because it is on the list of calls; MSG_DONTWAIT because the peer shares the socket's flags. */
static ssize_t receive(int fd, struct screen_packet *p)
{
	struct iovec iov = { p, sizeof(*p) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);

	return n > 0 && (msg.msg_flags & MSG_TRUNC) ? 1 : n;
}

/* Without room for all that a packet may bring, it stays in the socket, and whoever sends more waits. */
static bool has_room(const struct viewers *v)
{
	return v->room(v->rt->state) >= SCREEN_PACKET_EVENTS;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct viewer *w = arg;
	struct screen_packet p;
	ssize_t n = 1;

	(void)what;
	for (int i = 0; i < PACKETS_AT_ONCE && n > 0 && w->fd >= 0; i++) {
		w->paused = !has_room(w->all);
		if (w->paused) {
			event_del(&w->readable);
			return;
		}
		n = receive((int)fd, &p);
		if (n > 0)
			take_packet(w, &p, (size_t)n);
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			drop(w);
	}
}

/* ---- the outside ----------------------------------------------------------------------------------------------- */

void viewers_open(struct viewers *v)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		v->of[i] = (struct viewer){ .all = v, .fd = -1 };
	if (v->state->strict.nonce)
		wait_longer(v);
}

int viewers_admit(struct viewers *v, int fd)
{
	struct viewer *w = NULL;

	for (unsigned i = 0; i < SCREEN_VIEWERS && !w; i++)
		if (v->of[i].fd < 0)
			w = &v->of[i];
	if (!w)
		return -EBUSY;
	if (runtime_watch(v->rt, &w->readable, fd, EV_READ | EV_PERSIST, on_readable, w))
		return -EIO;
	w->fd = fd;
	return 0;
}

bool viewers_any(const struct viewers *v)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		if (v->of[i].fd >= 0 && v->of[i].nonce)
			return true;
	return false;
}

static bool any_paced(const struct viewers *v)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++)
		if (v->of[i].fd >= 0 && (v->of[i].flags & SCREEN_PACED))
			return true;
	return false;
}

void viewers_shown(struct viewers *v, uint64_t now_ns)
{
	v->next_ns = any_paced(v) ? now_ns + FRAME_NS : 0;
	if (v->state->strict.nonce)
		wait_longer(v);
}

void viewers_tell(struct viewers *v)
{
	for (unsigned i = 0; i < SCREEN_VIEWERS; i++) {
		struct viewer *w = &v->of[i];

		if (w->fd < 0 || !w->nonce)
			continue;
		answer(w);
		if (w->told != v->state->shown && tell(w, SCREEN_FRAME, v->state->shown))
			w->told = v->state->shown;
	}
}

uint64_t viewers_settle(struct viewers *v, uint64_t now_ns)
{
	uint64_t again = v->next_ns > now_ns ? v->next_ns : UINT64_MAX;

	for (unsigned i = 0; i < SCREEN_VIEWERS; i++) {
		struct viewer *w = &v->of[i];

		if (w->fd >= 0 && w->paused && has_room(v)) {
			w->paused = false;
			event_add(&w->readable, NULL);
		}
		if (w->fd >= 0 && w->owes)
			again = now_ns + FRAME_NS < again ? now_ns + FRAME_NS : again;
	}
	if (v->state->strict.nonce && now_ns >= v->waits_until_ns && v->state->strict.seen < v->state->shown) {
		log_warning("who wanted each frame takes none: the guest goes on without it");
		release(v);
	}
	/* Of a frame that is not there nobody waits for anything. */
	if (v->state->strict.nonce && v->state->strict.seen < v->state->shown && v->waits_until_ns < again)
		again = v->waits_until_ns;
	return again;
}

int viewers_validate(const struct viewers_state *s, const char **field)
{
	*field = "viewers.oldest";
	if (s->oldest >= VIEWERS_WRITERS || s->reserved)
		return -EINVAL;
	*field = "viewers.strict";
	return s->strict.nonce && s->strict.seen > s->shown ? -EINVAL : 0;
}
