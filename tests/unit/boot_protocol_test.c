/* SPDX-License-Identifier: MIT */
/*
 * What the Linux boot protocol allows: 32-bit kernels, images without a packed kernel, old versions, fields that are zero
 * or concern relocatable kernels only. Quotations are from Documentation/x86/boot.rst.
 */
#include "boot_images.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum {
	AT_SETUP_SECTS = 0x1f1, AT_JUMP = 0x200, AT_VERSION = 0x206, AT_LOADFLAGS = 0x211, AT_CODE32 = 0x214,
	AT_INITRD = 0x218, AT_CMDLINE = 0x228, AT_INITRD_MAX = 0x22c, AT_ALIGNMENT = 0x230, AT_RELOCATABLE = 0x234,
	AT_XLOADFLAGS = 0x236, AT_CMDLINE_SIZE = 0x238, AT_PAYLOAD = 0x248, AT_PAYLOAD_LENGTH = 0x24c,
	AT_SETUP_DATA = 0x250, AT_PREF = 0x258, AT_INIT_SIZE = 0x260,
};
enum { KASLR_FLAG = 2, PAGE = 4096 };

static struct guest load_with(struct image image, uint64_t ram, const char *cmdline, size_t initrd, int expect)
{
	struct guest g;

	guest_init(&g, image, ram);
	g.rq.cmdline = cmdline;
	if (initrd != 0)
		g.rq.initrd[0] = (struct boot_image){ .data = image_new(initrd).data, .size = initrd, .name = "initrd" };
	cr_assert_eq(guest_load(&g), expect, "%s", g.rs.error);
	return g;
}

static struct guest load(struct image image, int expect)
{
	return load_with(image, 64 * MIB, "quiet", 0, expect);
}

static uint8_t *zero_page(struct guest *g)
{
	return guest_at(g, g->rs.cpu.gpr[RSI]);
}

/* A program that is its own kernel, as memtest86+ is: no payload, not relocatable, at 1 MiB. */
static struct image make_plain(bool wide)
{
	struct image i = make_bzimage(image_new(4096));

	memset(i.data + BZ_PROTECTED_MODE, 0x90, BZ_PAYLOAD);
	put32(&i, AT_PAYLOAD, 0);
	put32(&i, AT_PAYLOAD_LENGTH, 0);
	put32(&i, AT_CODE32, 0x100000);
	put32(&i, AT_ALIGNMENT, 0x1000);
	i.data[AT_RELOCATABLE] = 0;
	put16(&i, AT_XLOADFLAGS, wide);
	put64(&i, AT_PREF, MIB);
	put32(&i, AT_INIT_SIZE, 0x6a000);
	return i;
}

/* A header as long as that version's is: "0x0202 + byte value at offset 0x0201". */
static struct image make_old(unsigned version, unsigned end)
{
	struct image i = make_plain(false);

	put16(&i, AT_VERSION, (uint16_t)version);
	i.data[AT_JUMP + 1] = (uint8_t)(end - 0x202);
	memset(i.data + end, 0xcc, 0x290 - end); /* code, not fields */
	return i;
}

static struct image make_narrow(int relocs, enum packing how)
{
	struct image i = make_bzimage(pack(make_vmlinux32(relocs), how));

	put16(&i, AT_XLOADFLAGS, 4); /* XLF_EFI_HANDOVER_32 */
	put32(&i, AT_ALIGNMENT, 0x1000000);
	return i;
}

