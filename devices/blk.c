/* SPDX-License-Identifier: MIT */
/* Requests of a virtio block device: see blk.h. */
#include "devices/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTORS_AT_ONCE = 1 << 21, ZEROES = 64 * 1024, PIECES_AT_ONCE = 64 };

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};
uint64_t blk_features(const struct blk *b)
{
	uint64_t common = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_MQ;

	return (common | (b->read_only ? BLK_F_RO : BLK_F_DISCARD | BLK_F_WRITE_ZEROES)) & ~b->lacks;
}

static void put(uint8_t *out, unsigned at, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[at + i] = (uint8_t)(value >> 8 * i);
}

/* 5.2.4; fields of features that are not offered stay zero. */
void blk_config(const struct blk *b, unsigned queues, uint8_t out[BLK_CONFIG_BYTES])
{
	memset(out, 0, BLK_CONFIG_BYTES);
	put(out, 0, b->sectors, 8);
	put(out, 12, 254, 4); /* seg_max: of a queue of 256, header and status are not data */
	put(out, 20, BLK_SECTOR, 4);
	put(out, 34, queues, 2);
	if (blk_features(b) & BLK_F_DISCARD) {
		put(out, 36, SECTORS_AT_ONCE, 4); /* sectors, segments, alignment */
		put(out, 40, BLK_SEGMENTS, 4);
		put(out, 44, 8, 4);
	}
	if (!(blk_features(b) & BLK_F_WRITE_ZEROES))
		return;
	put(out, 48, SECTORS_AT_ONCE, 4); /* the same of write zeroes; may unmap */
	put(out, 52, BLK_SEGMENTS, 4);
	put(out, 56, 1, 1);
}

/* Takes bytes off the front of a row of pieces. False: there are not so many. */
static bool take_front(struct virtq_piece **pieces, unsigned *count, void *out, uint32_t bytes)
{
	for (uint32_t at = 0; at < bytes;) {
		struct virtq_piece *p = *pieces;
		uint32_t n;

		if (!*count)
			return false;
		n = p->len < bytes - at ? p->len : bytes - at;
		memcpy((uint8_t *)out + at, p->at, n);
		at += n;
		p->at += n;
		p->addr += n;
		p->len -= n;
		if (!p->len) {
			(*pieces)++;
			(*count)--;
		}
	}
	return true;
}

/* 5.2.6: the header is the first 16 bytes that the device reads, the status the last byte that it writes, however both are cut. */
int blk_parse(struct virtq_chain *c, struct blk_job *r)
{
	struct header header;
	struct virtq_piece *readable = c->pieces, *writable = c->pieces + c->readable, *last;
	unsigned readables = c->readable, writables = c->writable;

	if (!writables || !take_front(&readable, &readables, &header, sizeof(header)))
		return -EPROTO;
	last = &writable[writables - 1];
	r->status = last->at + last->len - 1;
	r->status_addr = last->addr + last->len - 1;
	if (--last->len == 0)
		writables--;
	r->type = header.type;
	r->sector = header.sector;
	r->writes = writables;
	r->pieces = writables ? writable : readable;
	r->count = writables ? writables : readables;
	r->bytes = 0;
	for (unsigned i = 0; i < r->count; i++)
		r->bytes += r->pieces[i].len;
	return writables && readables ? -EPROTO : 0;
}

static bool is_inside(const struct blk *b, uint64_t sector, uint64_t sectors)
{
	return sectors <= b->sectors && sector <= b->sectors - sectors;
}

int blk_fail(struct blk *b, const char *what, int err)
{
	b->errors++;
	b->failed = what;
	b->failed_errno = err;
	return BLK_IOERR;
}

/* The next pieces, as many as move at once: a thread's stack is small. */
static int to_iov(const struct blk_job *r, struct iovec iov[PIECES_AT_ONCE])
{
	uint32_t skip = r->piece_done;
	int n = 0;

	for (unsigned i = r->piece; i < r->count && n < PIECES_AT_ONCE; i++, n++, skip = 0)
		iov[n] = (struct iovec){ r->pieces[i].at + skip, r->pieces[i].len - skip };
	return n;
}

