/* SPDX-License-Identifier: MIT */
/* What the supervisor says: see tell.h. */
#include "tell.h"
#include "vm.h"

#include "../common/say.h"

#include "../../proto/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Lines per window that children may cause: a daemon gone mad must not fill the host's log. */
enum { LOG_LINES = 200 };
#define LOG_WINDOW 10000000000ull

static void promise_to_catch_up(struct vm *vm);

static void on_log_room(evutil_socket_t fd, short what, void *ctx)
{
	say_catch_up();
	promise_to_catch_up(ctx);
}

/* Whether there is room for what could not be said is asked until there is. */
static void promise_to_catch_up(struct vm *vm)
{
	if (!say_is_behind() || !vm->base)
		return;
	if (!vm->on_log_room)
		vm->on_log_room = event_new(vm->base, STDERR_FILENO, EV_WRITE, on_log_room, vm);
	if (vm->on_log_room)
		event_add(vm->on_log_room, NULL);
}

void vm_say(struct vm *vm, int level, const char *fmt, ...)
{
	char text[SAY_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	say_at(level, "%s", text);
	promise_to_catch_up(vm);
}

static bool may_log(struct vm *vm)
{
	static uint64_t window;
	static unsigned lines;
	uint64_t now = clock_ns();

	if (now - window > LOG_WINDOW) {
		if (lines > LOG_LINES)
			vm_say(vm, 1, "bulkhead: %u lines suppressed", lines - LOG_LINES);
		window = now;
		lines = 0;
	}
	return ++lines <= LOG_LINES;
}

void vm_log(struct vm *vm, int level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	if ((level > 1 && !vm->config->verbose) || !may_log(vm))
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	vm_say(vm, level, "bulkhead: %s: %s", vm->config->name, line);
}

void vm_trace(struct vm *vm, const char *fmt, ...)
{
	char line[200];
	va_list ap;

	if (!vm->launch->trace)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	vm_say(vm, 3, "bulkhead: %s: %8.3f ms  %s", vm->config->name, (double)(clock_ns() - vm->launch->started_ns) / 1e6, line);
}

void vm_note_missing(struct vm *vm, const char *phrase)
{
	for (unsigned i = 0; i < vm->missing.count; i++)
		if (!strncmp(vm->missing.missing[i], phrase, SANDBOX_MISSING_LEN - 1))
			return;
	sandbox_report_add(&vm->missing, "%s", phrase);
}

void vm_tell_keeper(struct vm *vm, enum note_kind kind, uint32_t code, const char *text)
{
	struct keeper_note note = { .kind = (uint8_t)kind, .code = (uint8_t)code };

	snprintf(note.text, sizeof(note.text), "%.*s", (int)sizeof(note.text) - 1, text);
	note_send(vm->launch->keeper_fd, &note, -1);
}
