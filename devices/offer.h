/* SPDX-License-Identifier: MIT */
/* What an exporter hands to a back-end (proto/disk_offer.h, proto/share_offer.h): a message, and enum disk_offer_fd's descriptors. */
#ifndef BULKHEAD_DEVICES_OFFER_H
#define BULKHEAD_DEVICES_OFFER_H

#include <stddef.h>
#include <sys/types.h>

#include "proto/disk_offer.h"

/* The next message that is there, as recvmsg() returns it; all of `fds` that came with it, or -1 in each. */
ssize_t offer_receive(int exporter_fd, void *offer, size_t size, int fds[DISK_FDS]);
/* Those that are not -1, and are from now on. */
void offer_close(int fds[DISK_FDS]);
/* From `from`, which has none any more. */
void offer_move(int to[DISK_FDS], int from[DISK_FDS]);

#endif
