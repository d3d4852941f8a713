/* SPDX-License-Identifier: MIT */
/*
 * The runtime directory of a machine: BASE/NAME with `lock`, `control.sock`, `console.sock`, and `log` if detached.
 * The lock (flock) is held as long as the machine lives; a directory whose lock is free belongs to a dead one. Any number
 * of commands may start, ask and sweep at the same time.
 *
 * BASE is --runtime-dir, else $BULKHEAD_RUNTIME_DIR, else /run/bulkhead for root, else $XDG_RUNTIME_DIR/bulkhead, else
 * /tmp/bulkhead-UID. Under systemd, $RUNTIME_DIRECTORY is used as the machine's own directory if it ends in /NAME.
 */
#ifndef BULKHEAD_VMM_RUNDIR_H
#define BULKHEAD_VMM_RUNDIR_H

#include <stdbool.h>
#include <stddef.h>

enum { RUNDIR_PATH_MAX = 96 }; /* a socket address holds 107 characters with "/control.sock" */

struct rundir {
	char path[RUNDIR_PATH_MAX];
	int dir_fd; /* survives as a handle for tidying up */
	int base_fd;
	int lock_fd;
	char name[64];
};

/* Holds the records of machines that have ended (ended.h), so that no machine can be called that. */
#define RUNDIR_ENDED "ended"

/* 0, or -ENAMETOOLONG. */
int rundir_base(const char *override, char base[RUNDIR_PATH_MAX]);
int rundir_path(const char *override, const char *name, char path[RUNDIR_PATH_MAX]);
/* Where root's machine of that name is, which may be shared with us; -ENOENT: we are root, or the user has named a directory. */
int rundir_shared_path(const char *name, char path[RUNDIR_PATH_MAX]);

/*
 * Creates (or takes over from a dead machine) the directory and its lock.
 * -EEXIST: a living machine has that name; -EPERM: the directory belongs to someone else; -EBUSY: another command was
 * stopped in the middle of sweeping or starting there; or the errno of what failed.
 */
int rundir_create(struct rundir *r, const char *override, const char *name);

/* Removes everything, the lock last. Uses only unlinkat() on open handles: it works behind the keeper's filter. */
void rundir_remove(struct rundir *r);

/* Is a machine of that name alive? */
bool rundir_is_alive(const char *path);
/* The same for one of ours, in a directory that we have open. */
bool rundir_is_alive_at(int base_fd, const char *name);

/* A directory that is ours alone, made if there is none; a descriptor, or -EPERM: it is somebody else's. Or -errno. */
int rundir_make_dir(int at, const char *path);
/* Waits for its turn to change what is in it, until it is closed. 0; -EBUSY: whoever has it was stopped and keeps it. */
int rundir_take_turn(int dir_fd);

/* Calls `visit` with the name and path of each living machine of ours, and of those of others that are shared with us, and
 * sweeps what dead ones of ours left behind. */
void rundir_each(const char *override, void (*visit)(void *ctx, const char *name, const char *path), void *ctx);

#endif
