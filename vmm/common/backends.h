/* SPDX-License-Identifier: MIT */
/* What stands behind virtio devices: values of --disk, --net and their like. */
#ifndef BULKHEAD_VMM_BACKENDS_H
#define BULKHEAD_VMM_BACKENDS_H

#include "../../proto/kind.h"

/* Is it one for a back-end of this kind? `text` may be NULL where an option takes none. 0, or -EINVAL with what is wrong. */
int backend_check(enum kind kind, const char *text, const char **why);

/* Where in such a value a path begins; NULL: it has none. */
const char *backend_path(enum kind kind, const char *text);

#endif
