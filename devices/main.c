/* SPDX-License-Identifier: MIT */
/*
 * The device daemons (proto/devices.def): one file under their names, so that the processes of all machines share
 * its pages, the C library's among them (a static program of their own would cost each daemon 1 MiB). They share nothing
 * else: each is exec'ed by itself, with its own address layout and its own fence.
 */
#include "daemons.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_UNKNOWN_NAME = 2 };

static const struct daemon_shell *const shells[KIND_COUNT] = {
#define DEVICE(NAME, name, ...) [KIND_##NAME] = &name##_shell,
#include "proto/devices.def"
};

static const struct daemon_shell *named(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (unsigned i = 0; i < KIND_COUNT; i++)
		if (strcmp(name, kind_rows[i].program) == 0)
			return shells[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct daemon_shell *shell = argc > 0 ? named(argv[0]) : NULL;

	int code = shell && shell->alone ? shell->alone(argc, argv) : -1;

	if (code >= 0)
		return code;
	if (shell)
		return runtime_main(shell, argc, argv);
	fprintf(stderr, "%s: start this program under the name of a device daemon:\n", argc > 0 ? argv[0] : "bulkhead-device");
	for (unsigned i = 0; i < KIND_COUNT; i++)
		fprintf(stderr, "  %-20s %s\n", kind_rows[i].program, kind_rows[i].summary);
	return EXIT_UNKNOWN_NAME;
}
