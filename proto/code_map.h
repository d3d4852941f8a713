/* SPDX-License-Identifier: MIT */
/*
 * The code map: which pieces of guest RAM a vCPU of the emulator holds decoded instructions of.
 *
 * Writer: the vcpu process. Readers: whoever writes guest RAM beside it, device processes that have guest memory. For each page
 * of RAM it has one word for each vCPU, written by that vCPU's thread alone; bit n stands for the 64 bytes from 64 * n on.
 *
 * A vCPU sets bits before it reads the bytes that it decodes, with a full barrier in between. Whoever writes RAM asks the map
 * after the store, with a full barrier in between (code_map_hit() is both). So either the reader sees the bit and tells
 * the vcpu process (engine.h, ram_written()), or the vCPU decodes the new bytes; never neither. A device tells before it
 * says that its transfer is done: before the used index, the interrupt, the status.
 *
 * Set bits may be more than there is code, never less.
 */
#ifndef BULKHEAD_PROTO_CODE_MAP_H
#define BULKHEAD_PROTO_CODE_MAP_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CODE_MAP_MAGIC = 0x50414d43, /* "CMAP" */
	CODE_MAP_VERSION = 1,
	CODE_MAP_REGIONS = 4,
	CODE_MAP_VCPUS = 64,
	CODE_MAP_PAGE_SHIFT = 12,
	CODE_MAP_GRANULE_SHIFT = 6,
};

/* RAM in the order of its addresses; whole pages. */
struct code_map_region {
	uint64_t gpa, size;
	uint64_t first_page; /* its first page's index */
};

struct code_map {
	uint32_t magic, version; /* stored last, by the writer */
	uint32_t vcpus, region_count;
	struct code_map_region region[CODE_MAP_REGIONS];
	uint8_t reserved[4096 - 16 - CODE_MAP_REGIONS * sizeof(struct code_map_region)];
	_Atomic uint64_t granules[]; /* [page * vcpus + vcpu] */
};
_Static_assert(offsetof(struct code_map, granules) == 4096, "the words begin on a page of their own");

/* A private, checked copy of the header, and where the words are. */
struct code_map_view {
	_Atomic uint64_t *granules; /* of a reader's map: only to be loaded */
	uint32_t vcpus, region_count;
	struct code_map_region region[CODE_MAP_REGIONS];
	uint64_t pages;
};

/* Bytes of the object for so many pages of RAM. */
static inline size_t code_map_bytes(uint64_t pages, unsigned vcpus)
{
	return sizeof(struct code_map) + (size_t)pages * vcpus * sizeof(uint64_t);
}

static inline _Atomic uint64_t *code_map_word(const struct code_map_view *v, uint64_t page, unsigned vcpu)
{
	return &v->granules[page * v->vcpus + vcpu];
}

/* The granules that `size` bytes from `offset` within a page on touch; size > 0, and what lies beyond the page does not count. */
static inline uint64_t code_map_mask(uint64_t offset, uint64_t size)
{
	const uint64_t last = (offset + size - 1) >> CODE_MAP_GRANULE_SHIFT;

	return (UINT64_MAX >> (last < 63 ? 63 - last : 0)) & (UINT64_MAX << (offset >> CODE_MAP_GRANULE_SHIFT));
}

/* The writer, in zeroed memory of `bytes`; first_page of the regions is computed here. -EINVAL: it is too small. */
static inline int code_map_init(struct code_map *m, size_t bytes, const struct code_map_region *region, unsigned count,
				unsigned vcpus, struct code_map_view *v)
{
	*v = (struct code_map_view){ .vcpus = vcpus, .region_count = count, .granules = m->granules };
	if (count > CODE_MAP_REGIONS || vcpus == 0 || vcpus > CODE_MAP_VCPUS)
		return -EINVAL;
	for (unsigned n = 0; n < count; n++) {
		v->region[n] = (struct code_map_region){ region[n].gpa, region[n].size, v->pages };
		v->pages += region[n].size >> CODE_MAP_PAGE_SHIFT;
		m->region[n] = v->region[n];
	}
	if (bytes < code_map_bytes(v->pages, vcpus))
		return -EINVAL;
	m->vcpus = vcpus;
	m->region_count = count;
	m->version = CODE_MAP_VERSION;
	__atomic_store_n(&m->magic, CODE_MAP_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

/*
 * A reader, who got `bytes` from the vcpu process and believes nothing that the header says.
 *
 * -EAGAIN   the writer has not filled it yet
 * -EPROTO   another version, or numbers that do not fit the object
 */
static inline int code_map_attach(const struct code_map *m, size_t bytes, struct code_map_view *v)
{
	uint64_t pages = 0;

	if (bytes < sizeof(*m))
		return -EPROTO;
	if (__atomic_load_n(&m->magic, __ATOMIC_ACQUIRE) == 0)
		return -EAGAIN;
	*v = (struct code_map_view){ .vcpus = m->vcpus, .region_count = m->region_count };
	if (m->magic != CODE_MAP_MAGIC || m->version != CODE_MAP_VERSION || v->vcpus == 0 || v->vcpus > CODE_MAP_VCPUS ||
	    v->region_count > CODE_MAP_REGIONS)
		return -EPROTO;
	for (unsigned n = 0; n < v->region_count; n++) {
		v->region[n] = m->region[n];
		if (v->region[n].first_page != pages || v->region[n].size >> 52)
			return -EPROTO;
		pages += v->region[n].size >> CODE_MAP_PAGE_SHIFT;
	}
	if (pages > (bytes - sizeof(*m)) / sizeof(uint64_t) / v->vcpus)
		return -EPROTO;
	v->pages = pages;
	v->granules = (_Atomic uint64_t *)(uintptr_t)m->granules;
	return 0;
}

/* Has any vCPU decoded code of these bytes of one page? */
static inline bool code_map_page_hit(const struct code_map_view *v, uint64_t page, uint64_t mask)
{
	uint64_t any = 0;

	for (unsigned n = 0; n < v->vcpus; n++)
		any |= atomic_load_explicit(code_map_word(v, page, n), memory_order_relaxed);
	return any & mask;
}

/* After [gpa, gpa + size) has been written: do decoded instructions depend on it? What is not RAM holds none. */
static inline bool code_map_hit(const struct code_map_view *v, uint64_t gpa, uint64_t size)
{
	const uint64_t page_bytes = 1ull << CODE_MAP_PAGE_SHIFT;

	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned n = 0; n < v->region_count; n++) {
		const struct code_map_region *r = &v->region[n];
		uint64_t at = gpa > r->gpa ? gpa - r->gpa : 0, end = gpa + size > r->gpa ? gpa + size - r->gpa : 0;

		end = end < r->size ? end : r->size;
		for (; at < end; at = (at | (page_bytes - 1)) + 1) {
			const uint64_t offset = at & (page_bytes - 1), left = end - at;

			if (code_map_page_hit(v, r->first_page + (at >> CODE_MAP_PAGE_SHIFT), code_map_mask(offset, left)))
				return true;
		}
	}
	return false;
}

#endif
