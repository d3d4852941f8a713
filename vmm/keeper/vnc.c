/* SPDX-License-Identifier: MIT */
/* Starts the machine's VNC server, for --vnc: keeper.h. It is a client of the control socket as any other, and outlives no machine. */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READY = 3, PARKED = 64 };

static _Noreturn void in_vncd(const struct keeper *k, int program, int ready)
{
	char fd[16], empty[] = "";
	char *argv[] = { "bulkhead-vncd",
			 "--ready-fd",
			 fd,
			 "--dir",
			 (char *)k->rundir.path,
			 "--sandbox",
			 (char *)sandbox_mode_name(k->config.sandbox),
			 (char *)k->config.name,
			 (char *)k->config.vnc,
			 NULL };
	char *env[] = { NULL };
	int file = fcntl(program, F_DUPFD_CLOEXEC, PARKED), to = fcntl(ready, F_DUPFD_CLOEXEC, PARKED);

	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	snprintf(fd, sizeof(fd), "%d", READY);
	close_range(READY, PARKED - 1, 0);
	if (dup2(to, READY) == READY)
		syscall(SYS_execveat, file, empty, argv, env, AT_EMPTY_PATH);
	dprintf(READY, "bulkhead-vncd could not be executed: %s", strerror(errno));
	_exit(EXIT_INTERNAL);
}

/* It says nothing and closes the pipe, or it says why it cannot listen there. */
static int await(struct keeper *k, int fd)
{
	char text[400];
	ssize_t n;

	do
		n = read(fd, text, sizeof(text) - 1);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	text[n] = 0;
	return keeper_fail(k, EXIT_USAGE, "--vnc: %s", text);
}

int vnc_start(struct keeper *k)
{
	char path[4200];
	int program, ends[2], rc;
	pid_t pid;

	if (!k->config.vnc)
		return 0;
	program = program_open("bulkhead-vncd", path, sizeof(path));
	if (program < 0)
		return keeper_fail(k, EXIT_USAGE, "program %.150s: %s; it is built where libvncserver is", path,
				   strerror(-program));
	if (pipe2(ends, O_CLOEXEC) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		in_vncd(k, program, ends[1]);
	close(program);
	close(ends[1]);
	rc = pid < 0 ? keeper_fail(k, EXIT_INTERNAL, "bulkhead-vncd could not be started: %s", strerror(errno))
		     : await(k, ends[0]);
	close(ends[0]);
	return rc;
}
