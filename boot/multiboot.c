/* SPDX-License-Identifier: MIT */
/* Multiboot 1 kernels (Multiboot Specification 0.6.96): ELF, or raw with the load addresses in the header. */
#include "loader.h"

#include "elf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	HEADER_MAGIC = 0x1badb002,
	LOADER_MAGIC = 0x2badb002,
	SEARCH_BYTES = 8192,
	HEADER_BYTES = 12,
	KLUDGE_BYTES = 32
};

/*
 * Flags of the header. Bits 0..15 are demands: one that we do not know must be refused. Bit 2 asks for
 * what there is to know about video modes: the framebuffer of a machine with a display; without one, the flags of the
 * information say so.
 */
enum {
	WANT_PAGE_ALIGN = 1 << 0,
	WANT_MEMORY = 1 << 1,
	WANT_VIDEO = 1 << 2,
	HAS_ADDRESSES = 1 << 16,
	DEMANDS = 0xffff
};

/* Flags of the information structure (3.3 Boot information format). */
enum {
	INFO_MEMORY = 1 << 0,
	INFO_CMDLINE = 1 << 2,
	INFO_MODULES = 1 << 3,
	INFO_MMAP = 1 << 6,
	INFO_LOADER_NAME = 1 << 9,
	INFO_FRAMEBUFFER = 1 << 12
};
enum { FRAMEBUFFER_RGB = 1, FRAMEBUFFER_TEXT = 2 };

struct info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives_length, drives_addr, config_table, loader_name, apm_table;
	uint32_t vbe[4];
	uint64_t framebuffer_addr;
	uint32_t framebuffer_pitch, framebuffer_width, framebuffer_height;
	uint8_t framebuffer_bpp, framebuffer_type;
	uint8_t colours[6]; /* position and size of red, green, blue */
};
_Static_assert(offsetof(struct info, framebuffer_addr) == 88 && offsetof(struct info, colours) == 110, "3.3");

struct module {
	uint32_t start, end, string, reserved;
};

struct mmap_entry {
	uint32_t size; /* of the rest */
	uint64_t addr, len;
	uint32_t type;
} __attribute__((packed));

/* What is put at BOOT_EXTRA. */
struct extra {
	struct module module[BOOT_INITRDS];
	struct mmap_entry mmap[E820_ENTRIES_MAX];
	char name[16];
	char strings[3000]; /* of the modules */
};
_Static_assert(BOOT_EXTRA + sizeof(struct extra) <= BOOT_CMDLINE, "the command line follows");

/* "contained completely within the first 8192 bytes of the OS image, and [...] longword (32-bit) aligned"
 * (3.1) */
static bool find_header(const struct view *v, size_t *out)
{
	size_t end = v->size < SEARCH_BYTES ? v->size : SEARCH_BYTES;

	for (size_t at = 0; at + HEADER_BYTES <= end; at += 4) {
		const uint8_t *h = v->data + at;

		if (boot_le32(h) == HEADER_MAGIC && boot_le32(h) + boot_le32(h + 4) + boot_le32(h + 8) == 0) {
			*out = at;
			return true;
		}
	}
	return false;
}

bool boot_is_multiboot(const struct view *v)
{
	size_t at;

	return find_header(v, &at);
}

struct addresses {
	uint32_t header, load, load_end, bss_end, entry;
};

