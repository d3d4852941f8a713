/* SPDX-License-Identifier: MIT */
/*
 * bzImage: what Documentation/x86/boot.rst promises a kernel at its 64-bit entry, randomization in the
 * unpacking code's place, and what becomes of broken files.
 */
#include "boot_images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { KASLR_FLAG = 2 };

static struct guest load(struct image image, uint64_t ram, const char *cmdline, int expect)
{
	struct guest g;

	guest_init(&g, image, ram);
	g.rq.cmdline = cmdline;
	cr_assert_eq(guest_load(&g), expect, "%s", g.rs.error);
	return g;
}

static uint8_t *zero_page(struct guest *g)
{
	return guest_at(g, g->rs.cpu.gpr[RSI]);
}

Test(bzimage, every_packing_is_unpacked_to_the_linked_address)
{
	for (enum packing p = 0; p < PACK_UNKNOWN; p++) {
		struct guest g = load(make_bzimage(pack(make_vmlinux(1, 1), p)), 64 * MIB, "nokaslr", 0);

		cr_expect_eq(g.rs.format, BOOT_BZIMAGE);
		cr_expect_eq(g.rs.cpu.rip, VMLINUX_BASE + 0x40, "packing %d", p);
		cr_expect_eq(get64(guest_at(&g, VMLINUX_BASE + VMLINUX_AT_64)), VMLINUX_VALUE_64, "packing %d", p);
		cr_expect_eq(*guest_at(&g, VMLINUX_BASE + 0xfff), 0x90);
		cr_expect_eq(*guest_at(&g, VMLINUX_BASE + 0x1000), 0);
	}
}

/* boot.rst, "64-bit Boot Protocol": the state at entry. */
Test(bzimage, entry_state)
{
	struct guest g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 64 * MIB, "nokaslr", 0);
	struct cpu *c = &g.rs.cpu;

	cr_expect_eq(c->seg[SEG_CS].selector, 0x10, "__BOOT_CS");
	cr_expect_eq(c->seg[SEG_DS].selector, 0x18, "__BOOT_DS");
	cr_expect_eq(c->seg[SEG_ES].selector, 0x18);
	cr_expect_eq(c->seg[SEG_SS].selector, 0x18);
	cr_expect_eq(c->seg[SEG_CS].attr & (SEG_ATTR_L | SEG_ATTR_DB), SEG_ATTR_L);
	cr_expect_eq(c->rflags & RFLAGS_IF, 0, "interrupts disabled");
	cr_expect_eq(c->cr0 & (CR0_PE | CR0_PG), CR0_PE | CR0_PG);
	cr_expect_eq(c->cr0 & (CR0_CD | CR0_NW), 0);
	cr_expect(c->cr4 & CR4_PAE);
	cr_expect_eq(c->msr.efer, EFER_LME | EFER_LMA);
	cr_expect_eq(c->gpr[RSI] & 0xfff, 0, "RSI: the zero page");
	cr_expect_eq(c->tr.attr & 0xf, 0xb, "VMX wants a busy 64-bit TSS");
}

/* boot.rst, offsets of the header; zero-page.rst. */
Test(bzimage, zero_page)
{
	struct image rd = image_new(5000);
	struct guest g;
	uint8_t *zp;
	uint32_t at;

	memset(rd.data, 0x5a, rd.size);
	guest_init(&g, make_bzimage(pack(make_vmlinux(1, 1), PACK_ZSTD)), 64 * MIB);
	g.rq.initrd[0] = (struct boot_image){ .data = rd.data, .size = rd.size, .name = "initrd" };
	g.rq.cmdline = "quiet nokaslr";
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	zp = zero_page(&g);
	cr_expect_eq(get32(zp + 0x202), 0x53726448, "header magic");
	cr_expect_eq(zp[0x210], 0xff, "type_of_loader: undefined");
	cr_expect_eq(zp[0x211] & (1 | KASLR_FLAG), 1, "loaded high, not randomized");
	cr_expect_eq(zp[0x1ef], 0, "sentinel");
	cr_expect_str_eq((char *)guest_at(&g, get32(zp + 0x228)), "console=ttyS0 pci=off quiet nokaslr");
	cr_expect_eq(get32(zp + 0x21c), rd.size);
	at = get32(zp + 0x218);
	cr_expect_eq(at, 64 * MIB - 8192, "initrd: as high as it can be, page-aligned");
	cr_expect_eq(memcmp(guest_at(&g, at), rd.data, rd.size), 0);
	cr_expect_eq(memcmp(guest_at(&g, get64(zp + 0x70)), "RSD PTR ", 8), 0, "acpi_rsdp_addr");
	cr_expect_eq(get64(zp + 0xc0), 0, "ext_ramdisk_image, ext_ramdisk_size");
	cr_expect_eq(zp[0x0e], 0, "screen_info: no lines: no VGA");
}