/* "At entry, the CPU must be in 32-bit protected mode with paging disabled [...]" */
static void expect_narrow_entry(struct guest *g, uint64_t at)
{
	struct cpu *c = &g->rs.cpu;

	cr_expect_eq(c->rip, at, "%#llx", (unsigned long long)c->rip);
	cr_expect_eq(c->cr0 & (CR0_PE | CR0_PG), CR0_PE);
	cr_expect_eq(c->msr.efer, 0);
	cr_expect_eq(c->seg[SEG_CS].selector, 0x10, "CS must be __BOOT_CS");
	cr_expect_eq(c->seg[SEG_CS].limit, UINT32_MAX);
	cr_expect_eq(c->seg[SEG_CS].attr & (SEG_ATTR_DB | SEG_ATTR_L | SEG_ATTR_CODE | SEG_ATTR_RW),
		     SEG_ATTR_DB | SEG_ATTR_CODE | SEG_ATTR_RW, "execute/read permission");
	for (unsigned n = 0; n < 3; n++) {
		static const enum seg_index data[] = { SEG_DS, SEG_ES, SEG_SS };

		cr_expect_eq(c->seg[data[n]].selector, 0x18, "DS, ES, SS must be __BOOT_DS");
		cr_expect_eq(c->seg[data[n]].base, 0);
		cr_expect_eq(c->seg[data[n]].limit, UINT32_MAX);
	}
	cr_expect_eq(c->rflags & RFLAGS_IF, 0, "interrupt must be disabled");
	cr_expect_eq(c->gpr[RBP] | c->gpr[RDI] | c->gpr[RBX], 0, "%%ebp, %%edi and %%ebx must be zero");
	cr_expect_eq(get32(zero_page(g) + 0x202), 0x53726448, "%%esi must hold the base address of boot_params");
}

Test(protocol, kernels_of_32_bits_are_unpacked)
{
	struct guest g = load_with(make_narrow(1, PACK_XZ), 64 * MIB, "nokaslr", 0, 0);

	expect_narrow_entry(&g, VMLINUX_BASE + 0x40);
	cr_expect_eq(get32(guest_at(&g, VMLINUX_BASE + VMLINUX_AT_32)), VMLINUX_VALUE_NARROW);
	cr_expect_not(g.rs.kaslr);
}

/* A 32-bit kernel maps all its memory at one distance: what moves in memory moves as much in its addresses. */
Test(protocol, kernels_of_32_bits_move_with_their_place)
{
	unsigned moved = 0;

	for (unsigned i = 0; i < 24; i++) {
		struct guest g = load_with(make_narrow(1, PACK_LZ4), 256 * MIB, "quiet", 0, 0);
		uint64_t at = g.rs.cpu.rip - 0x40;

		expect_narrow_entry(&g, at + 0x40);
		cr_expect(g.rs.kaslr && (zero_page(&g)[AT_LOADFLAGS] & KASLR_FLAG));
		cr_expect_eq(at % 0x1000000, 0, "kernel_alignment");
		cr_expect_geq(at, VMLINUX_BASE);
		cr_expect_leq(at + VMLINUX_INIT_SIZE, 256 * MIB);
		cr_expect_eq(get32(guest_at(&g, at + VMLINUX_AT_32)), VMLINUX_VALUE_NARROW + (at - VMLINUX_BASE));
		moved += at != VMLINUX_BASE;
	}
	cr_expect_gt(moved, 0, "24 times the same of 15 places");
}

/* arch/x86: KERNEL_IMAGE_SIZE is 512 MiB for 32 bits. mem= says that memory is carved up by hand. */
Test(protocol, kernels_of_32_bits_stay_where_they_must)
{
	for (unsigned i = 0; i < 16; i++) {
		struct guest g = load_with(make_narrow(1, PACK_LZ4), 2048 * MIB, "quiet", 0, 0);

		cr_expect_leq(g.rs.cpu.rip + VMLINUX_INIT_SIZE, 512 * MIB);
		g = load_with(make_narrow(1, PACK_LZ4), 256 * MIB, "mem=100M", 0, 0);
		cr_expect_eq(g.rs.cpu.rip, VMLINUX_BASE + 0x40);
	}
	cr_expect_not(load(make_narrow(0, PACK_LZ4), 0).rs.kaslr, "no relocations");
}

/* "the 32-bit kernel entry point, which is the start address of loaded 32/64-bit kernel" */
Test(protocol, own_code_is_entered_at_its_start)
{
	struct image image = make_narrow(1, PACK_UNKNOWN);
	struct guest g = load(image, 0);

	expect_narrow_entry(&g, VMLINUX_BASE);
	cr_expect_eq(memcmp(guest_at(&g, VMLINUX_BASE), image.data + BZ_PROTECTED_MODE, image.size - BZ_PROTECTED_MODE), 0);
	cr_expect_eq(get32(zero_page(&g) + AT_CODE32), VMLINUX_BASE);
	cr_expect_str_not_empty(g.rs.note);
}

