/* SPDX-License-Identifier: MIT */
/* The other formats: vmlinux, PVH, Multiboot 1, flat; what is refused; how a format is recognized. */
#include "boot_images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct guest load(struct image image, enum boot_format format, int expect)
{
	struct guest g;

	guest_init(&g, image, 64 * MIB);
	g.rq.format = format;
	cr_assert_eq(guest_load(&g), expect, "%s", g.rs.error);
	return g;
}

static struct guest load_with_initrd(struct image image, enum boot_format format)
{
	static uint8_t initrd[6000];
	struct guest g;

	memset(initrd, 0xa5, sizeof(initrd));
	guest_init(&g, image, 64 * MIB);
	g.rq.format = format;
	g.rq.initrd[0] = (struct boot_image){ .data = initrd, .size = sizeof(initrd), .name = "initrd" };
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	return g;
}

static void expect_error(struct image image, enum boot_format format, int err, const char *says)
{
	struct guest g = load(image, format, err);

	cr_expect(strstr(g.rs.error, says) != NULL, "'%s' expected in '%s'", says, g.rs.error);
}

static struct image vmlinux(void)
{
	return make_elf(64, 16 * MIB, 0xffffffff81000000ull, 16 * MIB + 0x10, 0, 0);
}

Test(elf, vmlinux_at_its_physical_address)
{
	struct guest g = load_with_initrd(vmlinux(), BOOT_AUTO);
	uint8_t *zp = guest_at(&g, g.rs.cpu.gpr[RSI]);

	cr_expect_eq(g.rs.format, BOOT_ELF_LINUX);
	cr_expect_eq(g.rs.cpu.rip, 16 * MIB + 0x10);
	cr_expect_eq(*guest_at(&g, 16 * MIB), 0x90);
	cr_expect_eq(get32(zp + 0x202), 0x53726448, "a header is made up for it");
	cr_expect_eq(*guest_at(&g, get32(zp + 0x218)), 0xa5);
	cr_expect_eq(g.rs.cpu.msr.efer & EFER_LMA, EFER_LMA);
}

/* Some linkers leave e_entry virtual: it is translated by the segment it lies in. */
Test(elf, virtual_entry_point)
{
	struct guest g = load(make_elf(64, 16 * MIB, 0xffffffff81000000ull, 0xffffffff81000020ull, 0, 0), BOOT_AUTO, 0);

	cr_expect_eq(g.rs.cpu.rip, 16 * MIB + 0x20);
}

/* 16 MiB is not the only place, RAM above 4 GiB not either; the identity map only has to reach 4 GiB. */
Test(elf, damage_is_named)
{
	static const struct {
		size_t at;
		unsigned bytes;
		uint64_t value;
		int err;
		const char *says;
	} damages[] = {
		{ 18, 2, 40, -ENOEXEC, "e_machine 40" },
		{ 32, 8, 0xfffffffffffffff0, -ENOEXEC, "e_phoff" },
		{ 54, 2, 57, -ENOEXEC, "e_phentsize" },
		{ 56, 2, 0xffff, -ENOEXEC, "e_phoff" },
		{ 56, 2, 0, -ENOEXEC, "PT_LOAD" },
		{ 24, 8, 0x100, -ENOEXEC, "entry point" },
		{ 64 + 8, 8, 0xffffffffffffff00, -ENOEXEC, "p_offset" },
		{ 64 + 32, 8, 0x100000, -ENOEXEC, "p_filesz" },
		{ 64 + 40, 8, 0x10, -ENOEXEC, "p_memsz" },
		{ 64 + 40, 8, 1ull << 40, -ENOMEM, "no RAM" },
		{ 64 + 40, 8, UINT64_MAX, -ENOMEM, "no RAM" },
		{ 64 + 24, 8, 0xfee00000, -ENOMEM, "no RAM" },
		{ 64 + 24, 8, 0x9f000, -ENOEXEC, "loader" },
		{ 64 + 24, 8, 0, -ENOEXEC, "loader" },
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct image image = vmlinux();

		for (unsigned n = 0; n < damages[i].bytes; n++)
			image.data[damages[i].at + n] = (uint8_t)(damages[i].value >> 8 * n);
		expect_error(image, BOOT_AUTO, damages[i].err, damages[i].says);
	}
}

