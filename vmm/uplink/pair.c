/* SPDX-License-Identifier: MIT */
/*
 * Two machines' cards, connected by a socket: whoever comes first listens, the other one connects. When one goes, the other
 * waits for it, and meanwhile frames go nowhere. Frames are passed on as they are; whoever takes one believes nothing of it.
 */
#include "uplink.h"

#include "../../proto/net_open.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { RETRY_MS = 200, FULL_MS = 200, ROOM = 1 << 20, AT_ONCE = 64, EXIT_OVER = 0, EXIT_FAILED = 1 };

struct pair {
	struct sockaddr_un addr;
	int listen_fd, peer_fd; /* -1 */
	uint8_t message[NET_FRAME_MAX];
};

static struct pair pair = { .listen_fd = -1, .peer_fd = -1 };

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), room = ROOM;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	return fd;
}

static void drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* 0: there is somebody; -errno: why not. */
static int try_connect(void)
{
	pair.peer_fd = new_socket();
	if (pair.peer_fd >= 0 && connect(pair.peer_fd, (const struct sockaddr *)&pair.addr, sizeof(pair.addr)) == 0)
		return 0;
	drop(&pair.peer_fd);
	return -errno;
}

/* A socket of ours at which nobody listens any more makes room; other files stay where they are. */
static void remove_dead(void)
{
	struct stat st;

	if (lstat(pair.addr.sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid())
		unlink(pair.addr.sun_path);
}

static int try_listen(void)
{
	pair.listen_fd = new_socket();
	if (pair.listen_fd >= 0 && bind(pair.listen_fd, (const struct sockaddr *)&pair.addr, sizeof(pair.addr)) == 0 &&
	    listen(pair.listen_fd, 1) == 0)
		return 0;
	drop(&pair.listen_fd);
	return -errno;
}

/* Two that begin at once both find nobody: one of them cannot bind then, and finds the other the next time. */
static int meet(void)
{
	int rc = try_connect();

	if (!rc || (rc != -ENOENT && rc != -ECONNREFUSED))
		return rc;
	if (rc == -ECONNREFUSED)
		remove_dead();
	return try_listen();
}

static void let_in(void)
{
	int fd = accept4(pair.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), room = ROOM;

	if (fd < 0)
		return;
	if (pair.peer_fd >= 0) {
		close(fd); /* a wire has two ends */
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	pair.peer_fd = fd;
}

/* One that stays full loses it. */
static void pass(int to, size_t bytes)
{
	struct pollfd p = { .fd = to, .events = POLLOUT };

	if (to < 0 || write(to, pair.message, bytes) >= 0 || errno != EAGAIN)
		return;
	if (poll(&p, 1, FULL_MS) == 1 && write(to, pair.message, bytes) < 0)
		return;
}

/* False: the other end of `from` is gone. */
static bool move(int from, int to)
{
	for (unsigned i = 0; i < AT_ONCE; i++) {
		ssize_t n = read(from, pair.message, sizeof(pair.message));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		pass(to, (size_t)n);
	}
	return true;
}

static bool step(void)
{
	struct pollfd p[3] = { { .fd = UPLINK_FRAMES, .events = POLLIN },
			       { .fd = pair.peer_fd, .events = POLLIN },
			       { .fd = pair.listen_fd, .events = POLLIN } };
	bool waits = pair.peer_fd < 0 && pair.listen_fd < 0;

	if (poll(p, 3, waits ? RETRY_MS : -1) < 0)
		return errno == EINTR;
	if (p[0].revents && !move(UPLINK_FRAMES, pair.peer_fd))
		return false;
	if (p[1].revents && !move(pair.peer_fd, UPLINK_FRAMES))
		drop(&pair.peer_fd);
	if (p[2].revents)
		let_in();
	if (waits)
		meet();
	return true;
}

int pair_serve(const struct net_spec *spec, void (*ready)(const char *why))
{
	static char why[160];
	int rc;

	pair.addr.sun_family = AF_UNIX;
	memcpy(pair.addr.sun_path, spec->path, strlen(spec->path) + 1);
	rc = meet();
	if (rc)
		snprintf(why, sizeof(why), "%s; name a socket that is there, or a path where one can be made", strerror(-rc));
	ready(rc ? why : NULL);
	if (rc)
		return EXIT_FAILED;
	while (step())
		continue;
	return EXIT_OVER;
}
