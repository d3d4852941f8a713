/* SPDX-License-Identifier: MIT */
/* Lines of the report: judge.h. */
#include "judge.h"

#include <stdarg.h>
#include <stdio.h>

void host_find(struct host_report *r, const char *area, const char *name, enum host_verdict verdict, const char *value, ...)
{
	struct host_finding *f;
	va_list args;

	if (r->count == HOST_FINDINGS_MAX)
		return;
	f = &r->list[r->count++];
	*f = (struct host_finding){ .area = area, .name = name, .verdict = verdict };
	va_start(args, value);
	vsnprintf(f->value, sizeof(f->value), value, args);
	va_end(args);
}

void host_advise(struct host_report *r, const char *advice, ...)
{
	struct host_finding *f = &r->list[r->count - 1];
	va_list args;

	va_start(args, advice);
	vsnprintf(f->advice, sizeof(f->advice), advice, args);
	va_end(args);
}
