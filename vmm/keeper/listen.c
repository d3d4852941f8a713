/* SPDX-License-Identifier: MIT */
/* Where a machine listens: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bool is_socket_at(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

/* bind() takes a path, which others may have changed on the way: then the socket is not in our directory. */
int keeper_listen(struct keeper *k, const char *name, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;

	if (fd < 0)
		return -errno;
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", k->rundir.path, name);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		rc = -errno;
	else if (!is_socket_at(k->rundir.dir_fd, name))
		rc = -ENOTDIR;
	else if (listen(fd, 16) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

static bool is_number(const char *text, long wanted)
{
	return text && strtol(text, NULL, 10) == wanted;
}

static bool is_listening(int fd, int type)
{
	int listens = 0, kind = 0, domain = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &len) == 0 && kind == type &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

int keeper_activated(void)
{
	enum { FIRST = 3 };
	bool ours = is_number(getenv("LISTEN_PID"), getpid()) && is_number(getenv("LISTEN_FDS"), 1);
	const char *name = getenv("LISTEN_FDNAMES");

	ours = ours && name && !strcmp(name, "console") && is_listening(FIRST, SOCK_STREAM);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (!ours)
		return -1;
	fcntl(FIRST, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST, F_SETFL, O_RDWR | O_NONBLOCK);
	return FIRST;
}

/* A second name of the same socket, by a link that may lead into another mount. */
int keeper_adopt_console(struct keeper *k)
{
	struct sockaddr_un a = { 0 };
	socklen_t len = sizeof(a) - 1;

	if (getsockname(k->activated_fd, (struct sockaddr *)&a, &len) < 0 ||
	    symlinkat(a.sun_path, k->rundir.dir_fd, "console.sock") < 0)
		return -errno;
	return k->activated_fd;
}

/* Nobody but this host's own can reach a loopback address. */
int keeper_listen_on_loopback(uint32_t address, int port)
{
	const struct sockaddr_in a = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)port),
				       .sin_addr.s_addr = htonl(address) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, rc = 0;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

/* Where the user wants it. What a killed predecessor has left there is a socket of ours that nobody listens on any more. */
int keeper_listen_on_path(const char *path, int backlog)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), rc = 0;
	struct stat st;

	if (fd < 0 || strlen(path) >= sizeof(a.sun_path)) {
		close(fd);
		return -ENAMETOOLONG;
	}
	strcpy(a.sun_path, path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED)
		unlink(path);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, backlog) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	close(fd);
	return rc;
}

int keeper_open_metrics(struct keeper *k)
{
	const char *place = k->config.metrics;

	if (!place)
		return 0;
	k->metrics_fd = keeper_listen_on_path(place, 16);
	return k->metrics_fd >= 0 ? 0 : keeper_fail(k, EXIT_USAGE, "--metrics %.120s: %s", place, strerror(-k->metrics_fd));
}

/* As it is called from any directory. */
static void name_place(char *out, size_t len, const char *place)
{
	char dir[128];

	if (place[0] != '/' && getcwd(dir, sizeof(dir)))
		snprintf(out, len, "%.120s/%.30s", dir, place);
	else
		snprintf(out, len, "%s", place);
}

/* A machine's debugger comes through its directory, unless the user has named another place. */
int keeper_open_gdb(struct keeper *k)
{
	const char *place = k->config.gdb;
	int port = gdb_port(place);
	char *name = k->launch.debugger;

	if (port > 0) {
		k->gdb_fd = keeper_listen_on_loopback(INADDR_LOOPBACK, port);
		snprintf(name, sizeof(k->launch.debugger), "localhost:%d", port);
	} else if (place) {
		k->gdb_fd = keeper_listen_on_path(place, 1);
		name_place(name, sizeof(k->launch.debugger), place);
	} else {
		k->gdb_fd = keeper_listen(k, "gdb.sock", SOCK_STREAM);
		snprintf(name, sizeof(k->launch.debugger), "%s/gdb.sock", k->rundir.path);
	}
	if (k->gdb_fd < 0 && !place)
		return keeper_fail(k, EXIT_INTERNAL, "socket %.120s: %s", name, strerror(-k->gdb_fd));
	return k->gdb_fd >= 0 ? 0 : keeper_fail(k, EXIT_USAGE, "--gdb %.120s: %s", name, strerror(-k->gdb_fd));
}
