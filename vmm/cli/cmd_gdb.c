/* SPDX-License-Identifier: MIT */
/* bulkhead gdb: the host's gdb on a machine's guest. */
#include "cli.h"

#include "client.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MS = 15000 };

static const char usage[] = "Usage: bulkhead gdb NAME [ARGUMENT OF GDB...]   gdb, connected to the guest, which stands still\n"
			    "       bulkhead gdb NAME --print                what to write behind gdb's target remote\n"
			    "The guest goes on when gdb detaches or quits.\n";

static struct frame frame;

/* gdb keeps its terminal, its signals and its exit code: it takes our place. */
static int run_gdb(const char *where, int argc, char **argv)
{
	char target[200], **args = calloc((size_t)argc + 6, sizeof(*args));
	int n = 0;

	if (!args)
		return EXIT_INTERNAL;
	snprintf(target, sizeof(target), "target remote %s", where);
	args[n++] = "gdb";
	args[n++] = "-ex";
	args[n++] = target;
	for (int i = 0; i < argc; i++)
		args[n++] = argv[i];
	execvp(args[0], args);
	fprintf(stderr, "bulkhead: gdb cannot be started: %s; install it, or use another one: %s\n", strerror(errno), target);
	free(args);
	return EXIT_USAGE;
}

int cmd_gdb(int argc, char **argv)
{
	struct machine_ref ref;
	const Bulkhead__Status *s;
	int rc;

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(usage, stdout);
		return EXIT_OK;
	}
	if (argc < 2 || argv[1][0] == '-') {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	rc = client_find(argv[1], &ref);
	if (rc)
		return rc;
	rc = client_call(ref.path, BULKHEAD__MESSAGE_TYPE__MSG_STATUS, NULL, -1, ANSWER_MS, &frame);
	s = rc ? NULL : ((const Bulkhead__Ok *)frame.msg)->status;
	if (!s || !s->debugger)
		return client_complain(ref.name, &frame, rc ? rc : -EBADMSG);
	if (argc == 3 && !strcmp(argv[2], "--print")) {
		printf("%s\n", s->debugger);
		return EXIT_OK;
	}
	return run_gdb(s->debugger, argc - 2, argv + 2);
}
