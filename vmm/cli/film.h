/* SPDX-License-Identifier: MIT */
/* An animation in a file, of the kind that its name says: .png (APNG), .gif, .webm (by ffmpeg, which has to be there). */
#ifndef BULKHEAD_VMM_FILM_H
#define BULKHEAD_VMM_FILM_H

#include "gif.h"
#include "png.h"

#include "view.h"

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
	uint32_t width, height; /* of the whole film */
	uint32_t pixels[PICTURE_PIXELS];
};

/* Opens it, of pictures of this size, at most PICTURE_PIXELS. 0, or an exit code; what is wrong has been told. */
int film_begin(struct film *f, const char *name, uint32_t rate, uint32_t width, uint32_t height);
/* A frame of another size is cut off, or has a black border. 0 or -errno */
int film_frame(struct film *f, const struct view_frame *frame);
/* 0 or -errno; -ENODATA: there was no frame, and there is no file. */
int film_end(struct film *f);

#endif
