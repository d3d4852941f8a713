/* SPDX-License-Identifier: MIT */
/* bulkhead log: what a machine has said, be it running or not. */
#include "cli.h"

#include "client.h"
#include "ended.h"
#include "../common/exit_codes.h"

#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Others than its machine may have written to it. */
static void put(char *text, size_t len)
{
	text[len] = 0;
	text_clean_bytes(text, len, TEXT_LINES);
	fwrite(text, 1, len, stdout);
}

static int show_file(const struct machine_ref *ref)
{
	char path[RUNDIR_PATH_MAX + 8], text[4097];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log", ref->path);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		fprintf(stderr, "bulkhead: %s: its messages go to standard error of whoever started it, or to --log\n",
			ref->name);
		return EXIT_FAILED;
	}
	if (fd < 0) {
		fprintf(stderr, "bulkhead: %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	while ((n = read(fd, text, sizeof(text) - 1)) > 0)
		put(text, (size_t)n);
	close(fd);
	return EXIT_OK;
}

static int show_record(const struct machine_ref *ref)
{
	json_t *record = ended_load(ref), *log = json_object_get(record, "log");
	const char *text = json_string_value(log);
	size_t len = json_string_length(log);
	char piece[4097];

	if (!record)
		return client_not_found(ref->name);
	for (size_t at = 0; at < len; at += sizeof(piece) - 1) {
		size_t n = len - at < sizeof(piece) - 1 ? len - at : sizeof(piece) - 1;

		memcpy(piece, text + at, n);
		put(piece, n);
	}
	json_decref(record);
	return EXIT_OK;
}

/* The file is opened here, with the rights of whoever asks; the machine has none, and gets only this. */
static int reopen(const struct machine_ref *ref, const char *file)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600), rc;

	if (fd < 0) {
		fprintf(stderr, "bulkhead: --reopen %s: %s\n", file, strerror(errno));
		return EXIT_USAGE;
	}
	rc = client_call(ref->path, BULKHEAD__MESSAGE_TYPE__MSG_REOPEN_LOG, NULL, fd, 2000, &client_frame);
	close(fd);
	return rc ? client_complain(ref->name, &client_frame, rc) : EXIT_OK;
}

int cmd_log(int argc, char **argv)
{
	struct machine_ref ref;
	struct cli_args args;
	int rc = cli_parse(COMMAND_LOG, &args, argc, argv);

	if (!rc)
		rc = args.reopen ? client_find(args.words[0], &ref) : client_locate(args.words[0], &ref);
	if (rc)
		return rc;
	if (args.reopen)
		return reopen(&ref, args.reopen);
	return rundir_is_alive(ref.path) ? show_file(&ref) : show_record(&ref);
}
