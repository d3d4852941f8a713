/* SPDX-License-Identifier: MIT */
/*
 * What every Linux kernel entered at its 64-bit or 32-bit entry gets: zero page, memory map, command line, seed for its
 * random generator (Documentation/x86/boot.rst, "64-bit Boot Protocol", "32-bit Boot Protocol"; zero-page.rst). And the
 * plain vmlinux format.
 */
#include "loader.h"

#include "elf.h"
#include "linux.h"

#include "../proto/layout.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { ZP_ACPI_RSDP = 0x70, ZP_E820_COUNT = 0x1e8, ZP_E820 = 0x2d0 };
enum { LOADER_UNDEFINED = 0xff };
enum { SETUP_RNG_SEED = 9, SEED_BYTES = 32, SETUP_DATA_HEADER = 16 };
enum { VMLINUX_CMDLINE_MAX = 2047, CMDLINE_MAX_OLD = 255, WORD_MAX = 80 };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static bool has(const char *cmdline, const char *what, bool whole_word)
{
	size_t len = strlen(what);

	for (const char *p = cmdline; (p = strstr(p, what)) != NULL; p++) {
		bool starts = p == cmdline || is_space(p[-1]);

		if (starts && (!whole_word || p[len] == 0 || is_space(p[len])))
			return true;
	}
	return false;
}

bool boot_cmdline_has_word(const char *cmdline, const char *word)
{
	return has(cmdline, word, true);
}

bool boot_cmdline_has_prefix(const char *cmdline, const char *prefix)
{
	return has(cmdline, prefix, false);
}

/* Entropy from the host, so that the guest need not wait for its own. Kernels before 6.0 pass over the
 * unknown type; before protocol 2.09 there is no place for it. */
static int put_seed(struct loader *l, uint8_t *zero_page)
{
	uint8_t data[SETUP_DATA_HEADER + SEED_BYTES] = { 0 };

	if (boot_le16(zero_page + LINUX_VERSION) < 0x209)
		return 0;
	boot_set32(data + 8, SETUP_RNG_SEED);
	boot_set32(data + 12, SEED_BYTES);
	if (getrandom(data + SETUP_DATA_HEADER, SEED_BYTES, 0) != SEED_BYTES)
		return boot_fail(l, -EIO, "getrandom: the host gives no random numbers");
	boot_set64(zero_page + LINUX_SETUP_DATA, BOOT_EXTRA);
	return boot_put(l, BOOT_EXTRA, data, sizeof(data));
}

static void fill_memory_map(struct loader *l, uint8_t *zero_page)
{
	struct e820_entry map[E820_ENTRIES_MAX];
	unsigned n = boot_e820(l->rq, map);

	zero_page[ZP_E820_COUNT] = (uint8_t)n;
	memcpy(zero_page + ZP_E820, map, n * sizeof(map[0]));
}

/* "With protocol version 2.05 and earlier, the maximum size was 255" (boot.rst); zero says nothing. */
static size_t cmdline_max(const uint8_t *zero_page)
{
	uint32_t said = boot_le32(zero_page + LINUX_CMDLINE_SIZE);

	return boot_le16(zero_page + LINUX_VERSION) < 0x206 || said == 0 ? CMDLINE_MAX_OLD : said;
}

static void put_word(struct loader *l, const char *word, char *text, size_t *len, size_t max)
{
	char name[WORD_MAX];

	snprintf(name, sizeof(name), "%.*s=", (int)strcspn(word, "="), word);
	if (!boot_cmdline_has_prefix(l->rq->cmdline, name) && *len + strlen(word) + 1 + l->cmdline_len <= max)
		*len += (size_t)snprintf(text + *len, BOOT_CMDLINE_MAX - *len, "%s ", word);
}

/*
 * What Linux is told unless the user says something about it: that its messages go to where they can be seen, a display and the console, which is what programs get, and that there is
 * no PCI, which it would look for at every address, unless there is. In front: what stands behind "--" is for init. Whatever does not fit any
 * more is left out; the user's own words are not.
 */
static int put_cmdline(struct loader *l, size_t max)
{
	static const char *const words[] = { "console=tty0", "console=ttyS0", "pci=off" };
	const char *users = l->rq->cmdline;
	char text[BOOT_CMDLINE_MAX];
	size_t len = 0;

	if (max > sizeof(text) - 1)
		max = sizeof(text) - 1;
	if (l->cmdline_len > max)
		return boot_refuse_cmdline(l, max);
	for (unsigned i = l->rq->display.kind == DISPLAY_NONE; i < sizeof(words) / sizeof(words[0]) - l->rq->pci; i++)
		put_word(l, words[i], text, &len, max);
	for (unsigned i = 0; i < l->rq->linux_word_count; i++)
		put_word(l, l->rq->linux_words[i], text, &len, max);
	if (len && !l->cmdline_len)
		len--; /* the space before nothing */
	snprintf(text + len, sizeof(text) - len, "%s", users);
	return boot_put(l, BOOT_CMDLINE, text, strlen(text) + 1);
}

/* struct screen_info of Linux, at the beginning of the zero page. */
enum {
	SI_MODE = 0x06,
	SI_COLUMNS = 0x07,
	SI_EGA_BX = 0x0a,
	SI_LINES = 0x0e,
	SI_TYPE = 0x0f,
	SI_POINTS = 0x10,
	SI_WIDTH = 0x12,
	SI_HEIGHT = 0x14,
	SI_DEPTH = 0x16,
	SI_BASE = 0x18,
	SI_SIZE = 0x1c,
	SI_PITCH = 0x24,
	SI_RED = 0x26, /* size and position of red, green, blue, nothing */
};
enum { SI_TYPE_VGA = 0x01, SI_TYPE_FRAMEBUFFER = 0x70 };

