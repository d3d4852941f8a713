/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-vncd: a machine's screen for viewers of VNC. This is the door; vnc.h tells the two kinds of process apart. The keeper
 * starts it for --vnc; anybody who may use a machine can start one more by hand. It ends when the machine does.
 */
#include "listen.h"

#include "../cli/client.h"
#include "../common/exit_codes.h"
#include "../common/packet.h"

#include "proto/sandbox.h"
#include "proto/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Fewer than displayd has places: who records or types by command finds one. */
enum { VIEWERS = SCREEN_VIEWERS - 2, RETRY_MS = 20, LOOK_MS = 1000, ASK_MS = 5000, PARKED = 64 };

struct viewer {
	pid_t pid; /* of its server; 0: nobody */
	int pair;
	bool wants_screen, wants_keys;
};

static struct door {
	struct machine_ref ref;
	struct vnc_place place;
	struct vnc_hello hello;
	uint16_t port;
	int ready_fd; /* the keeper's; -1 */
	int listener, program;
	struct viewer of[VIEWERS];
} door = { .ready_fd = -1, .listener = -1 };

static volatile sig_atomic_t ending;

static void on_signal(int sig)
{
	(void)sig;
	ending = 1;
}

/* To the user; or to the keeper that waits for us, and for which a sentence is an error. */
static int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int fail(const char *format, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (door.ready_fd < 0)
		fprintf(stderr, "bulkhead-vncd: %s\n", text);
	else if (write(door.ready_fd, text, strlen(text)) < 0)
		return EXIT_INTERNAL;
	return EXIT_USAGE;
}

/* ---- servers --------------------------------------------------------------------------------------------------- */

static _Noreturn void in_server(int viewer, int pair)
{
	char *argv[] = { "bulkhead-vncd", VNC_SERVE, NULL }, empty[] = "";
	char *env[] = { NULL };
	int program = fcntl(door.program, F_DUPFD_CLOEXEC, PARKED), v = fcntl(viewer, F_DUPFD_CLOEXEC, PARKED),
	    p = fcntl(pair, F_DUPFD_CLOEXEC, PARKED);

	close_range(3, PARKED - 1, 0);
	if (dup2(v, VNC_VIEWER) == VNC_VIEWER && dup2(p, VNC_DOOR) == VNC_DOOR)
		syscall(SYS_execveat, program, empty, argv, env, AT_EMPTY_PATH);
	_exit(EXIT_INTERNAL);
}

static void start_server(struct viewer *w, int fd)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	w->pid = fork();
	if (w->pid == 0)
		in_server(fd, pair[1]);
	close(pair[1]);
	w->pair = pair[0];
	w->wants_screen = w->wants_keys = false;
	if (w->pid > 0 && !packet_send(pair[0], &door.hello, sizeof(door.hello), NULL, 0))
		return;
	if (w->pid > 0)
		return; /* it is gone already, which the pair tells */
	w->pid = 0;
	close(pair[0]);
}

static void end_server(struct viewer *w)
{
	kill(w->pid, SIGKILL);
	while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(w->pair);
	*w = (struct viewer){ .pair = -1 };
}

/* More than there are places for are hung up on. */
static void let_in(void)
{
	int fd = accept4(door.listener, NULL, NULL, SOCK_CLOEXEC);
	struct viewer *w = NULL;

	for (unsigned i = 0; i < VIEWERS && !w; i++)
		if (!door.of[i].pid)
			w = &door.of[i];
	if (fd >= 0 && w)
		start_server(w, fd);
	if (fd >= 0)
		close(fd);
}

/* ---- connections to the screen --------------------------------------------------------------------------------- */

static bool is_over(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED || rc == -EPERM;
}

/* Whoever has it may be on its way back: then it is asked again a moment later. */
static void bring_screen(struct viewer *w)
{
	struct frame *f = &client_frame;
	int rc = client_call(door.ref.path, BULKHEAD__MESSAGE_TYPE__MSG_SCREEN, NULL, -1, ASK_MS, f);
	const char what = VNC_SCREEN;

	if (is_over(rc))
		ending = 1;
	if (rc)
		return;
	if (f->fd_count == 2) {
		packet_send(w->pair, &what, 1, f->fds, 2);
		w->wants_screen = false;
	}
	frame_close_fds(f);
}

/* A machine that has no keyboard says so; then there is none. */
static void bring_keys(struct viewer *w)
{
	struct frame *f = &client_frame;
	int rc = client_call(door.ref.path, BULKHEAD__MESSAGE_TYPE__MSG_INPUT, NULL, -1, ASK_MS, f);
	const char what = VNC_KEYS;

	if (client_is_put_off(rc, f))
		return;
	packet_send(w->pair, &what, 1, f->fds, !rc && f->fd_count == 1);
	w->wants_keys = false;
	if (!rc)
		frame_close_fds(f);
}

