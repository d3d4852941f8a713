/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-rude, for tests only: a loader, vcpu process or daemon that was taken over, and refuses its set-up with words that are
 * meant for a terminal (rude.h); its standard error gets the same. It is installed under the name of a real one
 * (BULKHEAD_LIBEXEC).
 */
#include "rude.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "proto/child.h"
#include "proto/kind.h"

static struct child child;

static Bulkhead__Role role_of(const char *name)
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		if (strstr(name, kind_rows[i].name))
			return (Bulkhead__Role)kind_rows[i].role;
	return strstr(name, "vcpu") ? BULKHEAD__ROLE__ROLE_VCPU : BULKHEAD__ROLE__ROLE_BOOT;
}

int main(int argc, char **argv)
{
	static const char words[] = RUDE_WORDS "\n";
	int code = child_start(&child, role_of(argv[0]), "bulkhead-rude", "insults its supervisor, for tests", argc, argv);

	if (code >= 0)
		return code;
	if (child_hello(&child))
		return 1;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		return 1;
	while (!frame_recv(child.control_fd, &child.frame)) {
		frame_close_fds(&child.frame);
		frame_reply_error(child.control_fd, child.frame.header.id, EINVAL, RUDE_WORDS, "%s", RUDE_WORDS);
	}
	return 1;
}
