/* SPDX-License-Identifier: MIT */
/* Sockets and a password: listen.h. */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { QUEUE = 16 };

static int bind_tcp(int fd, const struct vnc_place *place, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(place->port),
				 .sin_addr.s_addr = htonl(place->address) };
	socklen_t len = sizeof(a);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		return -errno;
	*port = ntohs(a.sin_port);
	return 0;
}

static bool is_dead_socket_of_ours(int fd, const struct sockaddr_un *a)
{
	struct stat st;

	return lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == geteuid() &&
	       connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0 && errno == ECONNREFUSED;
}

static int bind_unix(int fd, const struct vnc_place *place)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	mode_t mask;
	int rc;

	memcpy(a.sun_path, place->socket, strlen(place->socket)); /* vnc_place.h: it fits */
	if (is_dead_socket_of_ours(fd, &a))
		unlink(a.sun_path);
	mask = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
	umask(mask);
	return rc;
}

int vnc_listen(const struct vnc_place *place, uint16_t *port)
{
	bool tcp = !*place->socket;
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = fd < 0 ? -errno : tcp ? bind_tcp(fd, place, port) : bind_unix(fd, place);

	if (!rc && listen(fd, QUEUE) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

int vnc_read_password(const char *file, char out[VNC_PASSWORD_MAX + 1])
{
	char line[64] = "";
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = fd < 0 ? -errno : 0;

	if (!rc && fstat(fd, &st) < 0)
		rc = -errno;
	if (!rc && (st.st_mode & 077))
		rc = -EPERM;
	if (!rc && read(fd, line, sizeof(line) - 1) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	line[strcspn(line, "\r\n")] = 0;
	if (!rc && !*line)
		rc = -ENODATA;
	if (!rc && strlen(line) > VNC_PASSWORD_MAX)
		rc = -EFBIG;
	if (!rc)
		strcpy(out, line);
	explicit_bzero(line, sizeof(line));
	return rc;
}