/* zero-page.rst: e820_entries at 1e8h, table at 2d0h; types: 1 RAM, 2 reserved. */
Test(bzimage, memory_map)
{
	struct guest g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 4096 * MIB, "nokaslr", 0);
	uint8_t *zp = zero_page(&g);
	uint64_t ram = 0, last = 0;

	for (unsigned i = 0; i < zp[0x1e8]; i++) {
		const uint8_t *e = zp + 0x2d0 + 20 * i;

		cr_expect_geq(get64(e), last, "sorted, no overlap");
		last = get64(e) + get64(e + 8);
		if (get32(e + 16) == 1)
			ram += get64(e + 8);
	}
	cr_expect_eq(ram, 4096 * MIB - 0x60000 - 0x400, "all but 640 KiB..1 MiB and the EBDA");
	cr_expect_eq(last, (4096 + 1024) * MIB, "1 GiB lies above 4 GiB");
}

/* The unpacking code would choose; 2 MiB is kernel_alignment. */
Test(bzimage, kaslr_moves_the_three_kinds_of_relocations_alike)
{
	struct image image[2] = { make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)),
				  make_bzimage(pack(make_vmlinux(1, 0), PACK_LZ4)) };
	uint64_t deltas = 0, places = 0, first_delta = 0, first_place = 0;

	for (unsigned i = 0; i < 32; i++) {
		struct guest g = load(image[i & 1], 256 * MIB, "quiet", 0);
		uint64_t phys = g.rs.cpu.rip - 0x40;
		uint64_t delta = get64(guest_at(&g, phys + VMLINUX_AT_64)) - VMLINUX_VALUE_64;
		uint32_t inverse = get32(guest_at(&g, phys + VMLINUX_AT_INVERSE));

		cr_expect(g.rs.kaslr);
		cr_expect(zero_page(&g)[0x211] & KASLR_FLAG, "the kernel randomizes its other regions");
		cr_expect_eq(phys % (2 * MIB), 0);
		cr_expect_geq(phys, VMLINUX_BASE);
		cr_expect_leq(phys + VMLINUX_INIT_SIZE, 256 * MIB);
		cr_expect_eq(delta % (2 * MIB), 0);
		cr_expect_leq(VMLINUX_BASE + delta + VMLINUX_INIT_SIZE, 1024 * MIB, "inside the kernel's mapping");
		cr_expect_eq(get32(guest_at(&g, phys + VMLINUX_AT_32)), (uint32_t)(VMLINUX_VALUE_32 + delta));
		cr_expect_eq(inverse, (uint32_t)(VMLINUX_VALUE_INVERSE - (i & 1 ? 0 : delta)));
		deltas += i != 0 && delta != first_delta;
		places += i != 0 && phys != first_place;
		first_delta = i == 0 ? delta : first_delta;
		first_place = i == 0 ? phys : first_place;
	}
	cr_expect_gt(deltas, 0, "32 times the same of 500 addresses");
	cr_expect_gt(places, 0);
}

Test(bzimage, kaslr_stays_clear_of_the_initrd)
{
	for (unsigned i = 0; i < 16; i++) {
		struct image rd = image_new(20 * MIB);
		struct guest g;

		guest_init(&g, make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 48 * MIB);
		g.rq.initrd[0] = (struct boot_image){ .data = rd.data, .size = rd.size, .name = "initrd" };
		cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
		cr_expect_leq(g.rs.cpu.rip - 0x40 + VMLINUX_INIT_SIZE, 28 * MIB);
		free(rd.data);
	}
}

