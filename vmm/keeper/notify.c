/* SPDX-License-Identifier: MIT */
/* Tells systemd how far we are: a datagram to the socket that it names. */
#include "notify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int notify_open(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (len < 2 || len >= sizeof(a.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(a.sun_path, path, len);
	if (path[0] == '@')
		a.sun_path[0] = 0;
	unsetenv("NOTIFY_SOCKET");
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

uint64_t notify_watch_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	bool ours = usec && (!pid || strtol(pid, NULL, 10) == getpid());
	uint64_t ns = ours ? strtoull(usec, NULL, 10) * 1000 / 2 : 0;

	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	return ns;
}

/* write(): once the keeper is behind its filter it can send to nobody but those it is connected to. */
void notify_send(int fd, const char *state)
{
	ssize_t n = fd >= 0 ? write(fd, state, strlen(state)) : 0;

	(void)n; /* systemd that does not listen is its own business */
}
