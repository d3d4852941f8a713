/* SPDX-License-Identifier: MIT */
/* Commands of `bulkhead`. Each gets its own name as argv[0] and returns an exit code. */
#ifndef BULKHEAD_VMM_CLI_H
#define BULKHEAD_VMM_CLI_H

#include "../common/options.h"

#include <stdbool.h>

#define COMMAND(NAME, name, ...) int cmd_##name(int argc, char **argv);
#include "../common/commands.def"

/* bulkhead run --cpu help: models and features. */
int cpu_help(bool json);

/*
 * Words and options of a command that starts no machine. 0, or the exit code with which to end: what is wrong has been told.
 * Where --help was asked for, it ends the program.
 */
int cli_parse(enum command command, struct cli_args *args, int argc, char **argv);

#endif
