/* SPDX-License-Identifier: MIT */
/* Runtime directories, their locks, and what dead machines leave behind. */
#include "rundir.h"

#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *const files[] = { "control.sock", "console.sock", "gdb.sock", "log", "vm.toml", "com1", "com2", "com3", "com4", "disk0", "disk1", "disk2", "disk3", "lock" };
enum { FILES = sizeof(files) / sizeof(files[0]) };

/* Root's machines, some of which may be shared with us. */
#define ROOTS_BASE "/run/bulkhead"

static int put(char *out, const char *fmt, const char *a, const char *b)
{
	int n = snprintf(out, RUNDIR_PATH_MAX, fmt, a, b);

	return n < 0 || n >= RUNDIR_PATH_MAX ? -ENAMETOOLONG : 0;
}

int rundir_base(const char *override, char base[RUNDIR_PATH_MAX])
{
	const char *env = getenv("BULKHEAD_RUNTIME_DIR"), *xdg = getenv("XDG_RUNTIME_DIR");
	char uid[24];

	if (override && *override)
		return put(base, "%s%s", override, "");
	if (env && *env)
		return put(base, "%s%s", env, "");
	if (geteuid() == 0)
		return put(base, "%s%s", ROOTS_BASE, "");
	if (xdg && *xdg && !access(xdg, W_OK))
		return put(base, "%s%s", xdg, "/bulkhead");
	snprintf(uid, sizeof(uid), "%u", geteuid());
	return put(base, "%s%s", "/tmp/bulkhead-", uid);
}

static bool ends_in(const char *path, const char *name)
{
	const char *last = path ? strrchr(path, '/') : NULL;

	return last && !strcmp(last + 1, name);
}

int rundir_path(const char *override, const char *name, char path[RUNDIR_PATH_MAX])
{
	const char *systemd = getenv("RUNTIME_DIRECTORY");
	char base[RUNDIR_PATH_MAX];
	int rc;

	if (!override && ends_in(systemd, name) && !strchr(systemd, ':'))
		return put(path, "%s%s", systemd, "");
	rc = rundir_base(override, base);
	return rc ? rc : put(path, "%s/%s", base, name);
}

int rundir_shared_path(const char *name, char path[RUNDIR_PATH_MAX])
{
	const char *env = getenv("BULKHEAD_RUNTIME_DIR");

	return geteuid() == 0 || (env && *env) ? -ENOENT : put(path, "%s/%s", ROOTS_BASE, name);
}

/* /tmp is everybody's: a directory of that name must be ours, a directory, and closed to others. */
static int open_owned_at(int at, const char *path)
{
	int fd = openat(at, path, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && !(st.st_mode & 022))
		return fd;
	close(fd);
	return -EPERM;
}

static int open_owned(const char *path)
{
	return open_owned_at(AT_FDCWD, path);
}

