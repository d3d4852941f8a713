/* SPDX-License-Identifier: MIT */
/* Kernel address randomization by the loader; see kaslr.h. */
#include "kaslr.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

enum { SHDR32 = 40, SHDR64 = 64, SHT_NOBITS = 8 };

struct section {
	uint64_t offset, size; /* in the file */
};

static struct section section(const struct elf *e, unsigned i)
{
	const uint8_t *s = e->v.data + e->shoff + (uint64_t)i * e->shentsize;
	struct section found = e->is64 ? (struct section){ boot_le64(s + 24), boot_le64(s + 32) }
				       : (struct section){ boot_le32(s + 16), boot_le32(s + 20) };

	if (boot_le32(s + 4) == SHT_NOBITS || !boot_range_is_inside(found.offset, found.size, e->v.size))
		return (struct section){ 0, 0 };
	return found;
}

/* The last byte of the file that any header accounts for; the build puts relocations right behind. */
static uint64_t elf_end(const struct elf *e)
{
	uint64_t end = e->phoff + (uint64_t)e->phnum * e->phentsize, headers = (uint64_t)e->shnum * e->shentsize;

	if (e->shnum == 0 || e->shentsize != (e->is64 ? SHDR64 : SHDR32) || !boot_range_is_inside(e->shoff, headers, e->v.size))
		return 0;
	if (e->shoff + headers > end)
		end = e->shoff + headers;
	for (unsigned i = 0; i < e->shnum; i++) {
		const struct section s = section(e, i);

		if (s.offset + s.size > end)
			end = s.offset + s.size;
	}
	return end;
}

/* All segments of a 32-bit kernel have the same distance. */
static uint64_t map_of(struct loader *l, const struct elf *e)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment s;

		if (boot_elf_segment(l, e, i, &s) == 0 && s.type == ELF_PT_LOAD)
			return s.vaddr - s.paddr;
	}
	return 0;
}

/* Each list is preceded by a zero word; no location is zero, so counting zeros counts lists. */
int kaslr_find_relocs(struct loader *l, const struct elf *e, struct relocs *r)
{
	uint64_t start = elf_end(e);

	*r = (struct relocs){ .is64 = e->is64, .map = e->is64 ? KERNEL_MAP_BASE : map_of(l, e) };
	if (start == 0 || e->v.size - start < 8)
		return 0;
	if ((e->v.size - start) % 4 != 0)
		return boot_fail(l, -ENOEXEC, "%s: the relocations have an odd length: the image is broken", e->v.label);
	r->words = e->v.data + start;
	r->count = (e->v.size - start) / 4;
	for (size_t i = 0; i < r->count; i++)
		r->lists += boot_le32(r->words + 4 * i) == 0;
	if (boot_le32(r->words) != 0 || r->lists < (r->is64 ? 2 : 1) || r->lists > (r->is64 ? 3 : 1))
		return boot_fail(l, -ENOEXEC, "%s: %u lists of relocations (%s expected): the image is broken", e->v.label,
				 r->lists, r->is64 ? "2 or 3" : "1");
	return 0;
}

enum reloc_kind { RELOC_64, RELOC_INVERSE_32, RELOC_32 };

static void relocate(uint8_t *p, enum reloc_kind kind, uint64_t delta)
{
	switch (kind) {
	case RELOC_64:
		boot_set64(p, boot_le64(p) + delta);
		break;
	case RELOC_INVERSE_32:
		boot_set32(p, boot_le32(p) - (uint32_t)delta);
		break;
	case RELOC_32:
		boot_set32(p, boot_le32(p) + (uint32_t)delta);
		break;
	}
}

static enum reloc_kind kind_of_list(const struct relocs *r, unsigned list)
{
	return list == 1 && r->is64 ? RELOC_64 : list == r->lists ? RELOC_32 : RELOC_INVERSE_32;
}

/* Physical address as linked. */
static uint64_t offset_of(const struct relocs *r, uint32_t word)
{
	return r->is64 ? (uint64_t)(int64_t)(int32_t)word - r->map : (uint32_t)(word - (uint32_t)r->map);
}

int kaslr_apply(struct loader *l, const struct relocs *r, uint64_t link_base, uint64_t phys_base,
		uint64_t span, uint64_t virt_delta)
{
	uint8_t *image = boot_ram_at(&l->rq->ram, phys_base, span);
	unsigned list = 0;

	if (image == NULL)
		return boot_fail(l, -ENOMEM, "no RAM at %#" PRIx64 " for the kernel", phys_base);
	for (size_t i = 0; i < r->count; i++) {
		uint32_t word = boot_le32(r->words + 4 * i);
		uint64_t where = offset_of(r, word) - link_base;
		enum reloc_kind kind;

		if (word == 0) {
			list++;
			continue;
		}
		kind = kind_of_list(r, list);
		if (!boot_range_is_inside(where, kind == RELOC_64 ? 8 : 4, span))
			return boot_fail(l, -ENOEXEC,
					 "%s: relocation %zu at %#x lies outside of the kernel: the image is broken; "
					 "fetch it again",
					 l->rq->kernel.name, i, word);
		relocate(image + where, kind, virt_delta);
	}
	return 0;
}

int kaslr_pick(uint64_t first, uint64_t last, uint64_t align, uint64_t *out)
{
	uint64_t slots = last < first ? 1 : (last - first) / align + 1;
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	*out = first + random % slots * align;
	return 0;
}
