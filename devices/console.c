/* SPDX-License-Identifier: MIT */
/* Console clients: see console.h. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"

enum { FLUSH_AT_ONCE = 512, PIECES_PER_FLUSH = 8, PIECE_MAX = 32 * 1024 };
#define FLUSH_DELAY_NS CLOCK_NS_PER_MS
#define PATIENCE_NS CLOCK_NS_PER_S
enum { HOLD_MARGIN = 4096 }; /* more than arrives at once */
#define ACCEPT_RETRY_NS CLOCK_NS_PER_S
#define BLOCKED_RETRY_NS (50 * CLOCK_NS_PER_MS)
#define TYPIST_NS (600 * CLOCK_NS_PER_S) /* so long after its last byte a client keeps its place for having typed */

static struct console_place *place_of(const struct console_client *client)
{
	return &client->console->state->places[client - client->console->clients];
}

static enum stash_verdict is_other(void *ctx, uint32_t id, int fd)
{
	(void)fd;
	return id == *(const uint32_t *)ctx ? STASH_DROP : STASH_KEEP;
}

/* The peer sees the end only when nobody holds the connection any more, the stash included. */
static void drop(struct console_client *client)
{
	struct console_place *place = place_of(client);

	event_del(&client->readable);
	event_del(&client->writable);
	close(client->fd);
	client->fd = -1;
	stash_sweep(&client->console->stash, is_other, &place->id);
	*place = (struct console_place){ 0 };
	runtime_touch(client->console->rt);
}

/* 0 all sent or -EAGAIN (rest kept), else the client is gone. */
static ssize_t send_some(int fd, const void *buf, size_t len)
{
	ssize_t n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
	return n;
}

static void set_note(struct console_client *client, const char *format, uint64_t n)
{
	int len = snprintf(client->note, sizeof(client->note), format, (unsigned long long)n);

	client->note_len = (uint8_t)(len < (int)sizeof(client->note) ? len : (int)sizeof(client->note) - 1);
	client->note_sent = 0;
}

static void reward(struct console_client *client, uint64_t taken)
{
	client->patience_ns += taken * (PATIENCE_NS / BACKLOG_BYTES);
	if (client->patience_ns > PATIENCE_NS)
		client->patience_ns = PATIENCE_NS;
}

/* One piece of what is due. > 0: go on; 0: all done; -EAGAIN: blocked; other: gone. */
static ssize_t send_piece(struct console_client *client)
{
	struct console_place *place = place_of(client);
	const uint8_t *chunk;
	uint64_t skipped;
	size_t len;
	ssize_t n;

	if (client->note_sent < client->note_len) {
		n = send_some(client->fd, client->note + client->note_sent, (size_t)(client->note_len - client->note_sent));
		if (n > 0)
			client->note_sent = (uint8_t)(client->note_sent + n);
		return n;
	}
	len = backlog_peek(client->console->backlog, &place->cursor, &chunk, &skipped);
	if (skipped) {
		client->console->bytes_dropped += skipped;
		place->skipped += skipped;
		set_note(client, "\r\n[bulkhead: %llu bytes skipped, this client reads too slowly]\r\n", skipped);
		return 1;
	}
	if (len == 0)
		return 0;
	n = send_some(client->fd, chunk, len < PIECE_MAX ? len : PIECE_MAX);
	if (n > 0) {
		client->active_ns = runtime_now(client->console->rt);
		place->cursor += (uint64_t)n;
		reward(client, (uint64_t)n);
		runtime_output_moved(client->console->rt);
	}
	return n;
}

static void pump(struct console_client *client)
{
	ssize_t n = 1;

	for (int i = 0; i < PIECES_PER_FLUSH && n > 0; i++)
		n = send_piece(client);
	if (n == 0) {
		client->blocked = false;
	} else if (n == -EAGAIN || n > 0) {
		client->blocked = true;
		event_add(&client->writable, NULL);
	} else {
		drop(client);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	pump(arg);
}

static void pause_input(struct console *c)
{
	c->paused = true;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd >= 0)
			event_del(&c->clients[i].readable);
	}
}

void console_resume(struct console *c)
{
	if (!c->paused || c->state->input.len > CONSOLE_INPUT / 2)
		return;
	c->paused = false;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd >= 0 && !c->clients[i].half_open)
			event_add(&c->clients[i].readable, NULL);
	}
}

/* recvmsg() because it is on the list of calls; MSG_DONTWAIT because a predecessor may have left anything in the stash. */
ssize_t console_receive(int fd, void *buf, size_t len, int flags)
{
	struct iovec iov = { buf, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return recvmsg(fd, &msg, flags | MSG_DONTWAIT);
}

void console_committed(struct console *c)
{
	uint8_t gone[CONSOLE_INPUT];

	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];

		if (client->fd >= 0 && client->peeked)
			console_receive(client->fd, gone, client->peeked, 0);
		client->peeked = 0;
	}
}

