/* SPDX-License-Identifier: MIT */
/* A shared folder: see fs.h. fs_link.c has the connection to the program. */
#include "devices/fs.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "devices/fs_link.h"
#include "devices/vhost_queue.h"


static uint16_t *word(const struct fs *f, uint32_t at)
{
	return (uint16_t *)(void *)(f->memory + at);
}

static struct share_owner *owner(const struct fs *f)
{
	return (struct share_owner *)(void *)(f->memory + SHARE_OFFER_OWNER);
}

/* ---- guest memory ---- */

static uint32_t bytes_of(const struct virtq_piece *pieces, unsigned count)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < count; i++)
		bytes += pieces[i].len;
	return bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* What the device reads, up to `bytes`. */
static void gather(const struct virtq_chain *c, uint8_t *to, uint32_t bytes)
{
	for (unsigned i = 0; i < c->readable && bytes; i++) {
		uint32_t n = c->pieces[i].len < bytes ? c->pieces[i].len : bytes;

		memcpy(to, c->pieces[i].at, n);
		to += n;
		bytes -= n;
	}
}

static void scatter(struct fs *f, const uint8_t *from, uint32_t bytes)
{
	const struct virtq_memory *memory = &f->back->memory;

	for (unsigned i = f->chain.readable; i < f->chain.readable + f->chain.writable && bytes; i++) {
		const struct virtq_piece *p = &f->chain.pieces[i];
		uint32_t n = p->len < bytes ? p->len : bytes;

		memcpy(p->at, from, n);
		memory->written(memory->ctx, p->addr, n);
		from += n;
		bytes -= n;
	}
}

/* ---- answers ---- */

static void finish(struct fs *f, uint32_t written)
{
	struct vhost_queue *q = f->queue;

	f->queue = NULL;
	f->requests++;
	virtq_push(&q->ring, &f->chain, written);
	vhost_queue_call(q);
}

/* One that wants no answer is done. */
static void refuse(struct fs *f, int error)
{
	const struct fuse_out_header out = { .len = sizeof(out), .error = -error, .unique = f->header.unique };

	if (f->writable)
		scatter(f, (const uint8_t *)&out, sizeof(out));
	finish(f, f->writable ? sizeof(out) : 0);
}

static void wake(struct fs *f)
{
	for (unsigned n = 0; n < FS_QUEUES; n++)
		vhost_queue_wake(&f->back->queues[n]);
	if (f->device.served)
		f->device.served(f->device.ctx);
}

static void refuse_all(struct fs *f)
{
	for (unsigned n = 0; n < FS_QUEUES; n++)
		f->refuses[n] = true;
	wake(f);
}

/* The program that had the request is gone, and nobody knows what has become of it. */
static void lose(struct fs *f)
{
	f->busy = f->resumes = false;
	f->errors += f->queue != NULL;
	if (f->queue)
		refuse(f, EIO);
	wake(f);
}

/* What the program wrote is read once. False: it makes no sense. */
static bool take_answer(struct fs *f)
{
	struct virtq_used_elem e;
	struct fuse_out_header out;

	f->busy = false;
	memcpy(&e, f->memory + DISK_OFFER_USED + 4 + 8 * ((uint16_t)(f->told - 1) % SHARE_OFFER_QUEUE), sizeof(e));
	if (!f->queue)
		return true;
	if (!f->writable) {
		finish(f, 0);
		return true;
	}
	memcpy(&out, f->memory + SHARE_OFFER_OUT, sizeof(out));
	if (e.len < sizeof(out) || e.len > SHARE_OFFER_ROOM || e.len > f->writable || out.len != e.len ||
	    out.unique != f->header.unique)
		return false;
	scatter(f, f->memory + SHARE_OFFER_OUT, e.len);
	finish(f, e.len);
	return true;
}

/* Called, or to see what is there. 0; -EPROTO: it answers what makes no sense. */
static int look(struct fs *f)
{
	uint16_t used = __atomic_load_n(word(f, DISK_OFFER_USED + 2), __ATOMIC_ACQUIRE);

	if (!f->busy || (uint16_t)(used + 1) == f->told)
		return 0; /* not done yet */
	if (used != f->told)
		return -EPROTO;
	/* Answered before it is known whose it is: a back-end that has died had asked. */
	if (f->resumes)
		return 0;
	return take_answer(f) ? 0 : -EPROTO;
}

