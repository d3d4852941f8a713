/* SPDX-License-Identifier: MIT */
/* What a hostile daemon does: one function per kind of harm, a table of modes, and the loop. */
#include "evil.h"

#include "rude.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/runtime.h"
#include "proto/clock.h"
#include "proto/control_check.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x
enum { EVENT_BURST = 64, GARBAGE_WORDS = 512 };

Bulkhead__Role evil_role(const char *argv0)
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		if (strstr(argv0, kind_rows[i].name))
			return (Bulkhead__Role)kind_rows[i].role;
	return BULKHEAD__ROLE__ROLE_SERIALD;
}

/* epoll: a daemon's list, behind which we are whatever we do, knows no other sleep. */
static void pause_ns(long ns)
{
	static int nothing = -1;
	struct epoll_event event;

	if (nothing < 0)
		nothing = epoll_create1(EPOLL_CLOEXEC);
	epoll_wait(nothing, &event, 1, (int)(ns / 1000000) + 1);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static const uint32_t tempting[] = { 0, 1, 2, 63, 64, 65, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

static uint32_t garbage(struct evil *e)
{
	uint64_t r = evil_random(e);

	return r & 1 ? (uint32_t)(r >> 32) : tempting[(r >> 8) % (sizeof(tempting) / sizeof(tempting[0]))];
}

/* Ring head, reply cells, sleeping, heartbeat; shadow entries; line words; MSI ring and 8259 output; journal; backlog. */
static void act_memory(struct evil *e)
{
	for (unsigned n = 0; n < GARBAGE_WORDS; n++) {
		struct evil_object *o = &e->objects[evil_random(e) % e->object_count];
		size_t words = o->len / 4, at = evil_random(e) % words;

		/* The interesting words come first in every object. */
		if (evil_random(e) & 1)
			at %= 64;
		__atomic_store_n(&o->words[at], garbage(e), __ATOMIC_RELAXED);
	}
}

/* Only the ring's indices and replies, near the truth: head a little ahead or behind, replies before their time. */
static void act_ring(struct evil *e)
{
	uint32_t tail = atomic_load(&e->req->tail);

	atomic_store(&e->rsp->head, tail + (uint32_t)(evil_random(e) % 5) - 2);
	for (unsigned i = 0; i < RING_VCPUS; i++) {
		e->rsp->cells[i].data = evil_random(e);
		atomic_store(&e->rsp->cells[i].seq, tail + (uint32_t)(evil_random(e) % 5) - 2);
	}
	atomic_store(&e->rsp->sleeping, garbage(e));
	atomic_store(&e->rsp->room, garbage(e));
}

/* Everything is answered, wrongly, late, or for somebody else. */
static void act_answers(struct evil *e)
{
	uint32_t tail = atomic_load(&e->req->tail);
	struct ring_cell *cell;

	while (e->head != tail) {
		const struct io_slot *slot = &e->req->slots[e->head % RING_SLOTS];
		unsigned who = evil_random(e) % 4 ? slot->vcpu : (unsigned)evil_random(e);

		cell = &e->rsp->cells[who % RING_VCPUS];
		cell->data = evil_random(e);
		memset(cell->bytes, (int)evil_random(e), sizeof(cell->bytes));
		if (evil_random(e) % 64 == 0)
			pause_ns(5000000);
		atomic_store(&e->rsp->head, ++e->head);
		atomic_store(&cell->seq, slot->seq + 1);
		futex_wake(&cell->seq, 1);
	}
}

static void act_truncate(struct evil *e)
{
	for (unsigned i = 0; i < e->fd_count; i++) {
		int fd = e->fds[i];
		void *p;

		if (ftruncate(fd, 0) == 0)
			fprintf(stderr, "evil: descriptor %u was truncated\n", i);
		if (ftruncate(fd, 1 << 24) == 0)
			fprintf(stderr, "evil: descriptor %u was extended\n", i);
		fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
		fcntl(fd, F_SETFL, 0);
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED && i == SETUP_FD_REQ)
			fprintf(stderr, "evil: REQ was mapped for writing\n");
		if (p != MAP_FAILED)
			munmap(p, 4096);
	}
}

/* ---- descriptors ----------------------------------------------------------------------------------------------- */

/* Bells of irqd and the vCPU process, the debug pipe, the console socket: whatever takes a byte. The flags that the two
 * ends of a pipe have are their own, so clearing O_NONBLOCK harms nobody but us: one write at a time, while it can. */
static void act_bells(struct evil *e)
{
	char buf[4096];

	memset(buf, 0x1b, sizeof(buf));
	for (unsigned i = SETUP_FD_DOORBELL; i < e->fd_count; i++) {
		struct pollfd p = { .fd = e->fds[i], .events = POLLOUT };

		fcntl(e->fds[i], F_SETFL, 0);
		if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) && write(e->fds[i], buf, sizeof(buf)) < 0)
			errno = 0;
	}
}