/*
 * What is typed stays in the socket until it is in the journal: a chunk may come twice when we die in between, never not
 * at all. End of input is not the end: `echo ls | socat - UNIX-CONNECT:...` still wants the answer.
 */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct console_client *client = arg;
	struct console_input *input = &client->console->state->input;
	ssize_t n;

	(void)what;
	if (client->peeked)
		return;
	if (input->len == CONSOLE_INPUT) {
		pause_input(client->console);
		return;
	}
	n = console_receive(fd, input->bytes + input->len, CONSOLE_INPUT - input->len, MSG_PEEK);
	if (n > 0) {
		client->peeked = (uint32_t)n;
		client->active_ns = runtime_now(client->console->rt);
		place_of(client)->typed = 1;
		input->len += (uint32_t)n;
		client->console->bytes_in += (uint64_t)n;
		runtime_touch(client->console->rt);
	} else if (n == 0) {
		client->half_open = true;
		event_del(&client->readable);
	} else if (errno != EAGAIN && errno != EINTR) {
		drop(client);
	}
}

/* Sending nothing to a peer that has closed its socket fails; to one that only stopped talking, it does not. */
static void drop_dead(struct console *c)
{
	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];
		ssize_t n = client->fd >= 0 && client->half_open ? send_some(client->fd, "", 0) : 0;

		if (n < 0 && n != -EAGAIN)
			drop(client);
	}
}

static uint32_t next_id(struct console_state *s)
{
	s->next_id = s->next_id == UINT32_MAX ? 1 : s->next_id + 1;
	return s->next_id;
}

static struct console_client *find_free(struct console *c)
{
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	}
	return NULL;
}

/* Who only reads can come again, and misses nothing: the history is replayed. Who types is in the middle of something. */
static bool gives_way(const struct console_client *client, uint64_t now_ns)
{
	return !place_of(client)->typed || now_ns - client->active_ns >= TYPIST_NS;
}

static struct console_client *find_idlest(struct console *c)
{
	uint64_t now_ns = runtime_now(c->rt);
	struct console_client *idlest = NULL;

	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];

		if (gives_way(client, now_ns) && (!idlest || client->active_ns < idlest->active_ns))
			idlest = client;
	}
	return idlest;
}

/* A free place, or that of a client that only holds it. NULL: all are in use. */
static struct console_client *find_place(struct console *c)
{
	static const char text[] = "\r\n[bulkhead: this place goes to a client that came after you]\r\n";
	struct console_client *client = find_free(c);

	if (client)
		return client;
	client = find_idlest(c);
	if (!client)
		return NULL;
	send_some(client->fd, text, sizeof(text) - 1);
	drop(client);
	return client;
}

static void refuse(struct console *c, int fd)
{
	static const char text[] = "[bulkhead: too many console clients]\r\n";

	log_warning("a console client was refused: %u are connected already, and typing", c->clients_max);
	send_some(fd, text, sizeof(text) - 1);
	close(fd);
}

static void attach(struct console *c, struct console_client *client, int fd)
{
	struct event_base *base = c->rt->base;

	memset(client, 0, sizeof(*client));
	client->console = c;
	client->fd = fd;
	client->patience_ns = PATIENCE_NS;
	client->active_ns = runtime_now(c->rt);
	event_assign(&client->readable, base, fd, EV_READ | EV_PERSIST, on_readable, client);
	event_assign(&client->writable, base, fd, EV_WRITE, on_writable, client);
	if (!c->paused)
		event_add(&client->readable, NULL);
}

static void welcome(struct console *c, struct console_client *client, int fd)
{
	struct console_place *place = &c->state->places[client - c->clients];

	*place = (struct console_place){ .id = next_id(c->state), .cursor = backlog_start(c->backlog) };
	if (stash_put(&c->stash, place->id, fd))
		log_warning("a console client will not survive a restart of the console");
	attach(c, client, fd);
	pump(client);
	runtime_touch(c->rt);
}

/*
 * A connection that the journal knows goes on where it was. One that it does not know had been accepted when the
 * predecessor died, and starts at the beginning; or it was being dropped, and will be again.
 */
static enum stash_verdict take_over(void *ctx, uint32_t id, int fd)
{
	struct console *c = ctx;
	struct console_client *free = NULL;

	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->state->places[i].id == id && c->clients[i].fd >= 0)
			return STASH_DROP;
		if (c->state->places[i].id == id) {
			attach(c, &c->clients[i], fd);
			return STASH_TAKE;
		}
		if (!c->state->places[i].id)
			free = &c->clients[i];
	}
	if (!free)
		return STASH_DROP;
	*place_of(free) = (struct console_place){ .id = id, .cursor = backlog_start(c->backlog) };
	if (id > c->state->next_id)
		c->state->next_id = id;
	attach(c, free, fd);
	return STASH_TAKE;
}

static void take_over_all(struct console *c)
{
	stash_sweep(&c->stash, take_over, c);
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++)
		if (c->clients[i].fd < 0)
			c->state->places[i] = (struct console_place){ 0 };
}

