/* SPDX-License-Identifier: MIT */
/* Commands of `bulkhead`. Each gets its own name as argv[0] and returns an exit code. */
#ifndef BULKHEAD_VMM_CLI_H
#define BULKHEAD_VMM_CLI_H

#include <stdbool.h>

int cmd_run(int argc, char **argv);
int cmd_demo(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_device(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_security(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_wait(int argc, char **argv);

/* bulkhead run --cpu help: models and features. */
int cpu_help(bool json);

/*
 * Arguments of the small commands: one machine's name, and the flags they know. Unknown ones are reported.
 * Bits of `wanted` say which flags exist. 0, or the exit code with which to end.
 */
enum cli_flag { CLI_JSON = 1, CLI_FORCE = 2, CLI_TIMEOUT = 4, CLI_ESCAPE = 8, CLI_NO_NAME = 16, CLI_ALL = 32 };
struct cli_args {
	const char *name;
	unsigned given;
	unsigned timeout_ms;
	int escape;
};
int cli_parse(struct cli_args *args, unsigned wanted, const char *usage, int argc, char **argv);

#endif
