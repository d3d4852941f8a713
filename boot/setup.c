/* SPDX-License-Identifier: MIT */
/* Reading the setup header; see setup.h. What the boot protocol allows is taken, what contradicts itself is not. */
#include "setup.h"

#include "linux.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { SECTOR = 512, SETUP_SECTS_DEFAULT = 4, LOAD_LOW = 0x10000 };
enum { INITRD_MAX_OLD = 0x37ffffff }; /* "For boot protocols 2.02 or earlier" */
enum { HIGHEST_ALIGNMENT = 1u << 30 };

bool boot_is_bzimage(const struct view *v)
{
	return v->size >= LINUX_VERSION && boot_le16(v->data + LINUX_BOOT_FLAG) == 0xaa55 &&
	       memcmp(v->data + LINUX_MAGIC, "HdrS", 4) == 0;
}

/* Where the last field ends that a version brought and that is read here. */
static unsigned header_end(unsigned version)
{
	static const struct {
		unsigned version, end;
	} ends[] = {
		{ 0x20a, LINUX_INIT_SIZE + 4 },	  { 0x208, LINUX_PAYLOAD_LENGTH + 4 }, { 0x206, LINUX_CMDLINE_SIZE + 4 },
		{ 0x205, LINUX_RELOCATABLE + 1 }, { 0x203, LINUX_INITRD_MAX + 4 },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		if (version >= ends[i].version)
			return ends[i].end;
	}
	return LINUX_CMDLINE + 4;
}

/*
 * 2.00 and 2.01 expect the command line at an offset from their real-mode code, which the 32-bit and 64-bit protocols do
 * not load; what is older has no header at all.
 */
static int check_version(struct loader *l, struct setup *s)
{
	const char *name = s->file.label;

	if (s->file.size < LINUX_HEADER_END_MAX)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: the file ends inside it (%zu bytes): the image is truncated; "
				 "fetch it again",
				 name, s->file.size);
	s->version = boot_le16(s->file.data + LINUX_VERSION);
	if (s->version < 0x202)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: version %u.%02u; 2.02 or newer is needed (Linux 2.4, 2001): "
				 "older kernels start only by way of a BIOS",
				 name, s->version >> 8, s->version & 0xff);
	return 0;
}

/* "the end of setup header can be found by adding the byte at 0x201 to 0x202" (boot.rst, 32-bit and 64-bit protocols) */
static int copy_header(struct loader *l, struct setup *s)
{
	unsigned end = LINUX_MAGIC + s->file.data[LINUX_JUMP + 1];

	if (end < header_end(s->version))
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: jump at 0x200 says that it ends at %#x, before fields that version "
				 "%u.%02u has: the image is broken; fetch it again",
				 s->file.label, end, s->version >> 8, s->version & 0xff);
	if (end > LINUX_HEADER_END_MAX)
		end = LINUX_HEADER_END_MAX;
	memcpy(s->zero_page + LINUX_HEADER, s->file.data + LINUX_HEADER, end - LINUX_HEADER);
	return 0;
}

/* The file's size counts, not syssize: that "cannot be trusted" before 2.04, and signatures may follow. */
static int find_code(struct loader *l, struct setup *s)
{
	unsigned sects = s->file.data[LINUX_SETUP_SECTS];
	uint64_t at;

	if (sects == 0)
		sects = SETUP_SECTS_DEFAULT;
	at = (uint64_t)(sects + 1) * SECTOR;
	if (at >= s->file.size)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: setup_sects %u: nothing follows the real-mode part: the image is "
				 "truncated; fetch it again",
				 s->file.label, sects);
	s->code = (struct view){ s->file.data + at, s->file.size - at, s->file.label };
	return 0;
}

static int find_payload(struct loader *l, struct setup *s)
{
	const uint8_t *f = s->file.data;
	uint64_t offset = boot_le32(f + LINUX_PAYLOAD_OFFSET), length = boot_le32(f + LINUX_PAYLOAD_LENGTH);

	if (s->version < 0x208 || offset == 0 || length == 0)
		return 0;
	if (!boot_range_is_inside(offset, length, s->code.size))
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: payload_length %#" PRIx64
				 " reaches past the end of the file (%zu bytes): the image is truncated; "
				 "fetch it again",
				 s->file.label, length, s->file.size);
	s->payload = (struct view){ s->code.data + offset, length, s->file.label };
	return 0;
}

