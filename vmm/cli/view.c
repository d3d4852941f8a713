/* SPDX-License-Identifier: MIT */
/* The command line as a viewer: view.h. */
#include "view.h"

#include "../common/exit_codes.h"

#include "../../proto/clock.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CALL_MS = 5000, TRIES = 250, PAUSE_US = 20000, ANSWER_MS = 10000, COPIES = 1000, REFUSALS = 10 };

/* ---- the connection -------------------------------------------------------------------------------------------- */

void view_close(struct view *v)
{
	if (v->sock >= 0)
		close(v->sock);
	v->sock = -1;
}

static int map_picture(struct view *v, int fd)
{
	const void *page = v->picture;
	int rc = page ? 0 : shm_map_ro(fd, sizeof(struct picture), &page);

	v->picture = page;
	return rc;
}

/* One packet without events: 0; -ETIMEDOUT; -EINTR; -ECONNRESET: it has hung up. */
static int receive(struct view *v, int timeout_ms, struct screen_packet *p)
{
	struct pollfd poller = { .fd = v->sock, .events = POLLIN };
	int rc = poll(&poller, 1, timeout_ms);
	ssize_t n;

	if (rc <= 0)
		return rc ? -errno : -ETIMEDOUT;
	n = recv(v->sock, p, sizeof(*p), MSG_DONTWAIT);
	return n >= SCREEN_PACKET_HEAD ? 0 : -ECONNRESET;
}

/* From WELCOME on it is known here; one that is strict misses nothing from then on. */
static int join(struct view *v)
{
	const struct screen_packet p = { .type = SCREEN_JOIN, .flags = v->flags, .number = v->nonce };
	struct screen_packet answer;
	int rc = send(v->sock, &p, SCREEN_PACKET_HEAD, MSG_NOSIGNAL) < 0 ? -ECONNRESET : receive(v, ANSWER_MS, &answer);

	if (rc == 0 && answer.type != SCREEN_WELCOME)
		rc = -EPROTO;
	if (rc)
		view_close(v);
	return rc;
}

static int connect_once(struct view *v)
{
	const uint16_t door = v->types_only ? BULKHEAD__MESSAGE_TYPE__MSG_INPUT : BULKHEAD__MESSAGE_TYPE__MSG_SCREEN;
	struct frame *f = &client_frame;
	int rc = client_call(v->ref->path, door, NULL, -1, CALL_MS, f);

	if (rc)
		return rc;
	if (f->fd_count != (v->types_only ? 1 : 2))
		rc = -EPROTO;
	else if (!v->types_only)
		rc = map_picture(v, f->fds[1]);
	if (!rc) {
		v->sock = f->fds[0];
		f->fds[0] = -1;
		rc = join(v);
	}
	frame_close_fds(f);
	return rc;
}

static int connect_view(struct view *v)
{
	int rc = -EAGAIN;

	for (unsigned i = 0, turned_away = 0;
	     i < TRIES && (rc == -EAGAIN || client_is_put_off(rc, &client_frame) || rc == -ECONNRESET); i++) {
		if (i)
			usleep(PAUSE_US);
		rc = connect_once(v);
		turned_away += rc == -ECONNRESET;
		if (turned_away == REFUSALS)
			return -EBUSY;
	}
	return rc;
}

void *view_allocate(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p)
		fprintf(stderr, "bulkhead: no memory for a picture (%zu KiB)\n", bytes >> 10);
	return p;
}

static int open_view(struct view *v)
{
	const struct machine_ref *ref = v->ref;
	int rc;

	while (!v->nonce)
		if (getrandom(&v->nonce, sizeof(v->nonce), 0) < 0)
			return EXIT_INTERNAL;
	rc = connect_view(v);
	if (rc != -EBUSY)
		return rc ? client_complain(ref->name, &client_frame, rc) : 0;
	fprintf(stderr, "bulkhead: %s: its screen turns us away: somebody else records each frame already\n", ref->name);
	return EXIT_FAILED;
}

int view_open(struct view *v, const struct machine_ref *ref, uint16_t flags)
{
	*v = (struct view){ .ref = ref, .sock = -1, .flags = flags };
	return open_view(v);
}

