/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-seriald: COM1..COM4. COM1 is the console; what the guest prints goes to the backlog, from there to whoever
 * listens; text of the debug ports (from platformd) joins it. COM2..COM4 have no connector yet: their output is counted
 * and dropped.
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

static struct console console;
/*
 * Characters leave COM1 into `out`, which is journalled with the UART that forgets them, and go to the backlog after that
 * commit. The backlog outlives us, and how much was written to it tells a next incarnation whether that was done: what
 * the guest prints arrives once.
 */
enum { OUT_MAX = 248 };
struct serial_out {
	uint64_t at; /* backlog->written when bytes[0] was to be its next */
	uint32_t len;
	uint8_t bytes[OUT_MAX];
	uint32_t reserved;
};

struct shell_state {
	struct console_state console;
	struct serial_out out;
};

static struct shell_state saved;
static struct event debug_event;
static bool debug_waits; /* nobody looks at the debug stream: there is no room */
static uint64_t bytes_out, bytes_unconnected;

/* Idempotent: a predecessor may have done it, and added other text since. */
static void deliver(void)
{
	struct serial_out *out = &saved.out;

	if (out->len == 0 || atomic_load_explicit(&console.backlog->written, memory_order_relaxed) != out->at)
		return;
	backlog_append(console.backlog, out->bytes, out->len);
	bytes_out += out->len;
}

/* It leaves the socket when it is in the backlog: it may come twice if we die in between, but never not at all. */
static void on_debug(evutil_socket_t fd, short what, void *arg)
{
	uint8_t buf[1024], gone[sizeof(buf)];
	ssize_t n = console_receive(fd, buf, sizeof(buf), MSG_PEEK);

	(void)what;
	if (console_holds(&console)) {
		event_del(&debug_event);
		debug_waits = true;
	} else if (n > 0) {
		deliver();
		backlog_append(console.backlog, buf, (size_t)n);
		console_receive(fd, gone, (size_t)n, 0);
		bytes_out += (uint64_t)n;
		runtime_touch(arg);
	} else if (n == 0) {
		event_del(&debug_event);
	}
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	struct stash stash;
	void *backlog;
	int err;

	if (nfds != OWN_FDS)
		return -EINVAL;
	err = shm_map_rw(fds[FD_BACKLOG], sizeof(struct backlog), &backlog);
	if (err)
		return err;
	backlog_open(backlog);
	stash = (struct stash){ .wr = dup3(fds[FD_STASH], SANDBOX_STASH, O_CLOEXEC), .rd = fds[FD_STASH + 1] };
	if (stash.wr < 0)
		return -errno;
	fds[FD_STASH + 1] = -1;
	err = console_open(&console, rt, backlog, &saved.console, fds[FD_LISTEN], stash,
			   setup->has_console_clients_max ? setup->console_clients_max : 0);
	if (err)
		return err;
	fds[FD_LISTEN] = -1;
	if (fcntl(fds[FD_DEBUG], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	err = runtime_watch(rt, &debug_event, fds[FD_DEBUG], EV_READ | EV_PERSIST, on_debug, rt);
	fds[FD_DEBUG] = -1;
	return err;
}

/* The backlog takes whatever comes: the guest never waits for a reader. */
static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)now_ns;
	for (unsigned unit = 0; unit < PORTS; unit++)
		serial_model_set_credit(rt->state, unit, UART_CREDIT_UNLIMITED);
}

/* After each slot, so that the transmit queue never fills and LSR stays readable from the shadow page. */
static void take_output(struct runtime *rt, uint64_t now_ns)
{
	uint8_t buf[UART_TX_SIZE];

	(void)now_ns;
	deliver();
	saved.out.at = atomic_load_explicit(&console.backlog->written, memory_order_relaxed);
	saved.out.len = (uint32_t)serial_model_take(rt->state, 0, saved.out.bytes, OUT_MAX);
	if (saved.out.len == OUT_MAX)
		runtime_touch(rt);
	for (unsigned unit = 1; unit < PORTS; unit++)
		bytes_unconnected += serial_model_take(rt->state, unit, buf, sizeof(buf));
}

static void offer_input(struct runtime *rt, uint64_t now_ns)
{
	struct console_input *in = &saved.console.input;
	size_t n = in->len ? serial_model_offer(rt->state, 0, in->bytes, in->len, now_ns) : 0;

	if (n == 0)
		return;
	in->len -= (uint32_t)n;
	memmove(in->bytes, in->bytes + n, in->len);
	runtime_touch(rt);
	console_resume(&console);
}

static bool is_full(const struct runtime *rt)
{
	(void)rt;
	return console_holds(&console);
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	uint64_t again;

	offer_input(rt, now_ns);
	again = console_flush(&console, now_ns);
	if (debug_waits && !console_holds(&console)) {
		debug_waits = false;
		event_add(&debug_event, NULL);
	}
	return again;
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	deliver();
	console_committed(&console);
}

static bool has_output(struct runtime *rt)
{
	(void)rt;
	return console_is_behind(&console);
}

/* Whoever has got it all is reader enough: one that hangs beside it is nobody's loss but its own. */
static void leave(struct runtime *rt)
{
	uint64_t lacking = console_least_lost(&console);

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
	int err = console_validate(&s->console, field);

	if (err)
		return err;
	*field = "console output length";
	return s->out.len <= OUT_MAX ? 0 : -EINVAL;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_console_bytes_out = s->has_console_bytes_in = s->has_console_bytes_dropped = true;
	s->console_bytes_out = bytes_out;
	s->console_bytes_in = console.bytes_in;
	s->console_bytes_dropped = bytes_unconnected + console.bytes_dropped;
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
	.can_nap = can_nap,
	.stats = stats,
};
