/* SPDX-License-Identifier: MIT */
/*
 * Requests of a virtio block device (virtio 1.2, 5.2) on an open file or block device. Each goes three steps: blk_begin() and
 * blk_end() belong to one thread, which knows the disk; blk_work() in between waits for the host, and may be anywhere.
 */
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

enum { BLK_IN = 0, BLK_OUT = 1, BLK_FLUSH = 4, BLK_GET_ID = 8, BLK_DISCARD = 11, BLK_WRITE_ZEROES = 13 };
enum { BLK_OK = 0, BLK_IOERR = 1, BLK_UNSUPP = 2 };

/* Of discards and write zeroes. */
struct blk_segment {
	uint64_t sector;
	uint32_t sectors, flags;
};
enum { BLK_UNMAP = 1 };

/* A request, taken out of its chain (5.2.6): the pieces that are left hold its data. */
struct blk_job {
	uint32_t type;
	uint64_t sector;
	struct virtq_piece *pieces;
	unsigned count;
	bool writes; /* the pieces are memory that the device may write */
	uint64_t bytes;
	uint8_t *status;
	uint64_t status_addr;
	struct blk_segment segments[BLK_SEGMENTS]; /* of discards and zeroes */
	unsigned segment_count;
	bool through;	    /* what it writes is on the disk when it is answered */
	unsigned piece;	    /* of the data, what is moved already: pieces, and bytes of the next one */
	uint32_t piece_done;
	const char *failed; /* what could not be done; NULL: nothing yet */
	int failed_errno;
};

struct blk {
	int fd; /* -1: somebody else has the image (blk_remote.h) */
	uint64_t lacks; /* features that cannot be offered */
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
/* The parts of a request, for who carries it out elsewhere. -EPROTO: it is none. */
int blk_parse(struct virtq_chain *chain, struct blk_job *job);
/* Checks it, and counts it. BLK_OK, or the status of a request that cannot be: outside of the disk, or of a form that there is not. */
int blk_begin(struct blk *b, struct blk_job *job);
/* Is it one for who has the image? Others end with what blk_begin() said. */
bool blk_needs_image(const struct blk_job *job);
/* What of it the host does without waiting. True: that was all. */
bool blk_work_at_once(int fd, struct blk_job *job);
/* Does it, whatever time that takes. Touches nothing but the job, and its memory. */
void blk_work(int fd, struct blk_job *job);
/* What came of that: its status. */
int blk_end(struct blk *b, const struct blk_job *job);
/* The host could not do it: counted, and remembered for the log. BLK_IOERR. */
int blk_fail(struct blk *b, const char *what, int err);
/* Writes the status. Returns how many bytes were written into the chain. */
int64_t blk_finish(const struct virtq_memory *memory, const struct blk_job *job, int status);
/* All of it. Returns how many bytes were written into the chain; -EPROTO: it is no request. */
int64_t blk_request(struct blk *b, const struct virtq_memory *memory, struct virtq_chain *chain);

#endif
