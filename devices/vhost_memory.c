/* SPDX-License-Identifier: MIT */
/* Memory that a front-end hands over: see vhost_memory.h. */
#include "devices/vhost_memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>

static void *region_at(void *ctx, uint64_t addr, uint64_t len)
{
	const struct vhost_back *b = ctx;

	for (unsigned i = 0; i < b->region_count; i++) {
		const struct vhost_region *r = &b->regions[i];

		if (addr - r->guest < r->size && len <= r->size - (addr - r->guest))
			return r->at + (addr - r->guest);
	}
	return NULL;
}

static void nothing_written(void *ctx, uint64_t addr, uint64_t len)
{
	(void)ctx;
	(void)addr;
	(void)len;
}

void vhost_forget_memory(struct vhost_back *b)
{
	for (unsigned i = 0; i < b->region_count; i++)
		munmap(b->regions[i].mapped, b->regions[i].mapped_bytes);
	b->region_count = 0;
}

/* Asked with a call that this process may make anyway. */
bool vhost_has_byte(int fd, uint64_t at)
{
	uint8_t byte;

	return preadv2(fd, &(struct iovec){ &byte, 1 }, 1, (off_t)at, 0) == 1;
}

/* The offset need not be a page's: the mapping begins at 0. */
static int map_region(struct vhost_back *b, const struct vu_region *from, int fd)
{
	struct vhost_region *r = &b->regions[b->region_count];
	size_t bytes;

	if (!from->size || from->size > SIZE_MAX / 4 || from->mmap_offset > SIZE_MAX / 4 ||
	    from->guest_addr > UINT64_MAX - from->size || from->user_addr > UINT64_MAX - from->size)
		return -EPROTO;
	bytes = (size_t)(from->mmap_offset + from->size);
	if (!vhost_has_byte(fd, bytes - 1))
		return -EPROTO;
	*r = (struct vhost_region){ from->guest_addr, from->user_addr, from->size, NULL, NULL, bytes };
	r->mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (r->mapped == MAP_FAILED)
		return -errno;
	r->at = (uint8_t *)r->mapped + from->mmap_offset;
	b->region_count++;
	return 0;
}

int vhost_take_memory(struct vhost_back *b)
{
	const struct vu_memory *m = &b->in.body.memory;
	int err = 0;

	if (b->in.header.size < 8 || m->count > VU_REGIONS || m->count != b->fd_count ||
	    b->in.header.size != 8 + m->count * sizeof(m->regions[0]))
		return -EPROTO;
	vhost_forget_memory(b);
	for (unsigned i = 0; i < m->count && !err; i++)
		err = map_region(b, &m->regions[i], b->fds[i]);
	return err;
}

/* Rings are named by the front-end's own addresses. With fixed memory these are the guest's. */
uint64_t vhost_guest_address(const struct vhost_back *b, uint64_t user)
{
	if (b->fixed_memory)
		return user;
	for (unsigned i = 0; i < b->region_count; i++)
		if (user - b->regions[i].user < b->regions[i].size)
			return b->regions[i].guest + (user - b->regions[i].user);
	return UINT64_MAX;
}

struct virtq_memory vhost_memory(struct vhost_back *b)
{
	return (struct virtq_memory){ region_at, nothing_written, b };
}
