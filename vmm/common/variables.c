/* SPDX-License-Identifier: MIT */
/* Files of firmware's variables: variables.h. */
#include "variables.h"

#include "../../proto/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, HEADER = 72 };
static const char next_step[] = "name another file with --firmware-vars, or none";

static int fail(char *error, int rc, const char *path, const char *what, const char *step)
{
	snprintf(error, VARIABLES_ERROR_MAX, "--firmware-vars %.110s: %s; %s", path, what, step);
	return rc;
}

/* The last folder is made, as an installed product has it already. */
static int state_dir(char *dir, size_t len)
{
	const char *own = getenv("BULKHEAD_STATE_DIR"), *systemd = getenv("STATE_DIRECTORY"), *home = getenv("HOME"),
		   *xdg = getenv("XDG_STATE_HOME");

	if (!own || !*own)
		own = systemd;
	if (own && *own)
		snprintf(dir, len, "%s", own);
	else if (!geteuid())
		snprintf(dir, len, "/var/lib/bulkhead");
	else if (xdg && *xdg)
		snprintf(dir, len, "%s/bulkhead", xdg);
	else
		snprintf(dir, len, "%s/.local/state/bulkhead", home ? home : "");
	return mkdir(dir, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int copy(int from, int to)
{
	char part[PAGE];
	ssize_t n;

	while ((n = read(from, part, sizeof(part))) > 0)
		if (write(to, part, (size_t)n) != n)
			return errno ? -errno : -ENOSPC;
	return n < 0 ? -errno : 0;
}

/* UEFI PI 1.7, volume 3, 3.2.1 "EFI_FIRMWARE_VOLUME_HEADER": zeroes, a GUID, the length of the volume, "_FVH", attributes, the length of
 * the header, whose 16-bit words sum up to 0. */
static bool is_volume(int fd, uint64_t bytes)
{
	uint8_t h[HEADER];
	uint64_t volume;
	uint16_t len, sum = 0;

	if (pread(fd, h, sizeof(h), 0) != (ssize_t)sizeof(h) || memcmp(h + 40, "_FVH", 4) != 0)
		return false;
	memcpy(&volume, h + 32, sizeof(volume));
	memcpy(&len, h + 48, sizeof(len));
	if (volume > bytes || len > sizeof(h) || len % 2)
		return false;
	for (unsigned i = 0; i < len; i += 2)
		sum = (uint16_t)(sum + (h[i] | h[i + 1] << 8));
	return sum == 0;
}

/* A machine that is nobody's keeps its variables as long as it lives. */
static int open_memory(const char *template, char *error)
{
	int from = open(template, O_RDONLY | O_CLOEXEC), fd = memfd_create("bulkhead-variables", MFD_CLOEXEC),
	    rc = from < 0 ? -errno : 0;

	if (!rc)
		rc = fd < 0 ? -errno : copy(from, fd);
	if (from >= 0)
		close(from);
	return rc ? fail(error, rc, template, strerror(-rc), next_step) : fd;
}

/* Made beside it, and there when it is whole; who comes second has the first one's. */
static int make_file(const char *path, const char *template)
{
	char part[PATH_MAX + 16];
	int from = open(template, O_RDONLY | O_CLOEXEC), fd, rc;

	if (from < 0)
		return -errno;
	snprintf(part, sizeof(part), "%s.%d", path, getpid());
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd < 0 ? -errno : copy(from, fd);
	if (!rc && (fsync(fd) < 0 || link(part, path) < 0) && errno != EEXIST)
		rc = -errno;
	if (fd >= 0) {
		unlink(part);
		close(fd);
	}
	close(from);
	return rc;
}

static int lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

static const char *why_not(int fd, const struct variables_wanted *w, uint64_t *bytes)
{
	struct stat st, template;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return "not a regular file";
	*bytes = (uint64_t)st.st_size;
	if (w->template && !stat(w->template, &template) && template.st_size != st.st_size)
		return "it has another size than this firmware's variables";
	if (!st.st_size || st.st_size % PAGE || *bytes + w->rom_bytes > LAYOUT_FLASH_BYTES)
		return "its size is no multiple of 4096, or too large for the firmware";
	return is_volume(fd, *bytes) ? NULL : "it does not hold firmware's variables, or is damaged";
}

static int open_file(const char *path, const struct variables_wanted *w, uint64_t *bytes, char *error)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK), rc = fd < 0 ? -errno : 0;
	const char *why;

	if (rc == -ENOENT && w->template) {
		rc = make_file(path, w->template);
		fd = rc ? -1 : open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		rc = !rc && fd < 0 ? -errno : rc;
	}
	if (rc)
		return fail(error, rc, path, strerror(-rc), next_step);
	why = lock(fd) ? "another machine uses it" : why_not(fd, w, bytes);
	if (!why)
		return fd;
	close(fd);
	return fail(error, -EINVAL, path, why, "remove it to begin with a new one, or name another");
}

int variables_open(const struct variables_wanted *w, uint64_t *bytes, char error[VARIABLES_ERROR_MAX])
{
	char path[PATH_MAX], dir[PATH_MAX - 80];
	struct stat st;
	int rc;

	if (!w->file && !w->name) {
		rc = open_memory(w->template, error);
		*bytes = rc >= 0 && !fstat(rc, &st) ? (uint64_t)st.st_size : 0;
		return rc;
	}
	if (w->file)
		return open_file(w->file, w, bytes, error);
	rc = state_dir(dir, sizeof(dir));
	if (rc)
		return fail(error, rc, dir, strerror(-rc), next_step);
	snprintf(path, sizeof(path), "%s/%s.fd", dir, w->name);
	return open_file(path, w, bytes, error);
}
