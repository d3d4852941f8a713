/* SPDX-License-Identifier: MIT */
/* bulkhead run, demo: starts a keeper and, in the foreground, is its machine's console. */
#include "cli.h"

#include "client.h"
#include "config_file.h"
#include "help.h"
#include "take.h"
#include "../common/config.h"
#include "../common/guest_note.h"
#include "console.h"
#include "terminal.h"
#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/programs.h"
#include "../common/rundir.h"

#include "../../proto/clock.h"
#include "../../proto/text.h"

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

enum { ARGS_MAX = 256, PACKET_MAX = 320 };

struct run {
	struct vm_config config;
	pid_t keeper;
	int ready_fd; /* SEQPACKET: what the keeper tells us */
	int console_fd;
	char name[VM_NAME_MAX + 1];
	char dir[RUNDIR_PATH_MAX];
	char last_words[256], last_line[128]; /* what went wrong; how it ended */
	int failure; /* exit code of a keeper that did not get far, 0: it did */
	bool output_lost;
	struct taken taken; /* --from */
};

static uint64_t begun_ns(void)
{
	const char *text = getenv("BULKHEAD_START_NS");

	return text ? strtoull(text, NULL, 10) : clock_ns();
}

/* What a Linux guest is told of it, if its console is shown on one. */
static bool note_terminal(char *out, size_t size)
{
	struct guest_note note = { .in = terminal_is_ours(), .out = isatty(STDOUT_FILENO) };
	const char *term = getenv("TERM");
	char text[GUEST_NOTE_MAX];

	if (!note.in && !note.out)
		return false;
	if (terminal_size(&note.rows, &note.columns))
		note.rows = note.columns = 0;
	if (note.out && term && strlen(term) < sizeof(note.term))
		strcpy(note.term, term);
	guest_note_format(&note, text);
	snprintf(out, size, "--terminal=%s", text);
	return true;
}

/* The keeper gets our options as they were given, and some that only it knows. */
static _Noreturn void exec_keeper(int argc, char **argv, bool demo, int ready_fd, bool keep, int taken_fd)
{
	char *args[ARGS_MAX + 8], ready[32], taken[32], path[4200], start[32], terminal[GUEST_NOTE_MAX + 16];
	int n = 0, fd = program_open("bulkhead-supervisor", path, sizeof(path));

	if (fd < 0) {
		fprintf(stderr, "bulkhead: program %.150s: %s; reinstall bulkhead, or set BULKHEAD_LIBEXEC\n", path,
			strerror(-fd));
		_exit(EXIT_USAGE);
	}
	args[n++] = "bulkhead-supervisor";
	for (int i = 1; i < argc && n < ARGS_MAX; i++)
		args[n++] = argv[i];
	if (demo)
		args[n++] = "--demo";
	if (keep)
		args[n++] = "--keep";
	if (note_terminal(terminal, sizeof(terminal)))
		args[n++] = terminal;
	if (ready_fd >= 0) {
		snprintf(ready, sizeof(ready), "--ready-fd=%d", ready_fd);
		args[n++] = ready;
	}
	if (taken_fd >= 0) {
		snprintf(taken, sizeof(taken), "--taken-fd=%d", taken_fd);
		args[n++] = taken;
	}
	args[n] = NULL;
	snprintf(start, sizeof(start), "%llu", (unsigned long long)begun_ns());
	setenv("BULKHEAD_START_NS", start, 1);
	execv(path, args);
	fprintf(stderr, "bulkhead: %.150s: %s\n", path, strerror(errno));
	_exit(EXIT_USAGE);
}

static int start_keeper(struct run *r, int argc, char **argv)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	r->keeper = fork();
	if (r->keeper < 0)
		return -errno;
	if (!r->keeper) {
		fcntl(pair[1], F_SETFD, 0);
		exec_keeper(argc, argv, r->config.demo, pair[1], r->config.detach, take_inherit(&r->taken));
	}
	close(pair[1]);
	r->ready_fd = pair[0];
	return 0;
}

