/* SPDX-License-Identifier: MIT */
/*
 * The logger: a process that takes messages of keeper and supervisor from a socket and writes them to what was standard
 * error when the machine was started, or to --log. It alone may wait for somebody to read them: a terminal that was
 * stopped, a pipe that is full, a disk that does not answer. It can do nothing else, and is gone when the keeper is.
 */
#include "keeper.h"

#include "journald.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/say.h"
#include "../common/title.h"

#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum log_form { LOG_FORM_PEOPLE, LOG_FORM_JOURNAL, LOG_FORM_ENTRIES, LOG_FORM_FILE };

static const char *vm_name; /* of the entries */

/* How long the end waits for a reader. */
static const struct timespec patience = { .tv_sec = 1 };

/* 0 or -errno. Whoever shares standard error with us may have made it one that does not wait. */
static int write_all(const char *text, size_t len)
{
	while (len) {
		struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
		ssize_t n = write(STDERR_FILENO, text, len);

		if (n < 0 && errno == EAGAIN)
			n = ppoll(&p, 1, NULL, NULL) < 0 && errno != EINTR ? -1 : 0;
		else if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A full disk may have room again: then it is told what it has missed. */
static void write_message(const char *text, size_t len)
{
	static unsigned failed;
	char note[80];
	int n;

	if (failed) {
		n = snprintf(note, sizeof(note), "bulkhead: messages are missing here, as they could not be written: %u\n",
			     failed);
		failed = write_all(note, (size_t)n) ? failed : 0;
	}
	if (failed || write_all(text, len))
		failed++;
}

/* The journal takes levels as they come; a log has them as words, behind the time; who reads as it happens needs neither. */
static void write_stamped(const char *text, enum log_form form)
{
	char line[SAY_STAMP + SAY_MAX + 1], stamp[SAY_STAMP];
	const char *words = text;

	say_stamp(stamp, &words);
	snprintf(line, sizeof(line), "%s%s", form == LOG_FORM_FILE ? stamp : "", form == LOG_FORM_JOURNAL ? text : words);
	write_message(line, strlen(line));
}

/* Keeper and supervisor have cleaned what others said to them. But the supervisor listens to all of these, and what passes here
 * is shown by terminals. */
static void pass_on(char *text, size_t len, enum log_form form)
{
	static char entry[SAY_MAX + JOURNALD_FIELDS_MAX];

	text[len] = 0;
	text_clean_bytes(text, len, TEXT_LINES);
	if (form == LOG_FORM_ENTRIES)
		write_message(entry, journald_entry(entry, vm_name, text, len));
	else
		write_stamped(text, form);
}

/* An empty message looks like the end, which it is when the other side is closed. */
static bool is_closed(int sock)
{
	struct pollfd p = { .fd = sock };

	return ppoll(&p, 1, NULL, NULL) > 0 && (p.revents & POLLHUP);
}

/* A message, and what came with it: -1, or another file to write to. */
static ssize_t receive(int sock, char *text, int *fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec io = { text, SAY_MAX };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&m);

	*fd = -1;
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return n;
}

/* What comes from now on goes there. */
static enum log_form reopen(int fd)
{
	dup3(fd, STDERR_FILENO, 0);
	close(fd);
	return LOG_FORM_FILE;
}

static _Noreturn void serve(int sock, enum log_form form)
{
	char text[SAY_MAX + 1];
	int fd;

	for (;;) {
		ssize_t n = receive(sock, text, &fd);

		if (fd >= 0)
			form = reopen(fd);
		else if (n > 0)
			pass_on(text, (size_t)n, form);
		else if (n < 0 && errno != EINTR)
			_exit(EXIT_INTERNAL);
		else if (n == 0 && is_closed(sock))
			_exit(EXIT_OK);
	}
}

static _Noreturn void in_logger(struct keeper *k, int sock, pid_t keeper)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	int journal = journald_open();
	const enum log_form form = k->config.log_file || k->config.detach ? LOG_FORM_FILE
				   : journal >= 0			  ? LOG_FORM_ENTRIES
				   : k->launch.journal			  ? LOG_FORM_JOURNAL
									  : LOG_FORM_PEOPLE;

	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != keeper)
		_exit(EXIT_INTERNAL);
	dup2(sock, STDIN_FILENO);
	vm_name = k->config.name;
	if (form == LOG_FORM_ENTRIES)
		dup2(journal, STDERR_FILENO);
	close_range(STDERR_FILENO + 1, ~0u, 0);
	title_set(k->config.name, "logger");
	if (sandbox_enter_setup(SANDBOX_LOGGER, k->config.sandbox, NULL))
		_exit(EXIT_INTERNAL);
	serve(STDIN_FILENO, form);
}

int logger_start(struct keeper *k)
{
	pid_t keeper = getpid(), pid;
	int pair[2];

	/* Libraries write to standard error, too. */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "socketpair: %s", strerror(errno));
	pid = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &k->logger_fd, NULL, 0);
	if (pid < 0)
		return keeper_fail(k, EXIT_INTERNAL, "the logger could not be started: %s%s", strerror(errno),
				   limits_hint(errno));
	if (!pid)
		in_logger(k, pair[1], keeper);
	dup2(pair[0], STDERR_FILENO);
	close(pair[0]);
	close(pair[1]);
	return 0;
}

void logger_finish(struct keeper *k)
{
	struct pollfd p = { .fd = k->logger_fd, .events = POLLIN };

	if (k->logger_fd < 0)
		return;
	close(STDERR_FILENO);
	ppoll(&p, 1, &patience, NULL);
}
