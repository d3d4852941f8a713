/* SPDX-License-Identifier: MIT */
/* bulkhead record: each frame that a machine shows, as an animation. The guest waits until a frame is taken; none is missing. */
#include "cli.h"

#include "client.h"
#include "film.h"
#include "view.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void on_signal(int sig)
{
	(void)sig;
	stopped = 1;
}

/* What was recorded until somebody pressed ^C is a film as well. */
static void catch_signals(void)
{
	const struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* 0: as many as were wanted, or there are no more; -errno of the film. */
static int record(struct view *view, struct film *film, struct view_frame *frame, uint32_t most)
{
	int rc = 0, film_rc = 0;

	view->seen = atomic_load(&view->picture->shown); /* what was there before is not of this film */
	for (uint32_t n = 0; !rc && !film_rc && !stopped && (!most || n < most); n++) {
		rc = view_next(view, -1, frame);
		if (!rc)
			film_rc = film_frame(film, frame);
	}
	return film_rc;
}

/* A machine's frames into a file. */
static int shoot(const struct machine_ref *ref, struct film *film, struct view_frame *frame, const struct cli_args *args)
{
	const char *file = args->words[1];
	static struct view view;
	uint32_t width, height;
	int rc, end;

	catch_signals();
	rc = view_open(&view, ref, SCREEN_STRICT);
	if (rc)
		return rc;
	view_size(&view, &width, &height);
	rc = film_begin(film, file, args->rate, width, height); /* a file that is there is overwritten, so that it comes last */
	if (rc) {
		view_close(&view);
		return rc;
	}
	rc = record(&view, film, frame, args->frames);
	view_close(&view);
	end = film_end(film);
	if (rc || end) {
		fprintf(stderr, "bulkhead: %s: %s\n", file,
			(rc ? rc : end) == -ENODATA ? "no frame was shown" : strerror(rc ? -rc : -end));
		return EXIT_FAILED;
	}
	printf("%s: %u frames\n", file, film->frames);
	return EXIT_OK;
}

int cmd_record(int argc, char **argv)
{
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_RECORD, &args, argc, argv);
	struct view_frame *frame;
	struct film *film;

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	film = view_allocate(sizeof(*film));
	frame = view_allocate(sizeof(*frame));
	rc = film && frame ? shoot(&ref, film, frame, &args) : EXIT_FAILED;
	free(frame);
	free(film);
	return rc;
}
