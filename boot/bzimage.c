/* SPDX-License-Identifier: MIT */
/*
 * bzImage and zImage (Documentation/x86/boot.rst). The kernel inside is unpacked here, by the host, which is many times
 * faster than the guest would be; this file then does what the unpacking code of the kernel would have done: place the ELF
 * segments, choose random addresses, relocate. What we cannot unpack (an unknown compression, a header that does not say
 * where the kernel is, a program that is no packed kernel) is entered at its own 64-bit or 32-bit entry.
 */
#include "decompress.h"
#include "elf.h"
#include "kaslr.h"
#include "linux.h"
#include "setup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ENTRY64 = 0x200, WIDE_ALIGN = 2 << 20 };

/*
 * The last four bytes of the payload are the unpacked size, whatever the compression. They bound the memory
 * that a hostile image can make us use: never more than the guest's own.
 */
static int unpacked_size(struct loader *l, const struct setup *s, const struct codec *codec, uint32_t *out)
{
	if (s->payload.size < (size_t)codec->magic_len + 4)
		return boot_fail(l, -ENOEXEC, "%s: setup header: payload_length %zu is too short: the image is broken",
				 s->file.label, s->payload.size);
	*out = boot_le32(s->payload.data + s->payload.size - 4);
	if (*out == 0 || *out > l->rq->ram.low_size)
		return boot_fail(l, -ENOMEM,
				 "%s: payload: unpacks to %" PRIu32 " bytes, the guest has %" PRIu64
				 " bytes of memory: give it more, or fetch the image again",
				 s->file.label, *out, l->rq->ram.low_size);
	return 0;
}

static int unpack_into(struct loader *l, const struct setup *s, const struct codec *codec, uint8_t *out,
		       size_t size)
{
	size_t got = 0;
	int err = codec->unpack(s->payload.data, s->payload.size - codec->trailer, out, size, &got);

	if (err == -ENOMEM)
		return boot_fail(l, -ENOMEM, "%s: payload: %s wants more memory than the loader may use", s->file.label,
				 codec->name);
	if (err != 0 || got != size)
		return boot_fail(l, -ENOEXEC, "%s: payload: the %s stream is broken: the image is damaged; fetch it again",
				 s->file.label, codec->name);
	return 0;
}

/* Scratch memory by mmap: large, short-lived, and huge pages make it cheap where the host has them. */
static int unpack(struct loader *l, const struct setup *s, const struct codec *codec, struct view *out)
{
	uint32_t size = 0;
	uint8_t *p;
	int err = unpacked_size(l, s, codec, &size);

	if (err != 0)
		return err;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return boot_fail(l, -ENOMEM, "%s: no memory on the host to unpack %" PRIu32 " bytes", s->file.label, size);
	madvise(p, size, MADV_HUGEPAGE);
	err = unpack_into(l, s, codec, p, size);
	if (err != 0) {
		munmap(p, size);
		return err;
	}
	*out = (struct view){ p, size, s->file.label };
	return 0;
}

struct place {
	uint64_t phys;	     /* where the kernel lies */
	uint64_t virt_delta; /* how far its mapping moves from where it was linked */
};

/* A user who limits or carves up memory by hand knows of no random place: then only the virtual address
 * moves. */
static bool memory_is_restricted(const char *cmdline)
{
	return boot_cmdline_has_prefix(cmdline, "mem=") || boot_cmdline_has_prefix(cmdline, "memmap=");
}

/* 64-bit kernels: physical and virtual addresses move apart. Page tables of 2 MiB pages bound how finely. */
static int randomize_wide(const struct loader *l, const struct setup *s, uint64_t top, struct place *p)
{
	uint64_t align = s->align > WIDE_ALIGN ? s->align : WIDE_ALIGN, virt;

	if (kaslr_pick(s->linked, KERNEL_MAP_SIZE - s->room, align, &virt) != 0)
		return -EIO;
	p->virt_delta = virt - s->linked;
	if (memory_is_restricted(l->rq->cmdline))
		return 0;
	return kaslr_pick(s->linked, top - s->room, align, &p->phys);
}

/* 32-bit kernels map their memory at one distance: both addresses move together. */
static int randomize_narrow(const struct loader *l, const struct setup *s, uint64_t top, struct place *p)
{
	if (top > KERNEL_MAP_SIZE_32)
		top = KERNEL_MAP_SIZE_32;
	if (!memory_is_restricted(l->rq->cmdline) && kaslr_pick(s->linked, top - s->room, s->align, &p->phys) != 0)
		return -EIO;
	p->virt_delta = p->phys - s->linked;
	return 0;
}