int view_open_input(struct view *v, const struct machine_ref *ref)
{
	*v = (struct view){ .ref = ref, .sock = -1, .types_only = true };
	return open_view(v);
}

/* displayd is gone: with the machine, or for a moment. */
static int come_again(struct view *v)
{
	view_close(v);
	return rundir_is_alive(v->ref->path) && connect_view(v) == 0 ? 0 : -ECONNRESET;
}

/* ---- input ----------------------------------------------------------------------------------------------------- */

static int await_taken(struct view *v)
{
	const uint64_t until_ns = clock_ns() + ANSWER_MS * CLOCK_NS_PER_MS;
	struct screen_packet p;
	int rc;

	do {
		rc = receive(v, ANSWER_MS, &p);
		if (rc && rc != -EINTR)
			return rc;
		if (!rc && p.type == SCREEN_TAKEN && p.number == v->input)
			return 0;
	} while (clock_ns() < until_ns);
	return -ETIMEDOUT;
}

int view_input(struct view *v, const struct screen_event *events, unsigned count)
{
	struct screen_packet p = { .type = SCREEN_INPUT, .count = count, .number = ++v->input };
	const size_t len = SCREEN_PACKET_HEAD + count * sizeof(*events);
	int rc;

	memcpy(p.events, events, count * sizeof(*events));
	for (;;) {
		rc = send(v->sock, &p, len, MSG_NOSIGNAL) < 0 ? -ECONNRESET : await_taken(v);
		if (rc != -ECONNRESET)
			return rc;
		rc = come_again(v);
		if (rc)
			return rc;
	}
}

/* ---- frames ---------------------------------------------------------------------------------------------------- */

static bool copy(const struct picture *from, struct view_frame *to)
{
	uint64_t n = atomic_load_explicit(&from->shown, memory_order_acquire);

	to->number = n;
	to->half = from->half[n & 1];
	if (!picture_size_is_good(&to->half))
		return false;
	memcpy(to->cells, from->cells[n & 1], (size_t)to->half.columns * to->half.lines * sizeof(to->cells[0]));
	memcpy(to->pixels, from->pixels[n & 1], (size_t)to->half.width * to->half.height * sizeof(to->pixels[0]));
	return screen_is_whole(from, n);
}

void view_size(const struct view *v, uint32_t *width, uint32_t *height)
{
	uint64_t n = atomic_load_explicit(&v->picture->shown, memory_order_acquire);
	const struct picture_half half = v->picture->half[n & 1];
	bool known = n && picture_size_is_good(&half);

	*width = known ? half.width : LAYOUT_FRAME_WIDTH;
	*height = known ? half.height : LAYOUT_FRAME_HEIGHT;
}

int view_latest(struct view *v, struct view_frame *out)
{
	if (!atomic_load_explicit(&v->picture->shown, memory_order_acquire))
		return -EAGAIN;
	for (unsigned i = 0; i < COPIES; i++) {
		if (!copy(v->picture, out))
			continue;
		v->seen = out->number;
		return 0;
	}
	return -EAGAIN;
}

static bool is_new(const struct view *v)
{
	return atomic_load_explicit(&v->picture->shown, memory_order_acquire) > v->seen;
}

static void tell_seen(const struct view *v)
{
	const struct screen_packet p = { .type = SCREEN_SEEN, .number = v->seen };

	if (v->flags & SCREEN_STRICT)
		send(v->sock, &p, SCREEN_PACKET_HEAD, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int view_next(struct view *v, int timeout_ms, struct view_frame *out)
{
	struct screen_packet p;
	int rc = 0;

	while (!is_new(v) && !rc) {
		rc = receive(v, timeout_ms, &p);
		/* A frame is in PICTURE before it is committed: a displayd that died in between shows it again, and has forgotten
		 * that we had it. */
		if (!rc && p.type == SCREEN_FRAME)
			tell_seen(v);
		if (rc == -ECONNRESET)
			rc = come_again(v);
	}
	if (!is_new(v))
		return rc;
	rc = view_latest(v, out);
	if (!rc)
		tell_seen(v);
	return rc;
}
