/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-deaf, for tests only: a loader or vcpu process that greets and then does not answer. It is installed under the
 * name of a real one (BULKHEAD_LIBEXEC).
 */
#include <errno.h>
#include <string.h>

#include "proto/child.h"

static struct child child;

int main(int argc, char **argv)
{
	Bulkhead__Role role = strstr(argv[0], "vcpu") ? BULKHEAD__ROLE__ROLE_VCPU : BULKHEAD__ROLE__ROLE_BOOT;
	int code = child_start(&child, role, "bulkhead-deaf", "greets and does not answer, for tests", argc, argv);

	if (code >= 0)
		return code;
	if (child_hello(&child))
		return 1;
	/* A loader's list knows no other way to sleep. */
	while (frame_recv(child.control_fd, &child.frame) != -ECONNRESET)
		frame_close_fds(&child.frame);
	return 1;
}