Test(bzimage, kaslr_is_off_when_asked_or_impossible)
{
	struct guest g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 256 * MIB, "quiet nokaslr x", 0);

	cr_expect_not(g.rs.kaslr);
	cr_expect_str_empty(g.rs.note);
	g = load(make_bzimage(pack(make_vmlinux(0, 0), PACK_LZ4)), 256 * MIB, "quiet", 0);
	cr_expect_not(g.rs.kaslr);
	cr_expect(strstr(g.rs.note, "not randomized") != NULL, "it says so: %s", g.rs.note);
	g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 256 * MIB, "nokaslrx mem=100M", 0);
	cr_expect(g.rs.kaslr);
	cr_expect_eq(g.rs.cpu.rip, VMLINUX_BASE + 0x40, "mem=: the physical place stays");
}

Test(bzimage, unknown_packing_enters_the_kernels_own_unpacking_code)
{
	struct image image = make_bzimage(pack(make_vmlinux(1, 1), PACK_UNKNOWN));
	struct guest g = load(image, 64 * MIB, "quiet", 0);

	cr_expect_eq(g.rs.cpu.rip, VMLINUX_BASE + 0x200, "boot.rst: the 64-bit entry is 200h into the code");
	cr_expect_eq(memcmp(guest_at(&g, VMLINUX_BASE), image.data + BZ_PROTECTED_MODE, image.size - BZ_PROTECTED_MODE), 0);
	cr_expect_eq(get32(zero_page(&g) + 0x214), VMLINUX_BASE, "code32_start");
	cr_expect_str_not_empty(g.rs.note);
}

Test(bzimage, command_line_limit)
{
	static char line[2049];
	struct guest g;

	memset(line, 'x', 2048);
	g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 64 * MIB, line, -E2BIG);
	cr_expect(strstr(g.rs.error, "2047") != NULL, "%s", g.rs.error);
	line[2047] = 0;
	g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 64 * MIB, line, 0);
	cr_expect_eq(strlen((char *)guest_at(&g, get32(zero_page(&g) + 0x228))), 2047);
}

Test(bzimage, does_not_fit)
{
	struct image rd = image_new(9 * MIB);
	struct guest g = load(make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 16 * MIB, "", -ENOMEM);

	cr_expect(strstr(g.rs.error, "needs 24 MiB") != NULL, "%s", g.rs.error);
	guest_init(&g, make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), 32 * MIB);
	g.rq.initrd[0] = (struct boot_image){ .data = rd.data, .size = rd.size, .name = "big.img" };
	cr_expect_eq(guest_load(&g), -ENOMEM);
	cr_expect(strstr(g.rs.error, "big.img: the initrd") != NULL, "%s", g.rs.error);
}

/* initrd_addr_max is the last byte that the initrd may occupy. */
Test(bzimage, initrd_below_its_limit)
{
	struct image image = make_bzimage(pack(make_vmlinux(1, 1), PACK_LZ4)), rd = image_new(4096);
	struct guest g;

	put32(&image, 0x22c, 0x37fffff);
	guest_init(&g, image, 256 * MIB);
	g.rq.initrd[0] = (struct boot_image){ .data = rd.data, .size = rd.size, .name = "initrd" };
	cr_assert_eq(guest_load(&g), 0);
	cr_expect_eq(get32(zero_page(&g) + 0x218), 0x37ff000);
}

struct damage {
	size_t at;
	unsigned bytes;
	uint64_t value;
	int err;
	const char *says;
};

Test(bzimage, damaged_headers_are_named)
{
	static const struct damage damages[] = {
		{ 0x206, 2, 0x201, -ENOEXEC, "2.01" },
		{ 0x201, 1, 0x10, -ENOEXEC, "jump" },
		{ 0x201, 1, 0x61, -ENOEXEC, "jump" },
		{ 0x1f1, 1, 255, -ENOEXEC, "setup_sects" },
		{ 0x248, 4, 0xfffffff0, -ENOEXEC, "payload_length" },
		{ 0x24c, 4, 0xfffffff0, -ENOEXEC, "payload_length" },
		{ 0x24c, 4, 4, -ENOEXEC, "payload_length" },
		{ 0x230, 4, 3, -ENOEXEC, "kernel_alignment" },
		{ 0x230, 4, 0, -ENOEXEC, "kernel_alignment" },
		{ 0x230, 4, 0x80000000, -ENOEXEC, "kernel_alignment" },
		{ 0x258, 8, 0xffffffffffe00000, -ENOMEM, "needs" },
		{ 0x258, 8, 0xffffffffffffffff, -ENOMEM, "needs" },
		{ 0x260, 4, 0xffffffff, -ENOMEM, "needs" },
		{ 0x260, 4, 0x1000, -ENOEXEC, "init_size" },
		{ BZ_PROTECTED_MODE + BZ_PAYLOAD + 100, 4, 0x77777777, -ENOEXEC, "gzip stream is broken" },
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *d = &damages[i];
		struct image image = make_bzimage(pack(make_vmlinux(1, 1), PACK_GZIP));
		struct guest g;

		for (unsigned n = 0; n < d->bytes; n++)
			image.data[d->at + n] = (uint8_t)(d->value >> 8 * n);
		guest_init(&g, image, 64 * MIB);
		cr_expect_eq(guest_load(&g), d->err, "damage %zu: %s", i, g.rs.error);
		cr_expect(strstr(g.rs.error, d->says) != NULL, "damage %zu: %s", i, g.rs.error);
		cr_expect(strncmp(g.rs.error, "vmlinuz: ", 9) == 0, "names the file: %s", g.rs.error);
	}
}

