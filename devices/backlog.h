/* SPDX-License-Identifier: MIT */
/*
 * The BACKLOG object: the last 256 KiB of console output, owned by the supervisor so that it outlives seriald. It is
 * history and queue in one: each console client is a cursor in it, so a slow reader costs no memory and never holds
 * the guest; when it falls behind further than the history, it is told how much it has missed.
 */
#ifndef BULKHEAD_DEVICES_BACKLOG_H
#define BULKHEAD_DEVICES_BACKLOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { BACKLOG_BYTES = 256 * 1024 };
#define BACKLOG_MAGIC 0x4b4c4842u /* "BHLK" */

/*
 * Where a terminal's input lands before it is in the journal (console_tty.c): it is filled with a pattern first, so that whoever comes
 * after a death between reading and committing sees how far the kernel got.
 */
enum { BACKLOG_LANDING = 256 };
struct backlog_landing {
	_Atomic uint32_t number; /* which piece it is, stored behind the pattern; 0: none */
	uint32_t reserved;
	uint8_t bytes[BACKLOG_LANDING];
};

/* Writer: seriald. Reader: seriald, supervisor. */
struct backlog {
	uint32_t magic;
	uint32_t bytes;		  /* BACKLOG_BYTES */
	_Atomic uint64_t written; /* bytes ever written; stored (release) after the data */
	uint64_t pad[6];
	uint8_t data[BACKLOG_BYTES];
	struct backlog_landing landing;
};
_Static_assert(offsetof(struct backlog, written) == 8 && offsetof(struct backlog, data) == 64, "BACKLOG");

/* A new object, or one with a damaged header, starts empty; else the history goes on. */
void backlog_open(struct backlog *b);
void backlog_append(struct backlog *b, const uint8_t *buf, size_t len);
/* Where the oldest byte stands. */
uint64_t backlog_start(const struct backlog *b);
/* The contiguous bytes at *cursor, which is moved to the oldest byte if it fell out of the history; *skipped says by how
 * much. 0: nothing new. */
size_t backlog_peek(const struct backlog *b, uint64_t *cursor, const uint8_t **chunk, uint64_t *skipped);

/* The history while nobody writes, for the state of a machine; its bytes follow, the oldest first. */
struct backlog_image {
	uint64_t written;
	uint64_t bytes;
};
enum { BACKLOG_IMAGE_MAX = sizeof(struct backlog_image) + BACKLOG_BYTES };

/* Returns how many bytes were written to `out`, which has room for BACKLOG_IMAGE_MAX. */
size_t backlog_save(const struct backlog *b, void *out);
/* Into a new object. -EINVAL: no history can be like that. */
int backlog_restore(struct backlog *b, const void *image, size_t bytes);

#endif
