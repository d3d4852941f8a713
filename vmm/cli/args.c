/* SPDX-License-Identifier: MIT */
/* Words and options of the small commands: cli.h. */
#include "cli.h"

#include "help.h"
#include "output.h"
#include "../common/exit_codes.h"

#include <stdio.h>
#include <stdlib.h>

int cli_parse(enum command command, struct cli_args *args, int argc, char **argv)
{
	char error[VALUE_ERROR_MAX];
	int rc;

	*args = (struct cli_args){
		.timeout_ms = 30000, .interval_ms = 2000, .escape = 0x1d, .console_port = 1, .log_size = 10 << 20, .log_count = 4
	};
	rc = options_parse(command, args, argc, argv, error);
	if (rc) {
		fprintf(stderr, "bulkhead: %s\n", error);
		help_usage(stderr, command);
		return EXIT_USAGE;
	}
	if (args->help) {
		help_command(command);
		exit(output_end(EXIT_OK));
	}
	return 0;
}