/* "Alignment unit required by the kernel (if relocatable_kernel is true.)"; "If non-zero then this field contains the
 * offset from the beginning of the protected-mode code to the payload." */
Test(protocol, a_program_without_payload)
{
	struct image image = make_plain(true);
	struct guest g = load_with(image, 2 * MIB, "quiet", 0, 0);

	cr_expect_eq(g.rs.cpu.rip, MIB + 0x200, "the start address of loaded 64-bit kernel plus 0x200");
	cr_expect_eq(g.rs.cpu.msr.efer, EFER_LME | EFER_LMA);
	cr_expect_eq(*guest_at(&g, MIB), 0x90);
	cr_expect_str_empty(g.rs.note, "nothing is unpacked: %s", g.rs.note);
	g = load_with(make_plain(false), 2 * MIB, "quiet", 0, 0);
	expect_narrow_entry(&g, MIB);
}

/* "A non-relocatable kernel will unconditionally move itself and to run at this address": memory must be there. */
Test(protocol, a_program_that_moves_itself)
{
	struct image image = make_plain(false);
	struct guest g;

	put64(&image, AT_PREF, 0x1234000);
	g = load_with(image, 64 * MIB, "quiet", 0x1000, 0);
	expect_narrow_entry(&g, MIB);
	g = load_with(image, 16 * MIB, "quiet", 0, -ENOMEM);
	cr_expect(strstr(g.rs.error, "needs 19 MiB") != NULL, "%s", g.rs.error);
	put64(&image, AT_PREF, 0x81000);
	g = load(image, -ENOEXEC);
	cr_expect(strstr(g.rs.error, "loader") != NULL, "onto its own zero page: %s", g.rs.error);
}

/* "can be loaded at any address that satisfies the kernel_alignment field": any power of two, and pref_address "if
 * nonzero". */
Test(protocol, relocatable_kernels)
{
	struct image image = make_plain(false);
	struct guest g;

	image.data[AT_RELOCATABLE] = 1;
	put64(&image, AT_PREF, 0x345000);
	g = load(image, 0);
	expect_narrow_entry(&g, 0x345000);
	put32(&image, AT_ALIGNMENT, 0x100000);
	g = load(image, 0);
	expect_narrow_entry(&g, 0x400000);
	put64(&image, AT_PREF, 0);
	put32(&image, AT_ALIGNMENT, 0x800000);
	g = load(image, 0);
	expect_narrow_entry(&g, 0x800000);
	put32(&image, AT_ALIGNMENT, 1);
	g = load(image, 0);
	expect_narrow_entry(&g, MIB);
}

/* A packed kernel whose place is not known cannot be put there by the loader. */
Test(protocol, packed_kernels_without_pref_address_unpack_themselves)
{
	struct image image = make_bzimage(pack(make_vmlinux(1, 1), PACK_GZIP));
	struct guest g;

	put64(&image, AT_PREF, 0);
	g = load(image, 0);
	cr_expect_eq(g.rs.cpu.rip, 2 * MIB + 0x200);
	put64(&image, AT_PREF, 0x1001000); /* "will be realigned during kernel initialization" */
	g = load(image, 0);
	cr_expect_eq(g.rs.cpu.rip, 0x1200200);
}

/* "determined using the standard magic numbers": what is no ELF file is left to the code around it. */
Test(protocol, payloads_of_other_kinds)
{
	struct image vmlinux = make_vmlinux(1, 1);
	struct guest g;

	vmlinux.data[0] = 0;
	g = load(make_bzimage(pack(vmlinux, PACK_ZSTD)), 0);
	cr_expect_eq(g.rs.cpu.rip, VMLINUX_BASE + 0x200);
	cr_expect_not(g.rs.kaslr);
}

