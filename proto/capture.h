/* SPDX-License-Identifier: MIT */
/*
 * A device as a file, NAME.bhd: its committed state, the requests that it has not applied yet, and what it has to know of its
 * machine. `bulkhead device capture` makes one of a device that serves; the supervisor, of each that has died. The daemon itself
 * takes it with --replay, without machine and guest, and does again what it did then.
 *
 * It is a state (state.h) with these parts, all with the role and the instance of the device:
 *
 *   STATE_CAPTURE  struct capture_info
 *   STATE_RING     struct ring_image
 *   STATE_JOURNAL  struct journal_image, and what follows that; none if nothing was ever committed
 *   STATE_LINES    of the interrupt controllers' daemon: struct line_page, of each device that drives lines, with its role and
 *                  instance
 *
 * Who reads one believes nothing: it may come from anywhere. What lies behind the state's end is ignored.
 */
#ifndef BULKHEAD_PROTO_CAPTURE_H
#define BULKHEAD_PROTO_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

#include "journal.h"
#include "kind.h"
#include "line.h"
#include "ring.h"
#include "state.h"

enum {
	CAPTURE_VERSION_TEXT = 24,
	CAPTURE_REASON = 200,
	/* header, parts with their own headers, and what they are padded to */
	CAPTURE_MAX = 4096 + JOURNAL_IMAGE_MAX + (int)sizeof(struct ring_image) + DEVICES_MAX * (64 + (int)sizeof(struct line_page)),
};

struct capture_info {
	uint64_t ram_bytes;
	uint64_t time_ns;    /* the machine's clock when it was captured; of one that has died, then */
	int64_t rtc_offset_s;
	int64_t realtime_ns; /* CLOCK_REALTIME less the machine's clock */
	uint32_t vcpus;
	uint32_t incarnation;
	uint8_t no_vga;
	uint8_t has_died;
	uint8_t frame;
	uint8_t display; /* enum display_kind */
	uint16_t display_width, display_height;
	char version[CAPTURE_VERSION_TEXT]; /* of its program; all texts are terminated and printable */
	char reason[CAPTURE_REASON];	    /* how it died; empty: it has not */
};
_Static_assert(sizeof(struct capture_info) == 272, "capture");

/* To be filled from what the supervisor sees. */
struct capture_source {
	const struct kind_row *kind;
	unsigned instance;
	struct capture_info info;
	const struct ring_req *req;
	const struct ring_rsp *rsp;
	const struct journal_object *journal;
	const struct line_page *lines[DEVICES_MAX]; /* by number (kind.h); NULL: none */
};

/*
 * Bytes that were written to `out`, which has room for CAPTURE_MAX and begins at a multiple of 8; or
 *
 * -EPROTO  its ring contradicts itself
 * -EAGAIN  its journal is not whole: it may be being written
 */
int64_t capture_make(const struct capture_source *source, void *out);

/* What is in one; it points into that. */
struct capture_view {
	struct capture_info info;
	struct ring_image ring;
	const void *journal; /* NULL: none */
	uint32_t journal_bytes;
};

/* Is it one, of that kind? 0, or -EINVAL with *why. */
int capture_check(const void *file, size_t size, const struct kind_row *kind, struct capture_view *view, const char **why);
/* Lines of that device; NULL: none. */
const void *capture_lines(const void *file, const struct kind_row *kind, unsigned instance);

#endif
