/* SPDX-License-Identifier: MIT */
/* bulkhead-uplinkd enters its fence: fence.h. */
#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UID_BASE 0x62680000u /* as proto/sandbox.c has it */
enum { NAMESPACES = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS, RESOLV_MAX = 4096 };

/* libslirp looks there, now and later, for whom the guest's name server asks. */
static ssize_t read_resolv(char text[RESOLV_MAX])
{
	int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, RESOLV_MAX);

	if (fd >= 0)
		close(fd);
	return n;
}

static int make_file(const char *dir, const char *path, const char *text, ssize_t bytes)
{
	int fd = mkdir(dir, 0755) < 0 ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);

	if (fd < 0 || write(fd, text, (size_t)bytes) != bytes)
		return -1;
	return close(fd);
}

/* The library takes the seed of its sequence numbers from there: the host's own, or if that cannot be had, some bytes of it. */
static int make_urandom(void)
{
	char seed[64];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed) || make_file("dev", "dev/urandom", seed, sizeof(seed)) < 0)
		return -1;
	mount("/dev/urandom", "/tmp/dev/urandom", NULL, MS_BIND, NULL);
	return 0;
}

/* As sandbox_empty_root(), with two files. */
static int change_root(void)
{
	static char text[RESOLV_MAX];
	ssize_t bytes = read_resolv(text);

	if (bytes < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bulkhead", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16k,nr_inodes=8,mode=755") < 0 ||
	    chdir("/tmp") < 0 || make_file("etc", "etc/resolv.conf", text, bytes) < 0 || make_urandom() < 0)
		return -1;
	if (mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), rc = fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

/* Itself and nobody else: one that is nobody makes no files. */
static int map_self(unsigned uid, unsigned gid)
{
	char users[32], groups[32];

	snprintf(users, sizeof(users), "%u %u 1", uid, uid);
	snprintf(groups, sizeof(groups), "%u %u 1", gid, gid);
	if (write_text("/proc/self/setgroups", "deny") || write_text("/proc/self/uid_map", users))
		return -1;
	return write_text("/proc/self/gid_map", groups);
}

static const char *isolate_user(void)
{
	unsigned uid = geteuid(), gid = getegid();

	if (unshare(CLONE_NEWUSER | NAMESPACES) < 0)
		return NULL; /* a host that refuses it has the filter */
	return map_self(uid, gid) < 0 || change_root() < 0 ? "its root cannot be changed" : NULL;
}

/* An ordinary user gets a mount namespace with the user namespace that owns it; root needs none for it, and gives its id away. */
static const char *isolate(void)
{
	if (geteuid())
		return isolate_user();
	if (unshare(NAMESPACES) < 0 || change_root() < 0)
		return "its root cannot be changed";
	if (sandbox_take_id(UID_BASE + 16 * (uint32_t)getpid()) < 0)
		return "its user cannot be changed";
	unshare(CLONE_NEWUSER); /* maps nobody; a host that refuses it has the filter */
	return NULL;
}

/* In the host's root: of all files sockets, to make and to remove. */
static const char *only_sockets(void)
{
	const struct sandbox_place root = { open("/", O_PATH | O_DIRECTORY | O_CLOEXEC),
					    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sandbox_landlock(&root, 1, true); /* where the kernel has it */
	close(root.fd);
	return NULL;
}

const char *uplink_fence(bool alone, enum sandbox_mode mode)
{
	const char *why = NULL;

	if (mode != SANDBOX_OFF)
		why = alone ? isolate() : only_sockets();
	if (why)
		return why;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* another user id has forgotten it */
	return sandbox_enter_setup(SANDBOX_UPLINKD, mode, NULL) ? "the sandbox cannot be entered" : NULL;
}
