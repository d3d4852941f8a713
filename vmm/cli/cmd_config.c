/* SPDX-License-Identifier: MIT */
/* bulkhead check, show: a machine as a file, and back. */
#include "cli.h"

#include "client.h"
#include "config_file.h"
#include "../common/config_text.h"
#include "../common/exit_codes.h"

#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a machine's processes need beside its memory: translated code, most of it (docs/benchmarks.md), and the console. */
enum { BESIDE_RAM_MIB = 256 };
/* The keeper ends a guest that has not powered off by then, and needs a moment for it. */
enum { AFTER_STOP_S = 15 };

/* A drop-in of bulkhead@.service, systemd.unit(5). */
static void print_limits(const struct vm_config *config)
{
	printf("[Service]\nMemoryMax=%lluM\nTimeoutStopSec=%us\n",
	       (unsigned long long)(config->ram_bytes >> 20) + BESIDE_RAM_MIB * topology_cpus(&config->cpus),
	       config->stop_timeout_ms / 1000 + AFTER_STOP_S);
}

int cmd_check(int argc, char **argv)
{
	static struct config_file file;
	static char *words[CONFIG_FILE_WORDS + 2];
	struct vm_config config;
	struct cli_args args;
	char error[CONFIG_ERROR_MAX], *no_words[] = { "check" };
	int rc = cli_parse(COMMAND_CHECK, &args, argc, argv), count;

	if (rc)
		return rc;
	if (config_file_read(&file, COMMAND_RUN, args.words[0]))
		return EXIT_USAGE;
	count = config_file_merge(&file, COMMAND_RUN, 1, no_words, words, CONFIG_FILE_WORDS + 2);
	config_init(&config);
	rc = options_parse(COMMAND_RUN, &config, count, words, error);
	config_settle(&config);
	if (!rc)
		rc = config_check(&config, error);
	if (rc) {
		config_file_complain(&file, error);
		return EXIT_USAGE;
	}
	if (args.systemd)
		print_limits(&config);
	else
		printf("%s: nothing is wrong with it\n", args.words[0]);
	return EXIT_OK;
}

/* What lies there is a claim of the directory's owner: it is shown, and read by nobody but people and `bulkhead run`. */
static int open_text(const char *dir)
{
	char path[RUNDIR_PATH_MAX + sizeof(CONFIG_TEXT_NAME) + 1];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, CONFIG_TEXT_NAME);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -EINVAL;
}

int cmd_show(int argc, char **argv)
{
	static char text[CONFIG_FILE_SIZE_MAX + 1];
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_SHOW, &args, argc, argv), fd;
	ssize_t n;

	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (rc)
		return rc;
	fd = open_text(ref.path);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0) {
		fprintf(stderr, "bulkhead: %s: %s\n", ref.name,
			fd == -EACCES ? "its owner and root may see that" : strerror(fd < 0 ? -fd : errno));
		return fd == -EACCES ? EXIT_FAILED : EXIT_INTERNAL;
	}
	text_clean_bytes(text, (size_t)n, TEXT_LINES);
	fputs(text, stdout);
	return EXIT_OK;
}
