/* SPDX-License-Identifier: MIT */
/*
 * Guest memory as the loader writes it: every address that comes out of an image is checked here, once,
 * against RAM and against the places that the loader keeps for itself.
 */
#include "loader.h"

#include "../proto/layout.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void *boot_ram_at(const struct boot_ram *ram, uint64_t gpa, uint64_t len)
{
	if (boot_range_is_inside(gpa, len, ram->low_size))
		return ram->low + gpa;
	if (gpa >= LAYOUT_RAM_HIGH_BASE && boot_range_is_inside(gpa - LAYOUT_RAM_HIGH_BASE, len, ram->high_size))
		return ram->high + (gpa - LAYOUT_RAM_HIGH_BASE);
	return NULL;
}

static bool overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* What is not the kernel's, in two kinds of machines. */
struct taken {
	uint64_t gpa, len;
};
static const struct taken taken_of_pc[] = { { 0, BOOT_PAGE }, { BOOT_SCRATCH, BOOT_1MIB - BOOT_SCRATCH } };
static const struct taken taken_of_frame[] = { { 0, LAYOUT_FRAME_TABLES_END },
					       { LAYOUT_FRAME_MAILBOX, LAYOUT_FRAME_MAILBOX_BYTES },
					       { LAYOUT_FRAME_BUFFER, LAYOUT_FRAME_BUFFER_BYTES } };

static bool is_taken(const struct taken *list, unsigned count, uint64_t gpa, uint64_t len)
{
	for (unsigned i = 0; i < count; i++)
		if (overlaps(gpa, len, list[i].gpa, list[i].len))
			return true;
	return false;
}

int boot_check_place(struct loader *l, uint64_t gpa, uint64_t len, const char *label)
{
	if (boot_ram_at(&l->rq->ram, gpa, len) == NULL)
		return boot_fail(l, -ENOMEM,
				 "%s: wants %#" PRIx64 " bytes of memory at %#" PRIx64
				 ", where the guest has no RAM: give it more memory",
				 label, len, gpa);
	if (l->rs->format == BOOT_FRAME)
		return is_taken(taken_of_frame, 3, gpa, len)
			       ? boot_fail(l, -ENOEXEC,
					   "%s: wants memory at %#" PRIx64 "..%#" PRIx64
					   ", where page tables, mailbox or framebuffer lie: link it at 1 MiB",
					   label, gpa, gpa + len)
			       : 0;
	if (is_taken(taken_of_pc, 2, gpa, len))
		return boot_fail(l, -ENOEXEC,
				 "%s: wants memory at %#" PRIx64 "..%#" PRIx64
				 ", which the loader and the firmware tables use: link it at 1 MiB or above",
				 label, gpa, gpa + len);
	return 0;
}

int boot_place(struct loader *l, uint64_t gpa, uint64_t len, const char *label, uint8_t **out)
{
	int err = boot_check_place(l, gpa, len, label);

	*out = boot_ram_at(&l->rq->ram, gpa, len);
	if (err != 0 || len == 0)
		return err;
	if (gpa < l->image_start)
		l->image_start = gpa;
	if (gpa + len > l->image_end)
		l->image_end = gpa + len;
	return 0;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/*
 * Pages of zeros are left alone: guest memory is zero already, and an untouched page costs neither time nor
 * memory. A distribution's vmlinux carries megabytes of them (its bss is part of the file).
 */
void boot_copy(uint8_t *to, const uint8_t *from, size_t len)
{
	while (len != 0) {
		size_t n = BOOT_PAGE - (uintptr_t)to % BOOT_PAGE;

		if (n > len)
			n = len;
		if (!is_zero(from, n))
			memcpy(to, from, n);
		to += n;
		from += n;
		len -= n;
	}
}

int boot_put(struct loader *l, uint64_t gpa, const void *data, size_t len)
{
	void *to = boot_ram_at(&l->rq->ram, gpa, len);

	if (to == NULL)
		return boot_fail(l, -ENOMEM, "no RAM at %#" PRIx64 " for boot data: give the guest more memory", gpa);
	if (len != 0)
		memcpy(to, data, len);
	return 0;
}

int boot_refuse_cmdline(struct loader *l, size_t max)
{
	return boot_fail(l, -E2BIG, "the kernel command line has %zu bytes; %s takes at most %zu: shorten it", l->cmdline_len,
			 l->rq->kernel.name, max);
}

/* `max` is what the format allows, without the terminating zero. */
int boot_put_cmdline(struct loader *l, size_t max)
{
	if (max > BOOT_CMDLINE_MAX - 1)
		max = BOOT_CMDLINE_MAX - 1;
	if (l->cmdline_len > max)
		return boot_refuse_cmdline(l, max);
	return boot_put(l, BOOT_CMDLINE, l->rq->cmdline, l->cmdline_len + 1);
}

int boot_fetch_initrd(struct loader *l, unsigned n)
{
	const struct boot_image *rd = &l->rq->initrd[n];
	int err;

	l->rs->loaded_bytes += rd->size;
	if (rd->fetch == NULL)
		return boot_put(l, l->initrd_gpa[n], rd->data, rd->size);
	err = rd->fetch(rd, boot_ram_at(&l->rq->ram, l->initrd_gpa[n], rd->size));
	if (err == -ENODATA)
		return boot_fail(l, err, "%s: the file became shorter while it was read: fetch it again", rd->name);
	if (err != 0)
		return boot_fail(l, err, "%s: cannot be read: %s", rd->name, strerror(-err));
	return 0;
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + BOOT_PAGE - 1) & ~(uint64_t)(BOOT_PAGE - 1);
}