/* 3.1.3 The address fields of Multiboot header. load_end 0: the whole file; bss_end 0: no bss. */
static int check_addresses(struct loader *l, const struct view *v, size_t at, struct addresses *a,
			   uint64_t *file_off)
{
	uint64_t skipped = (uint64_t)a->header - a->load;

	if (a->load > a->header || skipped > at)
		return boot_fail(l, -ENOEXEC,
				 "%s: Multiboot header: load_addr %#" PRIx32 " does not fit header_addr %#" PRIx32
				 ": the image is broken",
				 v->label, a->load, a->header);
	*file_off = at - skipped;
	if (a->load_end == 0) {
		if (v->size - *file_off > UINT32_MAX - a->load)
			return boot_fail(l, -ENOEXEC, "%s: Multiboot header: load_addr %#" PRIx32 ": ends above 4 GiB", v->label,
					 a->load);
		a->load_end = a->load + (uint32_t)(v->size - *file_off);
	}
	if (a->load_end < a->load || !boot_range_is_inside(*file_off, a->load_end - a->load, v->size))
		return boot_fail(l, -ENOEXEC,
				 "%s: Multiboot header: load_end_addr %#" PRIx32
				 " reaches past the end of the file (%zu bytes): the image is truncated; "
				 "fetch it again",
				 v->label, a->load_end, v->size);
	if (a->bss_end == 0)
		a->bss_end = a->load_end;
	if (a->bss_end < a->load_end || a->entry < a->load || a->entry >= a->load_end)
		return boot_fail(l, -ENOEXEC,
				 "%s: Multiboot header: bss_end_addr %#" PRIx32 " or entry_addr %#" PRIx32
				 " is outside of the image: the image is broken",
				 v->label, a->bss_end, a->entry);
	return 0;
}

static int load_raw(struct loader *l, const struct view *v, size_t at, uint32_t *entry)
{
	struct addresses a;
	uint64_t file_off = 0;
	uint8_t *to;
	int err;

	if (!boot_range_is_inside(at, KLUDGE_BYTES, v->size))
		return boot_fail(l, -ENOEXEC, "%s: Multiboot header: cut off: the image is truncated; fetch it again", v->label);
	for (unsigned i = 0; i < 5; i++)
		(&a.header)[i] = boot_le32(v->data + at + HEADER_BYTES + 4 * i);
	err = check_addresses(l, v, at, &a, &file_off);
	if (err == 0)
		err = boot_place(l, a.load, a.bss_end - a.load, v->label, &to);
	if (err != 0)
		return err;
	memcpy(to, v->data + file_off, a.load_end - a.load);
	*entry = a.entry;
	return 0;
}

static int load_elf(struct loader *l, const struct view *v, uint32_t *entry)
{
	struct elf e;
	int err = boot_elf_open(l, v, &e);
	uint64_t at;

	if (err != 0)
		return err;
	at = boot_elf_physical_entry(&e);
	err = boot_elf_check_entry(l, &e, at);
	if (err == 0 && at > UINT32_MAX)
		err = boot_fail(l, -ENOEXEC, "%s: the entry point is above 4 GiB; Multiboot enters in 32-bit mode", v->label);
	if (err == 0)
		err = boot_elf_load(l, &e, 0);
	*entry = (uint32_t)at;
	return err;
}

static uint32_t fill_mmap(struct loader *l, struct mmap_entry *out)
{
	struct e820_entry map[E820_ENTRIES_MAX];
	unsigned n = boot_e820(l->rq, map);

	for (unsigned i = 0; i < n; i++)
		out[i] = (struct mmap_entry){ sizeof(out[i]) - 4, map[i].addr, map[i].size, map[i].type };
	return n * (uint32_t)sizeof(out[0]);
}

/*
 * What follows a name is an image's own command line, and the first word is the image: loaders do it so, and kernels drop
 * that word. -1: it does not fit.
 */
static int put_words(char *to, size_t room, const char *name, const char *text)
{
	const bool has_text = text != NULL && text[0] != 0;
	int n = snprintf(to, room, "%s%s%s", name, has_text ? " " : "", has_text ? text : "");

	return n < 0 || (size_t)n >= room ? -1 : n + 1;
}

static int put_modules(struct loader *l, struct extra *extra, struct info *info)
{
	size_t used = 0;

	for (unsigned n = 0; n < l->initrds; n++) {
		const struct boot_image *rd = &l->rq->initrd[n];
		int length = put_words(extra->strings + used, sizeof(extra->strings) - used, rd->name, rd->text);

		if (length < 0)
			return boot_fail(l, -E2BIG, "%s: the command lines of the modules have more than %zu bytes: shorten them",
					 rd->name, sizeof(extra->strings));
		extra->module[n] = (struct module){
			.start = (uint32_t)l->initrd_gpa[n],
			.end = (uint32_t)(l->initrd_gpa[n] + rd->size),
			.string = (uint32_t)(BOOT_EXTRA + offsetof(struct extra, strings) + used),
		};
		used += (size_t)length;
	}
	if (l->initrds != 0)
		info->flags |= INFO_MODULES;
	info->mods_count = l->initrds;
	info->mods_addr = BOOT_EXTRA + offsetof(struct extra, module);
	return 0;
}

