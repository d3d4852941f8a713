/* SPDX-License-Identifier: MIT */
/* bulkhead input: types, moves and clicks in a machine. */
#include "cli.h"

#include "client.h"
#include "input.h"
#include "view.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MS = 10000 };

/*
 * Events are sent when there are enough of them, and before anything else is done. Those of a packet arrive together: a key that
 * is pressed at the end of one, and let go in the next, would begin to repeat if that one came late.
 */
struct typist {
	struct view keys, screen; /* the screen: once somebody waits for frames */
	bool sees;
	struct screen_event events[SCREEN_PACKET_EVENTS];
	unsigned count, whole; /* whole: so many, and nothing is held down */
	int down;
};

/* Sends the first `count`; the others stay. */
static int send_some(struct typist *t, unsigned count)
{
	int rc = count ? view_input(&t->keys, t->events, count) : 0;

	t->count -= count;
	t->whole = 0;
	memmove(t->events, t->events + count, t->count * sizeof(t->events[0]));
	return rc;
}

static int flush(struct typist *t)
{
	return send_some(t, t->count);
}

static int add_event(void *ctx, struct screen_event event)
{
	struct typist *t = ctx;

	t->events[t->count++] = event;
	if (event.type == SCREEN_EV_KEY)
		t->down += event.value ? 1 : -1;
	if (t->down <= 0)
		t->whole = t->count;
	return t->count == SCREEN_PACKET_EVENTS ? send_some(t, t->whole ? t->whole : t->count) : 0;
}

static int wait_a_while(void *ctx, uint32_t ms)
{
	int rc = flush(ctx);

	for (; !rc && ms > 1000; ms -= 1000)
		usleep(1000000);
	usleep(ms * 1000);
	return rc;
}

/* Those that begin now: the one that is shown was drawn without these events. */
static int watch(struct typist *t, uint32_t count)
{
	struct view_frame *frame = view_allocate(sizeof(*frame));
	const uint64_t until = atomic_load(&t->screen.picture->shown) + count;
	int rc = frame ? 0 : -ENOMEM;

	while (!rc && t->screen.seen < until)
		rc = view_next(&t->screen, FRAMES_MS, frame);
	free(frame);
	return rc;
}

static int await_frames(void *ctx, uint32_t count)
{
	struct typist *t = ctx;
	int rc = flush(t);

	if (!rc && !t->sees)
		rc = view_open(&t->screen, t->keys.ref, 0);
	if (rc > 0) /* that has been told */
		return rc;
	t->sees = !rc;
	return rc ? rc : watch(t, count);
}

static int complain(const char *name, int rc)
{
	if (rc == -ECONNRESET)
		fprintf(stderr, "bulkhead: %s has ended\n", name);
	else
		fprintf(stderr, "bulkhead: %s: %s\n", name,
			rc == -ETIMEDOUT ? "its guest takes no events, or shows no frames" : strerror(-rc));
	return rc == -ECONNRESET ? EXIT_NOT_FOUND : EXIT_TIMEOUT;
}

static int play(FILE *in, const char *file, const struct input_sink *sink, char *error)
{
	char line[INPUT_LINE_MAX], why[INPUT_ERROR_MAX];
	int rc = 0;

	for (unsigned n = 1; !rc && fgets(line, sizeof(line), in); n++) {
		rc = strlen(line) == sizeof(line) - 1 ? -EINVAL : input_line(line, sink, why);
		if (strlen(line) == sizeof(line) - 1)
			snprintf(why, sizeof(why), "the line is too long");
		if (rc == -EINVAL)
			snprintf(error, INPUT_ERROR_MAX, "%.60s:%u: %.90s", file, n, why);
	}
	return rc;
}

static int play_file(const char *file, const struct input_sink *sink, char *error)
{
	FILE *in = strcmp(file, "-") ? fopen(file, "re") : stdin;
	int rc;

	if (!in) {
		snprintf(error, INPUT_ERROR_MAX, "script %.100s: %s", file, strerror(errno));
		return -EINVAL;
	}
	rc = play(in, file, sink, error);
	if (!rc && ferror(in)) { /* a directory can be opened, and not read */
		snprintf(error, INPUT_ERROR_MAX, "script %.100s: %s", file, strerror(errno));
		rc = -EINVAL;
	}
	if (in != stdin)
		fclose(in);
	return rc;
}

int cmd_input(int argc, char **argv)
{
	static struct typist t;
	const struct input_sink sink = { &t, add_event, wait_a_while, await_frames };
	char error[INPUT_ERROR_MAX];
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_INPUT, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (!rc)
		rc = view_open_input(&t.keys, &ref);
	if (rc)
		return rc;
	if (!strcmp(args.words[1], "script") && args.count == 3)
		rc = play_file(args.words[2], &sink, error);
	else
		rc = input_words((char *const *)args.words + 1, args.count - 1, &sink, error);
	if (rc == -EINVAL) {
		fprintf(stderr, "bulkhead: %s\n", error);
		return EXIT_USAGE;
	}
	if (!rc)
		rc = flush(&t);
	view_close(&t.keys);
	if (t.sees)
		view_close(&t.screen);
	return rc > 0 ? rc : rc ? complain(ref.name, rc) : EXIT_OK;
}
