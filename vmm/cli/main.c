/* SPDX-License-Identifier: MIT */
/* bulkhead: the command line. */
#include "cli.h"

#include "help.h"
#include "output.h"
#include "../common/exit_codes.h"

#include "../../proto/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int (*const functions[COMMANDS])(int argc, char **argv) = {
#define COMMAND(NAME, name, ...) cmd_##name,
#include "../common/commands.def"
};

static int unknown(const char *name)
{
	const char *near = command_suggest(name);

	if (name[0] == '-')
		fprintf(stderr, "bulkhead: %.60s stands before the command; write bulkhead run %.60s ..., or see bulkhead help\n",
			name, name);
	else if (near)
		fprintf(stderr, "bulkhead: unknown command %.60s; did you mean bulkhead %s?\n", name, near);
	else
		fprintf(stderr, "bulkhead: unknown command %.60s; see bulkhead help\n", name);
	return EXIT_USAGE;
}

int cmd_help(int argc, char **argv)
{
	struct cli_args args;
	int rc = cli_parse(COMMAND_HELP, &args, argc, argv);
	enum command about = args.count ? command_find(args.words[0]) : COMMANDS;

	if (rc)
		return rc;
	if (args.count && about == COMMANDS)
		return unknown(args.words[0]);
	if (args.count)
		help_command(about);
	else
		help_commands();
	return EXIT_OK;
}

/* The time to the first guest instruction counts from here. */
static void note_start(void)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)clock_ns());
	setenv("BULKHEAD_START_NS", text, 1);
}

static int run(int argc, char **argv)
{
	enum command command;

	if (argc < 2) {
		help_commands();
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cmd_help(1, argv);
	if (!strcmp(argv[1], "--version"))
		return cmd_version(argc - 1, argv + 1);
	command = command_find(argv[1]);
	return command == COMMANDS ? unknown(argv[1]) : functions[command](argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	note_start();
	return output_end(run(argc, argv));
}
