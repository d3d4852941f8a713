/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-platformd: ACPI power management, reset, i8042, exit and debug ports, PCI configuration stub. What the guest
 * asks of the machine becomes an event to the supervisor; debug text goes to seriald through a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/clock.h"
#include "proto/log.h"
#include "daemons.h"
#include "runtime.h"

enum { FD_DEBUG, OWN_FDS, DEBUG_PIECE = 512 };
#define RETRY_NS (5 * CLOCK_NS_PER_MS)

/* What has left the model but is not delivered yet; journalled, so that a power-off cannot get lost. */
struct shell_state {
	uint32_t event_type; /* enum platform_event_type */
	uint32_t event_code;
	uint32_t debug_len;
	uint8_t debug[DEBUG_PIECE];
};

static struct shell_state pending;
static int debug_fd = -1;
static uint64_t debug_bytes;

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
	case PLATFORM_SLEEP:
		log_warning("the guest asked for a sleep state that this machine does not have");
		return 0;
	}
	return 0;
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
		if (deliver(rt, pending.event_type, pending.event_code) == -EAGAIN)
			return false;
		pending.event_type = PLATFORM_NONE;
		runtime_touch(rt);
	}
	return false;
}

/* A pipe that nobody empties holds 64 KiB; then text waits here and in the model, and the model drops what is more. */
static bool send_debug(struct runtime *rt)
{
	for (unsigned i = 0; i < 8; i++) {
		ssize_t n;

		if (pending.debug_len == 0)
			pending.debug_len = (uint32_t)platform_model_take_debug(rt->state, pending.debug, DEBUG_PIECE);
		if (pending.debug_len == 0)
			return true;
		runtime_touch(rt);
		n = write(debug_fd, pending.debug, pending.debug_len);
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0)
			n = pending.debug_len; /* nobody reads it any more */
		debug_bytes += (uint64_t)n;
		pending.debug_len -= (uint32_t)n;
		memmove(pending.debug, pending.debug + n, pending.debug_len);
	}
	return false;
}

static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	bool done = send_debug(rt);

	done = send_events(rt) && done;
	return done ? UINT64_MAX : now_ns + RETRY_NS;
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
	if (s->event_type > PLATFORM_SLEEP || s->event_code > 0xff)
		return -EINVAL;
	*field = "pending debug text";
	return s->debug_len <= DEBUG_PIECE ? 0 : -EINVAL;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_console_bytes_out = true;
	s->console_bytes_out = debug_bytes;
}

const struct daemon_shell platformd_shell = {
	.kind = KIND_PLATFORMD,
	.model = &platform_model,
	.shell_state = &pending,
	.shell_size = sizeof(pending),
	.shell_version = 1,
	.start = start,
	.reset = reset,
	.validate = validate,
	.settle = settle,
	.power_button = power_button,
	.stats = stats,
};