static int choose_place(struct loader *l, const struct setup *s, const struct relocs *r, struct place *p)
{
	uint64_t top = l->initrds != 0 ? boot_initrd_start(l) : l->rq->ram.low_size;
	uint64_t reach = r->is64 ? KERNEL_MAP_SIZE : KERNEL_MAP_SIZE_32;
	int err;

	*p = (struct place){ .phys = s->linked };
	if (boot_cmdline_has_word(l->rq->cmdline, "nokaslr"))
		return 0;
	if (!s->relocatable || r->lists == 0 || s->linked + s->room > reach) {
		snprintf(l->rs->note, sizeof(l->rs->note), "this kernel has no relocations: its addresses are not randomized");
		return 0;
	}
	err = r->is64 ? randomize_wide(l, s, top, p) : randomize_narrow(l, s, top, p);
	if (err != 0)
		return boot_fail(l, -EIO, "getrandom: the host gives no random numbers: boot with nokaslr");
	l->rs->kaslr = true;
	return 0;
}

/* The kernel must lie inside what the header claims for it: everything else was checked against that. */
static int check_fit(struct loader *l, const struct setup *s, const struct place *p)
{
	if (l->image_start >= p->phys && l->image_end <= p->phys + s->room)
		return 0;
	return boot_fail(l, -ENOEXEC,
			 "%s: payload: its program headers reach beyond pref_address + init_size: the image "
			 "is broken; "
			 "fetch it again",
			 s->file.label);
}

static int place_unpacked(struct loader *l, const struct setup *s, const struct elf *e, struct place *p)
{
	struct relocs r;
	int err = kaslr_find_relocs(l, e, &r);

	if (err == 0)
		err = choose_place(l, s, &r, p);
	if (err == 0)
		err = boot_elf_load(l, e, p->phys - s->linked);
	if (err == 0)
		err = check_fit(l, s, p);
	if (err == 0)
		err = boot_elf_check_entry(l, e, e->entry);
	if (err == 0 && p->virt_delta != 0)
		err = kaslr_apply(l, &r, s->linked, p->phys, l->image_end - p->phys, p->virt_delta);
	return err;
}

static int load_unpacked(struct loader *l, struct setup *s, const struct view *unpacked)
{
	struct place p;
	struct elf e;
	int err = boot_elf_open(l, unpacked, &e);

	if (err == 0)
		err = place_unpacked(l, s, &e, &p);
	if (err != 0)
		return err;
	/* The flag is how the unpacking code tells the kernel; it then randomizes its other memory regions,
	 * too. */
	s->zero_page[LINUX_LOADFLAGS] &= (uint8_t)~LINUX_KASLR_FLAG;
	if (l->rs->kaslr)
		s->zero_page[LINUX_LOADFLAGS] |= LINUX_KASLR_FLAG;
	return boot_linux_finish(l, s->zero_page, e.entry - s->linked + p.phys, e.is64);
}

/*
 * Entered as it is, at "the start address of loaded 32/64-bit kernel", or 200h behind it in 64-bit mode; it unpacks and
 * randomizes itself.
 */
static int load_packed(struct loader *l, struct setup *s)
{
	uint8_t *to;
	int err = boot_place(l, s->load, s->code.size, s->file.label, &to);

	if (err != 0)
		return err;
	memcpy(to, s->code.data, s->code.size);
	if (s->payload.size != 0)
		snprintf(l->rs->note, sizeof(l->rs->note), "the guest unpacks this kernel by itself: the start takes longer");
	boot_set32(s->zero_page + LINUX_CODE32_START, (uint32_t)s->load);
	return boot_linux_finish(l, s->zero_page, s->load + (s->wide ? ENTRY64 : 0), s->wide);
}

/* The ELF file inside can be placed by us only if we know where it was linked to run, and it may run there. */
static const struct codec *find_codec(const struct setup *s)
{
	if (s->payload.size == 0 || s->linked == 0 || s->linked != s->start)
		return NULL;
	return codec_find(s->payload.data, s->payload.size);
}

int boot_load_bzimage(struct loader *l)
{
	const struct codec *codec;
	struct view unpacked;
	struct setup s;
	int err = setup_read(l, &s);

	if (err == 0)
		err = boot_put_initrd(l, setup_end(&s), s.initrd_max);
	if (err != 0)
		return err;
	codec = find_codec(&s);
	if (codec == NULL)
		return load_packed(l, &s);
	err = unpack(l, &s, codec, &unpacked);
	if (err != 0)
		return err;
	if (boot_is_elf32(&unpacked) || boot_is_elf64(&unpacked))
		err = load_unpacked(l, &s, &unpacked);
	else
		err = load_packed(l, &s);
	munmap((void *)unpacked.data, unpacked.size);
	return err;
}
