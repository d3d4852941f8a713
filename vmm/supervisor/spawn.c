/* SPDX-License-Identifier: MIT */
/*
 * The supervisor's end of the spawner. It does not wait for answers: a child's channels are there before the child is,
 * and keep what is said to it until it listens.
 */
#include "spawn.h"
#include "cpu_time.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"
#include "../common/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

_Static_assert((int)SPAWN_FDS <= (int)PACKET_FDS, "a request's descriptors");
_Static_assert(PROCS + 1 < LAUNCH_UIDS, "a user id for each process, and the spawner's");

/* An answer takes a millisecond. The spawner does nothing else: if it does not come, it never will. */
enum { ANSWER_S = 20, FIRST_ANSWER_MS = 10000 };

/* It has taken what it needs of the host's files. This is waited for, as nothing can be done before it; -ETIMEDOUT. */
static int wait_until_ready(struct vm *vm)
{
	struct pollfd p = { .fd = vm->spawner.sock, .events = POLLIN };
	struct spawn_answer answer;
	int fds[PACKET_FDS], n;

	do
		n = poll(&p, 1, FIRST_ANSWER_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return packet_recv(vm->spawner.sock, &answer, sizeof(answer), fds, false);
	vm_log(vm, 0, "the spawner does not answer");
	syscall(SYS_pidfd_send_signal, vm->spawner.pidfd, SIGKILL, NULL, 0);
	return n < 0 ? -errno : -ETIMEDOUT;
}

uint64_t spawn_cost(struct vm *vm)
{
	uint64_t now = cpu_time_ns(vm->spawner.pid), spent = now - vm->spawner.cpu_ns;

	if (!now)
		return 0;
	vm->spawner.cpu_ns = now;
	return spent;
}

int spawn_start(struct vm *vm, uint32_t id)
{
	struct spawner s = { .isolation = vm->launch->isolation, .id = id, .mode = vm->config->sandbox, .vm = vm->config->name };
	int pair[2];
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &vm->spawner.pidfd, NULL, 0);
	if (pid < 0)
		return -errno;
	s.sock = pair[1];
	if (!pid)
		spawner_main(&s);
	close(pair[1]);
	vm->spawner.pid = (pid_t)pid;
	vm->spawner.sock = pair[0];
	return wait_until_ready(vm);
}

int spawn_go(struct vm *vm)
{
	const struct spawn_packet go = { 0 };

	return packet_send(vm->spawner.sock, &go, sizeof(go), NULL, 0);
}

static void lost(struct vm *vm, const char *why)
{
	vm->hooks->spawner_lost(vm, why);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	lost(ctx, "does not answer");
}

static void expect_answers(struct vm *vm)
{
	const struct timeval limit = { ANSWER_S, 0 };

	if (vm->spawner.asked == vm->spawner.answered)
		evtimer_del(vm->spawner.timer);
	else
		evtimer_add(vm->spawner.timer, &limit);
}

static void on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	struct spawn_answer answer;
	int fds[PACKET_FDS], rc = packet_recv(fd, &answer, sizeof(answer), fds, false);

	if (rc == -EAGAIN)
		return;
	for (unsigned i = 1; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (rc) {
		event_del(vm->spawner.on_answer); /* its end is told by its pidfd */
		return;
	}
	vm->spawner.answered++;
	expect_answers(vm);
	vm->hooks->spawned(vm, &answer, fds[0]);
}

static void on_exit_event(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || !info.si_pid)
		return;
	event_del(vm->spawner.on_exit);
	lost(vm, info.si_code == CLD_EXITED && info.si_status == EXIT_SANDBOX ? "was stopped by its sandbox" : "has ended");
}

int spawn_watch(struct vm *vm)
{
	struct spawn_link *l = &vm->spawner;

	l->on_answer = event_new(vm->base, l->sock, EV_READ | EV_PERSIST, on_answer, vm);
	l->on_exit = event_new(vm->base, l->pidfd, EV_READ | EV_PERSIST, on_exit_event, vm);
	l->timer = evtimer_new(vm->base, on_timeout, vm);
	return l->on_answer && l->on_exit && l->timer && !event_add(l->on_answer, NULL) && !event_add(l->on_exit, NULL) ? 0
															: -ENOMEM;
}

int spawn(struct vm *vm, struct spawn_packet *request, const int fds[SPAWN_FDS])
{
	int rc;

	request->sequence = ++vm->spawner.asked;
	rc = packet_send(vm->spawner.sock, request, sizeof(*request), fds, SPAWN_FDS);
	if (rc)
		vm->spawner.asked--;
	expect_answers(vm);
	return rc;
}
