/* SPDX-License-Identifier: MIT */
/* bulkhead screen: the characters that a machine's text screen shows, now or when some text is there. */
#include "cli.h"

#include "cells.h"
#include "client.h"
#include "view.h"
#include "../common/exit_codes.h"

#include "../../proto/clock.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 30000 };

struct look {
	struct view view;
	struct view_frame *frame;
	char *text; /* of the latest frame */
};

/* 0; -ENOTSUP: there are pixels and no text. */
static int read_text(struct look *l)
{
	const struct picture_half *half = &l->frame->half;

	free(l->text);
	l->text = half->columns ? malloc(cells_room(half->columns, half->lines)) : NULL;
	if (!half->columns)
		return -ENOTSUP;
	if (!l->text)
		return -ENOMEM;
	cells_text(l->frame->cells, half->columns, half->lines, l->text);
	return 0;
}

static bool matches(const char *text, const char *pattern)
{
	regex_t regex;
	bool found;

	if (regcomp(&regex, text ? pattern : "", REG_EXTENDED | REG_NEWLINE | REG_NOSUB))
		return false;
	found = text && !regexec(&regex, text, 0, NULL, 0);
	regfree(&regex);
	return found;
}

/* A guest that has not come to its text yet may show pixels meanwhile, and the other way round. */
static int await(struct look *l, const char *pattern, uint64_t until_ns)
{
	int rc = read_text(l);

	while (!matches(l->text, pattern)) {
		const uint64_t now_ns = clock_ns();

		if (now_ns >= until_ns)
			return rc == -ENOTSUP ? rc : -ETIMEDOUT;
		rc = view_next(&l->view, (int)((until_ns - now_ns) / CLOCK_NS_PER_MS) + 1, l->frame);
		if (rc == -ECONNRESET)
			return rc;
		if (!rc)
			rc = read_text(l);
	}
	return 0;
}

/* Each waits as long as it may. */
static int look(struct look *l, const struct cli_args *args)
{
	const uint64_t patience_ns = (args->timeout_ms ? args->timeout_ms : PATIENCE_MS) * CLOCK_NS_PER_MS;
	int rc = view_latest(&l->view, l->frame);

	if (!rc && !args->steps.count)
		return read_text(l);
	for (unsigned i = 0; !rc && i < args->steps.count; i++)
		rc = await(l, args->steps.of[i].text, clock_ns() + patience_ns);
	return rc;
}

static int complain(const char *name, int rc)
{
	switch (rc) {
	case 0:
		return EXIT_OK;
	case -ETIMEDOUT:
		fprintf(stderr, "bulkhead: %s does not show what was waited for\n", name);
		return EXIT_TIMEOUT;
	case -ENOTSUP:
		fprintf(stderr, "bulkhead: %s shows pixels and no text; try: bulkhead screenshot %s FILE.png\n", name, name);
		return EXIT_FAILED;
	case -EAGAIN:
		fprintf(stderr, "bulkhead: %s has shown nothing yet\n", name);
		return EXIT_FAILED;
	case -ECONNRESET:
		fprintf(stderr, "bulkhead: %s has ended\n", name);
		return EXIT_NOT_FOUND;
	default:
		fprintf(stderr, "bulkhead: %s: %s\n", name, strerror(-rc));
		return EXIT_FAILED;
	}
}

int cmd_screen(int argc, char **argv)
{
	static struct look l;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_SCREEN, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (!rc)
		rc = view_open(&l.view, &ref, 0);
	if (rc)
		return rc;
	l.frame = view_allocate(sizeof(*l.frame));
	rc = l.frame ? look(&l, &args) : -ENOMEM;
	view_close(&l.view);
	if (l.text)
		fputs(l.text, stdout);
	free(l.frame);
	free(l.text);
	return complain(ref.name, rc);
}