static void act_stderr(struct evil *e)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "\x1b[2J\x1b]0;owned\a evil line %llx\n", (unsigned long long)evil_random(e));

	for (unsigned i = 0; i < EVENT_BURST; i++)
		if (write(2, line, (size_t)n) < 0)
			return;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

/* Events that only others may send, log lines with control characters, texts of 50 KiB. */
static void act_events(struct evil *e)
{
	static char text[50000];

	if (!text[0])
		memset(text, 0x1b, sizeof(text) - 1);
	for (unsigned i = 0; i < EVENT_BURST; i++) {
		unsigned type = 1 + (unsigned)(evil_random(e) % BULKHEAD__EVENT_TYPE__EVENT_RUNNING);

		/* What platformd may really ask for would end the machine, as it should. */
		if (e->child.role == BULKHEAD__ROLE__ROLE_PLATFORMD && type <= BULKHEAD__EVENT_TYPE__EVENT_EXIT)
			continue;
		if (evil_random(e) % 32 == 0)
			child_event(&e->child, type, garbage(e), (Bulkhead__Role)garbage(e), text);
		else
			child_event(&e->child, BULKHEAD__EVENT_TYPE__EVENT_LOG, garbage(e) % 3, e->child.role, RUDE_WORDS);
	}
}

/* Numbers beyond belief, and fields that the receiver does not know, which a decoder keeps by pointer. */
static void act_stats(struct evil *e)
{
	static uint8_t bytes[2000];
	ProtobufCMessageUnknownField unknown = { 999, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, sizeof(bytes), bytes };
	Bulkhead__Stats stats = BULKHEAD__STATS__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	if (e->pending_type != TYPE(STATS))
		return;
	bytes[0] = 0xce;
	bytes[1] = 0x0f;
	stats.has_requests = stats.has_timeouts = 1;
	stats.requests = stats.timeouts = UINT64_MAX;
	stats.base.n_unknown_fields = 1;
	stats.base.unknown_fields = &unknown;
	ok.stats = &stats;
	frame_send(e->child.control_fd, TYPE(OK), e->pending_id, &ok.base, NULL, 0);
	e->pending_type = 0;
}

static void send_raw(int sock, const void *buf, size_t len, const int *fds, unsigned nfds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FRAME_FDS_MAX)] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds) {
		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		*CMSG_FIRSTHDR(&msg) = (struct cmsghdr){ CMSG_LEN(sizeof(int) * nfds), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, sizeof(int) * nfds);
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		errno = 0;
}

/* Frames that no child of ours sends: cut, oversized, of unknown type, with descriptors that nobody asked for. */
static void act_frames(struct evil *e)
{
	static uint8_t packet[sizeof(struct frame_header) + FRAME_BODY_MAX + 1000];
	struct frame_header h = { FRAME_MAGIC, TYPE(OK), 0, (uint32_t)evil_random(e), 0, 0 };
	int sock = evil_random(e) & 1 ? e->child.control_fd : e->child.event_fd;
	size_t len = evil_random(e) % sizeof(packet);

	pause_ns(20000000);
	switch (evil_random(e) % 6) {
	case 0:
		h.magic = (uint16_t)garbage(e);
		break;
	case 1:
		h.type = (uint16_t)garbage(e);
		break;
	case 2:
		h.len = garbage(e);
		break;
	case 3:
		len = evil_random(e) % sizeof(h);
		break;
	case 4:
		len = sizeof(h);
		break;
	case 5:
		h.nfds = (uint16_t)e->fd_count;
		break;
	}
	memcpy(packet, &h, sizeof(h));
	send_raw(sock, packet, len ? len : 1, e->fds, evil_random(e) & 1 ? e->fd_count : 0);
}

