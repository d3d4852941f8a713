/* SPDX-License-Identifier: MIT */
/* A front-end's record of what is under way: see vhost_inflight.h. */
#include "devices/vhost_inflight.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/vhost_memory.h"

/* One is enough: there is one front-end at a time, and one that asks anew has nothing under way. */
int vhost_back_make_inflight(struct vhost_back *b)
{
	const size_t bytes = VHOST_QUEUES * inflight_bytes(VIRTQ_SIZE_MAX);
	int fd = memfd_create("bulkhead-inflight", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0) {
		close(fd);
		return -errno;
	}
	b->inflight.spare_fd = fd;
	return 0;
}

static bool is_possible(const struct vhost_back *b, const struct vu_inflight *m)
{
	return b->device->reorders && m->queues && m->queues <= VHOST_QUEUES && m->queue_size && m->queue_size <= VIRTQ_SIZE_MAX;
}

/* The front-end maps as much as it is told, and neither side knows it by another size afterwards. */
static int map(struct vhost_back *b, const struct vu_inflight *m, int fd)
{
	struct vhost_inflight *i = &b->inflight;
	const size_t stride = inflight_bytes(m->queue_size), bytes = stride * m->queues;
	void *p;

	if (m->mmap_size < bytes || m->mmap_offset % INFLIGHT_ALIGNMENT || m->mmap_offset > SIZE_MAX / 4 ||
	    !vhost_has_byte(fd, m->mmap_offset + bytes - 1))
		return -EPROTO;
	p = mmap(NULL, m->mmap_offset + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	i->mapped = p;
	i->mapped_bytes = m->mmap_offset + bytes;
	i->at = (uint8_t *)p + m->mmap_offset;
	i->stride = stride;
	i->queues = m->queues;
	i->queue_size = m->queue_size;
	return 0;
}

int vhost_inflight_offer(struct vhost_back *b)
{
	struct vu_inflight *m = &b->in.body.inflight;
	struct vu_inflight mine = { .queues = m->queues, .queue_size = m->queue_size };
	int err;

	if (!is_possible(b, m))
		return -EPROTO;
	mine.mmap_size = inflight_bytes(m->queue_size) * m->queues;
	vhost_inflight_forget(b);
	err = b->inflight.spare_fd < 0 ? -EPROTO : map(b, &mine, b->inflight.spare_fd);
	if (err)
		return err;
	memset(b->inflight.at, 0, mine.mmap_size);
	*m = mine;
	return 1;
}

int vhost_inflight_take(struct vhost_back *b, int fd)
{
	const struct vu_inflight m = b->in.body.inflight;

	if (!is_possible(b, &m))
		return -EPROTO;
	vhost_inflight_forget(b);
	return map(b, &m, fd);
}

void vhost_inflight_forget(struct vhost_back *b)
{
	if (b->inflight.at)
		munmap(b->inflight.mapped, b->inflight.mapped_bytes);
	b->inflight.at = NULL;
}

struct inflight_region *vhost_inflight_of(const struct vhost_back *b, unsigned index, uint16_t size)
{
	const struct vhost_inflight *i = &b->inflight;

	return i->at && index < i->queues && size <= i->queue_size ? (void *)(i->at + index * i->stride) : NULL;
}
