/* SPDX-License-Identifier: MIT */
/* Words of the keeper to the command line and to people: see keeper.h. */
#include "keeper.h"

#include "../common/say.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* A command line that is gone, or does not read, does not matter. */
void keeper_tell(struct keeper *k, char what, int code, const char *text)
{
	char line[300];
	int n;

	if (k->ready_fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%c%d %s", what, code, text);
	if (write(k->ready_fd, line, (size_t)(n < (int)sizeof(line) ? n : (int)sizeof(line) - 1)) < 0)
		return;
}

void keeper_warn(struct keeper *k, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (k->ready_fd >= 0)
		keeper_tell(k, 'W', 0, text);
	else
		say("bulkhead: %s: %s", k->config.name, text);
}

int keeper_fail(struct keeper *k, int code, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (k->ready_fd >= 0)
		keeper_tell(k, 'E', code, text);
	else
		say("bulkhead: %s", text);
	return code;
}
