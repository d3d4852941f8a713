/* SPDX-License-Identifier: MIT */
/* cpio's new ASCII format: cpio.h. */
#include "cpio.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HEADER = 6 + 13 * 8, ALIGN = 4 };

static int put(struct cpio *c, const void *data, size_t len)
{
	int rc = len ? c->put(c->ctx, data, len) : 0;

	c->written += rc ? 0 : len;
	return rc;
}

/* "c_filename" with its header, and "c_filedata", each end at a multiple of four bytes. */
static int pad(struct cpio *c)
{
	static const char zeroes[ALIGN];

	return put(c, zeroes, (size_t)(-c->written & (ALIGN - 1)));
}

static int entry(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len)
{
	const unsigned uid = 0, gid = 0, links = 1, mtime = 0, major = 0, minor = 0, sum = 0;
	char header[HEADER + 1];
	int rc;

	snprintf(header, sizeof(header), "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", c->inode++, mode, uid, gid,
		 links, mtime, (unsigned)len, major, minor, major, minor, (unsigned)strlen(name) + 1, sum);
	rc = put(c, header, HEADER);
	if (!rc)
		rc = put(c, name, strlen(name) + 1);
	if (!rc)
		rc = pad(c);
	if (!rc)
		rc = put(c, data, len);
	return rc ? rc : pad(c);
}

int cpio_file(struct cpio *c, const char *name, unsigned mode, const void *data, size_t len)
{
	return len > UINT32_MAX ? -EFBIG : entry(c, name, S_IFREG | mode, data, len);
}

int cpio_end(struct cpio *c)
{
	return entry(c, "TRAILER!!!", 0, NULL, 0);
}
