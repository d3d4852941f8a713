/* SPDX-License-Identifier: MIT */
/* The beginning of a command's output: exec_filter.h. */
#include "exec_filter.h"

#include "../common/guest_note.h"

#include <string.h>

/* The mark begins with the only ESC in it, so a byte that does not go on with it can only be its first again. */
static bool is_end_of_mark(struct exec_filter *f, char byte)
{
	static const char mark[] = GUEST_NOTE_BEGIN;

	if (byte != mark[f->matched])
		f->matched = 0;
	if (byte == mark[f->matched])
		f->matched++;
	return f->matched == sizeof(mark) - 1;
}

size_t exec_filter_take(struct exec_filter *f, const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len && !f->begun; i++) {
		f->kept[f->kept_len++ % EXEC_FILTER_KEPT] = bytes[i];
		f->begun = is_end_of_mark(f, bytes[i]);
	}
	return i;
}

size_t exec_filter_kept(const struct exec_filter *f, char out[EXEC_FILTER_KEPT])
{
	size_t start = f->kept_len % EXEC_FILTER_KEPT;

	if (f->kept_len <= EXEC_FILTER_KEPT) {
		memcpy(out, f->kept, f->kept_len);
		return f->kept_len;
	}
	memcpy(out, f->kept + start, EXEC_FILTER_KEPT - start);
	memcpy(out + EXEC_FILTER_KEPT - start, f->kept, start);
	return EXEC_FILTER_KEPT;
}