/* Alignment concerns relocatable kernels only; others lie where they were linked. */
static int read_alignment(struct loader *l, struct setup *s)
{
	const uint8_t *f = s->file.data;

	s->align = 1;
	s->relocatable = s->version >= 0x205 && f[LINUX_RELOCATABLE] != 0;
	if (!s->relocatable)
		return 0;
	s->align = boot_le32(f + LINUX_ALIGNMENT);
	if (s->align == 0 || s->align > HIGHEST_ALIGNMENT || (s->align & (s->align - 1)) != 0)
		return boot_fail(l, -ENOEXEC,
				 "%s: setup header: kernel_alignment %#" PRIx64
				 " of a relocatable kernel is not a power of two up to 1 GiB: the image is broken; "
				 "fetch it again",
				 s->file.label, s->align);
	return 0;
}

/* "code32_start [...] defaults to the load address of the kernel, and can be used [...] to determine the proper load
 * address": a zImage says 1000h there, where its real-mode code would have moved it. */
static uint64_t default_load(const struct setup *s)
{
	const uint8_t *f = s->file.data;
	uint64_t said = boot_le32(f + LINUX_CODE32_START);

	if (f[LINUX_LOADFLAGS] & LINUX_LOADED_HIGH)
		return BOOT_1MIB;
	return said != 0 ? said : LOAD_LOW;
}

static uint64_t align_up(uint64_t v, uint64_t align)
{
	return v > UINT64_MAX - align ? v : (v + align - 1) & ~(align - 1);
}

/* "runtime start address": boot.rst, init_size. */
static void read_addresses(struct setup *s)
{
	const uint8_t *f = s->file.data;

	s->load = default_load(s);
	if (s->version >= 0x20a) {
		s->linked = boot_le64(f + LINUX_PREF_ADDRESS);
		s->room = boot_le32(f + LINUX_INIT_SIZE);
	}
	if (s->relocatable) {
		s->load = align_up(s->linked != 0 ? s->linked : s->load, s->align);
		s->start = s->load;
	} else {
		s->start = s->linked != 0 ? s->linked : s->load;
	}
	if (s->room == 0)
		s->room = s->code.size;
	s->initrd_max = s->version >= 0x203 ? boot_le32(f + LINUX_INITRD_MAX) : INITRD_MAX_OLD;
	s->wide = s->version >= 0x20c && (boot_le16(f + LINUX_XLOADFLAGS) & LINUX_XLF_KERNEL_64);
}

static uint64_t end_of(uint64_t at, uint64_t len)
{
	return len > UINT64_MAX - at ? UINT64_MAX : at + len;
}

uint64_t setup_end(const struct setup *s)
{
	uint64_t code = end_of(s->load, s->code.size), kernel = end_of(s->start, s->room);

	return code > kernel ? code : kernel;
}

static int check_memory(struct loader *l, const struct setup *s)
{
	const uint64_t ram = l->rq->ram.low_size, end = setup_end(s);

	if (end > ram)
		return boot_fail(l, -ENOMEM,
				 "%s: the kernel needs %" PRIu64 " MiB of memory, the guest has %" PRIu64
				 ": give it more (--memory)",
				 s->file.label, (end >> 20) + (end % BOOT_1MIB != 0), ram >> 20);
	return boot_check_place(l, s->start, s->room, s->file.label);
}

int setup_read(struct loader *l, struct setup *s)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->file = boot_kernel_view(l);
	if (!boot_is_bzimage(&s->file))
		return boot_fail(l, -ENOEXEC, "%s: not a bzImage: boot_flag or header magic is missing", s->file.label);
	err = check_version(l, s);
	if (err == 0)
		err = copy_header(l, s);
	if (err == 0)
		err = find_code(l, s);
	if (err == 0)
		err = find_payload(l, s);
	if (err == 0)
		err = read_alignment(l, s);
	if (err != 0)
		return err;
	read_addresses(s);
	return check_memory(l, s);
}