/* "The size of the setup code in 512-byte sectors. If this field is 0, the real value is 4." */
Test(protocol, setup_sects_zero_is_four)
{
	struct image plain = make_plain(false), image = image_new(plain.size + 3 * 512);
	struct guest g;

	memcpy(image.data, plain.data, BZ_PROTECTED_MODE);
	memcpy(image.data + 5 * 512, plain.data + BZ_PROTECTED_MODE, plain.size - BZ_PROTECTED_MODE);
	image.data[5 * 512] = 0x42;
	image.data[AT_SETUP_SECTS] = 0;
	g = load(image, 0);
	cr_expect_eq(*guest_at(&g, MIB), 0x42);
}

/* init_size and cmdline_size of zero say nothing; the file's own size counts, and the maximum that was before 2.06. */
Test(protocol, zeros_that_say_nothing)
{
	static char line[257];
	struct image image = make_plain(false);
	struct guest g;

	put32(&image, AT_INIT_SIZE, 0);
	put32(&image, AT_CMDLINE_SIZE, 0);
	memset(line, 'x', 255);
	g = load_with(image, 2 * MIB, line, 0, 0);
	cr_expect_eq(strlen((char *)guest_at(&g, get32(zero_page(&g) + AT_CMDLINE))), 255);
	line[255] = 'x';
	g = load_with(image, 2 * MIB, line, 0, -E2BIG);
	cr_expect(strstr(g.rs.error, "at most 255") != NULL, "%s", g.rs.error);
}

static const char *cmdline_of(struct guest *g)
{
	return (char *)guest_at(g, get32(zero_page(g) + AT_CMDLINE));
}

