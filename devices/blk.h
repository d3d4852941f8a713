/* SPDX-License-Identifier: MIT */
/* Requests of a virtio block device (virtio 1.2, 5.2) on an open file or block device. One is carried out after the other. */
#ifndef BULKHEAD_DEVICES_BLK_H
#define BULKHEAD_DEVICES_BLK_H

#include "devices/virtq.h"

enum { BLK_SECTOR = 512, BLK_CONFIG_BYTES = 60, BLK_ID_BYTES = 20, BLK_SEGMENTS = 16 };
enum { BLK_REQUEST_MAX = 64 << 20 }; /* what a request moves at most: one that names memory again and again keeps nobody busy */

/* Feature bits (5.2.3). */
#define BLK_F_SEG_MAX (1ull << 2)
#define BLK_F_RO (1ull << 5)
#define BLK_F_BLK_SIZE (1ull << 6)
#define BLK_F_FLUSH (1ull << 9)
#define BLK_F_MQ (1ull << 12)
#define BLK_F_DISCARD (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

struct blk {
	int fd;
	bool read_only;
	bool write_through; /* the driver knows no flush: each write is on the disk when it is answered (5.2.6.2) */
	uint64_t sectors;
	char id[BLK_ID_BYTES + 1];
	uint64_t reads, writes, errors;
	const char *failed; /* what the last error was over; for the log */
	int failed_errno;
};

uint64_t blk_features(const struct blk *b);
void blk_config(const struct blk *b, unsigned queues, uint8_t out[BLK_CONFIG_BYTES]);
/* Carries it out, and writes its status. Returns how many bytes were written into the chain; -EPROTO: it is no request. */
int64_t blk_request(struct blk *b, const struct virtq_memory *memory, struct virtq_chain *chain);

#endif
