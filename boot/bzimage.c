/* SPDX-License-Identifier: MIT */
/*
 * bzImage, boot protocol 2.12 and newer (Documentation/x86/boot.rst). The kernel inside is unpacked here, by
 * the host, which is many times faster than the guest would be; this file then does what the unpacking code
 * of the kernel would have done: place the ELF segments, choose random addresses, relocate. A compression
 * that we do not know is left to the kernel itself.
 */
#include "loader.h"

#include "decompress.h"
#include "elf.h"
#include "kaslr.h"
#include "linux.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SECTOR = 512, ENTRY64 = 0x200, ALIGN_MIN = 2 << 20, ALIGN_MAX = 1 << 30 };

struct setup {
	struct view file;
	uint64_t protected_mode; /* file offset of the part that runs in protected mode */
	struct view payload;	 /* compressed kernel */
	uint64_t pref, room;	 /* where it was linked to run, and how much it claims there */
	uint64_t align;
	uint32_t initrd_max;
	bool relocatable;
	uint8_t zero_page[BOOT_PAGE];
};

bool boot_is_bzimage(const struct view *v)
{
	return v->size >= LINUX_VERSION && boot_le16(v->data + LINUX_BOOT_FLAG) == 0xaa55 &&
	       memcmp(v->data + LINUX_MAGIC, "HdrS", 4) == 0;
}

static int check_kind(struct loader *l, const struct setup *s)
{
	const uint8_t *f = s->file.data;
	const char *name = s->file.label;
	unsigned version;

	if (s->file.size < LINUX_HEADER_END_MAX)
		return boot_fail(
			l, -ENOEXEC,
			"%s: setup header: the file ends inside it (%zu bytes): the image is truncated; "
			"fetch it again",
			name, s->file.size);
	version = boot_le16(f + LINUX_VERSION);
	if (version < 0x20c)
		return boot_fail(
			l, -ENOEXEC,
			"%s: setup header: version %u.%02u; 2.12 or newer is needed (Linux 3.8, 2013)", name,
			version >> 8, version & 0xff);
	if ((f[LINUX_LOADFLAGS] & LINUX_LOADED_HIGH) == 0)
		return boot_fail(l, -ENOEXEC, "%s: setup header: loadflags: a zImage; a bzImage is needed",
				 name);
	if ((boot_le16(f + LINUX_XLOADFLAGS) & LINUX_XLF_KERNEL_64) == 0)
		return boot_fail(
			l, -ENOEXEC,
			"%s: setup header: xloadflags: no 64-bit entry: a 32-bit kernel; use a 64-bit one",
			name);
	return 0;
}

static int read_addresses(struct loader *l, struct setup *s)
{
	const uint8_t *f = s->file.data;

	s->pref = boot_le64(f + LINUX_PREF_ADDRESS);
	s->room = boot_le32(f + LINUX_INIT_SIZE);
	s->align = boot_le32(f + LINUX_ALIGNMENT);
	s->initrd_max = boot_le32(f + LINUX_INITRD_MAX);
	s->relocatable = f[LINUX_RELOCATABLE] != 0;
	if (s->align < ALIGN_MIN || s->align > ALIGN_MAX || (s->align & (s->align - 1)) != 0)
		return boot_fail(
			l, -ENOEXEC,
			"%s: setup header: kernel_alignment %#" PRIx64
			" is not a power of two of at least 2 MiB: the image is broken; fetch it again",
			s->file.label, s->align);
	if (s->pref < BOOT_1MIB || s->pref % s->align != 0)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: pref_address %#" PRIx64
				 " is below 1 MiB or not aligned: the image is broken; fetch it again",
				 s->file.label, s->pref);
	if (s->room == 0)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: init_size is 0: the image is broken; fetch it again",
				 s->file.label);
	if (!boot_range_is_inside(s->pref, s->room, l->rq->ram.low_size))
		return boot_fail(l, -ENOMEM,
				 "%s: the kernel needs %" PRIu64 " MiB of memory, the guest has %" PRIu64
				 ": give it more (--memory)",
				 s->file.label, (s->pref + s->room + 0xfffff) >> 20,
				 l->rq->ram.low_size >> 20);
	return 0;
}

