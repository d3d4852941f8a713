/* SPDX-License-Identifier: MIT */
/* Requests of a virtio block device: see blk.h. */
#include "devices/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2 };
enum { F_UNMAP = 1, SECTORS_AT_ONCE = 1 << 21, ZEROES = 64 * 1024 };

struct header {
	uint32_t type, reserved;
	uint64_t sector;
};
struct segment {
	uint64_t sector;
	uint32_t sectors, flags;
};

/* A request without its header and its status: what is left of the chain. */
struct request {
	struct header header;
	struct virtq_piece *pieces;
	unsigned count;
	uint64_t bytes;
	uint8_t *status;
	uint64_t status_addr;
};

uint64_t blk_features(const struct blk *b)
{
	uint64_t common = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_FLUSH | BLK_F_MQ;

	return common | (b->read_only ? BLK_F_RO : BLK_F_DISCARD | BLK_F_WRITE_ZEROES);
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
	if (b->read_only)
		return;
	put(out, 36, SECTORS_AT_ONCE, 4); /* discard: sectors, segments, alignment */
	put(out, 40, BLK_SEGMENTS, 4);
	put(out, 44, 8, 4);
	put(out, 48, SECTORS_AT_ONCE, 4); /* write zeroes: sectors, segments, may unmap */
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
static int parse(struct virtq_chain *c, struct request *r)
{
	struct virtq_piece *readable = c->pieces, *writable = c->pieces + c->readable, *last;
	unsigned readables = c->readable, writables = c->writable;

	if (!writables || !take_front(&readable, &readables, &r->header, sizeof(r->header)))
		return -EPROTO;
	last = &writable[writables - 1];
	r->status = last->at + last->len - 1;
	r->status_addr = last->addr + last->len - 1;
	if (--last->len == 0)
		writables--;
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

static int fail(struct blk *b, const char *what, int err)
{
	b->errors++;
	b->failed = what;
	b->failed_errno = err;
	return S_IOERR;
}

/* How much of the row moves at once; the rest after it. */
static int to_iov(const struct request *r, unsigned from, uint32_t skip, struct iovec iov[VIRTQ_SIZE_MAX])
{
	int n = 0;

	for (unsigned i = from; i < r->count; i++, n++)
		iov[n] = (struct iovec){ r->pieces[i].at + (n ? 0 : skip), r->pieces[i].len - (n ? 0 : skip) };
	return n;
}

/* Short transfers go on where they stopped; the end of a file that was cut off is an error. */
static int transfer(const struct blk *b, const struct request *r, bool write)
{
	static struct iovec iov[VIRTQ_SIZE_MAX];
	off_t at = (off_t)(r->header.sector * BLK_SECTOR);
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
	return fdatasync(b->fd) < 0 ? fail(b, "flush", errno) : S_OK;
}

static int do_transfer(struct blk *b, const struct request *r, bool write)
{
	int err;

	if (r->bytes > BLK_REQUEST_MAX || !r->bytes || r->bytes % BLK_SECTOR ||
	    !is_inside(b, r->header.sector, r->bytes / BLK_SECTOR))
		return S_IOERR;
	if (write && b->read_only)
		return S_IOERR;
	b->reads += !write;
	b->writes += write;
	err = transfer(b, r, write);
	if (err)
		return fail(b, write ? "write" : "read", err);
	return write && b->write_through ? sync_data(b) : S_OK;
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

/* A discard is a wish; zeroes are a promise. */
static int do_segment(struct blk *b, const struct segment *s, bool discard)
{
	off_t at = (off_t)(s->sector * BLK_SECTOR), bytes = (off_t)((uint64_t)s->sectors * BLK_SECTOR);
	int mode = FALLOC_FL_KEEP_SIZE, err;

	if (s->flags & ~(discard ? 0u : (unsigned)F_UNMAP))
		return S_UNSUPP;
	if (s->sectors > SECTORS_AT_ONCE || !is_inside(b, s->sector, s->sectors))
		return S_IOERR;
	if (!bytes)
		return S_OK;
	mode |= discard || s->flags & F_UNMAP ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	if (fallocate(b->fd, mode, at, bytes) == 0)
		return S_OK;
	if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		return fail(b, discard ? "discard" : "write zeroes", errno);
	err = discard ? 0 : write_zeroes(b, at, bytes);
	return err ? fail(b, "write zeroes", err) : S_OK;
}

static int do_segments(struct blk *b, struct request *r, bool discard)
{
	struct segment s[BLK_SEGMENTS];
	unsigned count = (unsigned)(r->bytes / sizeof(s[0]));
	int status = S_OK;

	if (b->read_only || !count || count > BLK_SEGMENTS || r->bytes % sizeof(s[0]))
		return b->read_only ? S_IOERR : S_UNSUPP;
	if (!take_front(&r->pieces, &r->count, s, (uint32_t)r->bytes))
		return S_IOERR;
	for (unsigned i = 0; i < count && status == S_OK; i++)
		status = do_segment(b, &s[i], discard);
	return status == S_OK && b->write_through ? sync_data(b) : status;
}

/* 5.2.6: twenty bytes, with a zero behind the string only if there is room. */
static int get_id(const struct blk *b, const struct request *r)
{
	size_t done = 0;

	if (r->bytes < BLK_ID_BYTES)
		return S_IOERR;
	for (unsigned i = 0; i < r->count && done < BLK_ID_BYTES; i++) {
		size_t n = r->pieces[i].len < BLK_ID_BYTES - done ? r->pieces[i].len : BLK_ID_BYTES - done;

		memcpy(r->pieces[i].at, b->id + done, n);
		done += n;
	}
	return S_OK;
}

/* `writes`: the pieces are memory that the device may write. */
static int carry_out(struct blk *b, struct request *r, bool writes)
{
	switch (r->header.type) {
	case T_IN:
		return writes ? do_transfer(b, r, false) : S_IOERR;
	case T_OUT:
		return writes ? S_IOERR : do_transfer(b, r, true);
	case T_FLUSH:
		return sync_data(b);
	case T_GET_ID:
		return writes ? get_id(b, r) : S_IOERR;
	case T_DISCARD:
	case T_WRITE_ZEROES:
		return writes ? S_IOERR : do_segments(b, r, r->header.type == T_DISCARD);
	default:
		return S_UNSUPP;
	}
}

int64_t blk_request(struct blk *b, const struct virtq_memory *memory, struct virtq_chain *chain)
{
	struct request r;
	bool writes;
	int status;

	if (parse(chain, &r))
		return -EPROTO;
	writes = r.count && r.pieces >= chain->pieces + chain->readable;
	status = carry_out(b, &r, writes);
	for (unsigned i = 0; writes && i < r.count; i++)
		memory->written(memory->ctx, r.pieces[i].addr, r.pieces[i].len);
	*r.status = (uint8_t)status;
	memory->written(memory->ctx, r.status_addr, 1);
	return (int64_t)(writes ? r.bytes : 0) + 1;
}
