/* SPDX-License-Identifier: MIT */
/* Console clients, who comes and who goes: see console.h. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"

#define ACCEPT_RETRY_NS CLOCK_NS_PER_S
#define TYPIST_NS (600 * CLOCK_NS_PER_S) /* so long after its last byte a client keeps its place for having typed */

/*
 * The name of a connection in the stash, which the consoles of all ports share: port, what it may do, a number. The mode is there for
 * whom the journal does not know yet. Who is always there is in no stash.
 */
enum { ID_NUMBER = 0x03ffffff, ID_MODE = 26, ID_PORT = 28, ID_ALWAYS = 0x7fffffff };

static uint32_t make_id(struct console *c, enum console_mode mode)
{
	c->counts->next_id = c->counts->next_id >= ID_NUMBER ? 1 : c->counts->next_id + 1;
	return c->port << ID_PORT | (uint32_t)mode << ID_MODE | c->counts->next_id;
}

/* Sending nothing to a peer that has closed its socket fails; to one that only stopped talking, it does not. */
static void drop_dead(struct console *c)
{
	for (unsigned i = 0; i < c->clients_max; i++) {
		struct console_client *client = &c->clients[i];
		bool asked = client->fd >= 0 && client->half_open && client->connector == CONSOLE_SOCKET;
		ssize_t n = asked ? console_send(client, "", 0) : 0;

		if (n < 0 && n != -EAGAIN)
			console_drop(client);
	}
}

/* ---- who types ------------------------------------------------------------------------------------------------- */

/* Whoever asks to type is in somebody's way: the writer, or one that came as a plain stream and is in the middle of something. */
static bool is_typed_at(const struct console *c)
{
	uint64_t now_ns = runtime_now(c->rt);

	for (unsigned i = 0; i < c->clients_max; i++) {
		const struct console_client *client = &c->clients[i];
		const struct console_place *place = &c->places[i];
		bool busy = place->typed && now_ns - client->active_ns < TYPIST_NS && !client->half_open;

		if (client->fd >= 0 && client->connector == CONSOLE_SOCKET &&
		    (place->mode == CONSOLE_WRITER || (place->mode == CONSOLE_PLAIN && busy)))
			return true;
	}
	return false;
}

static void dethrone(struct console_client *writer)
{
	console_place(writer)->mode = CONSOLE_WATCHER;
	console_note(writer, "\r\n[bulkhead: another client types now; this one only watches]\r\n", 0);
	console_pump(writer);
}

/* ---- places ---------------------------------------------------------------------------------------------------- */

static struct console_client *find_free(struct console *c)
{
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	}
	return NULL;
}

/*
 * Who only reads can come again, and misses nothing: the history is replayed. Who types is in the middle of something, and who has
 * asked for its place was told that it has one.
 */
static bool gives_way(const struct console_client *client, uint64_t now_ns)
{
	const struct console_place *place = console_place(client);

	if (client->connector != CONSOLE_SOCKET || place->mode != CONSOLE_PLAIN)
		return false;
	return !place->typed || now_ns - client->active_ns >= TYPIST_NS;
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
	struct console_client *client;

	drop_dead(c);
	client = find_free(c);
	if (client)
		return client;
	client = find_idlest(c);
	if (!client)
		return NULL;
	console_send(client, text, sizeof(text) - 1);
	console_drop(client);
	return client;
}

