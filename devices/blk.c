/* SPDX-License-Identifier: MIT */
/* Requests of a virtio block device: see blk.h. */
#include "devices/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SECTORS_AT_ONCE = 1 << 21, ZEROES = 64 * 1024 };

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

/* How much of the row moves at once; the rest after it. */
static int to_iov(const struct blk_job *r, unsigned from, uint32_t skip, struct iovec iov[VIRTQ_SIZE_MAX])
{
	int n = 0;

	for (unsigned i = from; i < r->count; i++, n++)
		iov[n] = (struct iovec){ r->pieces[i].at + (n ? 0 : skip), r->pieces[i].len - (n ? 0 : skip) };
	return n;
}

/* Short transfers go on where they stopped; the end of a file that was cut off is an error. */
static int transfer(const struct blk *b, const struct blk_job *r, bool write)
{
	static struct iovec iov[VIRTQ_SIZE_MAX];
	off_t at = (off_t)(r->sector * BLK_SECTOR);
	unsigned from = 0;
	uint32_t skip = 0;

	while (from < r->count) {
		int n = to_iov(r, from, skip, iov);
		ssize_t moved = write ? pwritev(b->fd, iov, n, at) : preadv(b->fd, iov, n, at);

		if (moved < 0 && errno == EINTR)
			continue;
		if (moved <= 0)
			return moved ? errno : ENODATA;
		at += moved;
		for (uint64_t left = (uint64_t)moved + skip; from < r->count; from++) {
			skip = (uint32_t)left;
			if (left < r->pieces[from].len)
				break;
			left -= r->pieces[from].len;
			skip = 0;
		}
	}
	return 0;
}

static int sync_data(struct blk *b)
{
	return fdatasync(b->fd) < 0 ? blk_fail(b, "flush", errno) : BLK_OK;
}

int blk_check_transfer(const struct blk *b, const struct blk_job *r)
{
	bool write = r->type == BLK_OUT;

	if (r->writes == write || (write && b->read_only))
		return BLK_IOERR;
	if (r->bytes > BLK_REQUEST_MAX || !r->bytes || r->bytes % BLK_SECTOR)
		return BLK_IOERR;
	return is_inside(b, r->sector, r->bytes / BLK_SECTOR) ? BLK_OK : BLK_IOERR;
}

static int do_transfer(struct blk *b, const struct blk_job *r)
{
	bool write = r->type == BLK_OUT;
	int err = blk_check_transfer(b, r);

	if (err)
		return err;
	b->reads += !write;
	b->writes += write;
	err = transfer(b, r, write);
	if (err)
		return blk_fail(b, write ? "write" : "read", err);
	return write && b->write_through ? sync_data(b) : BLK_OK;
}

static int write_zeroes(const struct blk *b, off_t at, off_t bytes)
{
	static const uint8_t zeroes[ZEROES];

	while (bytes > 0) {
		ssize_t n = pwritev(b->fd, &(struct iovec){ (void *)(uintptr_t)zeroes, bytes < ZEROES ? (size_t)bytes : ZEROES },
				    1, at);

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

int blk_take_segments(const struct blk *b, struct blk_job *r, struct blk_segment out[BLK_SEGMENTS], unsigned *count)
{
	int status = BLK_OK;

	*count = (unsigned)(r->bytes / sizeof(out[0]));
	if (b->read_only || r->writes)
		return BLK_IOERR;
	if (!*count || *count > BLK_SEGMENTS || r->bytes % sizeof(out[0]))
		return BLK_UNSUPP;
	if (!take_front(&r->pieces, &r->count, out, (uint32_t)r->bytes))
		return BLK_IOERR;
	for (unsigned i = 0; i < *count && status == BLK_OK; i++)
		status = check_segment(b, &out[i], r->type == BLK_DISCARD);
	return status;
}

/* A discard is a wish; zeroes are a promise. */
static int do_segment(struct blk *b, const struct blk_segment *s, bool discard)
{
	off_t at = (off_t)(s->sector * BLK_SECTOR), bytes = (off_t)((uint64_t)s->sectors * BLK_SECTOR);
	int mode = FALLOC_FL_KEEP_SIZE, err;

	if (!bytes)
		return BLK_OK;
	mode |= discard || s->flags & BLK_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	if (fallocate(b->fd, mode, at, bytes) == 0)
		return BLK_OK;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return blk_fail(b, discard ? "discard" : "write zeroes", errno);
	err = discard ? 0 : write_zeroes(b, at, bytes);
	return err ? blk_fail(b, "write zeroes", err) : BLK_OK;
}

static int do_segments(struct blk *b, struct blk_job *r)
{
	struct blk_segment s[BLK_SEGMENTS];
	unsigned count;
	int status = blk_take_segments(b, r, s, &count);

	for (unsigned i = 0; status == BLK_OK && i < count; i++)
		status = do_segment(b, &s[i], r->type == BLK_DISCARD);
	return status == BLK_OK && b->write_through ? sync_data(b) : status;
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

int blk_other(const struct blk *b, const struct blk_job *r)
{
	if (r->type != BLK_GET_ID)
		return BLK_UNSUPP;
	return r->writes ? get_id(b, r) : BLK_IOERR;
}

static int carry_out(struct blk *b, struct blk_job *r)
{
	switch (r->type) {
	case BLK_IN:
	case BLK_OUT:
		return do_transfer(b, r);
	case BLK_FLUSH:
		return sync_data(b);
	case BLK_DISCARD:
	case BLK_WRITE_ZEROES:
		return do_segments(b, r);
	default:
		return blk_other(b, r);
	}
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

	if (blk_parse(chain, &r))
		return -EPROTO;
	return blk_finish(memory, &r, carry_out(b, &r));
}
