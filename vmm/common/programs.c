/* SPDX-License-Identifier: MIT */
/* Finding our programs: programs.h. */
#include "programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef BULKHEAD_LIBEXECDIR
#define BULKHEAD_LIBEXECDIR "/usr/local/libexec/bulkhead"
#endif

static int try_open(const char *dir, const char *name, char *path, size_t len)
{
	struct stat st;
	int fd;

	snprintf(path, len, "%s/%s", dir, name);
	if (access(path, X_OK) < 0)
		return -errno;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EACCES;
}

static int own_dir(char *dir, size_t len)
{
	ssize_t n = readlink("/proc/self/exe", dir, len - 1);
	char *slash;

	if (n < 0)
		return -errno;
	dir[n] = 0;
	slash = strrchr(dir, '/');
	if (!slash)
		return -ENOENT;
	*slash = 0;
	return 0;
}

int program_open(const char *name, char *path, size_t len)
{
	const char *env = getenv("BULKHEAD_LIBEXEC");
	/* beside us; an installed tree; a build tree */
	static const char *const places[] = {
		".",	  "../libexec/bulkhead", "../devices", "../boot", "vcpu", "gdb", "init", "trace", "vnc", "view",
		"uplink", "../vmm/uplink",	 "image"
	};
	char dir[4096], place[4200], other[4300];
	int fd = -ENOENT;

	if (env && *env)
		return try_open(env, name, path, len);
	snprintf(path, len, "%s/%s", BULKHEAD_LIBEXECDIR, name);
	if (!own_dir(dir, sizeof(dir))) {
		snprintf(path, len, "%s/%s", dir, name);
		for (unsigned i = 0; fd == -ENOENT && i < sizeof(places) / sizeof(places[0]); i++) {
			snprintf(place, sizeof(place), "%s/%s", dir, places[i]);
			fd = try_open(place, name, other, sizeof(other));
		}
	}
	if (fd == -ENOENT)
		fd = try_open(BULKHEAD_LIBEXECDIR, name, other, sizeof(other));
	if (fd >= 0)
		snprintf(path, len, "%s", other);
	return fd;
}
