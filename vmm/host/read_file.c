/* SPDX-License-Identifier: MIT */
/* Small files of /proc and /sys: read.h. */
#include "read.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void host_read_line(const char *path, char *out, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd >= 0 ? read(fd, out, size - 1) : -1;

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\n")] = 0;
}

uint64_t host_read_number(const char *path, uint64_t otherwise)
{
	char text[32], *end;
	uint64_t n;

	host_read_line(path, text, sizeof(text));
	n = strtoull(text, &end, 10);
	return end == text ? otherwise : n;
}