/* ---- requests ---- */

static void put_desc(struct fs *f, unsigned n, uint32_t at, uint32_t len, unsigned flags)
{
	const struct virtq_desc d = { DISK_OFFER_BASE + at, len, (uint16_t)flags, (uint16_t)(n + 1) };

	memcpy(f->memory + DISK_OFFER_DESC + n * sizeof(d), &d, sizeof(d));
}

/* Data to be written are a descriptor of their own: the program passes them on from where they are. */
static void put_descriptors(struct fs *f)
{
	enum { ARGUMENTS = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) };
	uint32_t bytes = f->readable, at = SHARE_OFFER_IN;
	unsigned n = 0, more = f->writable ? VIRTQ_DESC_NEXT : 0;

	if (f->header.opcode == FUSE_WRITE && bytes > ARGUMENTS) {
		put_desc(f, n++, at, sizeof(struct fuse_in_header), VIRTQ_DESC_NEXT);
		put_desc(f, n++, at + sizeof(struct fuse_in_header), sizeof(struct fuse_write_in), VIRTQ_DESC_NEXT);
		at += ARGUMENTS;
		bytes -= ARGUMENTS;
	}
	put_desc(f, n++, at, bytes, more);
	if (more)
		put_desc(f, n, SHARE_OFFER_OUT, f->writable < SHARE_OFFER_ROOM ? f->writable : SHARE_OFFER_ROOM,
			 VIRTQ_DESC_WRITE);
}

static void kick(struct fs *f)
{
	static const uint64_t one = 1;

	if (write(f->fds[DISK_FD_KICK], &one, sizeof(one)) < 0)
		return; /* it is being kicked */
}

/* Whose it is stands there before the program sees it, and that it has been told with the index by which it is. */
static void tell(struct fs *f)
{
	const struct share_owner o = { f->queue->index, (uint16_t)(f->told + 1) };

	owner(f)->told = SHARE_NOT_TOLD;
	gather(&f->chain, f->memory + SHARE_OFFER_IN, f->readable);
	memcpy(f->memory + SHARE_OFFER_IN, &f->header, sizeof(f->header));
	memset(f->memory + SHARE_OFFER_OUT, 0, sizeof(struct fuse_out_header));
	put_descriptors(f);
	memcpy(owner(f), &o, sizeof(o));
	*word(f, DISK_OFFER_AVAIL + 4 + 2 * (f->told % SHARE_OFFER_QUEUE)) = 0;
	__atomic_store_n(word(f, DISK_OFFER_AVAIL + 2), ++f->told, __ATOMIC_RELEASE);
	f->busy = true;
	kick(f);
}

static bool wants_no_answer(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET;
}

/* 5.11.6.1: a header with the length of all that is read; room for a header, but for what is not answered. */
static int parse(struct fs *f)
{
	f->readable = bytes_of(f->chain.pieces, f->chain.readable);
	f->writable = bytes_of(f->chain.pieces + f->chain.readable, f->chain.writable);
	if (f->readable < sizeof(f->header))
		return -EPROTO;
	gather(&f->chain, (uint8_t *)&f->header, sizeof(f->header));
	if (f->header.len != f->readable)
		return -EPROTO;
	if (wants_no_answer(f->header.opcode))
		f->writable = 0;
	else if (f->writable < sizeof(struct fuse_out_header))
		return -EPROTO;
	return 0;
}

/* A back-end that has died had told the program of it: its number says so, which a guest gives to no two in a row. */
static bool is_under_way(const struct fs *f)
{
	struct fuse_in_header in;

	memcpy(&in, f->memory + SHARE_OFFER_IN, sizeof(in));
	return f->header.opcode != FUSE_INIT && in.unique == f->header.unique && in.opcode == f->header.opcode &&
	       in.nodeid == f->header.nodeid;
}

static int begin(struct fs *f);

/* What is under way is an earlier guest's: this one comes again when that is done. */
static int begin_behind(struct fs *f)
{
	struct vhost_queue *q = f->queue;
	int rc;

	f->resumes = false;
	f->queue = NULL;
	rc = look(f);
	f->queue = q;
	if (rc || !f->busy)
		return rc ? rc : begin(f);
	virtq_put_back(&q->ring, 1);
	f->queue = NULL;
	return 0;
}

