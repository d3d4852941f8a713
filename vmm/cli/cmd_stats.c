/* SPDX-License-Identifier: MIT */
/* bulkhead stats, top: what machines count, since their start and as it goes on. */
#include "cli.h"

#include "client.h"
#include "output.h"
#include "picture.h"
#include "sample_json.h"
#include "terminal.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 2000, MACHINES_MAX = 64 };

/* 0, or as client_call(): -ENOTSUP: its supervisor is older. */
static int take(const char *dir, struct sample *s)
{
	int rc = client_call(dir, BULKHEAD__MESSAGE_TYPE__MSG_COUNTERS, NULL, -1, ANSWER_MS, &client_frame);
	const Bulkhead__Ok *ok = (const Bulkhead__Ok *)client_frame.msg;

	if (rc)
		return rc;
	if (!ok->status || !ok->counters)
		return -EPROTO;
	sample_take(s, ok->status, ok->counters);
	usage_read(client_keeper_pid(dir), true, &s->usage);
	return 0;
}

int cmd_stats(int argc, char **argv)
{
	static struct sample s;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_STATS, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	rc = take(ref.path, &s);
	if (rc)
		return client_complain(ref.name, &client_frame, rc);
	if (args.json)
		return output_json(sample_json(&s));
	picture_counts(stdout, &s, picture_has_color(stdout));
	return EXIT_OK;
}

/* ---- top ------------------------------------------------------------------------------------------------------- */

/* The samples of two rounds: those of the latest, and those before. */
struct top {
	const char *only; /* a machine's name; NULL: all */
	bool json, once, terminal;
	struct sample of[2][MACHINES_MAX];
	unsigned count[2], now;
};

static const struct sample *find_before(const struct top *t, const char *name)
{
	unsigned before = !t->now;

	for (unsigned n = 0; n < t->count[before]; n++)
		if (!strcmp(t->of[before][n].name, name))
			return &t->of[before][n];
	return NULL;
}

static void look(void *ctx, const char *name, const char *path)
{
	struct top *t = ctx;

	if ((t->only && strcmp(t->only, name)) || t->count[t->now] == MACHINES_MAX)
		return;
	t->count[t->now] += !take(path, &t->of[t->now][t->count[t->now]]);
}

static void look_at_all(struct top *t, const struct machine_ref *ref)
{
	t->now = !t->now;
	t->count[t->now] = 0;
	if (t->only)
		look(t, ref->name, ref->path);
	else
		rundir_each(NULL, look, t);
}

static const struct sample *difference_of(const struct top *t, unsigned n)
{
	static struct sample difference;
	const struct sample *s = &t->of[t->now][n];

	sample_subtract(s, find_before(t, s->name), &difference);
	return &difference;
}

static void show(const struct top *t, FILE *out, bool color)
{
	if (!t->only)
		picture_head(out);
	for (unsigned n = 0; n < t->count[t->now]; n++)
		if (t->only)
			picture_machine(out, difference_of(t, n), color);
		else
			picture_line(out, difference_of(t, n), color);
}

/* One picture takes the other's place: home, each line to its end, and what is below. */
static void show_on_terminal(const struct top *t)
{
	char *text = NULL, *line, *rest;
	size_t len;
	FILE *memory = open_memstream(&text, &len);

	if (!memory)
		return;
	show(t, memory, picture_has_color(stdout));
	fclose(memory);
	fputs("\033[H", stdout);
	for (rest = text; (line = strsep(&rest, "\n")) && rest;)
		printf("%s\033[K\r\n", line);
	fputs("\033[Kq or Ctrl-C: leave\033[J", stdout);
	free(text);
}

/* One machine is an object, all of them a list; in a stream each is a line. */
static void show_json(const struct top *t)
{
	json_t *list = json_array();

	for (unsigned n = 0; n < t->count[t->now]; n++) {
		json_t *j = sample_rates_json(difference_of(t, n));

		json_array_append(list, j);
		if (!t->once && !json_dumpf(j, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6)))
			printf("\n");
		json_decref(j);
	}
	if (t->once && t->only)
		output_json(json_incref(json_array_get(list, 0)));
	else if (t->once)
		output_json(json_incref(list));
	json_decref(list);
}

/* False: the user has seen enough. Ctrl-C is a byte, for the terminal is raw. */
static bool wait_for_key(const struct top *t, uint32_t ms)
{
	struct pollfd p = { .fd = t->terminal ? STDIN_FILENO : -1, .events = POLLIN };
	char key = 0;

	if (poll(&p, 1, ms < INT32_MAX ? (int)ms : INT32_MAX) <= 0)
		return true;
	return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != 3 && key != 4;
}

static void show_round(const struct top *t, bool first)
{
	if (t->json)
		show_json(t);
	else if (t->terminal)
		show_on_terminal(t);
	else {
		if (!first)
			printf("\n");
		show(t, stdout, picture_has_color(stdout));
	}
	fflush(stdout);
}

/* Until the machine that was named has ended, somebody has seen enough, or nobody takes what is written. */
static int top(struct top *t, const struct machine_ref *ref, uint32_t interval_ms)
{
	bool first = true, there;

	do {
		look_at_all(t, ref);
		there = !t->only || t->count[t->now];
		if (!there && first)
			return client_complain(ref->name, &client_frame, -ECONNRESET);
		if (there)
			show_round(t, first);
		first = false;
	} while (there && !t->once && !ferror(stdout) && wait_for_key(t, interval_ms));
	return EXIT_OK;
}

static int top_on_terminal(struct top *t, const struct machine_ref *ref, uint32_t interval_ms)
{
	int rc;

	t->terminal = !terminal_raw();
	fputs("\033[?1049h\033[?25l", stdout);
	rc = top(t, ref, interval_ms);
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	terminal_restore();
	return rc;
}

int cmd_top(int argc, char **argv)
{
	struct top *t = calloc(1, sizeof(*t)); /* until the program ends */
	struct machine_ref ref = { 0 };
	struct cli_args args;
	int rc = cli_parse(COMMAND_TOP, &args, argc, argv);

	if (!rc && args.count)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	if (!t)
		return EXIT_INTERNAL;
	t->only = args.count ? ref.name : NULL;
	t->json = args.json;
	t->once = args.once;
	if (!t->json && !t->once && isatty(STDOUT_FILENO) && terminal_is_ours())
		return top_on_terminal(t, &ref, args.interval_ms);
	return top(t, &ref, args.interval_ms);
}
