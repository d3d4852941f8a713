/* SPDX-License-Identifier: MIT */
/*
 * An exporter: a process for each disk or folder that another program serves. It starts qemu-storage-daemon on the image, virtiofsd on
 * the folder, or connects to the socket where somebody else's program listens; makes memory that this shares with the back-end; and hands
 * over the connection, as often as the back-end asks. It listens to nobody but the back-end, which can say nothing but "again".
 *
 * For a disk the program is started for each connection, and has ended before: nothing of what was asked of an earlier one can happen
 * later. It writes through: what it has told to be done is in the image's file when it is killed. A folder's keeps what the guest has
 * open, and so its connection outlives back-ends.
 */
#include "exporter.h"
#include "keeper.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/packet.h"
#include "../common/say.h"
#include "../common/title.h"

#include "../../proto/disk.h"
#include "../../proto/share.h"
#include "../../proto/share_offer.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FD_SOCK = 3, NAP_MS = 200 };

/* The first thing that it says, to the keeper. */
struct introduction {
	int32_t error;
	struct export_facts facts;
	char text[EXPORTER_TEXT];
};

const char *exporter_option(const struct exporter *e)
{
	return e->share ? "--share" : "--disk";
}

const char *exporter_path(const struct exporter *e)
{
	return e->share ? e->share->path : e->disk->path;
}

static void nap(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* ---- offers ---- */

static int make_ends(int fds[DISK_FDS], size_t bytes)
{
	int rc = shm_create("bulkhead-disk", bytes, &fds[DISK_FD_MEMORY]);

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
static int offer(struct exporter *e, int fds[DISK_FDS], struct disk_offer *out, char text[EXPORTER_TEXT])
{
	bool is_ours = e->share || e->disk->way != DISK_SOCKET;
	const char *why = NULL;
	int rc;

	exporter_end_program(e);
	fds[DISK_FD_LINK] = is_ours ? exporter_start_program(e) : exporter_connect(e->disk->path);
	rc = fds[DISK_FD_LINK] < 0 ? fds[DISK_FD_LINK] : make_ends(fds, e->share ? SHARE_OFFER_BYTES : DISK_OFFER_BYTES);
	if (!rc)
		rc = e->share ? exporter_introduce_folder(fds, &why) : exporter_introduce(fds, out, &e->facts, &why);
	if (!rc)
		return fcntl(fds[DISK_FD_LINK], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0; /* the back-end waits for nobody */
	snprintf(text, EXPORTER_TEXT, "%s", why ? why : strerror(-rc));
	if (e->child && rc == -ECONNRESET)
		exporter_last_words(e, text, EXPORTER_TEXT);
	else if (!is_ours && !why)
		snprintf(text, EXPORTER_TEXT, "%s; a vhost-user back-end of a disk has to listen there", strerror(-rc));
	return rc;
}

/* A disk that is another now is no disk that the guest knows. */
static bool is_the_same(const struct export_facts *first, const struct export_facts *now)
{
	return now->sectors == first->sectors && !(first->features & ~now->features) && now->read_only == first->read_only;
}

static int offer_again(struct exporter *e, const struct export_facts *first, int fds[DISK_FDS], struct disk_offer *o)
{
	char text[EXPORTER_TEXT] = "it is another disk now";
	int rc = offer(e, fds, o, text);

	if (!rc && !is_the_same(first, &e->facts))
		rc = -ESTALE;
	if (!rc)
		return 0;
	say("bulkhead: %s: %s %.150s: %s; it is tried again", e->vm, exporter_option(e), exporter_path(e), text);
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

static bool is_alive(int link)
{
	struct pollfd p = { .fd = link, .events = POLLRDHUP };

	return link >= 0 && poll(&p, 1, 0) >= 0 && !(p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL));
}

/* What there is stays ours, for the next back-end. */
static void answer_folder(struct exporter *e, int fds[DISK_FDS], const struct share_ask *ask)
{
	struct share_offer o = { .number = ask->number };
	struct disk_offer unused;

	if (ask->fresh || !is_alive(fds[DISK_FD_LINK])) {
		if (fds[DISK_FD_LINK] >= 0)
			say("bulkhead: %s: --share %.150s: virtiofsd is gone, and what the guest had open with it; "
			    "mounting it again in the guest helps",
			    e->vm, e->share->path);
		close_ends(fds);
		o.error = offer_again(e, &e->facts, fds, &unused);
		if (o.error)
			close_ends(fds);
	}
	packet_send(FD_SOCK, &o, sizeof(o), fds, o.error ? 0 : DISK_FDS);
}

static _Noreturn void serve(struct exporter *e, int offered[DISK_FDS], struct disk_offer *o)
{
	const struct export_facts first = e->facts;
	const size_t bytes = e->share ? sizeof(struct share_ask) : sizeof(struct disk_ask);
	union {
		struct disk_ask disk;
		struct share_ask folder;
	} ask;
	int fds[PACKET_FDS], rc;

	for (;;) {
		rc = packet_recv(FD_SOCK, &ask, bytes, fds, true);
		for (unsigned i = 0; i < PACKET_FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		if (rc && rc != -EAGAIN)
			break; /* nobody is left */
		if (!rc && e->share)
			answer_folder(e, offered, &ask.folder);
		else if (!rc)
			answer(e, &first, offered, o, ask.disk.number);
	}
	exporter_end_program(e);
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

static int take_introduction(struct keeper *k, unsigned n, const struct exporter *e, int sock)
{
	const struct disk_spec *spec = e->disk;
	struct launch *l = &k->launch;
	struct introduction in;
	int fds[PACKET_FDS], rc = packet_recv(sock, &in, sizeof(in), fds, true);

	if (rc)
		return keeper_fail(k, EXIT_INTERNAL, "%s %.150s: its exporter has ended", exporter_option(e), exporter_path(e));
	in.text[EXPORTER_TEXT - 1] = 0;
	if (in.error)
		return keeper_fail(k, EXIT_USAGE, "%s %.150s: %s", exporter_option(e), exporter_path(e), in.text);
	l->backend_fd[n] = sock;
	if (e->share)
		return 0;
	l->disk[n].remote = true;
	l->disk[n].read_only = spec->read_only || in.facts.read_only;
	l->disk[n].sectors = in.facts.sectors;
	l->disk[n].features = in.facts.features;
	return 0;
}

int exporter_start(struct keeper *k, unsigned n, const struct disk_spec *disk, const struct share_spec *share)
{
	struct exporter e = { .vm = k->config.name, .disk = disk, .share = share };
	pid_t keeper = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "socketpair: %s", strerror(errno));
	snprintf(e.socket, sizeof(e.socket), "%s/disk%u", k->rundir.path, n);
	pid = fork();
	if (pid < 0)
		return keeper_fail(k, EXIT_INTERNAL, "an exporter could not be started: %s%s", strerror(errno),
				   limits_hint(errno));
	if (!pid)
		in_exporter(k, &e, pair[1], keeper);
	close(pair[1]);
	return take_introduction(k, n, &e, pair[0]);
}
