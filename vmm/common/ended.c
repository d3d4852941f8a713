/* SPDX-License-Identifier: MIT */
/* Records of machines that have ended: see ended.h. */
#include "ended.h"

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".json"
enum { FILE_NAME = VM_NAME_MAX + sizeof(SUFFIX) + 8 };

struct entry {
	char name[VM_NAME_MAX + 1];
	struct timespec changed;
};

static void file_name(char out[FILE_NAME], const char *name)
{
	snprintf(out, FILE_NAME, "%.*s" SUFFIX, VM_NAME_MAX, name);
}

/* The name of the machine whose record this is; false: it is no record. */
static bool machine_of(const char *file, char name[VM_NAME_MAX + 1])
{
	size_t len = strlen(file), tail = strlen(SUFFIX);

	if (len <= tail || len - tail > VM_NAME_MAX || strcmp(file + len - tail, SUFFIX))
		return false;
	snprintf(name, VM_NAME_MAX + 1, "%.*s", (int)(len - tail), file);
	return config_is_name(name);
}

static void capture_name(char *out, size_t size, const char *name, unsigned number)
{
	snprintf(out, size, "%.*s.%u" ENDED_CAPTURE, VM_NAME_MAX, name, number + 1);
}

static void remove_captures(int dir_fd, const char *name, bool only_empty)
{
	char file[FILE_NAME];
	struct stat st;

	for (unsigned n = 0; n < REPORT_CAPTURES; n++) {
		capture_name(file, sizeof(file), name, n);
		if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && (!only_empty || st.st_size == 0))
			unlinkat(dir_fd, file, 0);
	}
}

static int older_first(const void *a, const void *b)
{
	const struct timespec *s = &((const struct entry *)a)->changed, *t = &((const struct entry *)b)->changed;

	if (s->tv_sec != t->tv_sec)
		return s->tv_sec < t->tv_sec ? -1 : 1;
	return s->tv_nsec < t->tv_nsec ? -1 : s->tv_nsec > t->tv_nsec;
}

/* All records, the oldest first. The caller's; NULL: none. */
static struct entry *read_entries(int dir_fd, unsigned *count)
{
	struct dirent **list = NULL;
	int n = scandirat(dir_fd, ".", &list, NULL, versionsort);
	struct entry *entries = n > 0 ? calloc((size_t)n, sizeof(*entries)) : NULL;

	*count = 0;
	for (int i = 0; i < n; i++) {
		struct stat st;

		if (entries && machine_of(list[i]->d_name, entries[*count].name) &&
		    fstatat(dir_fd, list[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			entries[(*count)++].changed = st.st_mtim;
		free(list[i]);
	}
	free(list);
	return entries;
}

/*
 * Whoever makes or removes a record has its turn at the directory, and holds the lock of its name already: so what is found
 * here without a living machine cannot be a new one's.
 */
static void remove_oldest(int base_fd, int dir_fd)
{
	unsigned count, left;
	struct entry *entries = read_entries(dir_fd, &count);

	if (entries)
		qsort(entries, count, sizeof(*entries), older_first);
	left = count;
	for (unsigned i = 0; i < count; i++) {
		char file[FILE_NAME];

		if (rundir_is_alive_at(base_fd, entries[i].name))
			continue;
		remove_captures(dir_fd, entries[i].name, left <= ENDED_MAX);
		if (left <= ENDED_MAX)
			continue;
		file_name(file, entries[i].name);
		left -= unlinkat(dir_fd, file, 0) == 0;
	}
	free(entries);
}

static int share(int dir_fd, int fd, int64_t group)
{
	if (group < 0)
		return 0;
	return fchown(fd, (uid_t)-1, (gid_t)group) < 0 || fchmod(fd, 0640) < 0 || fchmod(dir_fd, 0711) < 0 ? -errno : 0;
}

static int create(int dir_fd, const char *name)
{
	char file[FILE_NAME];
	int fd;

	file_name(file, name);
	remove_captures(dir_fd, name, false);
	unlinkat(dir_fd, file, 0);
	fd = openat(dir_fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

int ended_create(const struct rundir *r, int64_t group)
{
	int dir_fd = rundir_make_dir(r->base_fd, RUNDIR_ENDED), fd, rc;

	if (dir_fd < 0)
		return dir_fd;
	rc = rundir_take_turn(dir_fd);
	fd = rc ? rc : create(dir_fd, r->name);
	rc = fd < 0 ? fd : share(dir_fd, fd, group);
	if (fd >= 0)
		remove_oldest(r->base_fd, dir_fd);
	if (fd >= 0 && rc)
		close(fd);
	close(dir_fd);
	return rc ? rc : fd;
}

void ended_remove(const struct rundir *r)
{
	int dir_fd = rundir_make_dir(r->base_fd, RUNDIR_ENDED);
	char file[FILE_NAME];

	file_name(file, r->name);
	if (dir_fd < 0)
		return;
	remove_captures(dir_fd, r->name, false);
	unlinkat(dir_fd, file, 0);
	close(dir_fd);
}

/* Whoever has the name's lock, and has made its record, is alone with these. */
void ended_create_captures(const struct rundir *r, int fds[REPORT_CAPTURES])
{
	int dir_fd = rundir_make_dir(r->base_fd, RUNDIR_ENDED);
	char file[FILE_NAME];

	for (unsigned n = 0; n < REPORT_CAPTURES; n++) {
		capture_name(file, sizeof(file), r->name, n);
		fds[n] = openat(dir_fd, file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	if (dir_fd >= 0)
		close(dir_fd);
}

/* Ours, root's, or of whom the user has named a directory. */
static bool is_believed(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_size <= ENDED_BYTES_MAX &&
	       (st->st_uid == geteuid() || st->st_uid == 0 || getenv("BULKHEAD_RUNTIME_DIR"));
}

int ended_open(const char *path)
{
	const char *last = strrchr(path, '/');
	char file[RUNDIR_PATH_MAX + sizeof(RUNDIR_ENDED) + FILE_NAME];
	struct stat st;
	int fd;

	if (!last)
		return -EINVAL;
	snprintf(file, sizeof(file), "%.*s/" RUNDIR_ENDED "/%.*s" SUFFIX, (int)(last - path), path, VM_NAME_MAX, last + 1);
	fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && is_believed(&st))
		return fd;
	close(fd);
	return -EPERM;
}

void ended_each(const char *base, void (*visit)(void *ctx, const char *name, const char *path), void *ctx)
{
	char path[RUNDIR_PATH_MAX + sizeof(RUNDIR_ENDED)];
	struct entry *entries;
	unsigned count;
	int dir_fd;

	snprintf(path, sizeof(path), "%.*s/" RUNDIR_ENDED, RUNDIR_PATH_MAX - 1, base);
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd < 0)
		return;
	entries = read_entries(dir_fd, &count);
	for (unsigned i = 0; i < count; i++)
		if (snprintf(path, sizeof(path), "%s/%s", base, entries[i].name) < RUNDIR_PATH_MAX)
			visit(ctx, entries[i].name, path);
	free(entries);
	close(dir_fd);
}
