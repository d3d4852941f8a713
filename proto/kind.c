/* SPDX-License-Identifier: MIT */
/* The table of kinds: see kind.h. */
#include "kind.h"

#include <stddef.h>

#define FD(OBJECT) KIND_FD_##OBJECT,
#define DEVICE(NAME, name, ...) static const uint8_t name##_fds[] = { NAME##_FDS(FD) };
#include "devices.def"

enum { DRIVES, COLLECTS };

const struct kind_row kind_rows[KIND_COUNT] = {
#define DEVICE(NAME, name_, model, role_, wiring, fence, summary_)                                                    \
	[KIND_##NAME] = {                                                                                             \
		.name = #name_, .program = "bulkhead-" #name_, .summary = summary_, .role = role_,                    \
		.lines = NAME##_LINES, .collects = (wiring) == COLLECTS, .fds = name_##_fds, .fd_count = sizeof(name_##_fds), \
	},
#include "devices.def"
};

const struct kind_row *kind_of_role(uint32_t role)
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		if (kind_rows[i].role == role)
			return &kind_rows[i];
	return NULL;
}