/* A program that somebody took for a kernel: it asks for a dynamic loader. */
Test(elf, programs_are_not_kernels)
{
	struct image i = make_elf(64, 16 * MIB, 16 * MIB, 16 * MIB, 1, 0);

	put32(&i, 64 + 56, 3); /* PT_INTERP instead of PT_NOTE */
	expect_error(i, BOOT_AUTO, -ENOEXEC, "not a kernel");
}

/* The PVH ABI knows no interpreter: FreeBSD's kernel names one, and has the note. */
Test(pvh, an_interpreter_is_no_obstacle)
{
	struct image i = make_elf(64, 1 * MIB, 1 * MIB, 1 * MIB, 1, 0x100040);
	struct guest g;

	put16(&i, 56, 3);	   /* e_phnum */
	put32(&i, 64 + 2 * 56, 3); /* PT_INTERP, empty */
	g = load(i, BOOT_AUTO, 0);
	cr_expect_eq(g.rs.format, BOOT_ELF_PVH);
	cr_expect_eq(g.rs.cpu.rip, 0x100040);
}

/* A 32-bit vmlinux has no mark; whoever says what it is gets the 32-bit protocol (boot.rst, "32-bit Boot Protocol"). */
Test(elf, vmlinux_of_32_bits_when_asked_for)
{
	struct image i = make_elf(32, 16 * MIB, 0xc1000000u, 16 * MIB + 0x10, 0, 0);
	struct guest g = load_with_initrd(i, BOOT_ELF_LINUX);
	struct cpu *c = &g.rs.cpu;

	cr_expect_eq(c->rip, 16 * MIB + 0x10);
	cr_expect_eq(c->cr0 & (CR0_PE | CR0_PG), CR0_PE, "protected mode, paging disabled");
	cr_expect_eq(get32(guest_at(&g, c->gpr[RSI]) + 0x202), 0x53726448);
	expect_error(i, BOOT_AUTO, -ENOEXEC, "--format elf");
}

/* xen/include/public/arch-x86/hvm/start_info.h */
Test(pvh, start_info)
{
	struct guest g = load_with_initrd(make_elf(64, 1 * MIB, 1 * MIB, 0x5000000, 1, 0x100040), BOOT_AUTO);
	struct cpu *c = &g.rs.cpu;
	const uint8_t *si = guest_at(&g, c->gpr[RBX]), *mod, *map;

	cr_expect_eq(g.rs.format, BOOT_ELF_PVH);
	cr_expect_eq(c->rip, 0x100040);
	cr_expect_eq(c->cr0 & (CR0_PE | CR0_PG), CR0_PE, "protected mode, no paging");
	cr_expect_eq(c->cr4, 0);
	cr_expect_eq(c->msr.efer, 0);
	cr_expect_eq(c->rflags & (RFLAGS_IF | RFLAGS_VM | RFLAGS_TF), 0);
	cr_expect_eq(c->seg[SEG_CS].base, 0);
	cr_expect_eq(c->seg[SEG_CS].limit, 0xffffffff);
	cr_expect_eq(c->seg[SEG_CS].attr & (SEG_ATTR_DB | SEG_ATTR_L), SEG_ATTR_DB);
	cr_expect_eq(c->tr.limit, 0x67, "a 32-bit TSS of 67h");
	cr_expect_eq(get32(si), 0x336ec578);
	cr_expect_eq(get32(si + 4), 1, "version");
	cr_expect_eq(get32(si + 12), 1, "modules");
	mod = guest_at(&g, get64(si + 16));
	cr_expect_eq(*guest_at(&g, get64(mod)), 0xa5);
	cr_expect_eq(get64(mod + 8), 6000);
	cr_expect_str_eq((char *)guest_at(&g, get64(si + 24)), "console=ttyS0");
	cr_expect_eq(memcmp(guest_at(&g, get64(si + 32)), "RSD PTR ", 8), 0);
	map = guest_at(&g, get64(si + 40));
	cr_expect_eq(get64(map), 0);
	cr_expect_eq(get32(map + 16), 1);
	cr_expect_geq(get32(si + 48), 4);
}

