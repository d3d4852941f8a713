/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-irqd, -platformd, -seriald, -timerd: one file under four names, so that the processes of all machines share
 * its pages, the C library's among them (a static program of their own would cost each daemon 1 MiB). They share nothing
 * else: each is exec'ed by itself, with its own address layout and its own fence.
 */
#include "daemons.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_UNKNOWN_NAME = 2 };

static const struct daemon_shell *const shells[] = { &irqd_shell, &platformd_shell, &seriald_shell, &timerd_shell };
enum { SHELLS = sizeof(shells) / sizeof(shells[0]) };

static const struct daemon_shell *named(const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (unsigned i = 0; i < SHELLS; i++)
		if (strcmp(name, shells[i]->program) == 0)
			return shells[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct daemon_shell *shell = argc > 0 ? named(argv[0]) : NULL;

	if (shell)
		return runtime_main(shell, argc, argv);
	fprintf(stderr, "%s: start this program under the name of a device daemon:\n", argc > 0 ? argv[0] : "bulkhead-device");
	for (unsigned i = 0; i < SHELLS; i++)
		fprintf(stderr, "  %-20s %s\n", shells[i]->program, shells[i]->summary);
	return EXIT_UNKNOWN_NAME;
}
