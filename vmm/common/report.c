/* SPDX-License-Identifier: MIT */
/* The last bytes of a log: report.h. */
#include "report.h"

#include <string.h>

void log_tail_add(struct log_tail *tail, const char *text, size_t len)
{
	while (len) {
		size_t at = tail->written % REPORT_LOG;
		size_t n = len < REPORT_LOG - at ? len : REPORT_LOG - at;

		memcpy(tail->bytes + at, text, n);
		tail->written += n;
		text += n;
		len -= n;
	}
}

size_t log_tail_copy(const struct log_tail *tail, char *out)
{
	size_t at = tail->written % REPORT_LOG;

	if (tail->written <= REPORT_LOG) {
		memcpy(out, tail->bytes, (size_t)tail->written);
		return (size_t)tail->written;
	}
	memcpy(out, tail->bytes + at, REPORT_LOG - at);
	memcpy(out + REPORT_LOG - at, tail->bytes, at);
	return REPORT_LOG;
}
