/* SPDX-License-Identifier: MIT */
/*
 * An exporter: a process for each disk that another program serves. It starts qemu-storage-daemon on the image, or connects to the
 * socket where somebody else's program listens; makes memory that this shares with the disk's back-end; and hands over the
 * connection, as often as the back-end asks. It listens to nobody but the back-end, which can say nothing but "again".
 *
 * The program is started for each connection, and has ended before: nothing of what was asked of an earlier one can happen later.
 * It writes through: what it has told to be done is in the image's file when it is killed.
 */
#include "exporter.h"
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/packet.h"
#include "../common/say.h"
#include "../common/title.h"

#include "../../proto/disk.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM "qemu-storage-daemon"
enum { FD_SOCK = 3, FD_LISTEN = 3, TEXT = 200, NAP_MS = 200, LEAVE_MS = 500, NOT_FOUND = 127 };

/* The first thing that it says, to the keeper. */
struct introduction {
	int32_t error;
	struct export_facts facts;
	char text[TEXT];
};

struct exporter {
	const char *vm;
	const struct disk_spec *spec;
	char socket[RUNDIR_PATH_MAX + 8]; /* where our own program listens, for a moment */
	pid_t child;
	int child_says; /* read end of its standard error */
	struct export_facts facts;
};

/* ---- our own program ---- */

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Asked to leave it tidies up; what does not leave is killed. */
static void end_child(struct exporter *e)
{
	int left = LEAVE_MS;

	if (!e->child)
		return;
	kill(e->child, SIGTERM);
	while (left > 0 && waitpid(e->child, NULL, WNOHANG) == 0) {
		nap(5);
		left -= 5;
	}
	if (left <= 0) {
		kill(e->child, SIGKILL);
		waitpid(e->child, NULL, 0);
	}
	e->child = 0;
	close(e->child_says);
}

/* In the program's options a comma is written twice. */
static void append_name(char *out, size_t size, const char *name)
{
	size_t n = strlen(out);

	for (; *name && n + 2 < size; name++) {
		out[n++] = *name;
		if (*name == ',')
			out[n++] = ',';
	}
	out[n] = 0;
}

static _Noreturn void in_child(const struct exporter *e, int listening, int says, pid_t parent)
{
	static char block[sizeof(e->spec->path) * 2 + 200];
	const char *mode = e->spec->read_only ? "on" : "off";
	char export[200];
	char *argv[] = { PROGRAM, "--blockdev", block, "--export", export, NULL };
	int null = open("/dev/null", O_RDWR);

	snprintf(block, sizeof(block),
		 "driver=qcow2,node-name=disk,read-only=%s,discard=unmap,file.driver=file,file.filename=", mode);
	append_name(block, sizeof(block), e->spec->path);
	snprintf(export, sizeof(export),
		 "vhost-user-blk,id=disk,node-name=disk,addr.type=fd,addr.str=%d,writable=%s,writethrough=on", FD_LISTEN,
		 e->spec->read_only ? "off" : "on");
	signal(SIGTERM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_INTERNAL);
	unshare(CLONE_NEWNET | CLONE_NEWIPC); /* where it may: an image's backing file is a file */
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(says, STDERR_FILENO);
	dup2(listening, FD_LISTEN);
	if (listening == FD_LISTEN)
		fcntl(FD_LISTEN, F_SETFD, 0);
	close_range(FD_LISTEN + 1, ~0u, 0);
	execvp(PROGRAM, argv);
	_exit(NOT_FOUND);
}

