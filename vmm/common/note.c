/* SPDX-License-Identifier: MIT */
/* Packets between keeper and supervisor. */
#include "launch.h"

#include "packet.h"

#include "../../proto/text.h"

#include <unistd.h>

int note_send(int sock, const struct keeper_note *note, int fd)
{
	return packet_send(sock, note, sizeof(*note), &fd, fd >= 0);
}

int note_recv(int sock, struct keeper_note *note, int *fd)
{
	int fds[PACKET_FDS], rc = packet_recv(sock, note, sizeof(*note), fds, false);

	*fd = -1;
	if (rc)
		return rc;
	*fd = fds[0];
	for (unsigned i = 1; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	note->text[sizeof(note->text) - 1] = 0;
	/* It goes to a terminal, and to systemd, for which a line feed begins another statement. */
	text_clean(note->text, note->kind == NOTE_ENDED ? TEXT_REGISTERS : TEXT_ONE_LINE);
	return 0;
}
