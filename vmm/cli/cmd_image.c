/* SPDX-License-Identifier: MIT */
/* bulkhead image, bulkhead seed: their words go to the script that makes disks (vmm/image), which takes our place. */
#include "cli.h"

#include "../common/exit_codes.h"
#include "../common/programs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *or_empty(const char *word)
{
	return word ? word : "";
}

static int become(const char *const words[])
{
	char path[4400];
	int fd = program_open(words[0], path, sizeof(path));

	if (fd >= 0) {
		close(fd); /* the script finds what lies beside it by its path */
		execv(path, (char *const *)words);
	}
	fprintf(stderr, "bulkhead: %s cannot be started; is the installation whole?\n", path);
	return EXIT_USAGE;
}

int cmd_image(int argc, char **argv)
{
	struct cli_args a;
	char size[32] = "";
	int rc = cli_parse(COMMAND_IMAGE, &a, argc, argv);

	if (rc)
		return rc;
	if (a.size)
		snprintf(size, sizeof(size), "%" PRIu64, a.size);
	return become((const char *const[]){ "bulkhead-image", "disk", a.words[0], size, or_empty(a.suite), or_empty(a.mirror),
					     or_empty(a.packages), a.force ? "force" : "", NULL });
}

int cmd_seed(int argc, char **argv)
{
	struct cli_args a;
	int rc = cli_parse(COMMAND_SEED, &a, argc, argv);

	if (rc)
		return rc;
	return become((const char *const[]){ "bulkhead-image", "seed", a.words[0], or_empty(a.hostname), or_empty(a.key),
					     or_empty(a.user_data), a.force ? "force" : "", NULL });
}
