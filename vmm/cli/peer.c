/* SPDX-License-Identifier: MIT */
/* Who answers at a machine's sockets: peer.h. */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif

static int dial(const char *dir, const char *name, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	/* A keeper that is stopped accepts nobody; connect() waits for room in its queue under the send time-out. */
	const struct timeval limit = { .tv_sec = 2 };
	int fd, rc;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", dir, name) >= (int)sizeof(a.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* A directory that is a link may lead to anybody's. */
static int owner_of(const char *dir, uid_t *owner)
{
	struct stat st;

	if (lstat(dir, &st) < 0)
		return -errno;
	*owner = st.st_uid;
	return S_ISDIR(st.st_mode) ? 0 : -EPERM;
}

int peer_connect(const char *dir, const char *name, int type, struct peer *peer)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int rc = owner_of(dir, &peer->owner);

	peer->sock = rc ? rc : dial(dir, name, type);
	if (peer->sock < 0)
		return peer->sock;
	if (getsockopt(peer->sock, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.uid == peer->owner) {
		peer->pid = who.pid;
		return 0;
	}
	close(peer->sock);
	peer->sock = -1;
	return -EPERM;
}

/* All four user ids: a program that was started with more rights than its caller has is not the caller's to name. */
static bool runs_as(pid_t pid, uid_t owner)
{
	unsigned ids[4] = { 0 };
	char path[64], line[256];
	bool found = false;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	in = fopen(path, "re");
	while (in && !found && fgets(line, sizeof(line), in))
		found = sscanf(line, "Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4;
	if (in)
		fclose(in);
	for (unsigned i = 0; found && i < 4; i++)
		found = ids[i] == owner;
	return found;
}

static int open_process(const struct peer *peer)
{
	int fd = -1;
	socklen_t len = sizeof(fd);

	/* An older kernel can only go by the number, which may have passed to another process: of the same user, see
	 * below, who can kill that one without us. */
	if (getsockopt(peer->sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) < 0)
		fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	return fd < 0 ? -errno : fd;
}

/* As long as the process is there its number is its own: what was read under that number was about it. */
static bool is_there(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

int peer_kill(const struct peer *peer)
{
	int fd = peer->pid > 1 ? open_process(peer) : -ESRCH;
	int rc = fd < 0 ? fd : 0;

	if (!rc && !runs_as(peer->pid, peer->owner))
		rc = -EPERM;
	if (fd >= 0 && !is_there(fd))
		rc = -ESRCH;
	if (!rc && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}
