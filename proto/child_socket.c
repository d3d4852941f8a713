/* SPDX-License-Identifier: MIT */
/* A child without a parent: see child_socket.h. */
#include "child_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"

enum { SYSTEMD_FD = 3 };

bool child_is_activated(void)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

	return pid && count && strtol(pid, NULL, 10) == getpid() && strtol(count, NULL, 10) >= 1;
}

/* ---- the socket ------------------------------------------------------------------------------------------------ */

/* A socket of ours that nobody listens on any more is what a killed predecessor has left. Other files refuse connections,
 * too. */
static void remove_stale(const struct sockaddr_un *addr)
{
	struct stat st;
	int fd;

	if (lstat(addr->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != geteuid())
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 && errno == ECONNREFUSED)
		unlink(addr->sun_path);
	close(fd);
}

/* Who connects is asked who they are; the mode only keeps out those who could not be anybody. */
static int listen_at(const char *path, mode_t forbidden)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, err;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	remove_stale(&addr);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	mask = umask(forbidden);
	err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, 1) < 0 ? -errno : 0;
	umask(mask);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) < 0 ? -errno : value;
}

/* It is systemd's business where it lies. With Accept=yes it is a connection already. */
static int take_activated(bool *is_connected)
{
	int fd = SYSTEMD_FD;

	if (socket_option(fd, SO_DOMAIN) != AF_UNIX || socket_option(fd, SO_TYPE) != SOCK_SEQPACKET)
		return -EPROTOTYPE;
	*is_connected = !socket_option(fd, SO_ACCEPTCONN);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) < 0)
		return -errno;
	/* Descriptor 3 is nobody's in particular from here on. */
	fd = fcntl(SYSTEMD_FD, F_DUPFD_CLOEXEC, SYSTEMD_FD + 1);
	close(SYSTEMD_FD);
	return fd < 0 ? -errno : fd;
}

/* ---- who connects ---------------------------------------------------------------------------------------------- */

static bool is_welcome(const char *program, int fd, int64_t peer)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return false;
	if (who.uid == 0 || who.uid == geteuid() || (int64_t)who.uid == peer)
		return true;
	fprintf(stderr, "%s: user %u was turned away; --peer %u lets them in\n", program, who.uid, who.uid);
	frame_reply_error(fd, 0, EPERM, NULL, "it serves user %u and root, not user %u; start it with --peer %u", geteuid(),
			  who.uid, who.uid);
	return false;
}

static int accept_welcome(const char *program, int listener, int64_t peer)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			return -errno;
		if (fd >= 0 && is_welcome(program, fd, peer))
			return fd;
		if (fd >= 0)
			close(fd);
	}
}

static int complain(const char *program, const char *path, int err)
{
	if (path)
		fprintf(stderr, "%s: cannot listen on %s: %s\n", program, path, strerror(-err));
	else
		fprintf(stderr, "%s: descriptor 3 (LISTEN_FDS) is no SOCK_SEQPACKET socket: ListenSequentialPacket= makes one\n",
			program);
	return err;
}

/* One supervisor is all there will be, so our name goes away again; the socket of systemd stays its own. */
int child_accept(const char *program, const char *path, int64_t peer)
{
	bool is_connected = false;
	int fd = path ? listen_at(path, peer < 0 ? 0177 : 0111) : take_activated(&is_connected), connection;

	if (fd < 0)
		return complain(program, path, fd);
	if (is_connected)
		return is_welcome(program, fd, peer) ? fd : -EPERM;
	connection = accept_welcome(program, fd, peer);
	if (path)
		unlink(path);
	close(fd);
	return connection;
}
