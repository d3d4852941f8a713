/* SPDX-License-Identifier: MIT */
/* Machines that have ended: ended.h. */
#include "ended.h"

#include "../common/ended.h"
#include "../common/exit_codes.h"

#include "../../proto/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TEXTS = 4, TEXT_MAX = 2400 };

/* It says "running" from the start. If that is so of a machine that does not live, nobody was left to say more. */
static bool is_lost(const json_t *record)
{
	const char *state = json_string_value(json_object_get(record, "state"));

	return !state || strcmp(state, "ended");
}

static void say_lost(json_t *record)
{
	json_object_set_new(record, "state", json_string("ended"));
	json_object_set_new(record, "reason", json_string("lost"));
	json_object_set_new(record, "text", json_string("its keeper was killed before it could say how it ended"));
	json_object_set_new(record, "exit_code", json_integer(EXIT_VMM));
	json_object_set_new(record, "guest_code", json_null());
}

json_t *ended_load(const struct machine_ref *ref)
{
	int fd = ended_open(ref->path);
	json_t *record;

	if (fd < 0)
		return NULL;
	record = json_loadfd(fd, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
	close(fd);
	if (!json_is_object(record)) {
		json_decref(record);
		record = json_object();
	}
	json_object_set_new(record, "name", json_string(ref->name));
	if (is_lost(record))
		say_lost(record);
	return record;
}

static const char *clean(const json_t *record, const char *key, enum text_lines lines)
{
	static char out[TEXTS][TEXT_MAX];
	static unsigned next;
	char *text = out[next++ % TEXTS];
	const char *s = json_string_value(json_object_get(record, key));

	snprintf(text, TEXT_MAX, "%s", s ? s : "");
	text_clean(text, lines);
	return text;
}

const char *ended_text(const json_t *record, const char *key)
{
	return clean(record, key, TEXT_ONE_LINE);
}

int ended_code(const json_t *record)
{
	const json_t *code = json_object_get(record, "exit_code");

	return json_is_integer(code) ? (int)(json_integer_value(code) & 0xff) : EXIT_VMM;
}

void ended_tell(const json_t *record)
{
	const char *text = clean(record, "text", TEXT_REGISTERS);

	fprintf(stderr, "%s: %s%s%s\n", ended_text(record, "name"), ended_text(record, "reason"), *text ? ": " : "", text);
}

static double seconds(const json_t *record, const char *key)
{
	return (double)json_integer_value(json_object_get(record, key)) / 1e9;
}

static void print_time(const char *what, const json_t *record, const char *key)
{
	time_t at = (time_t)seconds(record, key);
	char when[64] = "?";
	struct tm tm;

	if (at && localtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("  %-9s %s\n", what, when);
}

static void print_devices(const json_t *record)
{
	json_t *d;
	size_t i;

	json_array_foreach(json_object_get(record, "devices"), i, d)
	{
		json_int_t deaths = json_integer_value(json_object_get(d, "deaths"));

		if (deaths)
			printf("  %s died %lld times%s; the latest: %s\n", ended_text(d, "name"), deaths,
			       json_is_true(json_object_get(d, "given_up")) ? " and was given up" : "",
			       ended_text(d, "last_reason"));
	}
}

static void print_captures(const json_t *record)
{
	json_t *path;
	size_t i;

	json_array_foreach(json_object_get(record, "captures"), i, path)
	{
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), "%s", json_string_value(path) ? json_string_value(path) : "?");
		text_clean(text, TEXT_ONE_LINE);
		printf("  what it was then: %s\n", text);
	}
}

void ended_print(const json_t *record)
{
	const json_t *guest = json_object_get(record, "guest_code");

	printf("%s: ended\n  reason    %s\n", ended_text(record, "name"), ended_text(record, "reason"));
	if (*ended_text(record, "text"))
		printf("  text      %s\n", clean(record, "text", TEXT_REGISTERS));
	printf("  exit code %d\n", ended_code(record));
	if (json_is_integer(guest))
		printf("  guest's   %lld\n", json_integer_value(guest));
	print_time("started", record, "started_ns");
	print_time("ended", record, "ended_ns");
	printf("  uptime    %.1f s\n", seconds(record, "uptime_ns"));
	print_devices(record);
	print_captures(record);
}

json_t *ended_summary(const json_t *record)
{
	static const char *const long_ones[] = { "console", "log", "registers" };
	json_t *j = json_copy((json_t *)record);

	for (unsigned i = 0; i < sizeof(long_ones) / sizeof(long_ones[0]); i++)
		json_object_del(j, long_ones[i]);
	return j;
}

struct visitor {
	void (*visit)(void *ctx, const json_t *record);
	void *ctx;
};

static void look_at(void *ctx, const char *name, const char *path)
{
	const struct visitor *v = ctx;
	struct machine_ref ref = { .name = name };
	json_t *record;

	snprintf(ref.path, sizeof(ref.path), "%s", path);
	record = rundir_is_alive(path) ? NULL : ended_load(&ref);
	if (record)
		v->visit(v->ctx, record);
	json_decref(record);
}

void ended_records(void (*visit)(void *ctx, const json_t *record), void *ctx)
{
	struct visitor v = { visit, ctx };
	char base[RUNDIR_PATH_MAX];

	if (!rundir_base(NULL, base))
		ended_each(base, look_at, &v);
}
