/* SPDX-License-Identifier: MIT */
/* What is left to bulkhead-uplinkd. */
#ifndef BULKHEAD_VMM_UPLINK_FENCE_H
#define BULKHEAD_VMM_UPLINK_FENCE_H

#include "../../proto/sandbox.h"

#include <stdbool.h>

/*
 * Its own namespaces, but for the network's, which is this host's; no capabilities; the set-up filter. `alone`: a root in which there
 * are /etc/resolv.conf and /dev/urandom, and nothing else, and if root has started it, a user id of its own; else sockets are found by their path. NULL, or what
 * is wrong. A host without user namespaces leaves it the host's root, and the filter.
 */
const char *uplink_fence(bool alone, enum sandbox_mode mode);

#endif