static uint64_t moved_so_far(const struct blk_job *r)
{
	uint64_t bytes = r->piece_done;

	for (unsigned i = 0; i < r->piece; i++)
		bytes += r->pieces[i].len;
	return bytes;
}

static void move_on(struct blk_job *r, size_t moved)
{
	uint64_t left = moved + r->piece_done;

	for (; r->piece < r->count && left >= r->pieces[r->piece].len; r->piece++)
		left -= r->pieces[r->piece].len;
	r->piece_done = (uint32_t)left;
}

/* Short transfers go on where they stopped; the end of a file that was cut off is an error. */
static int transfer(int fd, struct blk_job *r, int flags)
{
	off_t at = (off_t)(r->sector * BLK_SECTOR + moved_so_far(r));

	while (r->piece < r->count) {
		struct iovec iov[PIECES_AT_ONCE];
		int n = to_iov(r, iov);
		ssize_t moved = r->type == BLK_OUT ? pwritev(fd, iov, n, at) : preadv2(fd, iov, n, at, flags);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return moved ? errno : ENODATA;
		at += moved;
		move_on(r, (size_t)moved);
	}
	return 0;
}

static int check_transfer(const struct blk *b, const struct blk_job *r)
{
	bool write = r->type == BLK_OUT;

	if (r->writes == write || (write && b->read_only))
		return BLK_IOERR;
	if (r->bytes > BLK_REQUEST_MAX || !r->bytes || r->bytes % BLK_SECTOR)
		return BLK_IOERR;
	return is_inside(b, r->sector, r->bytes / BLK_SECTOR) ? BLK_OK : BLK_IOERR;
}

static int write_zeroes(int fd, off_t at, off_t bytes)
{
	static const uint8_t zeroes[ZEROES];

	while (bytes > 0) {
		ssize_t n =
			pwritev(fd, &(struct iovec){ (void *)(uintptr_t)zeroes, bytes < ZEROES ? (size_t)bytes : ZEROES }, 1, at);

		if (n < 0 && errno != EINTR)
			return errno;
		at += n > 0 ? n : 0;
		bytes -= n > 0 ? n : 0;
	}
	return 0;
}

static int check_segment(const struct blk *b, const struct blk_segment *s, bool discard)
{
	if (s->flags & ~(discard ? 0u : (unsigned)BLK_UNMAP))
		return BLK_UNSUPP;
	return s->sectors <= SECTORS_AT_ONCE && is_inside(b, s->sector, s->sectors) ? BLK_OK : BLK_IOERR;
}

static int take_segments(const struct blk *b, struct blk_job *r)
{
	const size_t each = sizeof(r->segments[0]);
	int status = BLK_OK;

	if (b->read_only || r->writes)
		return BLK_IOERR;
	if (!r->bytes || r->bytes > sizeof(r->segments) || r->bytes % each)
		return BLK_UNSUPP;
	if (!take_front(&r->pieces, &r->count, r->segments, (uint32_t)r->bytes))
		return BLK_IOERR;
	r->segment_count = (unsigned)(r->bytes / each);
	for (unsigned i = 0; i < r->segment_count && status == BLK_OK; i++)
		status = check_segment(b, &r->segments[i], r->type == BLK_DISCARD);
	return status;
}

