/* SPDX-License-Identifier: MIT */
/* What every child process does alike: see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child_socket.h"
#include "control_check.h"
#include "log.h"
#include "user.h"

#ifndef BULKHEAD_VERSION
#define BULKHEAD_VERSION "unknown"
#endif

enum { EXIT_USAGE = 2 };

static const struct option options[] = {
	{ "control-fd", required_argument, NULL, 'c' }, { "event-fd", required_argument, NULL, 'e' },
	{ "socket", required_argument, NULL, 's' },	{ "peer", required_argument, NULL, 'p' },
	{ "sandbox", required_argument, NULL, 'b' },	{ "replay", required_argument, NULL, 'r' },
	{ "help", no_argument, NULL, 'h' },		{ "version", no_argument, NULL, 'v' },
	{ 0 },
};

static void usage(const struct child *c, const char *summary, FILE *out)
{
	fprintf(out,
		"%s: %s\n\n"
		"Usage: %s --control-fd N --event-fd N   as a child of bulkhead-supervisor\n"
		"       %s --socket PATH                 by itself: waits there for a supervisor\n"
		"       %s                               started by systemd with a socket (LISTEN_FDS)\n"
		"       %s --replay FILE                 a device does again what it did when it was captured\n\n"
		"  --control-fd N   SOCK_SEQPACKET socket with requests of the supervisor\n"
		"  --event-fd N     SOCK_SEQPACKET socket for events\n"
		"  --socket PATH    listen on PATH, serve the first supervisor of this user or root that connects\n"
		"  --peer USER      or of this user\n"
		"  --replay FILE    of bulkhead device capture; ends with 0: clean, 1: it died, 125: not usable\n"
		"  --sandbox MODE   on (default), log, off (default of --replay)\n"
		"  --help, --version\n",
		c->program, summary, c->program, c->program, c->program, c->program);
}

static int bad_usage(const struct child *c, const char *what)
{
	fprintf(stderr, "%s: %s; see %s --help\n", c->program, what, c->program);
	return EXIT_USAGE;
}

/* An open socket, or -1. */
static int parse_fd(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || end == text || n < 0 || n > 1 << 20 || fcntl((int)n, F_GETFD) < 0)
		return -1;
	fcntl((int)n, F_SETFD, FD_CLOEXEC);
	return (int)n;
}

/* Waits for a supervisor to connect: at `path`, or at the socket that systemd has handed to us. < 0: it has. */
static int serve_socket(struct child *c, const char *path, int64_t peer)
{
	c->control_fd = child_accept(c->program, path, peer);
	return c->control_fd < 0 ? EXIT_USAGE : -1;
}

/* Remembers the memory of argv and environment, which follow each other on the stack: that is what ps shows. */
static void find_title(struct child *c, int argc, char **argv)
{
	char *end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;

	c->title = argv[0];
	c->title_len = (size_t)(end - argv[0]);
}

/* What the command line asks for beside what is in struct child. */
struct wishes {
	const char *path; /* --socket */
	int64_t peer;
	bool sandbox;
	const char *summary;
};

static int take_fd(const struct child *c, int *fd, const char *complaint)
{
	*fd = parse_fd(optarg);
	return *fd < 0 ? bad_usage(c, complaint) : -1;
}

/* < 0: go on; else the exit code. */
static int take_option(struct child *c, struct wishes *w, int opt)
{
	switch (opt) {
	case 'c':
		return take_fd(c, &c->control_fd, "--control-fd: not an open descriptor");
	case 'e':
		return take_fd(c, &c->event_fd, "--event-fd: not an open descriptor");
	case 's':
		w->path = optarg;
		return -1;
	case 'p':
		return user_parse(optarg, &w->peer) < 0
			       ? bad_usage(c, "--peer: no such user; a number, or a name from /etc/passwd")
			       : -1;
	case 'r':
		c->replay = optarg;
		return kind_of_role(c->role) ? -1 : bad_usage(c, "--replay is for devices");
	case 'b':
		w->sandbox = true;
		return sandbox_mode_parse(optarg, &c->sandbox) < 0 ? bad_usage(c, "--sandbox: on, log or off") : -1;
	case 'h':
		usage(c, w->summary, stdout);
		return 0;
	case 'v':
		printf("%s %s\n", c->program, BULKHEAD_VERSION);
		return 0;
	default:
		return bad_usage(c, "unknown option");
	}
}

/* Where does what is said to it come from? */
static int check_source(const struct child *c, const struct wishes *w)
{
	bool supervised = c->control_fd >= 0;

	if (c->replay && (w->path || supervised))
		return bad_usage(c, "--replay needs no supervisor");
	if (w->path && supervised)
		return bad_usage(c, "give either --socket or --control-fd");
	if (!c->replay && !w->path && !supervised && !child_is_activated())
		return bad_usage(c, "give --socket or --control-fd, or start it by systemd with a socket");
	return -1;
}

