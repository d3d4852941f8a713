/* SPDX-License-Identifier: MIT */
/* bulkhead: the command line. */
#include "cli.h"
#include "output.h"
#include "../common/exit_codes.h"

#include "../../proto/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct command {
	const char *name, *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", "start a machine, with its console attached", cmd_run },
	{ "demo", "start a tiny built-in guest: nothing else is needed", cmd_demo },
	{ "console", "attach to a running machine's console", cmd_console },
	{ "list", "running machines", cmd_list },
	{ "status", "one machine and its processes", cmd_status },
	{ "device", "list a machine's device processes, restart or replace one", cmd_device },
	{ "security", "what each process of a machine could still do", cmd_security },
	{ "log", "what a machine has said", cmd_log },
	{ "stop", "press the power button, then end the machine", cmd_stop },
	{ "kill", "end a machine now", cmd_kill },
	{ "wait", "wait for a machine's end, or hear of it, and return its exit code", cmd_wait },
	{ "version", "print the version", cmd_version },
	{ "help", "this text", cmd_help },
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int cmd_version(int argc, char **argv)
{
	printf("bulkhead %s\n", BULKHEAD_VERSION);
	return EXIT_OK;
}

static const struct command *find(const char *name)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static int cmd_help(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	char *help[] = { argc > 1 ? argv[1] : "", "--help", NULL };

	if (c && c->run != cmd_help && c->run != cmd_version)
		return c->run(2, help);
	printf("bulkhead: virtual machines in watertight compartments; every device is a process of its own.\n\n"
	       "Usage: bulkhead COMMAND [options]\n\n");
	for (unsigned i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	printf("\nExamples:\n"
	       "  bulkhead demo\n"
	       "  bulkhead run --kernel vmlinuz --initrd initrd.img --cmdline 'console=ttyS0' --name web\n"
	       "  bulkhead console web            attach; Ctrl-] then . leaves\n"
	       "  bulkhead status web --json\n"
	       "  bulkhead stop web --timeout 20s\n\n"
	       "bulkhead COMMAND --help tells more; so does bulkhead(1).\n");
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
	const struct command *c;

	if (argc < 2) {
		cmd_help(1, argv);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cmd_help(1, argv);
	if (!strcmp(argv[1], "--version"))
		return cmd_version(1, argv);
	c = find(argv[1]);
	if (c)
		return c->run(argc - 1, argv + 1);
	fprintf(stderr, "bulkhead: unknown command %.60s; see bulkhead help\n", argv[1]);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	note_start();
	return output_end(run(argc, argv));
}