/* A discard is a wish; zeroes are a promise. */
static int do_segment(int fd, const struct blk_segment *s, bool discard)
{
	off_t at = (off_t)(s->sector * BLK_SECTOR), bytes = (off_t)((uint64_t)s->sectors * BLK_SECTOR);
	int mode = FALLOC_FL_KEEP_SIZE;

	if (!bytes)
		return 0;
	mode |= discard || s->flags & BLK_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	if (fallocate(fd, mode, at, bytes) == 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return errno;
	return discard ? 0 : write_zeroes(fd, at, bytes);
}

static int do_segments(int fd, const struct blk_job *r)
{
	int err = 0;

	for (unsigned i = 0; !err && i < r->segment_count; i++)
		err = do_segment(fd, &r->segments[i], r->type == BLK_DISCARD);
	return err;
}

/* 5.2.6: twenty bytes, with a zero behind the string only if there is room. */
static int get_id(const struct blk *b, const struct blk_job *r)
{
	size_t done = 0;

	if (r->bytes < BLK_ID_BYTES)
		return BLK_IOERR;
	for (unsigned i = 0; i < r->count && done < BLK_ID_BYTES; i++) {
		size_t n = r->pieces[i].len < BLK_ID_BYTES - done ? r->pieces[i].len : BLK_ID_BYTES - done;

		memcpy(r->pieces[i].at, b->id + done, n);
		done += n;
	}
	return BLK_OK;
}

int blk_begin(struct blk *b, struct blk_job *r)
{
	int status;

	r->segment_count = r->piece = r->piece_done = 0;
	r->through = b->write_through && r->type != BLK_IN;
	r->failed = NULL;
	switch (r->type) {
	case BLK_IN:
	case BLK_OUT:
		status = check_transfer(b, r);
		b->reads += !status && r->type == BLK_IN;
		b->writes += !status && r->type == BLK_OUT;
		return status;
	case BLK_DISCARD:
	case BLK_WRITE_ZEROES:
		return take_segments(b, r);
	case BLK_FLUSH:
		return BLK_OK;
	case BLK_GET_ID:
		return r->writes ? get_id(b, r) : BLK_IOERR;
	default:
		return BLK_UNSUPP;
	}
}

bool blk_needs_image(const struct blk_job *r)
{
	return r->type == BLK_IN || r->type == BLK_OUT || r->type == BLK_FLUSH || r->type == BLK_DISCARD ||
	       r->type == BLK_WRITE_ZEROES;
}

static void fails(struct blk_job *r, const char *what, int err)
{
	r->failed = what;
	r->failed_errno = err;
}

/* What the host has in memory already is read so; where it cannot tell, nothing is. */
bool blk_work_at_once(int fd, struct blk_job *r)
{
	return r->type == BLK_IN && transfer(fd, r, RWF_NOWAIT) == 0;
}

static const char *const names[] = { [BLK_IN] = "read", [BLK_OUT] = "write", [BLK_DISCARD] = "discard",
				     [BLK_WRITE_ZEROES] = "write zeroes" };

void blk_work(int fd, struct blk_job *r)
{
	int err = 0;

	if (r->type == BLK_IN || r->type == BLK_OUT)
		err = transfer(fd, r, 0);
	else if (r->type != BLK_FLUSH)
		err = do_segments(fd, r);
	if (err)
		fails(r, names[r->type], err);
	else if ((r->type == BLK_FLUSH || r->through) && fdatasync(fd) < 0)
		fails(r, "flush", errno);
}

int blk_end(struct blk *b, const struct blk_job *r)
{
	return r->failed ? blk_fail(b, r->failed, r->failed_errno) : BLK_OK;
}

int64_t blk_finish(const struct virtq_memory *memory, const struct blk_job *r, int status)
{
	for (unsigned i = 0; r->writes && i < r->count; i++)
		memory->written(memory->ctx, r->pieces[i].addr, r->pieces[i].len);
	*r->status = (uint8_t)status;
	memory->written(memory->ctx, r->status_addr, 1);
	return (int64_t)(r->writes ? r->bytes : 0) + 1;
}

int64_t blk_request(struct blk *b, const struct virtq_memory *memory, struct virtq_chain *chain)
{
	struct blk_job r;
	int status;

	if (blk_parse(chain, &r))
		return -EPROTO;
	status = blk_begin(b, &r);
	if (!status && blk_needs_image(&r)) {
		blk_work(b->fd, &r);
		status = blk_end(b, &r);
	}
	return blk_finish(memory, &r, status);
}
