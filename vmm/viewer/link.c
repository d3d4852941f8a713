/* SPDX-License-Identifier: MIT */
/* A viewer's connection: link.h. */
#include "link.h"

#include "layout_us.h"

#include "proto/shm.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { COPIES = 16, BACKLOG = 1024 };

int link_init(struct link *l, uint16_t flags)
{
	memset(l, 0, sizeof(*l));
	l->sock = -1;
	l->flags = flags;
	while (!l->nonce)
		if (getrandom(&l->nonce, sizeof(l->nonce), 0) < 0)
			return -errno;
	return 0;
}

static int hang_up(struct link *l)
{
	close(l->sock);
	l->sock = -1;
	l->joined = false;
	return -ECONNRESET;
}

static int map_picture(struct link *l, int fd)
{
	const void *page = l->picture;
	int rc = page || fd < 0 ? 0 : shm_map_ro(fd, sizeof(struct picture), &page);

	l->picture = page;
	if (fd >= 0)
		close(fd);
	return rc;
}

int link_attach(struct link *l, int sock, int picture_fd)
{
	const struct screen_packet p = { .type = SCREEN_JOIN, .flags = l->flags, .number = l->nonce };
	int rc = map_picture(l, picture_fd);

	if (l->sock >= 0)
		hang_up(l);
	l->sock = sock;
	if (!rc && send(sock, &p, SCREEN_PACKET_HEAD, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		rc = -errno;
	if (rc)
		hang_up(l);
	return rc;
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static struct screen_event *at(struct link *l, unsigned i)
{
	return &l->queue[(l->head + i) % LINK_QUEUE];
}

static bool has_keys_elsewhere(const struct link *l)
{
	return l->picture && (l->picture->flags & PICTURE_NO_INPUT);
}

/* Where its events go. NULL: nowhere. */
static struct link *typed(struct link *l)
{
	return has_keys_elsewhere(l) ? l->keys : l;
}

static void push(struct link *l, uint16_t type, uint16_t code, uint32_t value)
{
	if (l->count == LINK_QUEUE) {
		l->dropped++;
		return;
	}
	*at(l, l->count++) = (struct screen_event){ type, code, value };
}

void link_push(struct link *l, uint16_t type, uint16_t code, uint32_t value)
{
	l = typed(l);
	if (l)
		push(l, type, code, value);
}

static bool is_move(const struct screen_event *e, uint16_t axis)
{
	return e->type == SCREEN_EV_ABS && e->code == axis;
}

void link_point(struct link *l, uint32_t x, uint32_t y)
{
	l = typed(l);
	if (!l)
		return;
	if (l->count >= BACKLOG && is_move(at(l, l->count - 2), SCREEN_ABS_X) && is_move(at(l, l->count - 1), SCREEN_ABS_Y))
		l->count -= 2;
	push(l, SCREEN_EV_ABS, SCREEN_ABS_X, x);
	push(l, SCREEN_EV_ABS, SCREEN_ABS_Y, y);
}

bool link_type(struct link *l, char c)
{
	bool shift = false;
	uint16_t code = layout_us_key(c, &shift);

	l = typed(l);
	/* All of it or nothing: a key that stays down is worse than one that is missing. */
	if (!l || !code || l->count + 4 > LINK_QUEUE)
		return false;
	if (shift)
		push(l, SCREEN_EV_KEY, KEY_LEFTSHIFT, 1);
	push(l, SCREEN_EV_KEY, code, 1);
	push(l, SCREEN_EV_KEY, code, 0);
	if (shift)
		push(l, SCREEN_EV_KEY, KEY_LEFTSHIFT, 0);
	return true;
}

/* It is sent again as it was if displayd is gone before it has answered. */
static void fill_packet(struct link *l)
{
	unsigned n = l->count < SCREEN_PACKET_EVENTS ? l->count : SCREEN_PACKET_EVENTS;

	l->packet = (struct screen_packet){ .type = SCREEN_INPUT, .count = n, .number = ++l->number };
	for (unsigned i = 0; i < n; i++)
		l->packet.events[i] = *at(l, i);
	l->head = (l->head + n) % LINK_QUEUE;
	l->count -= n;
}

static void send_packet(struct link *l)
{
	const size_t len = SCREEN_PACKET_HEAD + l->packet.count * sizeof(l->packet.events[0]);

	/* One packet at a time always has room. If the peer is gone, the next one that comes gets it. */
	l->owed = true;
	send(l->sock, &l->packet, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool link_wants_keys(const struct link *l)
{
	return has_keys_elsewhere(l) && l->keys && l->keys->sock < 0;
}

bool link_is_idle(const struct link *l)
{
	return !l->owed && !l->count && (!l->keys || link_is_idle(l->keys));
}

void link_flush(struct link *l)
{
	if (l->keys)
		link_flush(l->keys);
	if (l->sock < 0 || !l->joined || l->owed || !l->count)
		return;
	fill_packet(l);
	send_packet(l);
}

/* Its `number` is what it has taken of ours: the packet that was under way came through, or it did not. */
static void welcomed(struct link *l, uint64_t number)
{
	l->joined = true;
	if (l->owed && number < l->packet.number) {
		l->packet.number = number + 1;
		l->number = number + 1;
		send_packet(l);
		return;
	}
	l->owed = false;
	l->number = number;
}

int link_read(struct link *l)
{
	struct screen_packet p;
	ssize_t n;

	if (l->keys)
		link_read(l->keys);
	if (l->sock < 0)
		return -ECONNRESET;
	while ((n = recv(l->sock, &p, sizeof(p), MSG_DONTWAIT)) >= SCREEN_PACKET_HEAD) {
		if (p.type == SCREEN_WELCOME)
			welcomed(l, p.number);
		else if (p.type == SCREEN_TAKEN && l->owed && p.number == l->packet.number)
			l->owed = false;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : hang_up(l);
}

/* ---- the picture ----------------------------------------------------------------------------------------------- */

bool link_size(const struct link *l, uint32_t *width, uint32_t *height)
{
	uint64_t n = l->picture ? atomic_load_explicit(&l->picture->shown, memory_order_acquire) : 0;
	struct picture_half half;

	if (!n)
		return false;
	half = l->picture->half[n & 1];
	*width = half.width;
	*height = half.height;
	return screen_is_whole(l->picture, n) && picture_size_is_good(&half);
}

bool link_is_new(const struct link *l)
{
	return l->picture && atomic_load_explicit(&l->picture->shown, memory_order_acquire) != l->seen;
}

static bool copy(const struct link *l, uint64_t n, uint32_t *pixels, uint32_t width, uint32_t height)
{
	const struct picture_half *half = &l->picture->half[n & 1];

	if (half->width != width || half->height != height)
		return false;
	memcpy(pixels, l->picture->pixels[n & 1], (size_t)width * height * sizeof(*pixels));
	return screen_is_whole(l->picture, n);
}

int link_copy(struct link *l, uint32_t *pixels, uint32_t width, uint32_t height)
{
	if (!width || width > PICTURE_PIXELS || height > PICTURE_PIXELS / width)
		return -EINVAL;
	for (unsigned i = 0; i < COPIES; i++) {
		uint64_t n = atomic_load_explicit(&l->picture->shown, memory_order_acquire);

		if (!copy(l, n, pixels, width, height))
			continue;
		l->seen = n;
		return 0;
	}
	return -EAGAIN;
}
