/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-seriald: COM1..COM4. COM1 is the console; what the guest prints goes to the backlog, from there to whoever
 * listens; text of the debug ports (from platformd) joins it. Each of the four may have a connector that the user has asked
 * for (--serial), and then COM2..COM4 are consoles of their own; without one their output is counted and dropped.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console.h"
#include "devices/chips/uart.h"
#include "devices/serial_model.h"
#include "proto/log.h"
#include "proto/shm.h"

enum { PORTS = 4, FD_LISTEN = 0, FD_DEBUG = 1, FD_BACKLOG = 2, FD_STASH = 3, OWN_FDS = 5 };
enum { PORT_CLIENTS = 4, PORT_INPUT = 248, OUT_MAX = 248 };

/*
 * Characters leave a port into `out`, which is journalled with the UART that forgets them, and go to the port's backlog after that
 * commit. The backlog outlives us, and how much was written to it tells a next incarnation whether that was done: what
 * the guest prints arrives once.
 */
struct serial_out {
	uint64_t at; /* backlog->written when bytes[0] was to be its next */
	uint32_t len;
	uint8_t bytes[OUT_MAX];
	uint32_t reserved;
};

/* Small, for all of it is compared at each commit. */
struct port_state {
	struct console_counts counts;
	struct console_place places[PORT_CLIENTS];
	uint8_t input[PORT_INPUT];
	struct serial_out out;
};

struct shell_state {
	struct console_counts counts; /* COM1's, as the next three */
	struct console_place places[CONSOLE_CLIENTS_MAX];
	uint8_t input[CONSOLE_INPUT];
	struct serial_out out;
	struct port_state more[PORTS - 1];
};

static struct shell_state saved;
static struct console consoles[PORTS];
static struct console *const com1 = &consoles[0];
static unsigned ports; /* bit mask of those that have somebody to print to */
static struct event debug_event;
static bool debug_waits; /* nobody looks at the debug stream: there is no room */
static uint64_t bytes_out, bytes_unconnected;

static struct serial_out *out_of(unsigned port)
{
	return port ? &saved.more[port - 1].out : &saved.out;
}

static bool is_there(unsigned port)
{
	return ports >> port & 1;
}

/* Idempotent: a predecessor may have done it, and added other text since. */
static void deliver(unsigned port)
{
	struct backlog *backlog = consoles[port].backlog;
	struct serial_out *out = out_of(port);

	if (out->len == 0 || atomic_load_explicit(&backlog->written, memory_order_relaxed) != out->at)
		return;
	backlog_append(backlog, out->bytes, out->len);
	bytes_out += out->len;
}

static bool any_holds(void)
{
	for (unsigned port = 0; port < PORTS; port++)
		if (is_there(port) && console_holds(&consoles[port]))
			return true;
	return false;
}

/* It leaves the socket when it is in the backlog: it may come twice if we die in between, but never not at all. */
static void on_debug(evutil_socket_t fd, short what, void *arg)
{
	uint8_t buf[1024], gone[sizeof(buf)];
	ssize_t n = console_receive(fd, buf, sizeof(buf), MSG_PEEK);

	(void)what;
	if (any_holds()) {
		event_del(&debug_event);
		debug_waits = true;
	} else if (n > 0) {
		deliver(0);
		backlog_append(com1->backlog, buf, (size_t)n);
		console_receive(fd, gone, (size_t)n, 0);
		bytes_out += (uint64_t)n;
		runtime_touch(arg);
	} else if (n == 0) {
		event_del(&debug_event);
	}
}

static void bind_console(unsigned port, struct runtime *rt, struct stash stash, unsigned clients_max)
{
	struct port_state *state = port ? &saved.more[port - 1] : NULL;

	consoles[port] = (struct console){
		.rt = rt,
		.counts = state ? &state->counts : &saved.counts,
		.places = state ? state->places : saved.places,
		.input = state ? state->input : saved.input,
		.input_max = state ? PORT_INPUT : CONSOLE_INPUT,
		.clients_max = state ? PORT_CLIENTS : clients_max,
		.port = port,
		.ports = ports,
		.stash = stash,
	};
}

static int open_port(unsigned port, int *fd)
{
	void *backlog;
	int err = shm_map_rw(*fd, sizeof(struct backlog), &backlog);

	if (err)
		return err;
	close(*fd);
	*fd = -1;
	consoles[port].backlog = backlog;
	backlog_open(backlog);
	return console_open(&consoles[port]);
}

