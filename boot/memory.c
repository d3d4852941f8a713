/* SPDX-License-Identifier: MIT */
/* The memory of another machine: see memory.h. */
#include "memory.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 4096, PIECE = 256 * PAGE };

static bool is_zero(const uint8_t *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

static int read_piece(int fd, uint8_t *to, size_t size, uint64_t at)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		done += (size_t)n;
	}
	return 0;
}

int memory_copy(int fd, uint8_t *ram, uint64_t bytes, void (*progress)(void))
{
	static uint8_t piece[PIECE];

	for (uint64_t at = 0; at < bytes; at += PIECE) {
		size_t size = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
		int err = read_piece(fd, piece, size, at);

		if (err)
			return err;
		for (size_t page = 0; page < size; page += PAGE)
			if (!is_zero(piece + page))
				memcpy(ram + at + page, piece + page, PAGE);
		progress();
	}
	return 0;
}