int child_start(struct child *c, Bulkhead__Role role, const char *program, const char *summary, int argc, char **argv)
{
	struct wishes w = { .peer = -1, .summary = summary };
	int opt, code = -1;

	memset(c, 0, offsetof(struct child, frame));
	c->role = role;
	c->program = program;
	c->control_fd = c->event_fd = -1;
	signal(SIGPIPE, SIG_IGN); /* a peer that died is found by its pidfd or end of file, not by killing us */
	while (code < 0 && (opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		code = take_option(c, &w, opt);
	if (code < 0 && optind != argc)
		code = bad_usage(c, "unexpected argument");
	if (code < 0)
		code = check_source(c, &w);
	if (code >= 0)
		return code;
	if (c->replay && !w.sandbox)
		c->sandbox = SANDBOX_OFF;
	find_title(c, argc, argv);
	return c->replay || c->control_fd >= 0 ? -1 : serve_socket(c, w.path, w.peer);
}

void child_set_title(struct child *c)
{
	char name[16], title[CHILD_VM_MAX + 32], role[KIND_NAME_MAX];

	control_process_name(c->role, c->instance, role);
	snprintf(name, sizeof(name), "bh-%.12s", role);
	prctl(PR_SET_NAME, name);
	if (!c->title)
		return;
	snprintf(title, sizeof(title), "bulkhead: %s/%s", c->vm, role);
	memset(c->title, 0, c->title_len);
	snprintf(c->title, c->title_len, "%s", title);
}

int child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text)
{
	return child_device_event(c, type, code, device, 0, text);
}

int child_device_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, unsigned instance,
		       const char *text)
{
	Bulkhead__Event event = BULKHEAD__EVENT__INIT;
	int err;

	if (c->event_fd < 0)
		return -ENOTCONN;
	event.has_type = event.has_code = true;
	event.type = type;
	event.code = code;
	event.text = (char *)(uintptr_t)text;
	event.has_device = device != BULKHEAD__ROLE__ROLE_UNKNOWN;
	event.device = (uint32_t)device;
	event.has_instance = instance != 0;
	event.instance = instance;
	err = frame_send_dontwait(c->event_fd, BULKHEAD__MESSAGE_TYPE__MSG_EVENT, 0, &event.base);
	if (err)
		atomic_fetch_add_explicit(&c->events_lost, 1, memory_order_relaxed);
	return err;
}

static void send_log(void *ctx, enum log_level level, const char *line)
{
	struct child *c = ctx;

	child_event(c, BULKHEAD__EVENT_TYPE__EVENT_LOG, (uint32_t)level, c->role, line);
}

static int answer_hello(struct child *c)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	Bulkhead__Hello hello = BULKHEAD__HELLO__INIT;
	static char version[] = BULKHEAD_VERSION;

	hello.has_proto_major = hello.has_proto_minor = hello.has_role = hello.has_pid = true;
	hello.proto_major = CONTROL_MAJOR;
	hello.proto_minor = CONTROL_MINOR;
	hello.role = c->role;
	hello.pid = (uint32_t)getpid();
	hello.version = version;
	ok.hello = &hello;
	return frame_send(c->control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, c->frame.header.id, &ok.base, NULL, 0);
}

static void adopt_hello(struct child *c, const Bulkhead__Hello *hello)
{
	snprintf(c->vm, sizeof(c->vm), "%s", hello->vm);
	c->incarnation = hello->has_incarnation ? hello->incarnation : 1;
	c->instance = hello->has_instance ? hello->instance : 0;
	if (hello->has_log_level)
		log_set_level((enum log_level)hello->log_level);
	if (c->frame.fd_count && c->event_fd < 0) {
		c->event_fd = c->frame.fds[0];
		c->frame.fds[0] = -1;
	}
	frame_close_fds(&c->frame);
	log_set_sink(send_log, c); /* without an event channel they go nowhere: whoever reads stderr may have stopped */
	child_set_title(c);
}

int child_hello(struct child *c)
{
	struct control_complaint complaint;
	const Bulkhead__Hello *hello;
	int err = frame_recv(c->control_fd, &c->frame);

	if (err)
		return err;
	if (c->frame.header.type != BULKHEAD__MESSAGE_TYPE__MSG_HELLO) {
		frame_close_fds(&c->frame);
		frame_reply_error(c->control_fd, c->frame.header.id, EPROTO, NULL, "expected HELLO, not %s",
				  frame_type_name(c->frame.header.type));
		return -EPROTO;
	}
	hello = (const Bulkhead__Hello *)c->frame.msg;
	err = control_check_hello(hello, c->role, &complaint);
	if (err) {
		frame_close_fds(&c->frame);
		frame_reply_error(c->control_fd, c->frame.header.id, -err, complaint.field, "HELLO: %s %s", complaint.field,
				  complaint.why);
		return err;
	}
	adopt_hello(c, hello);
	return answer_hello(c);
}
