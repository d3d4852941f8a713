/* SPDX-License-Identifier: MIT */
/* Control requests of the command line: client.h. */
#include "client.h"

#include "../common/config.h"
#include "../common/ended.h"
#include "../common/exit_codes.h"
#include "../common/nearest.h"
#include "peer.h"

#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ATTACH_MS = 5000, ATTACH_TRIES = 200, ATTACH_PAUSE_US = 20000 };

#define CONTROL "control.sock"
#define CONSOLE "console.sock"

struct frame client_frame;

struct namesake {
	struct nearest near;
	char room[VM_NAME_MAX + 1];
};

static void look_at_name(void *ctx, const char *name, const char *path)
{
	struct namesake *n = ctx;

	nearest_try_list(&n->near, name, n->room, sizeof(n->room));
}

int client_not_found(const char *name)
{
	struct namesake n = { .near = { name, NULL, 0 } };

	rundir_each(NULL, look_at_name, &n);
	if (n.near.best)
		fprintf(stderr, "bulkhead: no machine named %s is running; did you mean %s?\n", name, n.near.best);
	else
		fprintf(stderr, "bulkhead: no machine named %s is running; see bulkhead list\n", name);
	return EXIT_NOT_FOUND;
}

static int has_ended(const char *name)
{
	fprintf(stderr, "bulkhead: %s has ended; bulkhead status %s tells how\n", name, name);
	return EXIT_NOT_FOUND;
}

static bool has_record(const char *path)
{
	int fd = ended_open(path);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool is_known_at(const char *path)
{
	return rundir_is_alive(path) || has_record(path);
}

int client_locate(const char *name, struct machine_ref *ref)
{
	char shared[RUNDIR_PATH_MAX];

	if (!config_is_name(name)) {
		fprintf(stderr, "bulkhead: %.60s is not a name of a machine; see bulkhead list\n", name);
		return EXIT_USAGE;
	}
	ref->name = name;
	if (rundir_path(NULL, name, ref->path))
		return client_not_found(name);
	if (!is_known_at(ref->path) && !rundir_shared_path(name, shared) && is_known_at(shared))
		snprintf(ref->path, sizeof(ref->path), "%s", shared);
	return 0;
}

int client_find(const char *name, struct machine_ref *ref)
{
	int rc = client_locate(name, ref);

	if (rc || rundir_is_alive(ref->path))
		return rc;
	return has_record(ref->path) ? has_ended(name) : client_not_found(name);
}

int client_call(const char *dir, uint16_t type, const ProtobufCMessage *msg, int fd, int timeout_ms, struct frame *frame)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;
	struct peer peer;
	int rc = peer_connect(dir, CONTROL, SOCK_SEQPACKET, &peer);

	if (rc)
		return rc;
	rc = frame_call(peer.sock, frame, type, 1, msg ? msg : &empty.base, &fd, fd >= 0, timeout_ms);
	close(peer.sock);
	if (rc)
		return rc == -EPIPE ? -ECONNRESET : rc;
	/* The machine may be another user's, and its words go to our terminal. */
	text_clean_message(frame->msg, type == BULKHEAD__MESSAGE_TYPE__MSG_WAIT ? TEXT_REGISTERS : TEXT_ONE_LINE);
	return frame->header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR ? -EREMOTEIO : 0;
}

bool client_is_put_off(int rc, const struct frame *frame)
{
	return rc == -EREMOTEIO && ((const Bulkhead__Error *)frame->msg)->code == EAGAIN;
}

void client_wait_gone(const struct machine_ref *ref)
{
	for (unsigned i = 0; i < 400 && rundir_is_alive(ref->path); i++)
		usleep(5000);
}

bool client_is_over(const struct machine_ref *ref, int rc)
{
	if (!rc || rc == -ECONNRESET || rc == -ENOENT || rc == -ECONNREFUSED)
		client_wait_gone(ref);
	return !rundir_is_alive(ref->path);
}

/* A keeper that does not run may have its queue full of others; the console has a queue of its own. */
static int find_keeper(const char *dir, struct peer *peer)
{
	int rc = peer_connect(dir, CONTROL, SOCK_SEQPACKET, peer);

	return rc && rc != -EPERM ? peer_connect(dir, CONSOLE, SOCK_STREAM, peer) : rc;
}

pid_t client_keeper_pid(const char *dir)
{
	struct peer peer;

	if (find_keeper(dir, &peer))
		return 0;
	close(peer.sock);
	return peer.pid;
}

int client_kill_keeper(const char *dir)
{
	struct peer peer;
	int rc = find_keeper(dir, &peer);

	if (rc)
		return rc;
	rc = peer_kill(&peer);
	close(peer.sock);
	return rc;
}

int client_console(const char *dir)
{
	struct peer peer;
	int rc = peer_connect(dir, CONSOLE, SOCK_STREAM, &peer);

	if (rc)
		return rc;
	fcntl(peer.sock, F_SETFL, O_NONBLOCK);
	return peer.sock;
}

/* One attempt. The connection comes as the answer's descriptor. */
static int attach_once(const char *dir, const Bulkhead__ConsoleAttach *m, struct frame *frame, struct client_attached *out)
{
	int rc = client_call(dir, BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE, &m->base, -1, ATTACH_MS, frame);
	const Bulkhead__ConsoleAttached *a = rc ? NULL : ((const Bulkhead__Ok *)frame->msg)->console;

	if (rc)
		return rc;
	if (!a || frame->fd_count != 1) {
		frame_close_fds(frame);
		return -EPROTO;
	}
	*out = (struct client_attached){ .sock = frame->fds[0], .types = a->mode == CONSOLE_TO_TYPE, .history = a->history };
	frame->fds[0] = -1;
	fcntl(out->sock, F_SETFL, O_NONBLOCK);
	return 0;
}

int client_attach(const char *dir, enum client_console_mode mode, unsigned port, struct frame *frame, struct client_attached *out)
{
	Bulkhead__ConsoleAttach m = BULKHEAD__CONSOLE_ATTACH__INIT;
	int rc = -EAGAIN;

	m.has_mode = m.has_port = true;
	m.mode = mode;
	m.port = port;
	for (unsigned i = 0; i < ATTACH_TRIES; i++) {
		rc = attach_once(dir, &m, frame, out);
		if (!client_is_put_off(rc, frame))
			break;
		usleep(ATTACH_PAUSE_US);
	}
	return rc;
}

/* Words and code for each way in which a machine does not serve. */
static const struct {
	int rc, code;
	const char *words;
} complaints[] = {
	{ -EACCES, EXIT_FAILED, "belongs to another user" },
	{ -EPERM, EXIT_FAILED,
	  "its directory belongs to one user, and the process that answers there to another: not believed" },
	{ -ESRCH, EXIT_NO_ANSWER, "the process that listened in its directory is gone; what is there now is not its own" },
	{ -ENOENT, EXIT_NOT_FOUND, "has just ended" },
};

int client_complain(const char *name, const struct frame *frame, int rc)
{
	if (rc == -EREMOTEIO) {
		fprintf(stderr, "bulkhead: %s: %s\n", name, ((const Bulkhead__Error *)frame->msg)->text);
		return EXIT_FAILED;
	}
	for (unsigned i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++)
		if (complaints[i].rc == rc) {
			fprintf(stderr, "bulkhead: %s: %s\n", name, complaints[i].words);
			return complaints[i].code;
		}
	fprintf(stderr, "bulkhead: %s does not answer: %s; bulkhead kill %s ends it\n", name, strerror(-rc), name);
	return EXIT_NO_ANSWER;
}