static int name_socket(struct sockaddr_un *a, const char *path)
{
	size_t len = strlen(path);

	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (len >= sizeof(a->sun_path))
		return -ENAMETOOLONG;
	memcpy(a->sun_path, path, len);
	return 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un a;
	int rc = name_socket(&a, path), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	umask(0177);
	unlink(path);
	if (!rc && (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0))
		rc = -errno;
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

static int connect_to(const char *path)
{
	struct sockaddr_un a;
	int rc = name_socket(&a, path), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (!rc && (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof(a)) < 0))
		rc = -errno;
	if (!rc)
		return fd;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Our end of a connection that waits in its socket until it serves. The socket has a name until then, in a directory of ours. */
static int start_child(struct exporter *e)
{
	int listening = listen_at(e->socket), says[2], fd;
	pid_t parent = getpid();

	if (listening < 0)
		return listening;
	fd = connect_to(e->socket);
	unlink(e->socket);
	if (fd >= 0 && pipe2(says, O_CLOEXEC | O_NONBLOCK) == 0) {
		e->child = fork();
		if (!e->child)
			in_child(e, listening, says[1], parent);
		close(says[1]);
		e->child_says = says[0];
		if (e->child < 0) {
			e->child = 0;
			close(says[0]);
			close(fd);
			fd = -EAGAIN;
		}
	}
	close(listening);
	return fd;
}

/* Why it ended: the last line that it wrote, without its own name. */
static void last_words(struct exporter *e, char *out, size_t size)
{
	char text[2048];
	ssize_t n = read(e->child_says, text, sizeof(text) - 1);
	char *line;
	int status = 0;

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	line = strrchr(text, ':');
	snprintf(out, size, "%.*s", TEXT - 1, line && line[1] ? line + 2 : text);
	if (waitpid(e->child, &status, 0) == e->child) {
		e->child = 0;
		close(e->child_says);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		snprintf(out, size,
			 PROGRAM " is not here, which serves images of this format: apt-get install qemu-system-common");
	else if (!*out)
		snprintf(out, size, PROGRAM " has ended at once");
}

/* ---- offers ---- */

static int make_ends(int fds[DISK_FDS])
{
	int rc = shm_create("bulkhead-disk", DISK_OFFER_BYTES, &fds[DISK_FD_MEMORY]);

	fds[DISK_FD_KICK] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fds[DISK_FD_CALL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return rc ? rc : fds[DISK_FD_KICK] < 0 || fds[DISK_FD_CALL] < 0 ? -errno : 0;
}

static void close_ends(int fds[DISK_FDS])
{
	for (unsigned i = 0; i < DISK_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

/* What it is, or why it cannot be had, in words that fit behind the name of the image. */
static int offer(struct exporter *e, int fds[DISK_FDS], struct disk_offer *out, char text[TEXT])
{
	const char *why = NULL;
	int rc;

	end_child(e);
	fds[DISK_FD_LINK] = e->spec->way == DISK_SOCKET ? connect_to(e->spec->path) : start_child(e);
	rc = fds[DISK_FD_LINK] < 0 ? fds[DISK_FD_LINK] : make_ends(fds);
	if (!rc)
		rc = exporter_introduce(fds, out, &e->facts, &why);
	if (!rc)
		return fcntl(fds[DISK_FD_LINK], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0; /* the back-end waits for nobody */
	snprintf(text, TEXT, "%s", why ? why : strerror(-rc));
	if (e->child && rc == -ECONNRESET)
		last_words(e, text, TEXT);
	else if (e->spec->way == DISK_SOCKET && !why)
		snprintf(text, TEXT, "%s; a vhost-user back-end of a disk has to listen there", strerror(-rc));
	return rc;
}

/* A disk that is another now is no disk that the guest knows. */
static bool is_the_same(const struct export_facts *first, const struct export_facts *now)
{
	return now->sectors == first->sectors && !(first->features & ~now->features) && now->read_only == first->read_only;
}

static int offer_again(struct exporter *e, const struct export_facts *first, int fds[DISK_FDS], struct disk_offer *o)
{
	char text[TEXT] = "it is another disk now";
	int rc = offer(e, fds, o, text);

	if (!rc && !is_the_same(first, &e->facts))
		rc = -ESTALE;
	if (!rc)
		return 0;
	say("bulkhead: %s: --disk %.150s: %s; it is tried again", e->vm, e->spec->path, text);
	nap(NAP_MS);
	return rc;
}

/* The offer that was made before the machine started is the first answer. */
static void answer(struct exporter *e, const struct export_facts *first, int fds[DISK_FDS], struct disk_offer *o, uint32_t number)
{
	int rc = fds[DISK_FD_LINK] >= 0 ? 0 : offer_again(e, first, fds, o);

	o->number = number;
	o->error = rc;
	packet_send(FD_SOCK, o, sizeof(*o), fds, rc ? 0 : DISK_FDS);
	close_ends(fds);
}

static _Noreturn void serve(struct exporter *e, int offered[DISK_FDS], struct disk_offer *o)
{
	const struct export_facts first = e->facts;
	struct disk_ask ask;
	int fds[PACKET_FDS], rc;

	for (;;) {
		rc = packet_recv(FD_SOCK, &ask, sizeof(ask), fds, true);
		for (unsigned i = 0; i < PACKET_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (rc && rc != -EAGAIN)
			break; /* nobody is left */
		if (!rc)
			answer(e, &first, offered, o, ask.number);
	}
	end_child(e);
	_exit(EXIT_OK);
}

/* The image is looked at before the machine starts: what is wrong with it is an error of the command line. */
static _Noreturn void in_exporter(struct keeper *k, struct exporter *e, int sock, pid_t keeper)
{
	static const int ignored[] = { SIGTERM, SIGINT, SIGHUP, SIGPIPE };
	int fds[DISK_FDS] = { -1, -1, -1, -1 };
	struct introduction in = { 0 };
	struct disk_offer o = { 0 };

	for (unsigned i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getppid() != keeper)
		_exit(EXIT_INTERNAL);
	if (sock != FD_SOCK)
		dup2(sock, FD_SOCK);
	close_range(FD_SOCK + 1, ~0u, 0);
	title_set(k->config.name, "exporter");
	in.error = offer(e, fds, &o, in.text);
	in.facts = e->facts;
	packet_send(FD_SOCK, &in, sizeof(in), NULL, 0);
	if (in.error)
		_exit(EXIT_FAILED);
	serve(e, fds, &o);
}

/* ---- the keeper's side ---- */

static int take_introduction(struct keeper *k, unsigned n, const struct disk_spec *spec, int sock)
{
	struct launch *l = &k->launch;
	struct introduction in;
	int fds[PACKET_FDS], rc = packet_recv(sock, &in, sizeof(in), fds, true);

	if (rc)
		return keeper_fail(k, EXIT_INTERNAL, "--disk %.150s: its exporter has ended", spec->path);
	in.text[TEXT - 1] = 0;
	if (in.error)
		return keeper_fail(k, EXIT_USAGE, "--disk %.150s: %s", spec->path, in.text);
	l->backend_fd[n] = sock;
	l->disk[n].remote = true;
	l->disk[n].read_only = spec->read_only || in.facts.read_only;
	l->disk[n].sectors = in.facts.sectors;
	l->disk[n].features = in.facts.features;
	return 0;
}

int exporter_start(struct keeper *k, unsigned n, const struct disk_spec *spec)
{
	struct exporter e = { .vm = k->config.name, .spec = spec };
	pid_t keeper = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "socketpair: %s", strerror(errno));
	snprintf(e.socket, sizeof(e.socket), "%s/disk%u", k->rundir.path, n);
	pid = fork();
	if (pid < 0)
		return keeper_fail(k, EXIT_INTERNAL, "a disk's exporter could not be started: %s%s", strerror(errno),
				   limits_hint(errno));
	if (!pid)
		in_exporter(k, &e, pair[1], keeper);
	close(pair[1]);
	return take_introduction(k, n, spec, pair[0]);
}
