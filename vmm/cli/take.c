/* SPDX-License-Identifier: MIT */
/* Taking a machine: see take.h. */
#include "take.h"

#include "client.h"
#include "peer.h"
#include "../common/exit_codes.h"

#include "../../proto/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* INHERIT: far from what a shell uses, and below any limit of descriptors. */
enum { TAKE_MS = 25000, LEAVE_MS = 5000, INHERIT = 200 };

static struct frame frame;

void take_none(struct taken *t)
{
	t->sock = -1;
	for (unsigned i = 0; i < FRAME_TAKE_FDS; i++)
		t->fd[i] = -1;
}

static int ask(int sock, struct taken *t)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;
	int rc = frame_call(sock, &frame, BULKHEAD__MESSAGE_TYPE__MSG_TAKE, 1, &empty.base, NULL, 0, TAKE_MS);

	if (rc)
		return rc;
	text_clean_message(frame.msg, false);
	if (frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR)
		return -EREMOTEIO;
	if (frame.fd_count != FRAME_TAKE_FDS)
		return -EPROTO;
	for (unsigned i = 0; i < FRAME_TAKE_FDS; i++) {
		t->fd[i] = frame.fds[i];
		frame.fds[i] = -1;
	}
	return 0;
}

int take_machine(const char *name, struct taken *t)
{
	struct machine_ref ref;
	struct peer peer;
	int rc = client_find(name, &ref);

	if (rc)
		return rc;
	rc = peer_connect(ref.path, "control.sock", SOCK_SEQPACKET, &peer);
	if (rc)
		return client_complain(name, &frame, rc);
	t->sock = peer.sock;
	rc = ask(peer.sock, t);
	frame_close_fds(&frame);
	if (!rc)
		return 0;
	close(t->sock);
	t->sock = -1;
	return client_complain(name, &frame, rc);
}

int take_inherit(const struct taken *t)
{
	if (t->sock < 0)
		return -1;
	for (int i = 0; i < FRAME_TAKE_FDS; i++)
		if (dup2(t->fd[i], INHERIT + i) < 0)
			return -1;
	return INHERIT;
}

void take_away(struct taken *t)
{
	static const Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	if (t->sock < 0)
		return;
	frame_call(t->sock, &frame, BULKHEAD__MESSAGE_TYPE__MSG_KILL, 2, &empty.base, NULL, 0, LEAVE_MS);
	frame_close_fds(&frame);
	close(t->sock);
	t->sock = -1;
}