int rundir_make_dir(int at, const char *path)
{
	if (mkdirat(at, path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return open_owned_at(at, path);
}

/* Where machines' directories are: ours, or root's, who has made one there that is ours (systemd, with User=). */
static int open_base(const char *path)
{
	int fd = rundir_make_dir(AT_FDCWD, path);
	struct stat st;

	if (fd != -EPERM)
		return fd;
	fd = open(path, O_DIRECTORY | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022))
		return fd;
	close(fd);
	return -EPERM;
}

/*
 * Two locks belong to a name. `lock` is held exclusively by its machine, as long as that lives, and by nobody else. The
 * directory itself is locked, for moments, by whoever changes what is in it: one who starts there, one who sweeps.
 * Who only asks takes `lock` shared. So whoever finds it held, and cannot share it either, has found a machine.
 */
enum { TURN_TRIES = 1000, TURN_US = 1000, MOVES_MAX = 64 };

int rundir_take_turn(int dir_fd)
{
	for (unsigned tries = 0; tries < TURN_TRIES; tries++) {
		if (flock(dir_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		usleep(TURN_US);
	}
	return -EBUSY;
}

static bool is_held(int lock_fd)
{
	return flock(lock_fd, LOCK_SH | LOCK_NB) < 0;
}

/* 0; -EEXIST: a machine lives; -EBUSY: someone asks and asks. */
static int hold(int lock_fd)
{
	for (unsigned tries = 0; tries < TURN_TRIES; tries++) {
		if (flock(lock_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (is_held(lock_fd))
			return -EEXIST;
		flock(lock_fd, LOCK_UN);
		usleep(TURN_US);
	}
	return -EBUSY;
}

/* A machine that ends removes its directory without waiting for its turn. */
static bool is_in_place(int dir_fd, int lock_fd)
{
	struct stat a, b;

	return fstat(lock_fd, &a) == 0 && fstatat(dir_fd, "lock", &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino;
}

/* It is our turn. The lock of this name, which is ours then, or as hold(); -ENOENT: the directory is gone. */
static int take_lock(int dir_fd)
{
	for (unsigned tries = 0; tries < MOVES_MAX; tries++) {
		int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		int rc = fd < 0 ? -errno : hold(fd);

		if (!rc && is_in_place(dir_fd, fd))
			return fd;
		if (fd >= 0)
			close(fd);
		if (rc)
			return rc;
	}
	return -EBUSY;
}

static int write_pid(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	return ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n ? -errno : 0;
}

static void close_all(struct rundir *r)
{
	int *fds[] = { &r->lock_fd, &r->dir_fd, &r->base_fd };

	for (unsigned i = 0; i < 3; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static int split_base(const char *path, char base[RUNDIR_PATH_MAX])
{
	char *last;
	int rc = put(base, "%s%s", path, "");

	if (rc)
		return rc;
	last = strrchr(base, '/');
	if (!last || last == base)
		return -EINVAL;
	*last = 0;
	return 0;
}

static void remove_files(int base_fd, int dir_fd, const char *name)
{
	for (unsigned i = 0; i < FILES; i++)
		unlinkat(dir_fd, files[i], 0);
	unlinkat(base_fd, name, AT_REMOVEDIR);
}

/* It is still our turn, and it came to nothing: a full disk. Without the lock only an empty directory is ours to remove. */
static void undo(struct rundir *r)
{
	if (r->lock_fd >= 0)
		remove_files(r->base_fd, r->dir_fd, r->name);
	else
		unlinkat(r->base_fd, r->name, AT_REMOVEDIR);
}

/* The directory may vanish under us when a sweeper runs at the same time: then it is made again. */
static int create_once(struct rundir *r)
{
	int rc;

	r->dir_fd = rundir_make_dir(r->base_fd, r->name);
	if (r->dir_fd < 0)
		return r->dir_fd;
	rc = rundir_take_turn(r->dir_fd);
	if (rc)
		return rc;
	r->lock_fd = take_lock(r->dir_fd);
	rc = r->lock_fd < 0 ? r->lock_fd : write_pid(r->lock_fd);
	for (unsigned i = 0; !rc && i + 1 < FILES; i++)
		unlinkat(r->dir_fd, files[i], 0);
	if (rc)
		undo(r);
	flock(r->dir_fd, LOCK_UN);
	return rc;
}

int rundir_create(struct rundir *r, const char *override, const char *name)
{
	char base[RUNDIR_PATH_MAX];
	int rc;

	*r = (struct rundir){ .dir_fd = -1, .base_fd = -1, .lock_fd = -1 };
	snprintf(r->name, sizeof(r->name), "%s", name);
	rc = rundir_path(override, name, r->path);
	if (!rc)
		rc = split_base(r->path, base);
	if (rc)
		return rc;
	r->base_fd = open_base(base);
	if (r->base_fd < 0)
		return r->base_fd;
	for (unsigned tries = 0; tries < MOVES_MAX; tries++) {
		rc = create_once(r);
		if (rc != -ENOENT)
			break;
		if (r->dir_fd >= 0)
			close(r->dir_fd);
		r->dir_fd = -1;
	}
	if (rc)
		close_all(r);
	return rc;
}

void rundir_remove(struct rundir *r)
{
	if (r->dir_fd >= 0)
		remove_files(r->base_fd, r->dir_fd, r->name);
	close_all(r);
}

static bool is_dir_alive(int dir_fd)
{
	int fd = openat(dir_fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool alive = fd >= 0 && is_held(fd);

	if (fd >= 0)
		close(fd);
	return alive;
}

/* In a directory of root's nobody else makes a machine's; root may speak to its owner's. */
static bool is_roots(const char *path)
{
	char base[RUNDIR_PATH_MAX];
	struct stat st;

	return geteuid() == 0 && !split_base(path, base) && lstat(base, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0 &&
	       !(st.st_mode & 022);
}

/*
 * A machine of root's, or of whom the user has named a directory, that is shared with one of our groups (--group): its
 * lock is not for us to take, its socket is for us to use. Anybody else's socket is not believed: /tmp is everybody's.
 */
static bool is_shared(const char *path)
{
	char socket[RUNDIR_PATH_MAX];
	struct stat st;

	return put(socket, "%s/%s", path, "control.sock") == 0 && lstat(socket, &st) == 0 && S_ISSOCK(st.st_mode) &&
	       (st.st_uid == 0 || getenv("BULKHEAD_RUNTIME_DIR") || is_roots(path)) && access(socket, W_OK) == 0;
}

bool rundir_is_alive_at(int base_fd, const char *name)
{
	int dir_fd = open_owned_at(base_fd, name);
	bool alive = dir_fd >= 0 && is_dir_alive(dir_fd);

	if (dir_fd >= 0)
		close(dir_fd);
	return alive;
}

bool rundir_is_alive(const char *path)
{
	int dir_fd = open_owned(path);
	bool alive = dir_fd >= 0 ? is_dir_alive(dir_fd) : is_shared(path);

	if (dir_fd >= 0)
		close(dir_fd);
	return alive;
}

/* What holds anything but our files is no machine's directory, whoever called it one: /var/lib has directories with
 * files named lock, too. */
static bool is_machine(int dir_fd)
{
	struct dirent **list = NULL;
	bool ours = true;
	int n = scandirat(dir_fd, ".", &list, NULL, NULL);

	for (int i = 0; i < n; i++) {
		bool known = !strcmp(list[i]->d_name, ".") || !strcmp(list[i]->d_name, "..");

		for (unsigned j = 0; !known && j < FILES; j++)
			known = !strcmp(list[i]->d_name, files[j]);
		ours = ours && known;
		free(list[i]);
	}
	free(list);
	return n >= 0 && ours;
}

/*
 * A directory without a lock is one whose maker was killed, or one that systemd has just made, for a machine that it is about to
 * start (RuntimeDirectory=): without it that one would fail. An empty directory harms nobody for a while.
 */
enum { UNLOCKED_S = 60 };

static bool is_forgotten(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && st.st_ctime + UNLOCKED_S < time(NULL);
}

/* If it is not our turn, someone else sweeps or starts there. Nobody can start while it is. */
static void sweep(int base_fd, int dir_fd, const char *name)
{
	int lock_fd;

	if (flock(dir_fd, LOCK_EX | LOCK_NB) < 0)
		return;
	lock_fd = openat(dir_fd, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (lock_fd >= 0 && !is_held(lock_fd) && is_machine(dir_fd))
		remove_files(base_fd, dir_fd, name);
	else if (lock_fd < 0 && errno == ENOENT && is_forgotten(dir_fd))
		unlinkat(base_fd, name, AT_REMOVEDIR); /* works only if it is empty */
	if (lock_fd >= 0)
		close(lock_fd);
}

/* By handles from here on: the way to the base may lead through directories in which others can put links. */
static void look_at(int base_fd, const char *base, const char *name,
		    void (*visit)(void *ctx, const char *name, const char *path), void *ctx)
{
	char path[RUNDIR_PATH_MAX];
	int dir_fd;

	if (!config_is_name(name) || put(path, "%s/%s", base, name))
		return;
	dir_fd = open_owned_at(base_fd, name);
	if (dir_fd < 0) {
		if (visit && is_shared(path))
			visit(ctx, name, path);
		return;
	}
	if (!is_dir_alive(dir_fd))
		sweep(base_fd, dir_fd, name);
	else if (visit)
		visit(ctx, name, path);
	close(dir_fd);
}

struct visitor {
	void (*visit)(void *ctx, const char *name, const char *path);
	void *ctx;
};

static void each_own(int base_fd, const char *base, const struct visitor *v)
{
	struct dirent **list = NULL;
	int n = scandirat(base_fd, ".", &list, NULL, versionsort);

	for (int i = 0; i < n; i++) {
		look_at(base_fd, base, list[i]->d_name, v->visit, v->ctx);
		free(list[i]);
	}
	free(list);
}

/* Of somebody else's directory: what is shared with us, and nothing is swept. */
static void each_shared(const char *base, const struct visitor *v)
{
	char path[RUNDIR_PATH_MAX];
	struct dirent **list = NULL;
	int n = v->visit ? scandir(base, &list, NULL, versionsort) : 0;

	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;

		if (config_is_name(name) && !put(path, "%s/%s", base, name) && is_shared(path))
			v->visit(v->ctx, name, path);
		free(list[i]);
	}
	free(list);
}

void rundir_each(const char *override, void (*visit)(void *ctx, const char *name, const char *path), void *ctx)
{
	const struct visitor v = { visit, ctx };
	char base[RUNDIR_PATH_MAX], any[RUNDIR_PATH_MAX];
	int base_fd;

	if (rundir_base(override, base))
		return;
	base_fd = open_owned(base);
	if (base_fd >= 0) {
		each_own(base_fd, base, &v);
		close(base_fd);
	} else {
		each_shared(base, &v);
	}
	if (!override && !rundir_shared_path("any", any))
		each_shared(ROOTS_BASE, &v);
}
