/* SPDX-License-Identifier: MIT */
/* bulkhead console: attach to a running machine, as a user or as a script. */
#include "cli.h"

#include "client.h"
#include "console.h"
#include "console_log.h"
#include "terminal.h"
#include "../common/exit_codes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct console_log the_log = { .fd = -1 };

static bool sends(const struct step_list *steps)
{
	for (unsigned i = 0; i < steps->count; i++)
		if (!steps->of[i].expects)
			return true;
	return false;
}

/* What goes together. 0, or an exit code. */
static int check(const struct cli_args *args)
{
	const char *why = NULL;

	if (args->read_only && args->steal)
		why = "--read-only and --steal exclude each other";
	else if (args->read_only && sends(&args->steps))
		why = "--read-only and --send exclude each other";
	else if (args->read_only && args->resize)
		why = "--read-only and --resize exclude each other";
	else if (args->resize && args->steps.count)
		why = "--resize is for a terminal, and --send and --expect for scripts";
	else if (args->console_port < 1 || args->console_port > 4)
		why = "--port is a number from 1 (COM1) to 4";
	if (why)
		fprintf(stderr, "bulkhead: %s\n", why);
	return why ? EXIT_USAGE : 0;
}

static enum client_console_mode mode_of(const struct cli_args *args)
{
	if (args->steal)
		return CONSOLE_TO_STEAL;
	return args->read_only || (args->steps.count && !sends(&args->steps)) ? CONSOLE_TO_WATCH : CONSOLE_TO_TYPE;
}

/* A user sees who else is there, and can watch; a script that may not type has failed. */
static int complain_of_typist(const char *name, bool has_terminal)
{
	if (!has_terminal) {
		fprintf(stderr, "bulkhead: %s: another client types at its console; --steal takes over, --read-only watches\n",
			name);
		return EXIT_FAILED;
	}
	terminal_say("bulkhead: another client types at %s's console, and this one watches; --steal takes over\n", name);
	return 0;
}

static int open_log(const struct cli_args *args)
{
	int rc = args->log_file ? console_log_open(&the_log, args->log_file, args->log_size, args->log_count) : 0;

	if (rc)
		fprintf(stderr, "bulkhead: --log %s: %s\n", args->log_file, strerror(-rc));
	return rc ? EXIT_USAGE : 0;
}

static int finish(enum console_end end, const char *name, const struct cli_args *args)
{
	int sig;

	switch (end) {
	case CONSOLE_CLOSED:
		terminal_say("\n%s closed the console\n", name);
		return args->steps.count ? EXIT_FAILED : EXIT_OK;
	case CONSOLE_SIGNAL:
		console_make_whole();
		sig = console_signal();
		signal(sig, SIG_DFL);
		raise(sig);
		return 128 + sig;
	case CONSOLE_DETACHED:
	case CONSOLE_STOP:
		terminal_say("\nleft %s; it goes on\n", name);
		return EXIT_OK;
	case CONSOLE_OUTPUT:
		fprintf(stderr, "bulkhead: standard output: %s; left %s\n", strerror(console_output_error()), name);
		return EXIT_OUTPUT;
	case CONSOLE_LATE:
		fprintf(stderr, "bulkhead: %s: --expect %s: not within %u.%03u s\n", name, console_step(),
			args->timeout_ms / 1000, args->timeout_ms % 1000);
		return EXIT_TIMEOUT;
	case CONSOLE_INPUT:
	case CONSOLE_DONE:
		break;
	}
	return EXIT_OK;
}

int cmd_console(int argc, char **argv)
{
	struct client_attached attached;
	struct console_options options;
	struct machine_ref ref;
	struct cli_args args;
	bool has_terminal = terminal_is_ours();
	int rc = cli_parse(COMMAND_CONSOLE, &args, argc, argv), lost;

	if (!rc)
		rc = check(&args);
	if (!rc)
		rc = client_find(args.words[0], &ref);
	if (!rc)
		rc = open_log(&args);
	if (rc)
		return rc;
	rc = client_attach(ref.path, mode_of(&args), args.console_port - 1, &client_frame, &attached);
	if (rc)
		return client_complain(ref.name, &client_frame, rc);
	if (mode_of(&args) != CONSOLE_TO_WATCH && !attached.types)
		rc = complain_of_typist(ref.name, has_terminal && !args.steps.count);
	if (rc)
		return rc;
	console_catch_signals();
	options = (struct console_options){ .escape = args.escape,
					    .watches = !attached.types,
					    .resizes = args.resize && attached.types,
					    .ends_with_input = !has_terminal && attached.types,
					    .history = attached.history,
					    .log = args.log_file ? &the_log : NULL,
					    .steps = args.steps.count ? &args.steps : NULL,
					    .patience_ms = args.timeout_ms };
	rc = finish(console_run(attached.sock, &options), ref.name, &args);
	lost = args.log_file && the_log.fd < 0;
	return !rc && lost ? EXIT_OUTPUT : rc;
}
