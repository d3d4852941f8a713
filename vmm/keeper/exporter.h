/* SPDX-License-Identifier: MIT */
/*
 * Disks that another program serves (proto/disk_offer.h): exporter.c is the process that starts it, or connects to it;
 * exporter_vhost.c says by vhost-user what the two share.
 */
#ifndef BULKHEAD_VMM_EXPORTER_H
#define BULKHEAD_VMM_EXPORTER_H

#include "../../proto/disk_offer.h"

#include <stdbool.h>
#include <stdint.h>

/* What a program says of its disk. */
struct export_facts {
	uint64_t sectors, features;
	bool read_only;
};

/*
 * On a fresh connection, fds[DISK_FD_LINK]: asks what it is, and says where the queue is, in the memory and with the eventfds of
 * the others. It waits, up to ten seconds for each answer. 0, with *offer and *facts; -ECONNRESET: it hung up; -ETIMEDOUT: it does
 * not answer; -EPROTO: it speaks nonsense, or lacks what is needed. *why says more, in words.
 */
int exporter_introduce(const int fds[DISK_FDS], struct disk_offer *offer, struct export_facts *facts, const char **why);

#endif