uint64_t boot_initrd_start(const struct loader *l)
{
	return l->initrds != 0 ? l->initrd_gpa[0] : 0;
}

uint64_t boot_initrd_bytes(const struct loader *l)
{
	const unsigned last = l->initrds - 1;

	return l->initrds != 0 ? l->initrd_gpa[last] + l->rq->initrd[last].size - l->initrd_gpa[0] : 0;
}

/*
 * The initrds go as high as the format allows, each page-aligned (Linux skips the zeroes between archives), so that the
 * kernel has room to grow above its own end. `floor` is the end of what the kernel uses before it reads any memory map,
 * `last_addr` the last byte it can reach.
 */
int boot_put_initrd(struct loader *l, uint64_t floor, uint64_t last_addr)
{
	const struct boot_image *rd = l->rq->initrd;
	uint64_t top = l->rq->ram.low_size, bytes = 0, at;
	int err = 0;

	for (l->initrds = 0; l->initrds < BOOT_INITRDS && rd[l->initrds].size != 0; l->initrds++)
		bytes = page_up(bytes) + rd[l->initrds].size;
	if (l->initrds == 0)
		return 0;
	if (floor < BOOT_1MIB)
		floor = BOOT_1MIB;
	if (last_addr < top)
		top = last_addr + 1;
	if (bytes > top || ((top - bytes) & ~(uint64_t)(BOOT_PAGE - 1)) < floor)
		return boot_fail(l, -ENOMEM,
				 "%s: the initrd (%" PRIu64 " bytes) does not fit: %" PRIu64 " bytes are free between the end "
				 "of the kernel (%#" PRIx64 ") and %#" PRIx64 ": give the guest more memory",
				 rd->name, bytes, top > floor ? top - floor : 0, floor, top);
	at = (top - bytes) & ~(uint64_t)(BOOT_PAGE - 1);
	for (unsigned n = 0; n < l->initrds && err == 0; n++) {
		l->initrd_gpa[n] = at;
		at = page_up(at + rd[n].size);
		err = boot_fetch_initrd(l, n);
	}
	return err;
}

/* Mode 3 of a colour adapter: 80 columns, 25 rows of characters that are 16 lines high, 4 KiB a page. */
static void put_video_data(uint8_t *bda)
{
	boot_set16(bda + 0x10, 4 << 9 | 2 << 4);
	bda[0x49] = 3;
	boot_set16(bda + 0x4a, 80);
	boot_set16(bda + 0x4c, 0x1000);
	boot_set16(bda + 0x60, 0x0d0e); /* the cursor's lines */
	boot_set16(bda + 0x63, 0x3d4);
	bda[0x84] = 24;
	boot_set16(bda + 0x85, 16);
}

/* BIOS data area and EBDA, as far as a PC's firmware would have filled them: some kernels look (IBM PC/AT,
 * BDA). */
void boot_put_bios_data(struct loader *l)
{
	static const uint16_t ports[4] = { LAYOUT_COM1, LAYOUT_COM2, LAYOUT_COM3, LAYOUT_COM4 };
	uint8_t *bda = l->rq->ram.low + 0x400;

	for (unsigned i = 0; i < 4; i++)
		boot_set16(bda + 2 * i, ports[i]);
	boot_set16(bda + 0x0e, BOOT_EBDA >> 4);
	boot_set16(bda + 0x10, 4 << 9); /* equipment: four serial ports, no video, no diskette */
	if (l->rq->display.kind == DISPLAY_VGA)
		put_video_data(bda);
	boot_set16(bda + 0x13, BOOT_EBDA >> 10); /* KiB of conventional memory */
	l->rq->ram.low[BOOT_EBDA] = 1;		 /* size of the EBDA in KiB */
}

/* The memory map. The hole below 4 GiB is where PCI, IOAPIC, HPET and local APIC answer (layout.h). */
unsigned boot_e820(const struct boot_request *rq, struct e820_entry map[E820_ENTRIES_MAX])
{
	const struct boot_ram *ram = &rq->ram;
	unsigned n = 0;

	map[n++] = (struct e820_entry){ 0, BOOT_EBDA, E820_RAM };
	map[n++] = (struct e820_entry){ BOOT_EBDA, 0xa0000 - BOOT_EBDA, E820_RESERVED };
	map[n++] = (struct e820_entry){ BOOT_BIOS, BOOT_1MIB - BOOT_BIOS, E820_RESERVED };
	if (ram->low_size > BOOT_1MIB)
		map[n++] = (struct e820_entry){ BOOT_1MIB, ram->low_size - BOOT_1MIB, E820_RAM };
	if (rq->display.kind == DISPLAY_LFB)
		map[n++] = (struct e820_entry){ LAYOUT_SCREEN_BASE, LAYOUT_SCREEN_BYTES, E820_RESERVED };
	if (rq->pci)
		map[n++] = (struct e820_entry){ LAYOUT_ECAM_BASE, LAYOUT_ECAM_SIZE, E820_RESERVED };
	map[n++] = (struct e820_entry){ LAYOUT_IOAPIC_BASE, LAYOUT_IOAPIC_SIZE, E820_RESERVED };
	map[n++] = (struct e820_entry){ LAYOUT_HPET_BASE, 0x1000, E820_RESERVED };
	map[n++] = (struct e820_entry){ LAYOUT_LAPIC_BASE, 0x1000, E820_RESERVED };
	if (ram->high_size != 0)
		map[n++] = (struct e820_entry){ LAYOUT_RAM_HIGH_BASE, ram->high_size, E820_RAM };
	return n;
}
