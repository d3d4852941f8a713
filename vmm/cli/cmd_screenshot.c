/* SPDX-License-Identifier: MIT */
/* bulkhead screenshot: what a machine shows, as a PNG file. */
#include "cli.h"

#include "client.h"
#include "png.h"
#include "view.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_picture(FILE *out, const struct view_frame *frame)
{
	struct png png;
	int rc = png_begin(&png, out, frame->half.width, frame->half.height, false), end;

	if (!rc)
		rc = png_frame(&png, frame->pixels, 0);
	end = png_end(&png);
	return rc ? rc : end;
}

static int save(const char *file, const struct view_frame *frame)
{
	FILE *out = strcmp(file, "-") ? fopen(file, "we") : stdout;
	int rc = out ? write_picture(out, frame) : -errno;

	if (out && fflush(out) && !rc)
		rc = -errno;
	if (out && out != stdout)
		fclose(out);
	if (rc)
		fprintf(stderr, "bulkhead: %s: %s\n", file, strerror(-rc));
	return rc ? EXIT_FAILED : EXIT_OK;
}

int cmd_screenshot(int argc, char **argv)
{
	static struct view view;
	struct view_frame *frame;
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_SCREENSHOT, &args, argc, argv);

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (!rc)
		rc = view_open(&view, &ref, 0);
	if (rc)
		return rc;
	frame = view_allocate(sizeof(*frame));
	rc = frame ? view_latest(&view, frame) : 0;
	view_close(&view);
	if (rc)
		fprintf(stderr, "bulkhead: %s has shown nothing yet\n", ref.name);
	rc = rc || !frame ? EXIT_FAILED : save(args.words[1], frame);
	free(frame);
	return rc;
}
