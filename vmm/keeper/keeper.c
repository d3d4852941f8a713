/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-supervisor: the keeper is its first stage. It opens everything that has a name on this host, clones the
 * supervisor into namespaces where nothing has one, and waits. When the supervisor is gone, however that came, the
 * keeper removes what the machine has left and passes its exit code on. If the keeper is killed, the supervisor dies
 * with it, and so does every process of the machine; the next command sweeps the directory.
 */
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/options.h"
#include "notify.h"
#include "record.h"
#include "../common/say.h"
#include "../common/title.h"

#include "../../proto/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int signal_pipe[2] = { -1, -1 };

/* ---- keeping --------------------------------------------------------------------------------------------------- */

static void on_signal(int sig)
{
	char c = (char)sig;
	int saved = errno;

	if (write(signal_pipe[1], &c, 1) < 0)
		errno = saved;
	errno = saved;
}

static int catch_signals(struct keeper *k)
{
	static const int caught[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	k->signal_fd = signal_pipe[0];
	k->signal_wr = signal_pipe[1];
	for (unsigned i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
		sigaction(caught[i], &sa, NULL);
	return 0;
}

/* Descriptors change their places; a signal that comes meanwhile waits. */
static int settle(struct keeper *k)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	rc = keeper_settle(k);
	signal_pipe[1] = k->signal_wr;
	sigprocmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static void end_machine(struct keeper *k, enum note_kind how)
{
	struct keeper_note note = { .kind = (uint8_t)how };

	notify_send(k->notify_fd, "STOPPING=1\nSTATUS=stopping");
	note_send(k->note_fd, &note, -1);
}

/* The first signal asks the guest, the second does not. */
static void take_signal(struct keeper *k)
{
	char sig;

	while (read(k->signal_fd, &sig, 1) == 1)
		end_machine(k, k->stops++ || sig == SIGINT ? NOTE_KILL : NOTE_STOP);
}

static bool is_member(int fd, const struct ucred *peer, gid_t group)
{
	gid_t groups[256];
	socklen_t len = sizeof(groups);

	if (peer->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

static enum client_rights rights_of(const struct keeper *k, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return CLIENT_STRANGER;
	if (peer.uid == k->owner || peer.uid == 0)
		return CLIENT_OWNER;
	return k->config.group >= 0 && is_member(fd, &peer, (gid_t)k->config.group) ? CLIENT_MEMBER : CLIENT_STRANGER;
}

/* Only here have user ids their host meaning; the supervisor's user namespace does not know its owner's root. */
static void take_client(struct keeper *k)
{
	struct keeper_note note = { .kind = NOTE_CLIENT };
	int fd = accept4(k->control_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	note.code = (uint8_t)rights_of(k, fd);
	if (note.code != CLIENT_STRANGER)
		note_send(k->note_fd, &note, fd);
	close(fd);
}

/* Over TCP nobody can tell who it is; it is somebody on this host, and who wants to keep others out takes a socket. */
static void take_debugger(struct keeper *k)
{
	const struct keeper_note note = { .kind = NOTE_DEBUGGER };
	int fd = accept4(k->gdb_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (gdb_port(k->config.gdb) > 0 || rights_of(k, fd) == CLIENT_OWNER)
		note_send(k->note_fd, &note, fd);
	close(fd);
}

static void take_scraper(struct keeper *k)
{
	const struct keeper_note note = { .kind = NOTE_METRICS };
	int fd = accept4(k->metrics_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (rights_of(k, fd) != CLIENT_STRANGER)
		note_send(k->note_fd, &note, fd);
	close(fd);
}

static void take_note(struct keeper *k, struct pollfd *p)
{
	struct keeper_note note;
	char state[256];
	int fd, rc = note_recv(k->note_fd, &note, &fd);

	if (fd >= 0)
		close(fd);
	if (rc && rc != -EAGAIN)
		p->fd = -1;
	if (rc)
		return;
	if (note.kind == NOTE_RUNNING) {
		snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", note.text);
		notify_send(k->notify_fd, state);
		keeper_tell(k, 'R', 0, k->config.name);
	} else if (note.kind == NOTE_STATUS) {
		snprintf(state, sizeof(state), "STATUS=%s", note.text);
		notify_send(k->notify_fd, state);
	} else if (note.kind == NOTE_PING) {
		notify_send(k->notify_fd, "WATCHDOG=1");
	} else if (note.kind == NOTE_MISSING && k->config.detach) {
		keeper_tell(k, 'W', 0, note.text); /* our stderr is a file in the machine's directory */
	} else if (note.kind == NOTE_CAPTURE) {
		record_capture(k, note.code);
	} else if (note.kind == NOTE_ENDED) {
		k->ended = true;
		snprintf(k->last_words, sizeof(k->last_words), "%s", note.text);
	}
}

/*
 * The command line says 'd' before it leaves us alone. If it is gone without that word, it was killed, at whatever
 * moment: a foreground machine ends with it.
 */
static void take_ready(struct keeper *k, struct pollfd *p)
{
	char what = 0;
	ssize_t n = read(k->ready_fd, &what, 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		p->fd = -1;
	if (n == 1 && what == 'd')
		k->config.keep_on_parent_exit = true;
	else if (n <= 0 && !k->config.keep_on_parent_exit)
		end_machine(k, NOTE_STOP);
}

static int exit_code_of(struct keeper *k, const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return info->si_status;
	say("bulkhead: %s: the supervisor was killed by signal %d", k->config.name, info->si_status);
	return info->si_status == SIGSYS ? EXIT_SANDBOX : EXIT_VMM;
}

/*
 * systemd's watchdog is told that the machine lives when its supervisor has answered, not when we have: that of all the others
 * the supervisor knows itself. Returns how long to wait, NULL: for as long as it takes.
 */
static const struct timespec *ping(struct keeper *k, struct timespec *wait)
{
	const struct keeper_note note = { .kind = NOTE_PING };
	uint64_t now = clock_ns();

	if (!k->ping_ns)
		return NULL;
	if (now >= k->next_ping_ns) {
		note_send(k->note_fd, &note, -1);
		k->next_ping_ns = now + k->ping_ns;
	}
	*wait = (struct timespec){ .tv_sec = (time_t)((k->next_ping_ns - now) / CLOCK_NS_PER_S),
				   .tv_nsec = (long)((k->next_ping_ns - now) % CLOCK_NS_PER_S) };
	return wait;
}

static int keep(struct keeper *k)
{
	struct timespec wait;
	struct pollfd fds[] = {
		{ .fd = k->pidfd, .events = POLLIN },	   { .fd = k->note_fd, .events = POLLIN },
		{ .fd = k->control_fd, .events = POLLIN }, { .fd = k->signal_fd, .events = POLLIN },
		{ .fd = k->ready_fd, .events = POLLIN },   { .events = POLLOUT },
		{ .fd = k->gdb_fd, .events = POLLIN },	   { .fd = k->metrics_fd, .events = POLLIN },
	};
	siginfo_t info = { 0 };

	for (;;) {
		fds[5].fd = say_is_behind() ? STDERR_FILENO : -1;
		if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), ping(k, &wait), NULL) < 0 && errno != EINTR)
			return EXIT_INTERNAL;
		if (fds[1].revents)
			take_note(k, &fds[1]);
		if (fds[2].revents)
			take_client(k);
		if (fds[3].revents)
			take_signal(k);
		if (fds[4].revents)
			take_ready(k, &fds[4]);
		if (fds[5].revents)
			say_catch_up();
		if (fds[6].revents)
			take_debugger(k);
		if (fds[7].revents)
			take_scraper(k);
		if (!fds[1].revents && fds[0].revents && waitid(P_PIDFD, (id_t)k->pidfd, &info, WEXITED | WNOHANG) == 0 &&
		    info.si_pid)
			return exit_code_of(k, &info);
	}
}

/* ---- main ------------------------------------------------------------------------------------------------------ */

/*
 * In the background: a session of our own, no terminal. In the foreground: our own session too, so that the terminal's
 * signals go to the console client alone; it passes on what we should know, and if it is killed we end the machine.
 */
static void leave_terminal(struct keeper *k)
{
	setsid();
	dup2(k->launch.null_fd, STDIN_FILENO);
	dup2(k->launch.null_fd, STDOUT_FILENO);
}

/* The command line says it, when the console is no more. */
static void last_line(struct keeper *k, int code)
{
	char line[128];

	record_last_line(k, code, line, sizeof(line));
	keeper_tell(k, 'L', code, line);
	if (k->config.no_console && !k->config.quiet)
		say("bulkhead: %s: ended: %s", k->config.name, line);
}

static int keep_fenced(struct keeper *k)
{
	int rc = settle(k);

	if (!rc)
		rc = keeper_fence(k);
	if (rc) {
		say("bulkhead: %s: the keeper's sandbox: %s", k->config.name, strerror(-rc));
		end_machine(k, NOTE_KILL);
	}
	rc = keep(k);
	tracer_finish(k); /* who hears that it is over finds the files complete */
	rc = record_finish(k, rc);
	keeper_tell(k, 'X', rc, k->last_words);
	last_line(k, rc);
	return rc;
}

static int run(struct keeper *k)
{
	int rc = keeper_open(k);
	char dir[RUNDIR_PATH_MAX + 64];

	/* The console client connects while the machine starts: it misses nothing then, however short the guest. */
	if (!rc) {
		snprintf(dir, sizeof(dir), "%s %s", k->config.name, k->rundir.path);
		keeper_tell(k, 'D', 0, dir);
	}
	if (!rc)
		rc = record_open(k);
	if (!rc)
		rc = catch_signals(k) ? keeper_fail(k, EXIT_INTERNAL, "signals: %s", strerror(errno)) : 0;
	if (!rc) {
		leave_terminal(k);
		title_set(k->config.name, "keeper");
		rc = logger_start(k);
	}
	if (!rc)
		rc = tracer_start(k);
	if (!rc)
		rc = dialler_start(k);
	if (!rc)
		rc = vnc_start(k);
	if (!rc)
		rc = exporters_start(k);
	if (!rc)
		rc = keeper_clone(k);
	if (rc)
		record_drop(k);
	else
		rc = keep_fenced(k);
	notify_send(k->notify_fd, "STOPPING=1");
	rundir_remove(&k->rundir);
	logger_finish(k);
	return rc;
}

static uint64_t start_time(void)
{
	const char *text = getenv("BULKHEAD_START_NS");

	return text ? strtoull(text, NULL, 10) : clock_ns();
}

static int standard_fds(void)
{
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return -1;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* That an option names. Those that are not there are below 0. */
enum { NAMED_FDS = 2 + FRAME_TAKE_FDS + VIRTIO_DEVICES };
static void named_fds(const struct keeper *k, int out[NAMED_FDS])
{
	const struct vm_config *c = &k->config;
	unsigned n = 0;

	out[n++] = c->ready_fd;
	out[n++] = k->activated_fd;
	for (int i = 0; i < FRAME_TAKE_FDS; i++)
		out[n++] = c->taken_fd < 0 ? -1 : c->taken_fd + i;
	for (unsigned i = 0; i < VIRTIO_DEVICES; i++)
		out[n++] = keeper_backend_inherits(k, i);
}

/* What the caller has left open, but for what an option names, is none of a machine's business. */
static void close_inherited(const struct keeper *k)
{
	int kept[NAMED_FDS], from = 3;

	named_fds(k, kept);
	qsort(kept, NAMED_FDS, sizeof(kept[0]), by_number);
	for (unsigned i = 0; i < NAMED_FDS; i++) {
		if (kept[i] < from)
			continue;
		if (kept[i] > from)
			close_range((unsigned)from, (unsigned)kept[i] - 1, 0);
		from = kept[i] + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}

static void keep_taken(struct keeper *k)
{
	for (int i = 0; i < FRAME_TAKE_FDS; i++) {
		int fd = k->config.taken_fd < 0 ? -1 : k->config.taken_fd + i;

		k->launch.taken_fd[i] = fd;
		if (fd >= 0)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

int main(int argc, char **argv)
{
	static struct keeper k;
	char error[CONFIG_ERROR_MAX];
	int rc;

	if (standard_fds() < 0)
		return EXIT_INTERNAL;
	config_init(&k.config);
	k.launch = (struct launch){ .config = &k.config,
				    .kernel_fd = -1,
				    .variables_fd = -1,
				    .kvm_fd = -1,
				    .null_fd = -1,
				    .console_fd = -1,
				    .keeper_fd = -1,
				    .go_fd = -1,
				    .dialler_fd = -1 };
	k.rundir = (struct rundir){ .dir_fd = -1, .base_fd = -1, .lock_fd = -1 };
	k.gdb_fd = k.traced_fd = k.metrics_fd = k.control_fd = k.note_fd = k.signal_fd = k.signal_wr = k.ready_fd = k.notify_fd =
		k.pidfd = k.logger_fd = k.go_wr = k.record_fd = k.result_fd = -1;
	memset(k.capture_fd, -1, sizeof(k.capture_fd));
	argv = title_init(argc, argv);
	if (!argv)
		return EXIT_INTERNAL;
	rc = options_parse(COMMAND_RUN, &k.config, argc, argv, error);
	k.ready_fd = k.config.ready_fd;
	k.activated_fd = keeper_activated();
	close_inherited(&k);
	keep_taken(&k);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write */
	if (k.ready_fd >= 0) {
		fcntl(k.ready_fd, F_SETFD, FD_CLOEXEC);
		fcntl(k.ready_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	}
	if (!rc && k.config.help) {
		printf("bulkhead-supervisor: runs one machine; the options are those of bulkhead run, whose --help tells them\n");
		return 0;
	}
	config_settle(&k.config);
	if (!rc)
		rc = config_check(&k.config, error);
	if (!rc)
		rc = limits_check(k.config.ram_bytes, error);
	if (rc)
		return keeper_fail(&k, EXIT_USAGE, "%s", error);
	rc = keeper_keep_inherited(&k);
	if (rc)
		return rc;
	if (k.config.demo)
		k.config.format = "flat64";
	k.launch.started_ns = start_time();
	k.launch.trace = k.config.verbose || getenv("BULKHEAD_TRACE");
	k.launch.journal = getenv("JOURNAL_STREAM") != NULL;
	rundir_each(k.config.runtime_dir, NULL, NULL);
	k.owner = geteuid();
	k.notify_fd = notify_open();
	k.ping_ns = k.notify_fd < 0 ? 0 : notify_watch_ns();
	return run(&k);
}