static void refuse(struct console *c, int fd)
{
	static const char text[] = "[bulkhead: too many console clients]\r\n";

	log_warning("a console client was refused: %u are connected already, and typing", c->clients_max);
	send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void welcome(struct console *c, struct console_client *client, int fd, enum console_mode mode)
{
	struct console_place *place = &c->places[client - c->clients];

	*place = (struct console_place){ .id = make_id(c, mode), .mode = (uint16_t)mode, .cursor = backlog_start(c->backlog) };
	if (stash_put(&c->stash, place->id, fd))
		log_warning("a console client will not survive a restart of the console");
	console_attach(c, client, fd, CONSOLE_SOCKET);
	console_pump(client);
	runtime_touch(c->rt);
}

int console_admit(struct console *c, int fd, enum console_mode wanted, enum console_mode *got, uint64_t *history)
{
	struct console_client *client, *writer;

	drop_dead(c);
	client = find_place(c);
	if (!client)
		return -EBUSY;
	*got = wanted;
	if (wanted == CONSOLE_STEALER || wanted == CONSOLE_WRITER)
		*got = wanted == CONSOLE_WRITER && is_typed_at(c) ? CONSOLE_WATCHER : CONSOLE_WRITER;
	writer = *got == CONSOLE_WRITER ? console_find_writer(c) : NULL;
	if (writer)
		dethrone(writer);
	*history = atomic_load_explicit(&c->backlog->written, memory_order_relaxed) - backlog_start(c->backlog);
	welcome(c, client, fd, *got);
	return 0;
}

/* ---- after a restart ------------------------------------------------------------------------------------------- */

/*
 * A connection that the journal knows goes on where it was. One that it does not know had been accepted when the
 * predecessor died, and starts at the beginning; or it was being dropped, and will be again. Those of other ports are
 * theirs, if there are such ports.
 */
static enum stash_verdict take_over(void *ctx, uint32_t id, int fd)
{
	struct console *c = ctx;
	struct console_client *free = NULL;

	if (id >> ID_PORT != c->port)
		return id >> ID_PORT < 4 && c->ports >> (id >> ID_PORT) & 1 ? STASH_KEEP : STASH_DROP;
	for (unsigned i = 0; i < c->clients_max; i++) {
		if (c->places[i].id == id && c->clients[i].fd >= 0)
			return STASH_DROP;
		if (c->places[i].id == id) {
			console_attach(c, &c->clients[i], fd, CONSOLE_SOCKET);
			return STASH_TAKE;
		}
		if (!c->places[i].id)
			free = &c->clients[i];
	}
	if (!free)
		return STASH_DROP;
	*console_place(free) =
		(struct console_place){ .id = id, .mode = (uint16_t)(id >> ID_MODE & 3), .cursor = backlog_start(c->backlog) };
	if ((id & ID_NUMBER) > c->counts->next_id)
		c->counts->next_id = id & ID_NUMBER;
	console_attach(c, free, fd, CONSOLE_SOCKET);
	return STASH_TAKE;
}

int console_open(struct console *c)
{
	c->clients_max = c->clients_max && c->clients_max <= CONSOLE_CLIENTS_MAX ? c->clients_max : CONSOLE_CLIENTS_DEFAULT;
	for (unsigned i = 0; i < CONSOLE_CLIENTS_MAX; i++)
		c->clients[i] = (struct console_client){ .console = c, .fd = -1 };
	for (unsigned i = 0; i < 2; i++)
		c->listeners[i].fd = -1;
	stash_sweep(&c->stash, take_over, c);
	for (unsigned i = 0; i < c->clients_max; i++)
		if (c->clients[i].fd < 0 && c->places[i].id != ID_ALWAYS)
			c->places[i] = (struct console_place){ 0 };
	return 0;
}

/* ---- who comes ------------------------------------------------------------------------------------------------- */

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct console_listener *listener = arg;
	struct console *c = listener->console;
	struct console_client *client;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (peer < 0) {
		/* Out of descriptors, the listener stays readable: without a pause we would spin. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_warning("a console client cannot be accepted: %s", strerror(errno));
			event_del(&listener->event);
			c->retry_ns = runtime_now(c->rt) + ACCEPT_RETRY_NS;
		}
		return;
	}
	client = find_place(c);
	if (client)
		welcome(c, client, peer, CONSOLE_PLAIN);
	else
		refuse(c, peer);
}

int console_listen(struct console *c, int fd)
{
	struct console_listener *l = &c->listeners[c->listeners[0].fd >= 0];

	l->console = c;
	l->fd = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return runtime_watch(c->rt, &l->event, fd, EV_READ | EV_PERSIST, on_accept, l);
}

int console_connect(struct console *c, int fd, enum console_connector connector)
{
	struct console_client *client = c->clients;

	/* The first incarnation's output begins here; a later one's goes on. Whoever has the place has it by mistake. */
	if (client->fd >= 0)
		console_drop(client);
	if (c->places[0].id != ID_ALWAYS)
		c->places[0] = (struct console_place){ .id = ID_ALWAYS, .cursor = backlog_start(c->backlog) };
	if (fcntl(fd, F_SETFL, connector == CONSOLE_FILE ? O_APPEND : O_NONBLOCK) < 0)
		return -errno;
	console_tty_recover(c);
	console_attach(c, client, fd, connector);
	return 0;
}

uint64_t console_retry_accept(struct console *c, uint64_t now_ns)
{
	if (c->retry_ns == 0 || c->rt->leaving_ns)
		return UINT64_MAX;
	if (now_ns < c->retry_ns)
		return c->retry_ns;
	c->retry_ns = 0;
	for (unsigned i = 0; i < 2; i++)
		if (c->listeners[i].fd >= 0)
			event_add(&c->listeners[i].event, NULL);
	return UINT64_MAX;
}