Test(pvh, works_from_a_32_bit_elf_and_can_be_overruled)
{
	struct image elf64 = make_elf(64, 16 * MIB, 16 * MIB, 16 * MIB, 1, 16 * MIB + 4);

	cr_expect_eq(load(make_elf(32, 1 * MIB, 1 * MIB, 1 * MIB, 1, 0x100080), BOOT_AUTO, 0).rs.cpu.rip, 0x100080);
	cr_expect_eq(load(elf64, BOOT_AUTO, 0).rs.format, BOOT_ELF_PVH);
	cr_expect_eq(load(elf64, BOOT_ELF_LINUX, 0).rs.cpu.rip, 16 * MIB);
	expect_error(vmlinux(), BOOT_ELF_PVH, -ENOEXEC, "PHYS32_ENTRY");
	expect_error(make_elf(64, 16 * MIB, 16 * MIB, 16 * MIB, 1, 0x2000), BOOT_AUTO, -ENOEXEC, "entry point");
}

/* The note's sizes are the file's word: each is wrong once. */
Test(pvh, broken_notes_are_no_notes)
{
	const size_t note = ELF_TEXT + ELF_TEXT_BYTES;

	for (unsigned field = 0; field < 2; field++) {
		struct image i = make_elf(64, 16 * MIB, 16 * MIB, 16 * MIB, 1, 16 * MIB);

		put32(&i, note + 4 * field, 0xfffffffd);
		expect_error(i, BOOT_ELF_PVH, -ENOEXEC, "PHYS32_ENTRY");
	}
}

enum { MB_AT = 0x400, MB_BASE = 0x100000 };

/* Multiboot Specification 0.6.96, 3.1.1: magic, flags, checksum. */
static void put_multiboot_header(struct image *i, size_t at, uint32_t flags)
{
	put32(i, at, 0x1badb002);
	put32(i, at + 4, flags);
	put32(i, at + 8, 0u - 0x1badb002 - flags);
}

static struct image multiboot_raw(void)
{
	struct image i = image_new(0x1000);

	memset(i.data, 0x90, i.size);
	put_multiboot_header(&i, MB_AT, 1 << 16 | 3);
	put32(&i, MB_AT + 12, MB_BASE + MB_AT); /* header_addr */
	put32(&i, MB_AT + 16, MB_BASE);		/* load_addr */
	put32(&i, MB_AT + 20, MB_BASE + 0x1000);
	put32(&i, MB_AT + 24, MB_BASE + 0x9000); /* bss_end_addr */
	put32(&i, MB_AT + 28, MB_BASE + 0x800);	 /* entry_addr */
	return i;
}

/* 3.2 Machine state, 3.3 Boot information format. */
static void check_multiboot(struct guest *g)
{
	struct cpu *c = &g->rs.cpu;
	const uint8_t *info = guest_at(g, c->gpr[RBX]), *mmap, *mod;

	cr_expect_eq(g->rs.format, BOOT_MULTIBOOT);
	cr_expect_eq(c->gpr[RAX], 0x2badb002);
	cr_expect_eq(c->cr0 & (CR0_PE | CR0_PG), CR0_PE);
	cr_expect_eq(c->rflags & (RFLAGS_VM | RFLAGS_IF), 0);
	cr_expect_eq(c->seg[SEG_SS].limit, 0xffffffff);
	cr_expect_eq(get32(info) & (1 << 0 | 1 << 2 | 1 << 3 | 1 << 6), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6);
	cr_expect_leq(get32(info + 4), 640, "mem_lower in KiB");
	cr_expect_eq(get32(info + 8), 63 * 1024, "mem_upper: KiB from 1 MiB");
	cr_expect_str_eq((char *)guest_at(g, get32(info + 16)), "vmlinuz console=ttyS0", "the image first: kernels drop a word");
	cr_expect_eq(c->seg[SEG_CS].selector, 0x08, "what loaders have always done, and xv6 returns to");
	cr_expect_eq(c->seg[SEG_DS].selector, 0x10);
	cr_expect_eq(get32(info + 20), 1);
	mod = guest_at(g, get32(info + 24));
	cr_expect_eq(get32(mod) & 0xfff, 0, "modules are page-aligned");
	cr_expect_eq(get32(mod + 4) - get32(mod), 6000);
	cr_expect_eq(*guest_at(g, get32(mod)), 0xa5);
	mmap = guest_at(g, get32(info + 48));
	cr_expect_eq(get32(mmap), 20, "size of the rest of the entry");
	cr_expect_eq(get32(info + 44) % 24, 0);
	cr_expect_eq(get32(mmap + 20), 1, "RAM first");
}

