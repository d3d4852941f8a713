/* SPDX-License-Identifier: MIT */
/* Console clients, bytes both ways: see console.h. */
#include "console.h"

#include <errno.h>
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
#define BLOCKED_RETRY_NS (50 * CLOCK_NS_PER_MS)

static enum stash_verdict is_other(void *ctx, uint32_t id, int fd)
{
	(void)fd;
	return id == *(const uint32_t *)ctx ? STASH_DROP : STASH_KEEP;
}

/* The peer sees the end only when nobody holds the connection any more, the stash included. */
void console_drop(struct console_client *client)
{
	struct console_place *place = console_place(client);

	event_del(&client->readable);
	event_del(&client->writable);
	close(client->fd);
	client->fd = -1;
	stash_sweep(&client->console->stash, is_other, &place->id);
	*place = (struct console_place){ 0 };
	runtime_touch(client->console->rt);
}

/* How many were taken, or -EAGAIN; another error: the client is gone. */
ssize_t console_send(const struct console_client *client, const void *buf, size_t len)
{
	ssize_t n = client->connector == CONSOLE_SOCKET ? send(client->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL)
							: write(client->fd, buf, len);

	if (n < 0)
		return errno == EWOULDBLOCK || errno == EINTR ? -EAGAIN : -errno;
	return n;
}

void console_note(struct console_client *client, const char *format, uint64_t n)
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

/* What is always there cannot leave: what it did not take is lost, and counted. */
static ssize_t give_up(struct console_client *client, ssize_t error, size_t len)
{
	log_warning("COM%u: %s: its output is lost", client->console->port + 1, strerror((int)-error));
	console_place(client)->cursor += len;
	console_place(client)->skipped += len;
	client->console->bytes_dropped += len;
	return (ssize_t)len;
}

/* One piece of what is due. > 0: go on; 0: all done; -EAGAIN: blocked; other: gone. */
static ssize_t send_piece(struct console_client *client)
{
	struct console_place *place = console_place(client);
	const uint8_t *chunk;
	uint64_t skipped;
	size_t len;
	ssize_t n;

	if (client->note_sent < client->note_len) {
		n = console_send(client, client->note + client->note_sent, (size_t)(client->note_len - client->note_sent));
		if (n > 0)
			client->note_sent = (uint8_t)(client->note_sent + n);
		return n;
	}
	len = backlog_peek(client->console->backlog, &place->cursor, &chunk, &skipped);
	if (skipped) {
		client->console->bytes_dropped += skipped;
		place->skipped += skipped;
		console_note(client, "\r\n[bulkhead: %llu bytes skipped, this client reads too slowly]\r\n", skipped);
		return 1;
	}
	if (len == 0)
		return 0;
	len = len < PIECE_MAX ? len : PIECE_MAX;
	n = console_send(client, chunk, len);
	if (n < 0 && n != -EAGAIN && client->connector != CONSOLE_SOCKET)
		return give_up(client, n, len);
	if (n > 0) {
		client->active_ns = runtime_now(client->console->rt);
		place->cursor += (uint64_t)n;
		reward(client, (uint64_t)n);
		runtime_output_moved(client->console->rt);
	}
	return n;
}

void console_pump(struct console_client *client)
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
		console_drop(client);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	console_pump(arg);
}

static void pause_input(struct console *c)
{
	c->paused = true;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd >= 0)
			event_del(&c->clients[i].readable);
	}
}

void console_consume(struct console *c, size_t len)
{
	c->counts->input_len -= (uint32_t)len;
	memmove(c->input, c->input + len, c->counts->input_len);
	if (!c->paused || c->counts->input_len > c->input_max / 2)
		return;
	c->paused = false;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd >= 0 && !c->clients[i].half_open && c->clients[i].connector != CONSOLE_FILE)
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

		if (client->fd >= 0 && client->peeked && client->connector == CONSOLE_SOCKET)
			console_receive(client->fd, gone, client->peeked, 0);
		client->peeked = 0;
	}
}

/*
 * What is typed stays in the socket until it is in the journal: a chunk may come twice when we die in between, never not
 * at all. End of input is not the end: `echo ls | socat - UNIX-CONNECT:...` still wants the answer.
 */
struct console_client *console_find_writer(const struct console *c)
{
	for (unsigned i = 0; i < c->clients_max; i++)
		if (c->clients[i].fd >= 0 && c->places[i].mode == CONSOLE_WRITER)
			return (struct console_client *)&c->clients[i];
	return NULL;
}