/* What Linux is told besides, unless the user speaks of it. What is meant for init ("--", kernel-parameters.rst) stays last. */
Test(protocol, what_linux_is_told_besides)
{
	static const struct {
		const char *users, *told;
	} rows[] = {
		{ "", "console=ttyS0 pci=off" },
		{ "quiet -- single", "console=ttyS0 pci=off quiet -- single" },
		{ "console=tty0", "pci=off console=tty0" },
		{ "pci=noacpi", "console=ttyS0 pci=noacpi" },
		{ "console=ttyS1 pci=conf1", "console=ttyS1 pci=conf1" },
		{ "netconsole=x", "console=ttyS0 pci=off netconsole=x" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct guest g = load_with(make_plain(false), 64 * MIB, rows[i].users, 0, 0);

		cr_expect_str_eq(cmdline_of(&g), rows[i].told);
	}
}

/* The user's own words come first when there is little room. */
Test(protocol, what_does_not_fit_is_not_said)
{
	static char line[256];
	struct image image = make_plain(false);
	struct guest g;

	put32(&image, AT_CMDLINE_SIZE, 255);
	memset(line, 'x', 245);
	g = load_with(image, 64 * MIB, line, 0, 0);
	cr_expect_eq(strlen(cmdline_of(&g)), 245 + strlen("pci=off "));
	memset(line, 'x', 255);
	g = load_with(image, 64 * MIB, line, 0, 0);
	cr_expect_str_eq(cmdline_of(&g), line);
}

/*
 * 2.02: "New command line protocol"; what came later is not there, and has the value that the text gives: initrds up to
 * 0x37FFFFFF, command lines of 255, not relocatable, no setup_data, no payload.
 */
Test(protocol, version_2_02)
{
	static char line[257];
	struct image image = make_old(0x202, 0x22c);
	struct guest g = load_with(image, 1024 * MIB, "root=/dev/hda1", 5000, 0);
	uint8_t *zp = zero_page(&g);

	expect_narrow_entry(&g, MIB);
	cr_expect_str_eq((char *)guest_at(&g, get32(zp + AT_CMDLINE)), "console=ttyS0 pci=off root=/dev/hda1");
	cr_expect_eq(get32(zp + AT_INITRD), 0x38000000 - 2 * PAGE, "highest safe byte 0x37FFFFFF");
	cr_expect_eq(get64(zp + AT_SETUP_DATA), 0);
	cr_expect_eq(get32(zp + AT_INITRD_MAX), 0, "what stands behind the header in the file is not part of it");
	cr_expect_eq(zp[0x210], 0xff, "type_of_loader");
	memset(line, 'x', 256);
	load_with(image, 64 * MIB, line, 0, -E2BIG);
}

/* Each field from the version on that brought it. */
Test(protocol, versions_between)
{
	struct image image = make_old(0x203, 0x230);
	struct guest g;

	put32(&image, AT_INITRD_MAX, 0x1ffffff);
	g = load_with(image, 64 * MIB, "quiet", 100, 0);
	cr_expect_eq(get32(zero_page(&g) + AT_INITRD), 0x2000000 - PAGE);
	image = make_old(0x205, 0x235);
	put32(&image, AT_ALIGNMENT, 0x400000);
	image.data[AT_RELOCATABLE] = 1;
	g = load(image, 0);
	expect_narrow_entry(&g, 0x400000);
	image = make_old(0x209, 0x258);
	g = load(image, 0);
	cr_expect_neq(get64(zero_page(&g) + AT_SETUP_DATA), 0, "2.09 has setup_data");
	image = make_old(0x20b, 0x268); /* the last before xloadflags: 64-bit kernels have a 32-bit entry, too */
	put16(&image, AT_XLOADFLAGS, 1);
	g = load(image, 0);
	expect_narrow_entry(&g, MIB);
}

/* "This defaults to the load address of the kernel, and can be used by the boot loader to determine the proper load
 * address": zImages run at 1000h. */
Test(protocol, zimage)
{
	struct image image = make_old(0x204, 0x230);
	struct guest g;

	image.data[AT_LOADFLAGS] = 0;
	put32(&image, AT_CODE32, 0x1000);
	g = load(image, 0);
	expect_narrow_entry(&g, 0x1000);
	cr_expect_eq(*guest_at(&g, 0x1000), 0x90);
	put32(&image, AT_CODE32, 0);
	g = load(image, 0);
	expect_narrow_entry(&g, 0x10000);
	put32(&image, AT_CODE32, 0x7ff00);
	g = load(image, -ENOEXEC);
	cr_expect(strstr(g.rs.error, "loader") != NULL, "%s", g.rs.error);
}

/* zero-page.rst: struct screen_info (include/uapi/linux/screen_info.h) is its first 64 bytes; VIDEO_TYPE_EFI is 70h, VIDEO_TYPE_VGAC 22h,
 * and orig_video_isVGA is 1 for firmware's text modes. */
Test(screen, zero_page)
{
	struct guest g;
	uint8_t *zp;

	guest_init(&g, make_bzimage(pack(make_vmlinux(1, 1), PACK_GZIP)), 64 * MIB);
	g.rq.cmdline = "quiet";
	g.rq.display = (struct display_spec){ DISPLAY_LFB, 800, 600 };
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	zp = zero_page(&g);
	cr_expect_eq(zp[0x0f], 0x70);
	cr_expect(get16(zp + 0x12) == 800 && get16(zp + 0x14) == 600 && get16(zp + 0x16) == 32, "size and depth");
	cr_expect(get32(zp + 0x18) == 0xdf000000 && get32(zp + 0x1c) == 800 * 600 * 4 && get16(zp + 0x24) == 3200, "memory");
	cr_expect(!memcmp(zp + 0x26, "\x08\x10\x08\x08\x08\x00\x08\x18", 8), "red, green, blue, reserved: size, position");
	cr_expect_str_eq((const char *)guest_at(&g, get32(zp + AT_CMDLINE)), "console=tty0 console=ttyS0 pci=off quiet");

	guest_init(&g, make_bzimage(pack(make_vmlinux(1, 1), PACK_GZIP)), 64 * MIB);
	g.rq.cmdline = "console=tty0";
	g.rq.display.kind = DISPLAY_VGA;
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	zp = zero_page(&g);
	cr_expect(zp[0x0f] == 1 && zp[0x06] == 3 && zp[0x07] == 80 && zp[0x0e] == 25 && get16(zp + 0x10) == 16, "mode 3");
	cr_expect_str_eq((const char *)guest_at(&g, get32(zp + AT_CMDLINE)), "pci=off console=tty0");
}