static int begin(struct fs *f)
{
	bool resumes = f->resumes && is_under_way(f);

	if (f->resumes && !resumes)
		return begin_behind(f);
	f->resumes = false;
	if (resumes)
		return look(f) ? -EPROTO : 0;
	if (f->readable > SHARE_OFFER_ROOM)
		refuse(f, EINVAL);
	else
		tell(f);
	return 0;
}

/* What lies in the memory belongs to a queue that has not been looked at yet: it begins. */
static bool waits_for_another(const struct fs *f, const struct vhost_queue *q)
{
	return f->resumes && owner(f)->queue != q->index;
}

static int refuse_those(struct fs *f, struct vhost_queue *q)
{
	int rc;

	while ((rc = virtq_pop(&q->ring, &f->chain)) == 0) {
		if (parse(f))
			return -EPROTO;
		f->queue = q;
		f->errors++;
		refuse(f, EIO);
	}
	f->refuses[q->index] = false;
	return rc == -EAGAIN ? !virtq_sleep(&q->ring) : rc;
}

/* Nothing is under way for it: what lies in the memory was answered before its back-end died. */
static int nothing_left(struct fs *f, struct vhost_queue *q)
{
	if (f->resumes) {
		f->resumes = false;
		if (look(f))
			fs_hang_up(f, "it answers what makes no sense");
		wake(f);
	}
	return !virtq_sleep(&q->ring);
}

static int take(struct fs *f, struct vhost_queue *q)
{
	int rc = virtq_pop(&q->ring, &f->chain);

	if (rc == -EAGAIN)
		return nothing_left(f, q);
	if (rc || parse(f))
		return -EPROTO;
	f->queue = q;
	if (begin(f))
		fs_hang_up(f, "it answers what makes no sense");
	return !f->queue && !f->busy; /* the next one, when this is done */
}

static int kicked(void *ctx, struct vhost_queue *q)
{
	struct fs *f = ctx;

	if (f->refuses[q->index] && !f->queue)
		return refuse_those(f, q);
	if (!fs_is_linked(f)) {
		if (virtq_sleep(&q->ring))
			return 0;
		fs_ask(f);
		return 0;
	}
	if (f->queue || waits_for_another(f, q) || (f->busy && !f->resumes))
		return 0; /* all are looked at when that is done */
	return take(f, q);
}

/* The front-end has died, or the guest has reset the device: what the queue begins with the next time says which. */
static void halted(void *ctx, struct vhost_queue *q)
{
	struct fs *f = ctx;

	f->refuses[q->index] = false;
	if (f->queue != q)
		return;
	f->queue = NULL;
	f->resumes = f->busy;
}

/* ---- the device ---- */

static void get_config(void *ctx, uint8_t *out)
{
	const struct fs *f = ctx;

	memcpy(out, f->tag, strlen(f->tag));
	out[SHARE_CONFIG_QUEUES] = FS_QUEUES - 1;
}

static void accepted(void *ctx, uint64_t features)
{
	(void)ctx;
	(void)features;
}

/* The request in the memory may be under way still, or answered, or told without a kick. */
static int take_up(struct fs *f)
{
	uint16_t used = __atomic_load_n(word(f, DISK_OFFER_USED + 2), __ATOMIC_ACQUIRE);

	f->told = __atomic_load_n(word(f, DISK_OFFER_AVAIL + 2), __ATOMIC_ACQUIRE);
	if ((uint16_t)(f->told - used) > 1)
		return -EPROTO;
	f->resumes = owner(f)->told == f->told && owner(f)->queue < FS_QUEUES;
	f->busy = f->resumes || used != f->told;
	if (f->busy)
		kick(f);
	return 0;
}

static const struct fs_above above = { take_up, look, lose, refuse_all, wake };

int fs_init(struct fs *f, int exporter_fd, const char *tag, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why))
{
	*f = (struct fs){ .above = &above, .exporter_fd = exporter_fd, .tag = tag, .fds = { -1, -1, -1, -1 } };
	f->device = (struct vhost_device){
		.queues = FS_QUEUES,
		.config_bytes = FS_CONFIG_BYTES,
		.get_config = get_config,
		.accepted = accepted,
		.kicked = kicked,
		.halted = halted,
		.served = served,
		.lost = lost,
		.ctx = f,
	};
	return exporter_fd < 0 || strlen(tag) > SHARE_CONFIG_QUEUES ? -EIO : 0;
}
