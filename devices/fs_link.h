/* SPDX-License-Identifier: MIT */
/* A shared folder's connection to the program that has its files: see fs.h, whose part this is. */
#ifndef BULKHEAD_DEVICES_FS_LINK_H
#define BULKHEAD_DEVICES_FS_LINK_H

#include "devices/fs.h"

enum { SHARE_CONFIG_QUEUES = 36 }; /* 5.11.4: num_request_queues, behind the tag */

bool fs_is_linked(const struct fs *f);
/* Asks the exporter for a program, unless it is asked already; `up` or `refused` follows (struct fs_above). */
void fs_ask(struct fs *f);
/* The program is of no use; what is under way is lost. */
void fs_hang_up(struct fs *f, const char *why);

#endif