static int find_payload(struct loader *l, struct setup *s)
{
	const uint8_t *f = s->file.data;
	unsigned sects = f[LINUX_SETUP_SECTS] == 0 ? 4 : f[LINUX_SETUP_SECTS];
	uint64_t offset = boot_le32(f + LINUX_PAYLOAD_OFFSET), length = boot_le32(f + LINUX_PAYLOAD_LENGTH);

	s->protected_mode = (uint64_t)(sects + 1) * SECTOR;
	if (s->protected_mode >= s->file.size)
		return boot_fail(
			l, -ENOEXEC,
			"%s: setup header: setup_sects %u: nothing follows the real-mode part: the image is "
			"truncated; fetch it again",
			s->file.label, sects);
	if (!boot_range_is_inside(s->protected_mode + offset, length, s->file.size))
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: payload_length %#" PRIx64
				 " reaches past the end of the file (%zu bytes): the image is truncated; "
				 "fetch it again",
				 s->file.label, length, s->file.size);
	s->payload = (struct view){f + s->protected_mode + offset, length, s->file.label};
	return 0;
}

/* "the end of setup header can be found by adding the byte at 0x201 to 0x202" (boot.rst, 64-bit protocol) */
static int copy_header(struct loader *l, struct setup *s)
{
	unsigned end = LINUX_MAGIC + s->file.data[LINUX_JUMP + 1];

	if (end < LINUX_HEADER_END_MIN)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: jump at 0x200 says that it ends at %#x, before "
				 "init_size: the image "
				 "is broken; fetch it again",
				 s->file.label, end);
	if (end > LINUX_HEADER_END_MAX)
		end = LINUX_HEADER_END_MAX;
	memcpy(s->zero_page + LINUX_HEADER, s->file.data + LINUX_HEADER, end - LINUX_HEADER);
	return 0;
}

static int read_setup(struct loader *l, struct setup *s)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->file = boot_kernel_view(l);
	if (!boot_is_bzimage(&s->file))
		return boot_fail(l, -ENOEXEC, "%s: not a bzImage: boot_flag or header magic is missing",
				 s->file.label);
	err = check_kind(l, s);
	if (err == 0)
		err = find_payload(l, s);
	if (err == 0)
		err = read_addresses(l, s);
	if (err == 0)
		err = copy_header(l, s);
	return err;
}

/*
 * The last four bytes of the payload are the unpacked size, whatever the compression. They bound the memory
 * that a hostile image can make us use: never more than the guest's own.
 */
