/* SPDX-License-Identifier: MIT */
/*
 * The dialler: a process that connects to the sockets of --device for the supervisor (vmm/common/dial.h). It has its user's way
 * into the host's file system as far as sockets go, so it listens to nobody but the supervisor, which can name a device, and no
 * path; and it can neither read nor write what it has connected to.
 */
#include "keeper.h"

#include "../common/dial.h"
#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/packet.h"
#include "../common/title.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The kernel tells who called listen() there. With a socket of systemd's that is root, or the user whose systemd it is. */
static int check_listener(const struct keeper *k, const struct external *e, int fd, uint32_t *uid)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return -errno;
	*uid = who.uid;
	return who.uid == k->owner || who.uid == 0 || (int64_t)who.uid == e->user ? 0 : -EPERM;
}

/* Does not wait: who has no room for a connection is asked again later. */
static int connect_to(const struct keeper *k, const struct external *e, int *fd, uint32_t *uid)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int rc = 0;

	*fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0)
		return -errno;
	memcpy(a.sun_path, e->path, strlen(e->path)); /* config.c: it fits */
	if (connect(*fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
		rc = -errno;
	if (!rc)
		rc = check_listener(k, e, *fd, uid);
	if (!rc)
		return 0;
	close(*fd);
	*fd = -1;
	return rc;
}

static void answer(const struct keeper *k, const struct dial_request *request)
{
	struct dial_answer a = { .device = request->device, .error = -EINVAL };
	int fd = -1;

	if (request->device < DEVICES_MAX && k->config.external[request->device].path)
		a.error = connect_to(k, &k->config.external[request->device], &fd, &a.uid);
	packet_send(SANDBOX_DIALLER_SOCK, &a, sizeof(a), &fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

static _Noreturn void serve(const struct keeper *k)
{
	struct dial_request request;
	int fds[PACKET_FDS], rc;

	for (;;) {
		rc = packet_recv(SANDBOX_DIALLER_SOCK, &request, sizeof(request), fds, true);
		if (rc && rc != -EAGAIN)
			_exit(EXIT_OK); /* the supervisor is gone */
		for (unsigned i = 0; i < PACKET_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (!rc)
			answer(k, &request);
	}
}

static _Noreturn void in_dialler(struct keeper *k, int sock, pid_t keeper)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };

	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != keeper)
		_exit(EXIT_INTERNAL);
	if (sock != SANDBOX_DIALLER_SOCK)
		dup2(sock, SANDBOX_DIALLER_SOCK);
	close_range(SANDBOX_DIALLER_SOCK + 1, ~0u, 0);
	title_set(k->config.name, "dialler");
	if (sandbox_enter_setup(SANDBOX_DIALLER, k->config.sandbox, NULL))
		_exit(EXIT_INTERNAL);
	serve(k);
}

static bool is_wanted(const struct vm_config *config)
{
	for (unsigned i = 0; i < DEVICES_MAX; i++)
		if (config->external[i].path)
			return true;
	return false;
}

int dialler_start(struct keeper *k)
{
	pid_t keeper = getpid(), pid;
	int pair[2];

	if (!is_wanted(&k->config))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "socketpair: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return keeper_fail(k, EXIT_INTERNAL, "the dialler could not be started: %s%s", strerror(errno),
				   limits_hint(errno));
	if (!pid)
		in_dialler(k, pair[1], keeper);
	close(pair[1]);
	k->launch.dialler_fd = pair[0];
	return 0;
}