/*
 * A framebuffer is told as firmware of today would: kernels without any driver but efifb, or simpledrm, show it. (VIDEO_TYPE_VLFB, the
 * other one that there is, wants vesafb, which Debian's cloud kernel has not.)
 */
static void put_framebuffer(const struct display_spec *d, uint8_t *si)
{
	static const uint8_t colours[8] = { 8, 16, 8, 8, 8, 0, 8, 24 };

	si[SI_TYPE] = SI_TYPE_FRAMEBUFFER;
	boot_set16(si + SI_WIDTH, (uint16_t)d->width);
	boot_set16(si + SI_HEIGHT, (uint16_t)d->height);
	boot_set16(si + SI_DEPTH, 32);
	boot_set32(si + SI_BASE, (uint32_t)LAYOUT_SCREEN_BASE);
	boot_set32(si + SI_SIZE, d->width * d->height * 4);
	boot_set16(si + SI_PITCH, (uint16_t)(d->width * 4));
	memcpy(si + SI_RED, colours, sizeof(colours));
}

/* As the BIOS of a VGA says of itself (INT 10h, AH=12h, BL=10h: BX): colour, 256 KiB. */
static void put_text_mode(uint8_t *si)
{
	si[SI_TYPE] = SI_TYPE_VGA;
	si[SI_MODE] = 3;
	si[SI_COLUMNS] = 80;
	si[SI_LINES] = 25;
	boot_set16(si + SI_EGA_BX, 3);
	boot_set16(si + SI_POINTS, 16);
}

/* Without a display screen_info stays zero: no lines, no columns, no VGA; Linux then uses its dummy console until the serial one is up. */
static void put_screen(const struct loader *l, uint8_t *zero_page)
{
	if (l->rq->display.kind == DISPLAY_LFB)
		put_framebuffer(&l->rq->display, zero_page);
	else if (l->rq->display.kind == DISPLAY_VGA)
		put_text_mode(zero_page);
}

/*
 * ext_ramdisk_* and ext_cmd_line_ptr stay zero: everything is below 4 GiB.
 */
int boot_linux_finish(struct loader *l, uint8_t zero_page[BOOT_PAGE], uint64_t entry, bool wide)
{
	int err = put_cmdline(l, cmdline_max(zero_page));

	if (err != 0)
		return err;
	zero_page[LINUX_LOADER_TYPE] = LOADER_UNDEFINED;
	boot_set64(zero_page + ZP_ACPI_RSDP, l->rsdp_gpa);
	boot_set32(zero_page + LINUX_CMDLINE, BOOT_CMDLINE);
	boot_set32(zero_page + LINUX_INITRD, (uint32_t)boot_initrd_start(l));
	boot_set32(zero_page + LINUX_INITRD_SIZE, (uint32_t)boot_initrd_bytes(l));
	put_screen(l, zero_page);
	fill_memory_map(l, zero_page);
	err = put_seed(l, zero_page);
	if (err == 0)
		err = boot_put(l, BOOT_INFO, zero_page, BOOT_PAGE);
	if (err == 0)
		err = wide ? boot_enter_long64(l, entry, 0) : boot_enter_prot32(l, (uint32_t)entry);
	if (err == 0)
		l->rs->cpu.gpr[RSI] = BOOT_INFO;
	return err;
}

/* A vmlinux has no setup header; this one says what a bootloader would have found in it. */
static void make_header(uint8_t *zero_page)
{
	boot_set16(zero_page + LINUX_BOOT_FLAG, 0xaa55);
	memcpy(zero_page + LINUX_MAGIC, "HdrS", 4);
	boot_set16(zero_page + LINUX_VERSION, 0x20f);
	zero_page[LINUX_LOADFLAGS] = LINUX_LOADED_HIGH;
	boot_set32(zero_page + LINUX_ALIGNMENT, 2 << 20);
	boot_set32(zero_page + LINUX_CMDLINE_SIZE, VMLINUX_CMDLINE_MAX);
	boot_set32(zero_page + LINUX_INITRD_MAX, 0x7fffffff);
}

/* Nothing marks a vmlinux; an interpreter marks what is none. (FreeBSD's kernel names one, but has a PVH note.) */
static int refuse_program(struct loader *l, const struct elf *e)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment s;
		int err = boot_elf_segment(l, e, i, &s);

		if (err == 0 && s.type == ELF_PT_INTERP)
			err = boot_fail(l, -ENOEXEC, "%s: a program for an operating system, not a kernel", e->v.label);
		if (err != 0)
			return err;
	}
	return 0;
}

int boot_load_elf_linux(struct loader *l)
{
	const struct view v = boot_kernel_view(l);
	uint8_t zero_page[BOOT_PAGE] = { 0 };
	struct elf e;
	int err = boot_elf_open(l, &v, &e);

	if (err == 0)
		err = refuse_program(l, &e);
	if (err == 0)
		err = boot_elf_load(l, &e, 0);
	if (err != 0)
		return err;
	make_header(zero_page);
	err = boot_elf_check_entry(l, &e, boot_elf_physical_entry(&e));
	if (err == 0)
		err = boot_put_initrd(l, l->image_end, boot_le32(zero_page + LINUX_INITRD_MAX));
	if (err == 0)
		err = boot_linux_finish(l, zero_page, boot_elf_physical_entry(&e), e.is64);
	return err;
}