static int unpacked_size(struct loader *l, const struct setup *s, const struct codec *codec, uint32_t *out)
{
	if (s->payload.size < (size_t)codec->magic_len + 4)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: payload_length %zu is too short: the image is broken",
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
		return boot_fail(l, -ENOMEM, "%s: payload: %s wants more memory than the loader may use",
				 s->file.label, codec->name);
	if (err != 0 || got != size)
		return boot_fail(l, -ENOEXEC,
				 "%s: payload: the %s stream is broken: the image is damaged; fetch it again",
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
		return boot_fail(l, -ENOMEM, "%s: no memory on the host to unpack %" PRIu32 " bytes",
				 s->file.label, size);
	madvise(p, size, MADV_HUGEPAGE);
	err = unpack_into(l, s, codec, p, size);
	if (err != 0) {
		munmap(p, size);
		return err;
	}
	*out = (struct view){p, size, s->file.label};
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

static int choose_place(struct loader *l, const struct setup *s, const struct relocs *r, struct place *p)
{
	const char *cmdline = l->rq->cmdline;
	uint64_t top = l->initrds != 0 ? boot_initrd_start(l) : l->rq->ram.low_size;
	uint64_t virt;

	*p = (struct place){.phys = s->pref};
	if (boot_cmdline_has_word(cmdline, "nokaslr"))
		return 0;
	if (!s->relocatable || r->lists == 0 || s->pref + s->room > KERNEL_MAP_SIZE) {
		snprintf(l->rs->note, sizeof(l->rs->note),
			 "this kernel has no relocations: its addresses are not randomized");
		return 0;
	}
	if (kaslr_pick(s->pref, KERNEL_MAP_SIZE - s->room, s->align, &virt) != 0 ||
	    (!memory_is_restricted(cmdline) && kaslr_pick(s->pref, top - s->room, s->align, &p->phys) != 0))
		return boot_fail(l, -EIO, "getrandom: the host gives no random numbers: boot with nokaslr");
	p->virt_delta = virt - s->pref;
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

static int load_unpacked(struct loader *l, struct setup *s, const struct view *unpacked)
{
	struct relocs r;
	struct place p;
	struct elf e;
	int err = boot_elf_open(l, unpacked, &e);

	if (err == 0 && !e.is64)
		err = boot_fail(l, -ENOEXEC, "%s: payload: a 32-bit ELF file", s->file.label);
	if (err == 0)
		err = kaslr_find_relocs(l, &e, &r);
	if (err == 0)
		err = choose_place(l, s, &r, &p);
	if (err == 0)
		err = boot_elf_load(l, &e, p.phys - s->pref);
	if (err == 0)
		err = check_fit(l, s, &p);
	if (err == 0)
		err = boot_elf_check_entry(l, &e, e.entry);
	if (err == 0 && p.virt_delta != 0)
		err = kaslr_apply(l, &r, s->pref, p.phys, l->image_end - p.phys, p.virt_delta);
	if (err != 0)
		return err;
	/* The flag is how the unpacking code tells the kernel; it then randomizes its other memory regions,
	 * too. */
	s->zero_page[LINUX_LOADFLAGS] &= (uint8_t)~LINUX_KASLR_FLAG;
	if (l->rs->kaslr)
		s->zero_page[LINUX_LOADFLAGS] |= LINUX_KASLR_FLAG;
	return boot_linux_finish(l, s->zero_page, e.entry - s->pref + p.phys);
}

/* Entered at its own 64-bit entry, 0x200 into the protected-mode part; it unpacks and randomizes itself. */
static int load_packed(struct loader *l, struct setup *s)
{
	uint64_t size = s->file.size - s->protected_mode;
	uint8_t *to;
	int err;

	if (size > s->room)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: init_size %#" PRIx64 " is less than the file holds",
				 s->file.label, s->room);
	err = boot_place(l, s->pref, size, s->file.label, &to);
	if (err != 0)
		return err;
	memcpy(to, s->file.data + s->protected_mode, size);
	snprintf(l->rs->note, sizeof(l->rs->note),
		 "the guest unpacks this kernel by itself: the start takes longer");
	boot_set32(s->zero_page + LINUX_CODE32_START, (uint32_t)s->pref);
	return boot_linux_finish(l, s->zero_page, s->pref + ENTRY64);
}

int boot_load_bzimage(struct loader *l)
{
	const struct codec *codec;
	struct view unpacked;
	struct setup s;
	int err = read_setup(l, &s);

	if (err == 0)
		err = boot_put_initrd(l, s.pref + s.room, s.initrd_max);
	if (err != 0)
		return err;
	codec = codec_find(s.payload.data, s.payload.size);
	if (codec == NULL)
		return load_packed(l, &s);
	err = unpack(l, &s, codec, &unpacked);
	if (err != 0)
		return err;
	err = load_unpacked(l, &s, &unpacked);
	munmap((void *)unpacked.data, unpacked.size);
	return err;
}
