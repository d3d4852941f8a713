/* SPDX-License-Identifier: MIT */
/* Whether what was printed has arrived: output.h. */
#include "output.h"

#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int output_json(json_t *j)
{
	int rc = j ? json_dumpf(j, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(3)) : -1;

	json_decref(j);
	printf("\n");
	return rc && !ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

int output_end(int code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	fprintf(stderr, "bulkhead: standard output: %s\n", errno ? strerror(errno) : "not everything could be written");
	return code ? code : EXIT_OUTPUT;
}