Test(multiboot, raw_image_with_addresses)
{
	struct guest g = load_with_initrd(multiboot_raw(), BOOT_AUTO);

	check_multiboot(&g);
	cr_expect_eq(g.rs.cpu.rip, MB_BASE + 0x800);
	cr_expect_eq(get32(guest_at(&g, MB_BASE + MB_AT)), 0x1badb002);
}

Test(multiboot, elf32)
{
	struct image i = make_elf(32, 1 * MIB, 0xc0100000, 0xc0100010, 0, 0);
	struct guest g;

	put_multiboot_header(&i, ELF_TEXT + 0x20, 3);
	g = load_with_initrd(i, BOOT_AUTO);
	check_multiboot(&g);
	cr_expect_eq(g.rs.cpu.rip, 1 * MIB + 0x10);
}

/* 3.1: the header must be 32-bit aligned and within the first 8192 bytes. */
Test(multiboot, where_the_header_may_be)
{
	struct image i = image_new(10000);

	put_multiboot_header(&i, 8182, 0);
	expect_error(i, BOOT_AUTO, -ENOEXEC, "not a kernel");
	i = image_new(10000);
	put_multiboot_header(&i, 8184, 0);
	expect_error(i, BOOT_MULTIBOOT, -ENOEXEC, "no Multiboot header");
	i = image_new(10000);
	put_multiboot_header(&i, 8180, 0);
	expect_error(i, BOOT_AUTO, -ENOEXEC, "ELF");
	i = multiboot_raw();
	put32(&i, MB_AT + 8, 0);
	expect_error(i, BOOT_AUTO, -ENOEXEC, "not a kernel");
}

/* Multiboot 0.6.96, 3.3: flags bit 12, and the fields from offset 88 on. */
Test(multiboot, framebuffer)
{
	struct guest g;
	const uint8_t *info;

	guest_init(&g, multiboot_raw(), 64 * MIB);
	g.rq.display = (struct display_spec){ DISPLAY_LFB, 640, 400 };
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	info = guest_at(&g, g.rs.cpu.gpr[RBX]);
	cr_expect(get32(info) & 1 << 12);
	cr_expect(get64(info + 88) == 0xdf000000 && get32(info + 96) == 2560, "address and pitch");
	cr_expect(get32(info + 100) == 640 && get32(info + 104) == 400 && info[108] == 32 && info[109] == 1,
		  "size, depth, direct colours");
	cr_expect(!memcmp(info + 110, "\x10\x08\x08\x08\x00\x08", 6), "red, green, blue: position, size");

	guest_init(&g, multiboot_raw(), 64 * MIB);
	g.rq.display.kind = DISPLAY_VGA;
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	info = guest_at(&g, g.rs.cpu.gpr[RBX]);
	cr_expect(get64(info + 88) == 0xb8000 && get32(info + 96) == 160 && get32(info + 100) == 80 && get32(info + 104) == 25,
		  "text");
	cr_expect(info[109] == 2, "EGA text");
}

/* 3.3: each module with its own command line, which begins with its name. */
Test(multiboot, several_modules)
{
	static uint8_t one[5000], two[10] = { 0x77 };
	const uint8_t *info, *mod;
	struct guest g;

	guest_init(&g, multiboot_raw(), 64 * MIB);
	g.rq.initrd[0] = (struct boot_image){ .data = one, .size = sizeof(one), .name = "dom0", .text = "root=1" };
	g.rq.initrd[1] = (struct boot_image){ .data = two, .size = sizeof(two), .name = "ramdisk" };
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	info = guest_at(&g, g.rs.cpu.gpr[RBX]);
	cr_expect_eq(get32(info + 20), 2);
	mod = guest_at(&g, get32(info + 24));
	cr_expect_str_eq((char *)guest_at(&g, get32(mod + 8)), "dom0 root=1");
	cr_expect_str_eq((char *)guest_at(&g, get32(mod + 24)), "ramdisk");
	cr_expect_eq(get32(mod + 16) & 0xfff, 0, "modules are page-aligned");
	cr_expect_eq(get32(mod + 20) - get32(mod + 16), 10);
	cr_expect_eq(*guest_at(&g, get32(mod + 16)), 0x77);
	cr_expect_geq(get32(mod + 16), get32(mod + 4));
}

