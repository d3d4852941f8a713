/* SPDX-License-Identifier: MIT */
/* bulkhead gdb: the host's gdb on a machine's guest. */
#include "cli.h"

#include "client.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 15000 };

/* gdb keeps its terminal, its signals and its exit code: it takes our place. */
static int run_gdb(const char *where, const char *symbols)
{
	char target[200], *args[] = { "gdb", "-ex", target, (char *)symbols, NULL };

	snprintf(target, sizeof(target), "target remote %s", where);
	execvp(args[0], args);
	fprintf(stderr, "bulkhead: gdb cannot be started: %s; install it, or use another one: %s\n", strerror(errno), target);
	return EXIT_USAGE;
}

int cmd_gdb(int argc, char **argv)
{
	struct cli_args a;
	struct machine_ref ref;
	const Bulkhead__Status *s;
	int rc = cli_parse(COMMAND_GDB, &a, argc, argv);

	if (!rc)
		rc = client_find(a.words[0], &ref);
	if (rc)
		return rc;
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &client_frame);
	s = rc ? NULL : ((const Bulkhead__Ok *)client_frame.msg)->status;
	if (!s || !s->debugger)
		return client_complain(ref.name, &client_frame, rc ? rc : -EBADMSG);
	if (!a.print)
		return run_gdb(s->debugger, a.count > 1 ? a.words[1] : NULL);
	printf("%s\n", s->debugger);
	return EXIT_OK;
}