static void act_replies(struct evil *e)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__Hello hello = BULKHEAD__HELLO__INIT;

	pause_ns(20000000);
	if (e->pending_type == 0 && evil_random(e) % 8)
		return;
	ok.hello = &hello;
	if (evil_random(e) & 1)
		frame_reply_error(e->child.control_fd, e->pending_id, (int)garbage(e), RUDE_WORDS, "%s", RUDE_WORDS);
	else
		frame_send(e->child.control_fd, TYPE(OK), e->pending_id + (uint32_t)(evil_random(e) % 3), &ok.base, NULL, 0);
	e->pending_type = 0;
}

static void act_silent(struct evil *e)
{
	(void)e;
	pause_ns(50000000);
}

/* Alive by its heart, and with every request, the supervisor's too, taken and never answered. */
static void act_beats(struct evil *e)
{
	atomic_store(&e->rsp->head, atomic_load(&e->req->tail));
	atomic_store(&e->rsp->heartbeat_ns, clock_ns());
}

static void act_exit(struct evil *e)
{
	pause_ns((long)(evil_random(e) % 300000000));
	if (evil_random(e) & 1)
		_exit((int)(evil_random(e) & 0xff));
	raise(SIGSEGV);
}

/* ---- modes ----------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*act)(struct evil *e);
	bool answers; /* the supervisor's requests, decently */
	bool deadly;  /* ends this incarnation */
} modes[] = {
	{ "memory", act_memory, true, false },	 { "ring", act_ring, true, false },
	{ "answers", act_answers, true, false }, { "truncate", act_truncate, true, false },
	{ "bells", act_bells, true, false },	 { "stderr", act_stderr, true, false },
	{ "events", act_events, true, false },	 { "stats", act_stats, false, false },
	{ "silent", act_silent, false, false },	 { "beats", act_beats, false, false },
	{ "frames", act_frames, true, true },	 { "replies", act_replies, false, true },
	{ "exit", act_exit, true, true },
};
enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* evil-MODE-...; MODES: all of them in turn */
static unsigned chosen_mode(const struct evil *e)
{
	const char *name = strncmp(e->child.vm, "evil-", 5) ? "" : e->child.vm + 5;

	for (unsigned i = 0; i < MODES; i++)
		if (!strncmp(name, modes[i].name, strlen(modes[i].name)))
			return i;
	return MODES;
}

static void take_request(struct evil *e, bool answer)
{
	struct frame *f = &e->child.frame;
	int err = frame_recv(e->child.control_fd, f);

	if (err == -EAGAIN)
		return;
	if (err)
		_exit(0);
	frame_close_fds(f);
	e->pending_id = f->header.id;
	e->pending_type = f->header.type;
	if (answer) {
		frame_reply_ok(e->child.control_fd, f->header.id);
		e->pending_type = 0;
	}
}

/* In turn: each for a while, the deadly ones seldom, so that others are not cut short. */
static unsigned next_mode(struct evil *e)
{
	unsigned mode = (unsigned)(evil_random(e) % MODES);

	return modes[mode].deadly && evil_random(e) % 4 ? (unsigned)(evil_random(e) % 8) : mode;
}

void evil_serve(struct evil *e)
{
	unsigned chosen = chosen_mode(e), mode = chosen;
	uint64_t until = 0;

	e->head = atomic_load(&e->req->tail);
	fcntl(e->child.control_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	for (;;) {
		uint64_t now = clock_ns();

		if (chosen == MODES && now >= until) {
			mode = next_mode(e);
			until = now + 150 * CLOCK_NS_PER_MS;
			e->head = atomic_load(&e->req->tail);
		}
		take_request(e, modes[mode].answers);
		modes[mode].act(e);
		/* Two processors serve everybody: a daemon's share of them is its cgroup's business, not this test's. */
		pause_ns(100000);
	}
}