/* Wherever the file ends: an error, never a guess and never a fault. */
Test(bzimage, truncated_anywhere)
{
	for (enum packing p = 0; p < PACK_UNKNOWN; p++) {
		struct image image = make_bzimage(pack(make_vmlinux(1, 1), p));

		for (size_t len = 0; len < image.size; len += len < 0x300 ? 1 : 7) {
			struct image cut = image_new(len == 0 ? 1 : len);
			struct guest g = { .rs = { .error = "" } };

			memcpy(cut.data, image.data, len);
			guest_init(&g, (struct image){ cut.data, len }, 32 * MIB);
			cr_assert_eq(guest_load(&g), -ENOEXEC, "%zu bytes: %s", len, g.rs.error);
			cr_assert_str_not_empty(g.rs.error);
			munmap(g.rq.ram.low, 32 * MIB);
			free(cut.data);
		}
	}
}

/* The size that the payload claims to have is the bound for the unpacker, and the guest's memory bounds that.
 */
Test(bzimage, bombs)
{
	struct image zeros = image_new(48 * MIB);
	struct image packed = pack(zeros, PACK_GZIP);
	struct guest g;

	guest_init(&g, make_bzimage(packed), 32 * MIB);
	cr_expect_eq(guest_load(&g), -ENOMEM);
	cr_expect(strstr(g.rs.error, "50331648") != NULL, "%s", g.rs.error);
	put32(&packed, packed.size - 4, 1 << 20); /* lies about its size */
	guest_init(&g, make_bzimage(packed), 32 * MIB);
	cr_expect_eq(guest_load(&g), -ENOEXEC);
}

static struct guest load_payload(struct image vmlinux, int expect)
{
	return load(make_bzimage(pack(vmlinux, PACK_LZ4)), 64 * MIB, "", expect);
}

Test(bzimage, damaged_payloads_are_named)
{
	struct image i = make_vmlinux(1, 1);
	struct guest g;

	put32(&i, i.size - 4, 0x81003000); /* just behind the loaded segment */
	cr_expect(strstr(load_payload(i, -ENOEXEC).rs.error, "relocation") != NULL);
	i = make_vmlinux(1, 1);
	put32(&i, i.size - 4, 0x80fffffe);
	cr_expect(strstr(load_payload(i, -ENOEXEC).rs.error, "relocation") != NULL);
	i = make_vmlinux(1, 1);
	put32(&i, i.size - 8, 0x81000200); /* a list lost its zero */
	put32(&i, i.size - 16, 0x81000200);
	cr_expect(strstr(load_payload(i, -ENOEXEC).rs.error, "lists of relocations") != NULL);
	i = make_vmlinux(1, 1);
	put64(&i, 64 + 24, VMLINUX_BASE + VMLINUX_INIT_SIZE); /* p_paddr */
	/* At its own place: in the last slot of RAM, the segment would lack memory first. */
	g = load(make_bzimage(pack(i, PACK_LZ4)), 64 * MIB, "nokaslr", -ENOEXEC);
	cr_expect(strstr(g.rs.error, "init_size") != NULL);
	i = make_vmlinux(1, 1);
	put64(&i, 24, 0x12345); /* e_entry */
	cr_expect(strstr(load_payload(i, -ENOEXEC).rs.error, "entry point") != NULL);
	i = make_vmlinux(1, 1);
	put16(&i, 18, 40); /* e_machine */
	g = load_payload(i, -ENOEXEC);
	cr_expect(strstr(g.rs.error, "another processor") != NULL, "%s", g.rs.error);
}