/* IBM PC/AT: interrupt vectors at 0, the reset vector 16 bytes below 1 MiB. */
Test(request, the_firmware_answers)
{
	struct guest g = load_with_initrd(multiboot_raw(), BOOT_AUTO);

	for (unsigned n = 0; n < 256; n++) {
		const uint8_t *vector = guest_at(&g, 4 * n);

		cr_expect_eq(vector[2] | vector[3] << 8, 0xf000);
		cr_expect_geq(vector[0] | vector[1] << 8, 0xff00);
	}
	cr_expect_eq(*guest_at(&g, 0xffff0), 0xea, "a far jump");
	cr_expect_eq(*guest_at(&g, 0xffffe), 0xfc, "model: PC/AT");
}

Test(multiboot, damage_is_named)
{
	static const struct {
		size_t at;
		uint32_t value;
		int err;
		const char *says;
	} damages[] = {
		{ MB_AT + 12, 0, -ENOEXEC, "load_addr" },	   { MB_AT + 12, MB_BASE + MB_AT + 4, -ENOEXEC, "load_addr" },
		{ MB_AT + 16, 0xfffffff0, -ENOEXEC, "load_addr" }, { MB_AT + 20, MB_BASE + 0x1001, -ENOEXEC, "load_end_addr" },
		{ MB_AT + 20, 1, -ENOEXEC, "load_end_addr" },	   { MB_AT + 24, MB_BASE + 0x10, -ENOEXEC, "bss_end_addr" },
		{ MB_AT + 24, 0xffffffff, -ENOMEM, "no RAM" },	   { MB_AT + 28, MB_BASE + 0x1000, -ENOEXEC, "entry_addr" },
	};
	struct image i;

	for (size_t n = 0; n < sizeof(damages) / sizeof(damages[0]); n++) {
		i = multiboot_raw();
		put32(&i, damages[n].at, damages[n].value);
		expect_error(i, BOOT_AUTO, damages[n].err, damages[n].says);
	}
	i = multiboot_raw();
	put_multiboot_header(&i, MB_AT, 1 << 16 | 1 << 3);
	expect_error(i, BOOT_AUTO, -ENOEXEC, "flags");
	i = multiboot_raw();
	i.size = MB_AT + 20;
	expect_error(i, BOOT_AUTO, -ENOEXEC, "cut off");
}

Test(flat, real_mode)
{
	struct image i = image_new(100);
	struct guest g;
	struct cpu *c = &g.rs.cpu;

	memset(i.data, 0xf4, i.size);
	g = load(i, BOOT_FLAT16, 0);
	cr_expect_eq(c->cr0 & CR0_PE, 0);
	cr_expect_eq(c->rip, 0);
	cr_expect_eq(c->seg[SEG_CS].selector, 0);
	cr_expect_eq(c->seg[SEG_CS].base, 0);
	cr_expect_eq(c->seg[SEG_CS].limit, 0xffff);
	cr_expect_eq(c->seg[SEG_SS].base, c->seg[SEG_DS].base);
	cr_expect_gt(c->gpr[RSP], 100);
	cr_expect_eq(*guest_at(&g, 99), 0xf4);
	cr_expect_eq(get16(guest_at(&g, 0x40e)), 0, "nothing of ours in its page");
	i = image_new(0xa0000);
	g = load(i, BOOT_FLAT16, 0);
	cr_expect_eq(c->seg[SEG_SS].base, 0x90000);
	expect_error(image_new(0xa0001), BOOT_FLAT16, -ENOMEM, "655360");
}