static void hear_server(struct viewer *w)
{
	int fds[PACKET_FDS], rc;
	char what = 0;

	rc = packet_recv(w->pair, &what, 1, fds, false);
	for (unsigned i = 0; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (!rc && what == VNC_KEYS)
		w->wants_keys = true;
	else if (!rc)
		w->wants_screen = true;
	else if (rc != -EAGAIN)
		end_server(w);
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static void turn(void)
{
	struct pollfd fds[VIEWERS + 1] = { { .fd = door.listener, .events = POLLIN } };
	int wait_ms = LOOK_MS;

	for (unsigned i = 0; i < VIEWERS; i++) {
		fds[i + 1] = (struct pollfd){ .fd = door.of[i].pid ? door.of[i].pair : -1, .events = POLLIN };
		if (door.of[i].pid && (door.of[i].wants_screen || door.of[i].wants_keys))
			wait_ms = RETRY_MS;
	}
	if (poll(fds, VIEWERS + 1, wait_ms) == 0 && !rundir_is_alive(door.ref.path))
		ending = 1;
	for (unsigned i = 0; i < VIEWERS; i++) {
		struct viewer *w = &door.of[i];

		if (fds[i + 1].fd >= 0 && fds[i + 1].revents)
			hear_server(w);
		if (w->pid && w->wants_screen)
			bring_screen(w);
		if (w->pid && w->wants_keys)
			bring_keys(w);
	}
	if (fds[0].revents & POLLIN)
		let_in();
}

static void serve(void)
{
	while (!ending)
		turn();
	for (unsigned i = 0; i < VIEWERS; i++)
		if (door.of[i].pid)
			end_server(&door.of[i]);
	if (*door.place.socket)
		unlink(door.place.socket);
}

/* ---- set-up ---------------------------------------------------------------------------------------------------- */

static const char help[] = "usage: bulkhead-vncd [--token-fd N] NAME SOCKET|ADDRESS:N[,password-file=FILE][,paste=off]\n"
			   "The screen of a running machine for viewers of VNC; see bulkhead-vncd(8).\n";

static int bad_usage(void)
{
	fputs(help, stderr);
	return EXIT_USAGE;
}

static bool is_token(const char *text)
{
	return *text && text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")] == 0;
}

/* Not from the arguments of a program, which anybody may read. */
static bool read_token(int fd, char out[VNC_TOKEN_MAX + 1])
{
	ssize_t n = read(fd, out, VNC_TOKEN_MAX);

	out[n > 0 ? n : 0] = 0;
	out[strcspn(out, "\r\n")] = 0;
	return is_token(out);
}

static int find_machine(const char *name, const char *dir)
{
	if (!dir)
		return client_find(name, &door.ref);
	door.ref.name = name;
	snprintf(door.ref.path, sizeof(door.ref.path), "%s", dir);
	return 0;
}

/* -1: go on. */
static int parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "token-fd", required_argument, NULL, 't' }, { "dir", required_argument, NULL, 'd' },
		{ "ready-fd", required_argument, NULL, 'r' }, { "sandbox", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },	      { 0 }
	};
	enum sandbox_mode mode = SANDBOX_DEFAULT;
	const char *dir = NULL;
	char error[VNC_ERROR_MAX];
	int c, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(help, stdout) < 0;
		if (c == '?' || (c == 't' && !read_token(atoi(optarg), door.hello.token)) ||
		    (c == 's' && sandbox_mode_parse(optarg, &mode)))
			return bad_usage();
		if (c == 'd')
			dir = optarg;
		else if (c == 'r')
			door.ready_fd = atoi(optarg);
	}
	if (argc - optind != 2)
		return bad_usage();
	door.hello.sandbox = (uint8_t)mode;
	if (vnc_place_parse(argv[optind + 1], &door.place, error))
		return fail("%s", error);
	rc = find_machine(argv[optind], dir);
	return rc ? rc : -1;
}

static const char *password_words(int rc)
{
	return rc == -EPERM	? "others may read it: chmod 600"
	       : rc == -ENODATA ? "its first line is empty"
	       : rc == -EFBIG	? "its first line is longer than the 8 characters that VNC compares"
				: strerror(-rc);
}

static int open_all(const char *place)
{
	int rc = *door.place.password_file ? vnc_read_password(door.place.password_file, door.hello.password) : 0;

	if (rc)
		return fail("password-file %.150s: %s", door.place.password_file, password_words(rc));
	door.hello.no_paste = door.place.no_paste;
	door.listener = vnc_listen(&door.place, &door.port);
	if (door.listener < 0)
		return fail("%.150s: %s", place, strerror(-door.listener));
	door.program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	return door.program < 0 ? fail("/proc/self/exe: %s", strerror(errno)) : 0;
}

static void tell_ready(void)
{
	if (door.ready_fd >= 0)
		close(door.ready_fd);
	else if (*door.place.socket)
		printf("%s: VNC at %s\n", door.ref.name, door.place.socket);
	else
		printf("%s: VNC at port %u\n", door.ref.name, door.port);
	fflush(stdout);
}

/* It starts programs, so it keeps its user's files and rights; but it gains nothing by them. */
static int settle(void)
{
	const struct sigaction end = { .sa_handler = on_signal };

	sigaction(SIGTERM, &end, NULL);
	sigaction(SIGINT, &end, NULL);
	sigaction(SIGHUP, &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "bh-vncd", 0, 0, 0);
	if (door.hello.sandbox == SANDBOX_OFF)
		return 0;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	int rc;

	if (argc == 2 && !strcmp(argv[1], VNC_SERVE))
		vnc_serve();
	rc = parse(argc, argv);
	if (rc < 0)
		rc = open_all(argv[argc - 1]);
	if (rc)
		return rc;
	rc = settle();
	if (rc)
		return fail("set-up: %s", strerror(-rc));
	tell_ready();
	serve();
	return EXIT_OK;
}
