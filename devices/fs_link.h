/* SPDX-License-Identifier: MIT */
/* A shared folder's connection to the program that has its files: see fs.h, whose part this is. */
#ifndef BULKHEAD_DEVICES_FS_LINK_H
#define BULKHEAD_DEVICES_FS_LINK_H

#include "devices/fs.h"

enum { SHARE_CONFIG_QUEUES = 36 }; /* 5.11.4: num_request_queues, behind the tag */

bool fs_is_linked(const struct fs *f);
/* Asks the exporter for a program, unless it is asked already; fs_link_up() or fs_refuse_all() follows. */
void fs_ask(struct fs *f);
/* The program is of no use; what is under way is lost. */
void fs_hang_up(struct fs *f, const char *why);

/* fs.c's: the memory is there: 0, or -EPROTO if what is in there cannot be. */
int fs_link_up(struct fs *f);
/* 0, or -EPROTO: the program answers what makes no sense. */
int fs_look(struct fs *f);
void fs_lost(struct fs *f);
void fs_refuse_all(struct fs *f);
void fs_wake(struct fs *f);

#endif
