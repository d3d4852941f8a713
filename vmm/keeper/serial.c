/* SPDX-License-Identifier: MIT */
/* --serial: what is behind the guest's serial ports is opened here, and served by seriald: keeper.h. */
#include "keeper.h"

#include "../common/exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

enum { BACKLOG = 16 };

/* Bytes pass as they are. The other end stays open: without one, the terminal has hung up, and forgets its modes. */
static int open_held(struct keeper *k, unsigned port, int master)
{
	struct termios t;
	int fd = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	k->launch.serial_held_fd[port] = fd;
	if (tcgetattr(fd, &t) < 0)
		return -errno;
	cfmakeraw(&t);
	return tcsetattr(fd, TCSANOW, &t) < 0 ? -errno : 0;
}

static int open_pty(struct keeper *k, unsigned port)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	char path[64], link[8];

	if (master < 0)
		return -errno;
	if (grantpt(master) < 0 || unlockpt(master) < 0 || ptsname_r(master, path, sizeof(path)))
		rc = -errno;
	if (!rc)
		rc = open_held(k, port, master);
	snprintf(link, sizeof(link), "com%u", port + 1);
	if (!rc && symlinkat(path, k->rundir.dir_fd, link) < 0)
		rc = -errno;
	if (!rc)
		return master;
	close(master);
	return rc;
}

/* seriald writes to it as it comes: what may keep a writer waiting, or is somebody's device, is no file. */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	struct stat st;

	if (fd < 0)
		return errno == ENXIO ? -EINVAL : -errno;
	if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(fd))))
		return fd;
	close(fd);
	return -EINVAL;
}

static int open_connector(struct keeper *k, const struct serial_spec *spec)
{
	char path[4096];

	snprintf(path, sizeof(path), "%.*s", (int)spec->path_len, spec->path ? spec->path : "");
	switch (spec->kind) {
	case SERIAL_PTY:
		return open_pty(k, spec->port);
	case SERIAL_TO_FILE:
		return open_file(path);
	case SERIAL_SOCKET:
		return keeper_listen_on_path(path, BACKLOG);
	case SERIAL_TCP:
		return keeper_listen_on_loopback(spec->address, spec->tcp_port);
	case SERIAL_NOTHING:
		break;
	}
	return -EINVAL;
}

int keeper_open_serial(struct keeper *k)
{
	struct launch *l = &k->launch;
	struct serial_spec spec;

	for (unsigned i = 0; i < SERIAL_PORTS; i++) {
		l->serial_fd[i] = l->serial_held_fd[i] = -1;
		if (!k->config.serial[i] || serial_parse(k->config.serial[i], &spec) || spec.kind == SERIAL_NOTHING)
			continue;
		l->serial_kind[i] = spec.kind;
		l->serial_fd[i] = open_connector(k, &spec);
		if (l->serial_fd[i] < 0)
			return keeper_fail(k, EXIT_USAGE, "--serial %.150s: %s", k->config.serial[i],
					   l->serial_fd[i] == -EINVAL ? "not a file" : strerror(-l->serial_fd[i]));
	}
	return 0;
}
