/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-platformd: ACPI power management, reset, i8042, exit and debug ports, PCI configuration stub. What the guest
 * asks of the machine becomes an event to the supervisor; debug text goes to seriald through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "devices/platform_model.h"
#include "proto/clock.h"
#include "proto/log.h"
#include "daemons.h"
#include "runtime.h"

enum { FD_DEBUG, OWN_FDS, DEBUG_PIECE = 512 };
#define RETRY_NS CLOCK_NS_PER_MS
#define PATIENCE_NS (30 * CLOCK_NS_PER_S) /* with a reader of debug text that takes nothing */

/* What has left the model but is not delivered yet; journalled, so that a power-off cannot get lost. */
struct shell_state {
	uint32_t event_type; /* enum platform_event_type */
	uint32_t event_code;
	uint32_t debug_len;
	uint8_t debug[DEBUG_PIECE];
};

static struct shell_state pending;
static int debug_fd = -1;
static uint64_t debug_bytes, debug_dropped;
static uint64_t stuck_ns; /* since when the reader takes nothing; 0: it does */

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	(void)rt;
	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	debug_fd = fds[FD_DEBUG];
	fds[FD_DEBUG] = -1;
	return fcntl(debug_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	pending.event_type = PLATFORM_NONE;
}

/* Once is enough: a guest that says it again and again shall not keep the supervisor busy. */
static int tell_ready(struct child *c)
{
	static bool told;
	int err = told ? 0 : child_event(c, BULKHEAD__EVENT_TYPE__EVENT_READY, 0, c->role, "the guest is ready");

	told = told || !err;
	return err;
}

/* 0, or -errno: it has not been told. */
static int deliver(struct runtime *rt, enum platform_event_type type, uint32_t code)
{
	struct child *c = &rt->child;

	switch (type) {
	case PLATFORM_NONE:
		return 0;
	case PLATFORM_POWEROFF:
		return child_event(c, BULKHEAD__EVENT_TYPE__EVENT_POWEROFF, 0, c->role, "the guest powered off");
	case PLATFORM_RESET:
		return child_event(c, BULKHEAD__EVENT_TYPE__EVENT_RESET, 0, c->role, "the guest asked for a reset");
	case PLATFORM_EXIT:
		return child_event(c, BULKHEAD__EVENT_TYPE__EVENT_EXIT, code, c->role, "the guest wrote to an exit port");
	case PLATFORM_PANIC:
		return child_event(c, BULKHEAD__EVENT_TYPE__EVENT_PANIC, 0, c->role, "the guest's kernel panicked");
	case PLATFORM_READY:
		return tell_ready(c);
	case PLATFORM_SLEEP:
		log_warning("the guest asked for a sleep state that this machine does not have");
		return 0;
	case PLATFORM_EVENT_TYPES:
		break;
	}
	return 0;
}

/* Whatever keeps an event from being told (no room, no memory for a moment): it stays, unless there is nobody to be told. */
static bool is_told(int err)
{
	return !err || err == -ENOTCONN;
}

/* True: nothing is left. */
static bool send_events(struct runtime *rt)
{
	for (unsigned i = 0; i < 8; i++) {
		if (pending.event_type == PLATFORM_NONE) {
			struct platform_event e = platform_model_take_event(rt->state);

			pending.event_type = e.type;
			pending.event_code = e.code;
		}
		if (pending.event_type == PLATFORM_NONE)
			return true;
		if (!is_told(deliver(rt, pending.event_type, pending.event_code)))
			return false;
		pending.event_type = PLATFORM_NONE;
		runtime_touch(rt);
	}
	return false;
}

/* After each request, so that the model always has room for the next one's. */
static void take_debug(struct runtime *rt, uint64_t now_ns)
{
	(void)now_ns;
	pending.debug_len += (uint32_t)platform_model_take_debug(rt->state, pending.debug + pending.debug_len,
								 DEBUG_PIECE - pending.debug_len);
}

/* Then the guest waits: the console's daemon is away, or slow. */
static bool is_full(const struct runtime *rt)
{
	(void)rt;
	return pending.debug_len > DEBUG_PIECE - RING_PAYLOAD;
}

/* The console's daemon may be hostile. Whoever has waited so long for it loses text, but not its reset and power-off. */
static void lose_debug(struct runtime *rt, uint64_t now_ns)
{
	if (!stuck_ns)
		stuck_ns = now_ns;
	if (!is_full(rt) || now_ns - stuck_ns < PATIENCE_NS)
		return;
	debug_dropped += pending.debug_len;
	log_warning("%llu bytes of debug text were lost: nobody has read any for %llu s", (unsigned long long)debug_dropped,
		    (unsigned long long)(PATIENCE_NS / CLOCK_NS_PER_S));
	pending.debug_len = 0;
	runtime_touch(rt);
}

/* True: nothing is left. */
static bool send_debug(struct runtime *rt, uint64_t now_ns)
{
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n;

		take_debug(rt, now_ns);
		if (pending.debug_len == 0)
			return true;
		n = write(debug_fd, pending.debug, pending.debug_len);
		if (n < 0 && errno == EAGAIN) {
			lose_debug(rt, now_ns);
			return false;
		}
		if (n <= 0)
			n = pending.debug_len; /* nobody reads it any more */
		stuck_ns = 0;
		runtime_touch(rt);
		debug_bytes += (uint64_t)n;
		pending.debug_len -= (uint32_t)n;
		memmove(pending.debug, pending.debug + n, pending.debug_len);
	}
	return false;
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	bool done = send_debug(rt, now_ns);

	done = send_events(rt) && done;
	return done ? UINT64_MAX : now_ns + RETRY_NS;
}

static bool has_news(struct runtime *rt)
{
	return pending.event_type != PLATFORM_NONE || platform_model_has_event(rt->state);
}

static bool has_output(struct runtime *rt)
{
	return pending.debug_len || has_news(rt);
}

static int power_button(struct runtime *rt)
{
	platform_model_power_button(rt->state);
	return 0;
}

static int validate(const void *state, const char **field)
{
	const struct shell_state *s = state;

	*field = "pending event";
	if (s->event_type >= PLATFORM_EVENT_TYPES || s->event_code > 0xff)
		return -EINVAL;
	*field = "pending debug text";
	return s->debug_len <= DEBUG_PIECE ? 0 : -EINVAL;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_console_bytes_out = s->has_console_bytes_dropped = true;
	s->console_bytes_out = debug_bytes;
	s->console_bytes_dropped = debug_dropped;
}

const struct daemon_shell platformd_shell = {
	.kind = KIND_PLATFORMD,
	.model = &platform_model,
	.shell_state = &pending,
	.shell_size = sizeof(pending),
	.shell_version = PLATFORMD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.validate = validate,
	.applied = take_debug,
	.is_full = is_full,
	.settle = settle,
	.has_output = has_output,
	.has_news = has_news,
	.power_button = power_button,
	.stats = stats,
};
