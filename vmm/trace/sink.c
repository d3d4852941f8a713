/* SPDX-License-Identifier: MIT */
/* Text on its way to a file: sink.h. */
#include "sink.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

/* A pipe whose reader takes nothing for so long has none. Meanwhile the guest stands still. */
enum { PATIENCE_S = 10, LEVEL = 3 };

int sink_open(struct sink *s, int fd, bool zstd)
{
	ZSTD_outBuffer out = { NULL, 0, 0 };
	ZSTD_inBuffer in = { NULL, 0, 0 };

	s->fd = fd;
	s->error = 0;
	s->used = 0;
	s->zstd = NULL;
	if (!zstd || fd < 0)
		return 0;
	s->zstd = ZSTD_createCCtx();
	if (!s->zstd)
		return -ENOMEM;
	/* Its memory is taken now, while it may be. */
	ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL);
	return ZSTD_isError(ZSTD_compressStream2(s->zstd, &out, &in, ZSTD_e_continue)) ? -ENOMEM : 0;
}

static int wait_for_room(int fd)
{
	const struct timespec patience = { .tv_sec = PATIENCE_S };
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n = ppoll(&p, 1, &patience, NULL);

	return n > 0 || (n < 0 && errno == EINTR) ? 0 : ETIMEDOUT;
}

static void write_all(struct sink *s, const char *from, size_t len)
{
	while (len && !s->error) {
		ssize_t n = write(s->fd, from, len);

		if (n < 0 && errno == EAGAIN)
			s->error = wait_for_room(s->fd);
		else if (n < 0 && errno != EINTR)
			s->error = errno;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
}

static void pack(struct sink *s, const char *from, size_t len, ZSTD_EndDirective how)
{
	static char block[64 * 1024];
	ZSTD_inBuffer in = { from, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { block, sizeof(block), 0 };

		left = ZSTD_compressStream2(s->zstd, &out, &in, how);
		if (ZSTD_isError(left))
			s->error = s->error ? s->error : EIO;
		else
			write_all(s, block, out.pos);
	} while (!s->error && (in.pos < in.size || (how != ZSTD_e_continue && left)));
}

static void drain(struct sink *s, ZSTD_EndDirective how)
{
	if (s->zstd && !s->error)
		pack(s, s->text, s->used, how);
	else if (s->used)
		write_all(s, s->text, s->used);
	s->used = 0;
}

void sink_put(struct sink *s, const char *text, size_t len)
{
	while (len && s->fd >= 0 && !s->error) {
		size_t room = sizeof(s->text) - s->used, n = len < room ? len : room;

		memcpy(s->text + s->used, text, n);
		s->used += n;
		text += n;
		len -= n;
		if (s->used == sizeof(s->text))
			drain(s, ZSTD_e_continue);
	}
}

void sink_print(struct sink *s, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0)
		sink_put(s, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void sink_flush(struct sink *s)
{
	if (s->fd >= 0 && s->used)
		drain(s, ZSTD_e_flush);
}

void sink_close(struct sink *s)
{
	if (s->fd >= 0)
		drain(s, ZSTD_e_end);
}