static int connect_port(const Bulkhead__SerialPort *row, int *fd)
{
	static const enum console_connector connectors[] = {
		[BULKHEAD__SERIAL_KIND__SERIAL_TTY] = CONSOLE_TTY, [BULKHEAD__SERIAL_KIND__SERIAL_FILE] = CONSOLE_FILE
	};
	struct console *c = &consoles[row->port];
	int mine = *fd;

	*fd = -1;
	if (row->kind == BULKHEAD__SERIAL_KIND__SERIAL_LISTENER)
		return console_listen(c, mine);
	return console_connect(c, mine, connectors[row->kind]);
}

/* For each port of the list its connector, and of all but COM1 its backlog. */
static int open_ports(const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	unsigned at = 0;
	int err = 0;

	for (size_t i = 0; i < setup->n_serial_ports && !err; i++) {
		const Bulkhead__SerialPort *row = setup->serial_ports[i];
		unsigned needed = row->port ? 2 : 1;

		if (nfds - at < needed)
			return -EINVAL;
		if (row->port)
			err = open_port(row->port, &fds[at + 1]);
		if (!err)
			err = connect_port(row, &fds[at]);
		at += needed;
	}
	return err;
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	struct stash stash;
	int err;

	if (nfds < OWN_FDS)
		return -EINVAL;
	stash = (struct stash){ .wr = dup3(fds[FD_STASH], SANDBOX_STASH, O_CLOEXEC), .rd = fds[FD_STASH + 1] };
	if (stash.wr < 0)
		return -errno;
	fds[FD_STASH + 1] = -1;
	ports = 1;
	for (size_t i = 0; i < setup->n_serial_ports; i++)
		ports |= 1u << setup->serial_ports[i]->port;
	for (unsigned port = 0; port < PORTS; port++)
		bind_console(port, rt, stash, setup->has_console_clients_max ? setup->console_clients_max : 0);
	err = open_port(0, &fds[FD_BACKLOG]);
	if (!err)
		err = console_listen(com1, fds[FD_LISTEN]);
	fds[FD_LISTEN] = -1;
	if (!err)
		err = open_ports(setup, fds + OWN_FDS, nfds - OWN_FDS);
	if (err)
		return err;
	if (fcntl(fds[FD_DEBUG], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	err = runtime_watch(rt, &debug_event, fds[FD_DEBUG], EV_READ | EV_PERSIST, on_debug, rt);
	fds[FD_DEBUG] = -1;
	return err;
}

/* A client that came over the control socket, and with it what it wants to do. */
static int admit(struct runtime *rt, struct frame *f)
{
	const Bulkhead__ConsoleAttach *m = (const Bulkhead__ConsoleAttach *)f->msg;
	Bulkhead__ConsoleAttached attached = BULKHEAD__CONSOLE_ATTACHED__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	enum console_mode mode = CONSOLE_PLAIN;
	unsigned port = m->has_port ? m->port : 0;
	int err;

	if (f->fd_count != 1 || (m->has_mode && m->mode >= CONSOLE_MODES))
		return frame_reply_error(rt->child.control_fd, f->header.id, EINVAL, "mode", "no such way to attach");
	if (port >= PORTS || !is_there(port))
		return frame_reply_error(rt->child.control_fd, f->header.id, ENODEV, "port",
					 "COM%u has nobody to print to; give it a connector with --serial", port + 1);
	err = console_admit(&consoles[port], f->fds[0], m->has_mode ? (enum console_mode)m->mode : CONSOLE_PLAIN, &mode,
			    &attached.history);
	if (err)
		return frame_reply_error(rt->child.control_fd, f->header.id, EBUSY, NULL,
					 "all %u places at its console are in use; end one of the clients, and come again",
					 consoles[port].clients_max);
	f->fds[0] = -1;
	attached.has_history = attached.has_mode = true;
	attached.mode = mode;
	ok.console = &attached;
	return frame_send(rt->child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}

/* The backlog takes whatever comes: the guest never waits for a reader. */
static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)now_ns;
	for (unsigned unit = 0; unit < PORTS; unit++)
		serial_model_set_credit(rt->state, unit, UART_CREDIT_UNLIMITED);
}

static void take_from(struct runtime *rt, unsigned port)
{
	struct serial_out *out = out_of(port);

	deliver(port);
	out->at = atomic_load_explicit(&consoles[port].backlog->written, memory_order_relaxed);
	out->len = (uint32_t)serial_model_take(rt->state, port, out->bytes, OUT_MAX);
	if (out->len == OUT_MAX)
		runtime_touch(rt);
}

/* After each slot, so that the transmit queue never fills and LSR stays readable from the shadow page. */
static void take_output(struct runtime *rt, uint64_t now_ns)
{
	uint8_t buf[UART_TX_SIZE];

	(void)now_ns;
	for (unsigned port = 0; port < PORTS; port++) {
		if (is_there(port))
			take_from(rt, port);
		else
			bytes_unconnected += serial_model_take(rt->state, port, buf, sizeof(buf));
	}
}

static void offer_input(struct runtime *rt, unsigned port, uint64_t now_ns)
{
	struct console *c = &consoles[port];
	size_t len = c->counts->input_len;
	size_t n = len ? serial_model_offer(rt->state, port, c->input, len, now_ns) : 0;

	if (n == 0)
		return;
	console_consume(c, n);
	runtime_touch(rt);
}

static bool is_full(const struct runtime *rt)
{
	(void)rt;
	return any_holds();
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	uint64_t again = UINT64_MAX, at;

	for (unsigned port = 0; port < PORTS; port++) {
		if (!is_there(port))
			continue;
		offer_input(rt, port, now_ns);
		at = console_flush(&consoles[port], now_ns);
		again = at < again ? at : again;
		at = console_retry_accept(&consoles[port], now_ns);
		again = at < again ? at : again;
	}
	if (debug_waits && !any_holds()) {
		debug_waits = false;
		event_add(&debug_event, NULL);
	}
	return again;
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	for (unsigned port = 0; port < PORTS; port++) {
		if (!is_there(port))
			continue;
		deliver(port);
		console_committed(&consoles[port]);
	}
}

static bool has_output(struct runtime *rt)
{
	(void)rt;
	for (unsigned port = 0; port < PORTS; port++)
		if (is_there(port) && console_is_behind(&consoles[port]))
			return true;
	return false;
}

/* Of each port, whoever has got it all is reader enough: one that hangs beside it is nobody's loss but its own. */
static void leave(struct runtime *rt)
{
	uint64_t lacking = 0;

	for (unsigned port = 0; port < PORTS; port++)
		lacking += is_there(port) ? console_least_lost(&consoles[port]) : 0;
	if (lacking)
		child_event(&rt->child, BULKHEAD__EVENT_TYPE__EVENT_UNDELIVERED,
			    lacking < UINT32_MAX ? (uint32_t)lacking : UINT32_MAX, rt->child.role, NULL);
}

/* printk polls LSR, with the transmit interrupt off; a driver with it on waits for what its characters raise. */
static bool can_nap(const struct runtime *rt)
{
	const struct serial_state *s = rt->state;
	uint8_t enabled = 0;

	for (unsigned unit = 0; unit < PORTS; unit++)
		enabled |= s->uart[unit].ier;
	return !(enabled & IER_ETBEI);
}

static int validate(const void *state, const char **field)
{
	const struct shell_state *s = state;
	int err = console_validate(&s->counts, CONSOLE_INPUT, field);

	for (unsigned i = 0; i < PORTS - 1 && !err; i++)
		err = console_validate(&s->more[i].counts, PORT_INPUT, field);
	if (err)
		return err;
	*field = "console output length";
	for (unsigned i = 0; i < PORTS - 1; i++)
		if (s->more[i].out.len > OUT_MAX)
			return -EINVAL;
	return s->out.len <= OUT_MAX ? 0 : -EINVAL;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_console_bytes_out = s->has_console_bytes_in = s->has_console_bytes_dropped = true;
	s->console_bytes_out = bytes_out;
	s->console_bytes_in = 0;
	s->console_bytes_dropped = bytes_unconnected;
	for (unsigned port = 0; port < PORTS; port++) {
		s->console_bytes_in += consoles[port].bytes_in;
		s->console_bytes_dropped += consoles[port].bytes_dropped;
	}
}

const struct daemon_shell seriald_shell = {
	.kind = KIND_SERIALD,
	.model = &serial_model,
	.shell_state = &saved,
	.shell_size = sizeof(saved),
	.shell_version = SERIALD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.validate = validate,
	.applied = take_output,
	.committed = committed,
	.is_full = is_full,
	.settle = settle,
	.has_output = has_output,
	.leave = leave,
	.admit = admit,
	.can_nap = can_nap,
	.stats = stats,
};
