/* SPDX-License-Identifier: MIT */
/* A console's log: console_log.h. */
#include "console_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int console_log_open(struct console_log *log, const char *path, uint64_t limit, unsigned older)
{
	struct stat st;

	*log = (struct console_log){ .path = path, .limit = limit, .older = older };
	log->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (log->fd < 0 || fstat(log->fd, &st) < 0)
		return -errno;
	log->may_rotate = S_ISREG(st.st_mode);
	log->bytes = log->may_rotate ? (uint64_t)st.st_size : 0;
	return 0;
}

/* PATH.N; N 0: PATH itself. */
static char *name_of(const struct console_log *log, unsigned n)
{
	char *name = NULL;

	if (asprintf(&name, n ? "%s.%u" : "%s", log->path, n) < 0)
		return NULL;
	return name;
}

static int move(const struct console_log *log, unsigned from)
{
	char *old = name_of(log, from), *new = name_of(log, from + 1);
	int rc = !old || !new ? -ENOMEM : rename(old, new) < 0 && errno != ENOENT ? -errno : 0;

	free(old);
	free(new);
	return rc;
}

static int rotate(struct console_log *log)
{
	int rc = 0, fd;

	if (!log->older) {
		log->bytes = 0;
		return ftruncate(log->fd, 0) < 0 ? -errno : 0;
	}
	for (unsigned n = log->older; n && !rc; n--)
		rc = move(log, n - 1);
	if (rc)
		return rc;
	fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return -errno;
	close(log->fd);
	log->fd = fd;
	log->bytes = 0;
	return 0;
}

static int write_all(struct console_log *log, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(log->fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		log->bytes += (uint64_t)n;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

int console_log_write(struct console_log *log, const char *bytes, size_t len)
{
	int rc = 0;

	while (len && !rc) {
		bool bounded = log->limit && log->may_rotate;
		uint64_t room = bounded ? log->limit - log->bytes : len;
		size_t n = len;

		if (bounded && log->bytes >= log->limit) {
			rc = rotate(log);
			continue;
		}
		if (room < n)
			n = (size_t)room;
		rc = write_all(log, bytes, n);
		bytes += n;
		len -= n;
	}
	return rc;
}