/* SDM vol. 3, 4.5: the walk of a linear address, with 2 MiB pages. */
static uint64_t walk(struct guest *g, uint64_t linear)
{
	uint64_t table = g->rs.cpu.cr3, entry;

	for (unsigned shift = 39; shift >= 21; shift -= 9) {
		entry = get64(guest_at(g, table + (linear >> shift & 511) * 8));
		if (!(entry & 1) || !(entry & 2))
			return UINT64_MAX;
		table = entry & 0xffffffffff000;
	}
	return entry & 1 << 7 ? table | (linear & 0x1fffff) : UINT64_MAX;
}

Test(flat, long_mode_with_memory_mapped_to_itself)
{
	static const uint64_t addresses[] = { 0, 0x1000, 0xfffff, 0x12345678, 0xfec00000, 0xffffffff, 0x100000000, 0x13fffffff };
	struct image i = image_new(3000);
	struct guest g;

	memset(i.data, 0xf4, i.size);
	guest_init(&g, i, 4096 * MIB);
	g.rq.format = BOOT_FLAT64;
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	cr_expect_eq(g.rs.cpu.rip, 0x1000);
	cr_expect_eq(*guest_at(&g, 0x1000 + 2999), 0xf4);
	for (size_t n = 0; n < sizeof(addresses) / sizeof(addresses[0]); n++)
		cr_expect_eq(walk(&g, addresses[n]), addresses[n]);
	cr_expect_eq(walk(&g, 0x140000000), UINT64_MAX, "mapped as far as there is memory");
	cr_expect_eq(g.rs.cpu.msr.efer & EFER_LMA, EFER_LMA);
	cr_expect_eq(g.rs.cpu.gpr[RSP] & 15, 0);
	expect_error(image_new(0x7b001), BOOT_FLAT64, -ENOMEM, "at most");
}

/* SDM vol. 3, 3.4.5: the descriptors in memory must say what the processor holds. */
Test(entry, descriptor_tables_agree_with_the_segments)
{
	struct guest g = load(image_new(16), BOOT_FLAT64, 0);
	struct cpu *c = &g.rs.cpu;

	for (unsigned s = 0; s < SEG_COUNT; s++) {
		const struct segment *seg = &c->seg[s];
		uint64_t d = get64(guest_at(&g, c->gdtr.base + seg->selector));

		cr_expect_eq(d >> 40 & 0xf0ff, seg->attr & 0xf0ff);
		cr_expect_eq((d & 0xffff) | (d >> 32 & 0xf0000), seg->limit >> 12);
		cr_expect_leq(seg->selector + 7, c->gdtr.limit);
	}
	cr_expect_eq(get64(guest_at(&g, c->gdtr.base + c->tr.selector)) >> 16 & 0xffffff, c->tr.base);
}

Test(request, names)
{
	enum boot_format f;

	cr_expect_eq(boot_format_parse("flat64", &f), 0);
	cr_expect_eq(f, BOOT_FLAT64);
	cr_expect_eq(boot_format_parse("elf64", &f), -EINVAL);
	for (f = BOOT_AUTO; f <= BOOT_FRAME; f++) {
		enum boot_format back;

		cr_expect_eq(boot_format_parse(boot_format_name(f), &back), 0);
		cr_expect_eq(back, f);
	}
}

static struct guest load_frame(struct image kernel, uint64_t ram, struct image program, int err)
{
	struct guest g;

	guest_init(&g, kernel, ram);
	g.rq.format = BOOT_FRAME;
	g.rq.initrd[0].data = program.data;
	g.rq.initrd[0].size = program.size;
	cr_expect_eq(guest_load(&g), err, "%s", g.rs.error);
	return g;
}

/* docs/guests.md, "The frame machine" */
Test(frame, entry_and_program)
{
	struct guest g =
		load_frame(make_elf(64, MIB, MIB, MIB + 0x10, 0, 0), 64 * MIB, (struct image){ (uint8_t *)"bytes", 5 }, 0);
	const struct cpu *c = &g.rs.cpu;

	cr_expect_eq(c->rip, MIB + 0x10);
	cr_expect_eq(c->gpr[RSP], 0x1efff8);
	cr_expect_eq(c->cr3, 0x1000);
	cr_expect_eq(c->cr4, CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT);
	cr_expect_eq(c->rflags, RFLAGS_FIXED);
	cr_expect_eq(*guest_at(&g, MIB), 0x90);
	cr_expect_eq(get64(guest_at(&g, 0x1000)), 0x2003);
	cr_expect_eq(get64(guest_at(&g, 0x2000)), 0x3003);
	cr_expect_eq(get64(guest_at(&g, 0x3000 + 511 * 8)), 511ull << 21 | 0x83);
	cr_expect_eq(get64(guest_at(&g, 0x2000000)), 5);
	cr_expect_arr_eq(guest_at(&g, 0x2000010), "bytes", 5);
	for (unsigned gpa = 0x5000; gpa < MIB; gpa += 8)
		cr_assert_eq(get64(guest_at(&g, gpa)), 0, "something of the loader's at %x", gpa);
}

