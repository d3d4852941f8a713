/* SPDX-License-Identifier: MIT */
/* An animation in a file, of the kind that its name says: .png (APNG), .gif, .webm (by ffmpeg, which has to be there). */
#ifndef BULKHEAD_VMM_FILM_H
#define BULKHEAD_VMM_FILM_H

#include "gif.h"
#include "png.h"

#include "../../proto/layout.h"

#include <sys/types.h>

enum film_kind { FILM_PNG, FILM_GIF, FILM_WEBM };

struct film {
	enum film_kind kind;
	FILE *out;
	const char *name;
	union {
		struct png png;
		struct gif gif;
	};
	pid_t ffmpeg;
	uint32_t rate; /* frames a second; 0: as they came */
	uint32_t frames;
	uint64_t time_ns; /* of the latest frame, which is written when the next one says how long it was seen */
	uint32_t pixels[LAYOUT_FRAME_WIDTH * LAYOUT_FRAME_HEIGHT];
};

/* Opens it. 0, or an exit code; what is wrong has been told. */
int film_begin(struct film *f, const char *name, uint32_t rate);
/* 0 or -errno */
int film_frame(struct film *f, const uint32_t *pixels, uint64_t time_ns);
/* 0 or -errno; -ENODATA: there was no frame, and there is no file. */
int film_end(struct film *f);

#endif