static int put_cmdline(struct loader *l)
{
	char text[BOOT_CMDLINE_MAX];
	int length = put_words(text, sizeof(text), l->rq->kernel.name, l->rq->cmdline);

	if (length < 0)
		return boot_refuse_cmdline(l, sizeof(text) - strlen(l->rq->kernel.name) - 2);
	return boot_put(l, BOOT_CMDLINE, text, (size_t)length);
}

static void put_display(const struct display_spec *d, struct info *info)
{
	static const uint8_t colours[6] = { 16, 8, 8, 8, 0, 8 };
	const bool text = d->kind == DISPLAY_VGA;

	if (d->kind == DISPLAY_NONE)
		return;
	info->flags |= INFO_FRAMEBUFFER;
	info->framebuffer_addr = text ? LAYOUT_VGA_BASE + 0x18000 : LAYOUT_SCREEN_BASE;
	info->framebuffer_width = text ? 80 : d->width;
	info->framebuffer_height = text ? 25 : d->height;
	info->framebuffer_bpp = text ? 16 : 32;
	info->framebuffer_pitch = info->framebuffer_width * info->framebuffer_bpp / 8;
	info->framebuffer_type = text ? FRAMEBUFFER_TEXT : FRAMEBUFFER_RGB;
	if (!text)
		memcpy(info->colours, colours, sizeof(colours));
}

static int put_info(struct loader *l)
{
	struct extra extra = { .name = "bulkhead" };
	struct info info = {
		.flags = INFO_MEMORY | INFO_CMDLINE | INFO_MMAP | INFO_LOADER_NAME,
		.mem_lower = BOOT_EBDA >> 10,
		.mem_upper = (uint32_t)((l->rq->ram.low_size - BOOT_1MIB) >> 10),
		.cmdline = BOOT_CMDLINE,
		.mmap_addr = BOOT_EXTRA + offsetof(struct extra, mmap),
		.loader_name = BOOT_EXTRA + offsetof(struct extra, name),
	};
	int err = put_modules(l, &extra, &info);

	put_display(&l->rq->display, &info);
	info.mmap_length = fill_mmap(l, extra.mmap);
	if (err == 0)
		err = boot_put(l, BOOT_EXTRA, &extra, sizeof(extra));
	if (err == 0)
		err = boot_put(l, BOOT_INFO, &info, sizeof(info));
	return err;
}

static int load_image(struct loader *l, uint32_t *entry)
{
	const struct view v = boot_kernel_view(l);
	uint32_t flags, unknown;
	size_t at;

	if (!find_header(&v, &at))
		return boot_fail(l, -ENOEXEC, "%s: no Multiboot header in the first 8 KiB", v.label);
	flags = boot_le32(v.data + at + 4);
	unknown = flags & DEMANDS & ~(uint32_t)(WANT_PAGE_ALIGN | WANT_MEMORY | WANT_VIDEO);
	if (unknown != 0)
		return boot_fail(l, -ENOEXEC,
				 "%s: Multiboot header: flags %#" PRIx32 ": the kernel demands what no "
				 "Multiboot 1 loader has",
				 v.label, flags);
	if ((flags & HAS_ADDRESSES) != 0)
		return load_raw(l, &v, at, entry);
	return load_elf(l, &v, entry);
}

int boot_load_multiboot(struct loader *l)
{
	uint32_t entry = 0;
	int err = load_image(l, &entry);

	if (err == 0)
		err = boot_put_initrd(l, l->image_end, UINT32_MAX);
	if (err == 0)
		err = put_cmdline(l);
	if (err == 0)
		err = put_info(l);
	if (err == 0)
		err = boot_enter_multiboot(l, entry);
	if (err != 0)
		return err;
	l->rs->cpu.gpr[RAX] = LOADER_MAGIC;
	l->rs->cpu.gpr[RBX] = BOOT_INFO;
	return 0;
}