static bool may_type(const struct console_client *client)
{
	switch ((enum console_mode)console_place(client)->mode) {
	case CONSOLE_PLAIN:
		return client->connector != CONSOLE_SOCKET || !console_find_writer(client->console);
	case CONSOLE_WRITER:
		return true;
	case CONSOLE_WATCHER:
	case CONSOLE_STEALER:
	case CONSOLE_MODES:
		break;
	}
	return false;
}

static void take_typed(struct console_client *client, size_t n)
{
	struct console *c = client->console;

	client->peeked = (uint32_t)n;
	client->active_ns = runtime_now(c->rt);
	console_place(client)->typed = 1;
	runtime_touch(c->rt);
}

/* Somebody else types. */
static ssize_t ignore_typed(struct console_client *client)
{
	uint8_t gone[CONSOLE_INPUT];
	ssize_t n = console_receive(client->fd, gone, sizeof(gone), 0);

	if (n > 0 && !client->warned && console_place(client)->mode != CONSOLE_WATCHER) {
		client->warned = true;
		console_note(client, "\r\n[bulkhead: another client types here; bulkhead console --steal takes over]\r\n", 0);
		console_pump(client);
	}
	return n;
}

static ssize_t receive(struct console_client *client)
{
	struct console *c = client->console;
	size_t len = c->counts->input_len, room = c->input_max - len;
	ssize_t n;

	if (client->connector == CONSOLE_TTY)
		return console_tty_receive(client, room);
	n = console_receive(client->fd, c->input + len, room, MSG_PEEK);
	if (n > 0) {
		c->counts->input_len += (uint32_t)n;
		c->bytes_in += (uint64_t)n;
	}
	return n;
}

/* Who came by the control socket leaves with its end; a plain stream may only have said all that it will say. */
static void on_no_input(struct console_client *client, ssize_t n)
{
	bool leaves = client->connector == CONSOLE_SOCKET && (n < 0 || console_place(client)->mode != CONSOLE_PLAIN);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (leaves) {
		console_drop(client);
		return;
	}
	client->half_open = true;
	event_del(&client->readable);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct console_client *client = arg;
	bool types = may_type(client);
	ssize_t n;

	(void)fd;
	(void)what;
	if (client->peeked)
		return;
	if (types && client->console->counts->input_len == client->console->input_max) {
		pause_input(client->console);
		return;
	}
	n = types ? receive(client) : ignore_typed(client);
	if (client->fd < 0)
		return;
	if (n <= 0)
		on_no_input(client, n);
	else if (types)
		take_typed(client, (size_t)n);
}

void console_attach(struct console *c, struct console_client *client, int fd, enum console_connector connector)
{
	struct event_base *base = c->rt->base;

	memset(client, 0, sizeof(*client));
	client->console = c;
	client->fd = fd;
	client->connector = connector;
	client->patience_ns = PATIENCE_NS;
	client->active_ns = runtime_now(c->rt);
	event_assign(&client->readable, base, fd, EV_READ | EV_PERSIST, on_readable, client);
	event_assign(&client->writable, base, fd, EV_WRITE, on_writable, client);
	if (!c->paused && connector != CONSOLE_FILE)
		event_add(&client->readable, NULL);
}

int console_validate(const struct console_counts *counts, unsigned input_max, const char **field)
{
	*field = "console input length";
	return counts->input_len <= input_max ? 0 : -EINVAL;
}

/* A cursor from a journal may be ahead of a backlog that started anew. */
static uint64_t left_for(const struct console_client *client, uint64_t written)
{
	uint64_t cursor = console_place(client)->cursor;

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

	for (unsigned i = 0; i < c->clients_max; i++) {
		const struct console_client *client = &c->clients[i];

		if (client->fd >= 0 && left_for(client, written) && !(client->connector == CONSOLE_TTY && client->blocked))
			return true;
	}
	return false;
}

uint64_t console_least_lost(const struct console *c)
{
	uint64_t written = atomic_load_explicit(&c->backlog->written, memory_order_relaxed), least = UINT64_MAX;

	for (unsigned i = 0; i < c->clients_max; i++) {
		uint64_t lost = left_for(&c->clients[i], written) + c->places[i].skipped;

		if (c->clients[i].fd >= 0 && c->clients[i].connector != CONSOLE_TTY && lost < least)
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
			console_pump(&c->clients[i]);
	}
	return UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t console_flush(struct console *c, uint64_t now_ns)
{
	uint64_t again = UINT64_MAX;

	if (c->rt->leaving_ns || c->held_ns)
		again = earlier(again, retry_blocked(c, now_ns));
	again = earlier(again, flush(c, now_ns));
	return earlier(again, count_patience(c, now_ns));
}