/* The image is foreign, and so are its addresses. */
Test(frame, places_that_are_taken)
{
	static const uint64_t taken[] = { 0, 0x4000, 0xeff000, 0xf00000, 0xffe000, 0x112b000, 64 * MIB - 0x1000, 1ull << 40 };
	const struct image none = { 0 };

	for (unsigned i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		load_frame(make_elf(64, taken[i], taken[i], taken[i], 0, 0), 64 * MIB, none, i < 6 ? -ENOEXEC : -ENOMEM);
	load_frame(make_elf(64, 0x5000, 0x5000, 0x5000, 0, 0), 64 * MIB, none, 0);
	load_frame(make_elf(64, 0x112c000, 0x112c000, 0x112c000, 0, 0), 64 * MIB, none, 0);
	load_frame(make_elf(32, MIB, MIB, MIB, 0, 0), 64 * MIB, none, -ENOEXEC);
	load_frame(make_elf(64, MIB, MIB, MIB - 1, 0, 0), 64 * MIB, none, -ENOEXEC);
	load_frame(make_elf(64, MIB, MIB, MIB, 0, 0), 64 * MIB, image_new(32 * MIB), -ENOMEM);
	load_frame(make_elf(64, 0x2000000, 0x2000000, 0x2000000, 0, 0), 64 * MIB, image_new(1), -ENOEXEC);
}

Test(request, what_is_no_kernel)
{
	struct image text = image_new(100);

	memcpy(text.data, "#!/bin/sh\n", 10);
	expect_error(text, BOOT_AUTO, -ENOEXEC, "--format flat16");
	expect_error((struct image){ text.data, 0 }, BOOT_AUTO, -ENOEXEC, "empty");
	expect_error(text, BOOT_BZIMAGE, -ENOEXEC, "not a bzImage");
	expect_error(text, BOOT_ELF_LINUX, -ENOEXEC, "not an ELF");
	expect_error(make_elf(32, MIB, MIB, MIB, 0, 0), BOOT_AUTO, -ENOEXEC, "32-bit ELF");
}

Test(request, limits)
{
	struct guest g;

	guest_init(&g, image_new(16), MIB - 4096);
	g.rq.format = BOOT_FLAT16;
	cr_expect_eq(guest_load(&g), -EINVAL);
	guest_init(&g, image_new(16), MIB);
	g.rq.format = BOOT_FLAT16;
	cr_expect_eq(guest_load(&g), 0);
	g.rq.vcpus = 0;
	cr_expect_eq(guest_load(&g), -EINVAL);
	g.rq.vcpus = 65;
	cr_expect_eq(guest_load(&g), -EINVAL);
	g.rq.vcpus = 64;
	g.rq.topology = (struct cpu_topology){ 2, 16, 1 };
	cr_expect_eq(guest_load(&g), -EINVAL, "half as many");
	g.rq.topology = (struct cpu_topology){ 2, 16, 2 };
	cr_expect_eq(guest_load(&g), 0, "%s", g.rs.error);
}

static int fetch_short(const struct boot_image *image, uint8_t *to)
{
	return -ENODATA;
}

Test(request, an_initrd_that_shrinks_while_it_is_read)
{
	struct guest g;

	guest_init(&g, vmlinux(), 64 * MIB);
	g.rq.initrd[0] = (struct boot_image){ .size = 4096, .name = "initrd.img", .fetch = fetch_short };
	cr_expect_eq(guest_load(&g), -ENODATA);
	cr_expect(strstr(g.rs.error, "initrd.img: the file became shorter") != NULL, "%s", g.rs.error);
}