/* One packet from the keeper: its letter, or 0 when it is gone. */
static char take_packet(struct run *r)
{
	char packet[PACKET_MAX], *text;
	ssize_t n;
	int code;

	do
		n = recv(r->ready_fd, packet, sizeof(packet) - 1, 0);
	while (n < 0 && errno == EINTR);

	if (n <= 1)
		return 0;
	packet[n] = 0;
	text_clean(packet, true); /* some of it comes from the supervisor, which listens to everybody */
	code = (int)strtol(packet + 1, &text, 10);
	text += *text == ' ';
	if (packet[0] == 'D' && sscanf(text, "%48s %95s", r->name, r->dir) != 2)
		return 0;
	if (packet[0] == 'W')
		fprintf(stderr, "bulkhead: %s: %s\n", r->name, text);
	if (packet[0] == 'L')
		snprintf(r->last_line, sizeof(r->last_line), "%s", text);
	if (packet[0] == 'E' || packet[0] == 'X') {
		r->failure = code;
		snprintf(r->last_words, sizeof(r->last_words), "%s", text);
	}
	return packet[0];
}

/* Waits for the keeper's end, and passes its code on. */
static int reap(struct run *r)
{
	int status;

	while (waitpid(r->keeper, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_INTERNAL;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	terminal_say("bulkhead: the keeper was killed by signal %d\n", WTERMSIG(status));
	return EXIT_VMM;
}

/* What the user should know about the end beyond the exit code. */
static void explain(const struct run *r, int code)
{
	if (code && code != r->failure)
		return;
	if (code == EXIT_INTERNAL || code == EXIT_VMM || code == EXIT_SANDBOX || code == EXIT_USAGE || code == EXIT_GUEST_RESET ||
	    code == EXIT_QUARANTINE || code == EXIT_OUTPUT || code == EXIT_TIMEOUT || code == EXIT_GUEST_CODE ||
	    code == EXIT_PANIC)
		if (r->last_words[0])
			terminal_say("bulkhead: %s%s%s\n", r->name, r->name[0] ? ": " : "", r->last_words);
}

/*
 * The next packet, or 0 when the keeper is gone. Signals that come meanwhile are passed to it: poll() watches for them
 * too, so that one which arrives just before the wait is not lost.
 */
static char next_packet(struct run *r)
{
	struct pollfd fds[] = { { .fd = r->ready_fd, .events = POLLIN }, { .fd = console_signal_fd(), .events = POLLIN } };

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return 0;
		if (console_signal())
			kill(r->keeper, SIGTERM);
		if (fds[0].revents)
			return take_packet(r);
	}
}

static int finish(struct run *r)
{
	int code;

	while (next_packet(r))
		;
	code = reap(r);
	console_exec_failed();
	explain(r, code);
	if (r->last_line[0] && !r->config.quiet)
		terminal_say("bulkhead: %s: ended: %s%s\n", r->name, r->last_line,
			     r->output_lost ? "; not all of its output was written" : "");
	return code == EXIT_OK && r->output_lost ? EXIT_OUTPUT : code;
}

/* Nobody listens any more: the machine goes on, and we wait for it. */
static int go_on_deaf(struct run *r)
{
	fprintf(stderr, "bulkhead: standard output: %s; what %s prints from here on is lost\n", strerror(console_output_error()),
		r->name);
	r->output_lost = true;
	close(r->console_fd);
	return finish(r);
}

/* The keeper lives on without us: the word reaches it before it sees our end, which it would take for a violent one. */
static int leave(struct run *r)
{
	send(r->ready_fd, "d", 1, MSG_NOSIGNAL);
	terminal_say("\n%s goes on; bulkhead console %s attaches again, bulkhead stop %s ends it\n", r->name, r->name, r->name);
	return EXIT_OK;
}

/* The first time the guest is asked, the second time it is not. */
static void end_machine(struct run *r, unsigned times)
{
	kill(r->keeper, times ? SIGINT : SIGTERM);
	terminal_say(times ? "\nbulkhead: ending %s\n" : "\nbulkhead: stopping %s; once more ends it at once\n", r->name);
}

static bool reconnect(struct run *r)
{
	int fd = console_reconnect(r->console_fd, r->dir);

	if (fd >= 0)
		r->console_fd = fd;
	return fd >= 0;
}

static int attached(struct run *r)
{
	const struct console_options options = { .escape = r->config.escape,
						 .stoppable = true,
						 .execs = config_has_exec(&r->config) };
	unsigned signals = 0;

	for (;;) {
		switch (console_run(r->console_fd, &options)) {
		case CONSOLE_CLOSED:
			if (!reconnect(r))
				return finish(r);
			break;
		case CONSOLE_DETACHED:
			return leave(r);
		case CONSOLE_INPUT: /* the last three: not asked for */
		case CONSOLE_DONE:
		case CONSOLE_LATE:
			break;
		case CONSOLE_OUTPUT:
			return go_on_deaf(r);
		case CONSOLE_SIGNAL:
			console_signal();
			end_machine(r, signals);
			if (signals++ > 1) {
				console_make_whole();
				return finish(r); /* it has ended; whoever does not read what it printed, does not want it */
			}
			break;
		case CONSOLE_STOP:
			end_machine(r, signals++);
			break;
		}
	}
}

/* For people: a script knows what it waits for. */
static void prepare_hint(const struct run *r)
{
	static char text[400];
	const char *words = r->config.cmdline,
		   *why = "a Linux kernel prints to the first serial port, unless its command line says otherwise";

	if (!isatty(STDERR_FILENO) || r->config.demo)
		return;
	if (strstr(words, "console=") && !strstr(words, "console=ttyS"))
		why = "its command line has another console; add console=ttyS0";
	else if (strstr(words, "quiet"))
		why = "its command line has quiet";
	snprintf(text, sizeof(text), "bulkhead: %s has printed nothing yet: %s. bulkhead status %s shows what it does%s%s%s",
		 r->name, why, r->name, r->config.escape < 0 ? "" : ", ",
		 r->config.escape < 0 ? "" : console_escape_name(r->config.escape),
		 r->config.escape < 0 ? "" : " then q stops it");
	console_hint(text);
}

static int foreground(struct run *r)
{
	if (next_packet(r) != 'D')
		return finish(r);
	r->console_fd = client_console(r->dir);
	if (r->console_fd < 0)
		return finish(r);
	prepare_hint(r);
	return attached(r);
}

static int detached(struct run *r)
{
	char what;

	do
		what = next_packet(r);
	while (what == 'D' || what == 'W');
	if (what != 'R')
		return finish(r); /* and our end of its connection closes: the other machine goes on */
	take_away(&r->taken);
	printf("%s\ncontrol: %s/control.sock\nconsole: %s/console.sock\n", r->name, r->dir, r->dir);
	return EXIT_OK;
}

/* The options of the file that --config names, if it does, then those of the command line, which win. Of their words the new
 * ones are the keeper's, too. 0, or an exit code; what is wrong has been told. */
static int read_options(struct run *r, enum command command, int *argc, char ***argv)
{
	static struct config_file file;
	static char *words[ARGS_MAX];
	char error[CONFIG_ERROR_MAX];
	const bool demo = r->config.demo;
	int rc = options_parse(command, &r->config, *argc, *argv, error);

	if (!rc && r->config.config_file && !r->config.help) {
		if (config_file_read(&file, command, r->config.config_file))
			return EXIT_USAGE;
		rc = config_file_merge(&file, command, *argc, *argv, words, ARGS_MAX - 8);
		snprintf(error, sizeof(error), "too many arguments");
		if (rc > 0) {
			*argc = rc;
			*argv = words;
			config_init(&r->config);
			r->config.demo = demo;
			rc = options_parse(command, &r->config, *argc, *argv, error);
		}
	}
	if (!rc && (r->config.help || config_wants_cpu_help(&r->config)))
		return 0;
	config_settle(&r->config);
	if (!rc)
		rc = config_check(&r->config, error);
	if (!rc)
		rc = limits_check(r->config.ram_bytes, error);
	if (!rc && *argc > ARGS_MAX - 8) {
		rc = -E2BIG;
		snprintf(error, sizeof(error), "too many arguments");
	}
	if (rc)
		config_file_complain(&file, error);
	return rc ? EXIT_USAGE : 0;
}

static int run_with(int argc, char **argv, bool demo)
{
	static struct run r;
	enum command command = demo ? COMMAND_DEMO : COMMAND_RUN;
	int rc;

	config_init(&r.config);
	r.config.demo = demo;
	rc = read_options(&r, command, &argc, &argv);
	if (rc)
		return rc;
	if (r.config.help) {
		help_command(command);
		return EXIT_OK;
	}
	if (config_wants_cpu_help(&r.config))
		return cpu_help(r.config.json);
	if (r.config.no_console)
		exec_keeper(argc, argv, demo, -1, true, -1);
	take_none(&r.taken);
	rc = r.config.from ? take_machine(r.config.from, &r.taken) : 0;
	if (rc)
		return rc;
	console_catch_signals();
	rc = start_keeper(&r, argc, argv);
	if (rc) {
		fprintf(stderr, "bulkhead: %s\n", strerror(-rc));
		return EXIT_INTERNAL;
	}
	return r.config.detach ? detached(&r) : foreground(&r);
}

int cmd_run(int argc, char **argv)
{
	return run_with(argc, argv, false);
}

int cmd_demo(int argc, char **argv)
{
	return run_with(argc, argv, true);
}
