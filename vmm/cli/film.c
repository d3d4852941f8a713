/* SPDX-License-Identifier: MIT */
/* An animation in a file: film.h. */
#include "film.h"

#include "../common/exit_codes.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LAST_MS = 20, WEBM_RATE = 60, FFMPEG_MISSING = 127 };

/* ---- ffmpeg ---------------------------------------------------------------------------------------------------- */

/* As fast as frames come, on most hosts: a guest whose each frame is wanted is held for five seconds at most. */
static _Noreturn void exec_ffmpeg(int from, const struct film *f)
{
	char size[32], frames[16];

	snprintf(size, sizeof(size), "%ux%u", f->width, f->height);
	snprintf(frames, sizeof(frames), "%u", f->rate);
	dup2(from, STDIN_FILENO);
	execlp("ffmpeg", "ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pixel_format", "bgr0", "-video_size", size,
	       "-framerate", frames, "-i", "-", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "6", "-crf", "24",
	       "-b:v", "0", "-pix_fmt", "yuv420p", f->name, (char *)NULL);
	_exit(FFMPEG_MISSING);
}

/* In a video each frame lasts as long as any other. */
static int start_ffmpeg(struct film *f)
{
	int ends[2];

	f->rate = f->rate ? f->rate : WEBM_RATE;
	if (pipe(ends) < 0)
		return -errno;
	f->ffmpeg = fork();
	if (f->ffmpeg == 0) {
		close(ends[1]);
		exec_ffmpeg(ends[0], f);
	}
	close(ends[0]);
	f->out = f->ffmpeg < 0 ? NULL : fdopen(ends[1], "w");
	return f->out ? 0 : -errno;
}

static int await_ffmpeg(struct film *f)
{
	int status = 0;

	while (waitpid(f->ffmpeg, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == FFMPEG_MISSING)
		fprintf(stderr,
			"bulkhead: %s: videos are made by ffmpeg, which is not there: install it, or record a .png or .gif\n",
			f->name);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPIPE;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static int kind_of(const char *name, enum film_kind *out)
{
	static const char *const endings[] = { [FILM_PNG] = ".png", [FILM_GIF] = ".gif", [FILM_WEBM] = ".webm" };
	const char *dot = strrchr(name, '.');

	for (unsigned i = 0; dot && i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (strcmp(dot, endings[i]) == 0) {
			*out = (enum film_kind)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int begin(struct film *f)
{
	if (f->kind == FILM_WEBM)
		return start_ffmpeg(f);
	f->out = fopen(f->name, "we");
	if (!f->out)
		return -errno;
	return f->kind == FILM_PNG ? png_begin(&f->png, f->out, f->width, f->height, true)
				   : gif_begin(&f->gif, f->out, f->width, f->height);
}

int film_begin(struct film *f, const char *name, uint32_t rate, uint32_t width, uint32_t height)
{
	int rc;

	memset(f, 0, offsetof(struct film, pixels));
	f->name = name;
	f->rate = rate;
	f->width = width;
	f->height = height;
	if (kind_of(name, &f->kind)) {
		fprintf(stderr, "bulkhead: %s: what kind of film? Its name ends with .png, .gif or .webm\n", name);
		return EXIT_USAGE;
	}
	rc = begin(f);
	if (!rc)
		return 0;
	fprintf(stderr, "bulkhead: %s: %s\n", name, strerror(-rc));
	return EXIT_USAGE;
}

static int put(struct film *f, uint32_t delay_ms)
{
	switch (f->kind) {
	case FILM_PNG:
		return png_frame(&f->png, f->pixels, delay_ms);
	case FILM_GIF:
		return gif_frame(&f->gif, f->pixels, delay_ms);
	case FILM_WEBM:
		break;
	}
	return fwrite(f->pixels, sizeof(f->pixels[0]) * f->width * f->height, 1, f->out) == 1 ? 0 : -EPIPE;
}

static uint32_t delay_of(const struct film *f, uint64_t until_ns)
{
	return f->rate ? 1000 / f->rate : (uint32_t)((until_ns - f->time_ns + 500000) / 1000000);
}

static void keep(struct film *f, const struct view_frame *frame)
{
	const uint32_t width = frame->half.width < f->width ? frame->half.width : f->width;

	for (uint32_t y = 0; y < f->height; y++) {
		uint32_t *row = f->pixels + (size_t)y * f->width, has = y < frame->half.height ? width : 0;

		memcpy(row, frame->pixels + (size_t)y * frame->half.width, has * sizeof(*row));
		memset(row + has, 0, (f->width - has) * sizeof(*row));
	}
}

int film_frame(struct film *f, const struct view_frame *frame)
{
	int rc = f->frames ? put(f, delay_of(f, frame->half.time_ns)) : 0;

	keep(f, frame);
	f->time_ns = frame->half.time_ns;
	f->frames++;
	return rc;
}

static int end(struct film *f)
{
	switch (f->kind) {
	case FILM_PNG:
		return png_end(&f->png);
	case FILM_GIF:
		return gif_end(&f->gif);
	case FILM_WEBM:
		break;
	}
	return 0;
}

static int finish(struct film *f)
{
	int rc = f->frames ? put(f, f->rate ? 1000 / f->rate : LAST_MS) : -ENODATA, ended = end(f);

	rc = rc ? rc : ended;
	if (f->out && fclose(f->out) && !rc)
		rc = -errno;
	if (f->ffmpeg > 0) {
		ended = await_ffmpeg(f);
		rc = rc == -EPIPE || !rc ? ended : rc;
	}
	return rc;
}

int film_end(struct film *f)
{
	int rc = finish(f);

	if (rc == -ENODATA)
		unlink(f->name);
	return rc;
}
