/* SPDX-License-Identifier: MIT */
/* The table of kinds: see kind.h. */
#include "kind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FD(OBJECT) KIND_FD_##OBJECT,
#define DEVICE(NAME, name, ...) static const uint8_t name##_fds[] = { NAME##_FDS(FD) };
#include "devices.def"

enum { DRIVES, COLLECTS, FRONT };
#define BACK(id) (0x100 | (id))

#define DEVICE(NAME, name_, model, role_, presence, most_, wiring, fence, memory_, summary_)                           \
	[KIND_##NAME] = {                                                                                             \
		.name = #name_, .program = "bulkhead-" #name_, .summary = summary_, .role = role_, .most = most_,      \
		.lines = NAME##_LINES, .collects = (wiring) == COLLECTS, .virtio_id = (wiring) & 0x100 ? (wiring) & 0xff : 0,               \
		.virtio = (wiring) == FRONT ? KIND_VIRTIO_FRONT : (wiring) & 0x100 ? KIND_VIRTIO_BACK : KIND_VIRTIO_NONE, \
		.memory = KIND_MEMORY_##memory_,              \
		.fds = name_##_fds, .fd_count = sizeof(name_##_fds),                                                   \
	},
const struct kind_row kind_rows[KIND_COUNT] = {
#include "devices.def"
};

const struct kind_row *kind_of_role(uint32_t role)
{
	for (unsigned i = 0; i < KIND_COUNT; i++)
		if (kind_rows[i].role == role)
			return &kind_rows[i];
	return NULL;
}

void kind_process_name(const struct kind_row *kind, unsigned instance, char out[KIND_NAME_MAX])
{
	if (kind->most > 1)
		snprintf(out, KIND_NAME_MAX, "%s%u", kind->name, instance);
	else
		snprintf(out, KIND_NAME_MAX, "%s", kind->name);
}

const struct kind_row *kind_of_number(unsigned number, unsigned *instance)
{
	const struct kind_row *kind = kind_rows;

	for (; number >= kind->most; kind++)
		number -= kind->most;
	*instance = number;
	return kind;
}

static bool is_called(const char *text, const char *name)
{
	size_t stem = strcspn(name, "0123456789") - 1;

	return !strcmp(text, name) || (!strncmp(text, name, stem) && !strcmp(text + stem, name + stem + 1));
}

int kind_find(const char *text)
{
	char name[KIND_NAME_MAX];

	for (unsigned i = 0; i < DEVICES_MAX; i++) {
		unsigned instance;
		const struct kind_row *kind = kind_of_number(i, &instance);

		kind_process_name(kind, instance, name);
		if (is_called(text, name))
			return (int)i;
	}
	return -ENODEV;
}