int console_validate(const struct console_state *s, const char **field)
{
	*field = "console input length";
	return s->input.len <= CONSOLE_INPUT ? 0 : -EINVAL;
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;
	struct console_client *client;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (peer < 0) {
		/* Out of descriptors, the listener stays readable: without a pause we would spin. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warning("a console client cannot be accepted: %s", strerror(errno));
			event_del(&c->accept_event);
			c->retry_ns = runtime_now(c->rt) + ACCEPT_RETRY_NS;
		}
		return;
	}
	drop_dead(c);
	client = find_place(c);
	if (client)
		welcome(c, client, peer);
	else
		refuse(c, peer);
}

int console_open(struct console *c, struct runtime *rt, struct backlog *backlog, struct console_state *state,
		 int listen_fd, struct stash stash, unsigned clients_max)
{
	c->rt = rt;
	c->backlog = backlog;
	c->state = state;
	c->stash = stash;
	c->listen_fd = listen_fd;
	c->clients_max = clients_max && clients_max <= CONSOLE_CLIENTS_MAX ? clients_max : CONSOLE_CLIENTS_DEFAULT;
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++)
		c->clients[i] = (struct console_client){ .console = c, .fd = -1 };
	take_over_all(c);
	if (fcntl(listen_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return runtime_watch(rt, &c->accept_event, listen_fd, EV_READ | EV_PERSIST, on_accept, c);
}

/* A cursor from a journal may be ahead of a backlog that started anew. */
static uint64_t left_for(const struct console_client *client, uint64_t written)
{
	uint64_t cursor = place_of(client)->cursor;

	return cursor < written ? written - cursor : 0;
}

static uint64_t most_behind(const struct console *c)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed), most = 0;

	for (unsigned i = 0; i < c->clients_max; i++) {
		const struct console_client *client = &c->clients[i];

		if (client->fd >= 0 && !client->blocked && left_for(client, written) > most)
			most = left_for(client, written);
	}
	return most;
}

bool console_is_behind(const struct console *c)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed);

	for (unsigned i = 0; i < c->clients_max; i++)
		if (c->clients[i].fd >= 0 && left_for(&c->clients[i], written))
			return true;
	return false;
}

uint64_t console_least_lost(const struct console *c)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed), least = UINT64_MAX;

	for (unsigned i = 0; i < c->clients_max; i++) {
		uint64_t lost = left_for(&c->clients[i], written) + c->state->places[i].skipped;

		if (c->clients[i].fd >= 0 && lost < least)
			least = lost;
	}
	return least == UINT64_MAX ? 0 : least;
}

static bool is_waited_for(const struct console_client *client, uint64_t written)
{
	return client->fd >= 0 && client->patience_ns && left_for(client, written) > BACKLOG_BYTES - HOLD_MARGIN;
}

bool console_holds(const struct console *c)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed);

	for (unsigned i = 0; i < c->clients_max; i++)
		if (is_waited_for(&c->clients[i], written))
			return true;
	return false;
}

/* Takes the time since the last look off the patience with those for whom the guest waits. Returns when to look again. */
static uint64_t count_patience(struct console *c, uint64_t now_ns)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed), again = UINT64_MAX;
	uint64_t passed = c->held_ns ? now_ns - c->held_ns : 0;

	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];

		if (!is_waited_for(client, written))
			continue;
		client->patience_ns -= passed < client->patience_ns ? passed : client->patience_ns;
		if (client->patience_ns && now_ns + client->patience_ns < again)
			again = now_ns + client->patience_ns;
	}
	c->held_ns = again == UINT64_MAX ? 0 : now_ns;
	return again;
}

static uint64_t retry_accept(struct console *c, uint64_t now_ns)
{
	if (c->retry_ns == 0)
		return UINT64_MAX;
	if (now_ns < c->retry_ns)
		return c->retry_ns;
	c->retry_ns = 0;
	event_add(&c->accept_event, NULL);
	return UINT64_MAX;
}

/*
 * The kernel calls a socket writable again when three quarters of its buffer are free. For one who reads slowly that may
 * be longer than we wait for signs of life; but there is room for a piece after each of his reads.
 */
static uint64_t retry_blocked(struct console *c, uint64_t now_ns)
{
	uint64_t again = UINT64_MAX;

	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];

		if (client->fd < 0 || !client->blocked)
			continue;
		client->blocked = false;
		again = now_ns + BLOCKED_RETRY_NS;
	}
	return again;
}

static uint64_t flush(struct console *c, uint64_t now_ns)
{
	uint64_t behind = most_behind(c);

	if (behind == 0)
		return UINT64_MAX;
	if (behind < FLUSH_AT_ONCE && now_ns - c->flushed_ns < FLUSH_DELAY_NS)
		return c->flushed_ns + FLUSH_DELAY_NS;
	c->flushed_ns = now_ns;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd >= 0 && !c->clients[i].blocked)
			pump(&c->clients[i]);
	}
	return UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t console_flush(struct console *c, uint64_t now_ns)
{
	uint64_t again = c->rt->leaving_ns ? UINT64_MAX : retry_accept(c, now_ns);

	if (c->rt->leaving_ns || c->held_ns)
		again = earlier(again, retry_blocked(c, now_ns));
	again = earlier(again, flush(c, now_ns));
	return earlier(again, count_patience(c, now_ns));
}
