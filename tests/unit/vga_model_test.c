/* SPDX-License-Identifier: MIT */
/*
 * A PC's display: registers of a VGA (IBM PS/2 Hardware Interface Technical Reference, "Video Subsystem"), of Bochs' VBE extensions
 * (vbe_display_api.txt), and what is shown of them.
 */
#include "model_at.h"

#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/vga_font.h"
#include "devices/vga_model.h"
#include "devices/vga_picture.h"
#include "proto/layout.h"

static struct vga_state s;
static const struct model_config config = { .ram_low = 1 << 20, .vcpus = 1, .display = { .kind = DISPLAY_VGA } };

static uint8_t legacy[LAYOUT_VGA_BYTES], screen[LAYOUT_SCREEN_BYTES];
static const struct vga_memory memory = { legacy, screen };
static struct picture picture;
static const struct vga_canvas canvas = { &picture.half[0], picture.pixels[0], picture.cells[0] };

static void out(unsigned port, unsigned value)
{
	model_write_at(&vga_model, &s, MODEL_PORT, port, value, 1, 0);
}

static void outw(unsigned port, unsigned value)
{
	model_write_at(&vga_model, &s, MODEL_PORT, port, value, 2, 0);
}

static uint8_t in(unsigned port)
{
	return (uint8_t)model_read_at(&vga_model, &s, MODEL_PORT, port, 1, 0);
}

static uint16_t inw(unsigned port)
{
	return (uint16_t)model_read_at(&vga_model, &s, MODEL_PORT, port, 2, 0);
}

static void dispi(unsigned index, unsigned value)
{
	outw(0x1ce, index);
	outw(0x1cf, value);
}

static unsigned dispi_is(unsigned index)
{
	outw(0x1ce, index);
	return inw(0x1cf);
}

static void init(void)
{
	memset(&s, 0xff, sizeof(s));
	memset(legacy, 0, sizeof(legacy));
	vga_model.reset(&s, &config, 0);
}

static void paint(struct vga_blink blink)
{
	vga_picture(&s.vga, &memory, blink, &canvas);
}

static uint32_t dot(uint32_t x, uint32_t y)
{
	return picture.pixels[0][y * picture.half[0].width + x];
}

static void put(unsigned cell, char c, uint8_t attribute)
{
	legacy[0x18000 + 2 * cell] = (uint8_t)c;
	legacy[0x18000 + 2 * cell + 1] = attribute;
}

TestSuite(vga_model, .init = init);

/* Mode 3: 80 by 25 characters; registers that are read as they are written, at both of the CRT controller's addresses. */
Test(vga_model, power_on)
{
	struct vga_mode mode;
	const char *field;

	vga_mode(&s.vga, &mode);
	cr_assert_eq(mode.kind, VGA_MODE_TEXT);
	cr_assert(mode.columns == 80 && mode.lines == 25 && mode.pitch == 80 && mode.start == 0 && mode.base == 0x18000);
	cr_assert(mode.width == 720 && mode.height == 400 && mode.cell_width == 9 && mode.cell_height == 16);
	cr_assert_eq(vga_model.validate(&s, &field), 0);
	out(0x3d4, 0x0e);
	out(0x3d5, 0x12);
	cr_assert_eq(in(0x3d5), 0x12);
	cr_assert_eq(in(0x3b5), 0x12);
	outw(0x3b4, 0x340f);
	cr_assert_eq(in(0x3d4), 0x0f);
	cr_assert_eq(in(0x3d5), 0x34);
	cr_assert_eq(in(0x3cc) & 1, 1, "colour: 3Dxh");
}

/* "CR0-7 ... Bit 7 protects", but for the line compare bit of register 7. */
Test(vga_model, protected_registers)
{
	outw(0x3d4, 0x8e11);
	outw(0x3d4, 0x1201);
	outw(0x3d4, 0x0007);
	out(0x3d4, 1);
	cr_assert_eq(in(0x3d5), 0x4f);
	out(0x3d4, 7);
	cr_assert_eq(in(0x3d5), 0x0f, "1Fh without bit 4");
	outw(0x3d4, 0x0e11);
	outw(0x3d4, 0x2701);
	out(0x3d4, 1);
	cr_assert_eq(in(0x3d5), 0x27);
}

/* "A read of Input Status 1 initialises the flip-flop": 3C0h is the index then. */
Test(vga_model, attribute_flip_flop)
{
	in(0x3da);
	out(0x3c0, 0x01);
	out(0x3c0, 0x2a);
	cr_assert_eq(in(0x3c1), 0x2a);
	out(0x3c0, 0x05);
	in(0x3da);
	out(0x3c0, 0x02);
	out(0x3c0, 0x15);
	cr_assert_eq(in(0x3c1), 0x15);
	out(0x3c0, 0x05);
	cr_assert_eq(in(0x3c1), 0x05);
	out(0x3c0, 0x3f);
	cr_assert_eq(in(0x3c1), 0x3f);
	paint((struct vga_blink){ false, false });
	cr_assert_eq(picture.half[0].columns, 0, "bit 5 is not set: the screen is dark");
}

/* Red, green, blue of six bits; the index goes on behind the third one; 3C7h tells which way it goes. */
Test(vga_model, dac)
{
	out(0x3c8, 254);
	for (unsigned i = 0; i < 9; i++)
		out(0x3c9, 0xc0 + i);
	cr_assert_eq(in(0x3c7), 0);
	out(0x3c7, 255);
	cr_assert_eq(in(0x3c7), 3);
	for (unsigned i = 3; i < 9; i++)
		cr_assert_eq(in(0x3c9), i, "%u", i);
}

/* Of 70 pictures a second, 8% is behind the last line; the beam's way back is a part of that. */
Test(vga_model, status)
{
	unsigned hidden = 0, back = 0;

	for (unsigned us = 0; us < 14268; us++) {
		unsigned now = (unsigned)model_read_at(&vga_model, &s, MODEL_PORT, 0x3da, 1, us * 1000ull);

		hidden += now & 1;
		back += now >> 3 & 1;
		cr_assert_eq(now & ~9u, 0);
		cr_assert(!(now & 8) || now & 1, "what goes back shows nothing");
	}
	cr_assert(hidden > 14268 * 49 / 449 && hidden < 14268 / 2, "%u", hidden);
	cr_assert(back > 50 && back < 80, "two lines of 31.8 us: %u", back);
}

/* The cursor's lines; nothing of it while it is dark, or switched off. */
Test(vga_model, cursor_and_blinking)
{
	put(81, 'A', 0x07);
	put(82, 'B', 0x87);
	outw(0x3d4, 0x000e);
	outw(0x3d4, 81 << 8 | 0x0f);
	paint((struct vga_blink){ false, false });
	cr_assert_eq(picture.half[0].cursor, 81);
	for (unsigned y = 13; y < 15; y++)
		for (unsigned x = 9; x < 18; x++)
			cr_assert_eq(dot(x, 16 + y), 0xaaaaaa);
	cr_assert_eq(dot(9, 16 + 12) == 0xaaaaaa, vga_font['A'][12] >> 7 & 1);
	paint((struct vga_blink){ true, true });
	cr_assert_eq(dot(9, 16 + 13), 0);
	for (unsigned y = 0; y < 16; y++)
		for (unsigned x = 18; x < 27; x++)
			cr_assert_eq(dot(x, 16 + y), 0, "attribute bit 7: it blinks");
	outw(0x3d4, 0x2d0a);
	paint((struct vga_blink){ false, false });
	cr_assert_eq(picture.half[0].cursor, UINT32_MAX);
}

/* The start address moves the screen over 32 KiB of text, round and round. */
Test(vga_model, scrolling)
{
	put(160, 'x', 7);
	put(0, 'y', 7);
	outw(0x3d4, 0x000c);
	outw(0x3d4, 160 << 8 | 0x0d);
	paint((struct vga_blink){ false, false });
	cr_assert_eq(picture.cells[0][0], 0x0700 | 'x');
	outw(0x3d4, 0x3f0c);
	outw(0x3d4, 0xff0d);
	paint((struct vga_blink){ false, false });
	cr_assert_eq(picture.cells[0][1], 0x0700 | 'y');
}

/* Line graphics, C0h to DFh, join: their ninth dot is the eighth again. Eight dots are not nine. */
Test(vga_model, ninth_dot)
{
	put(0, (char)0xc4, 7);
	put(1, (char)0xdb, 7);
	put(2, (char)0xb0, 7);
	paint((struct vga_blink){ true, false });
	cr_assert_eq(dot(17, 3), 0xaaaaaa, "a full block, all of it");
	cr_assert_eq(dot(26, 3), 0);
	outw(0x3c4, 0x0101);
	paint((struct vga_blink){ true, false });
	cr_assert_eq(picture.half[0].width, 640);
}

/* vbe_display_api.txt: a new size while it is disabled, and what is too large is not taken. */
Test(vga_model, bochs_sizes)
{
	struct dispi_mode mode;
	const char *field;

	cr_assert_eq(dispi_is(0), 0xb0c5);
	cr_assert_eq(dispi_is(10), LAYOUT_SCREEN_BYTES >> 16);
	cr_assert(!vga_model_linear(&s, &mode));
	dispi(4, 0x41);
	cr_assert(!vga_model_linear(&s, &mode), "without a size it is not enabled");
	dispi(1, 1280);
	dispi(2, 1024);
	dispi(3, 32);
	dispi(4, 0x41);
	cr_assert(vga_model_take_clear(&s) && !vga_model_take_clear(&s));
	cr_assert(vga_model_linear(&s, &mode));
	cr_assert(mode.width == 1280 && mode.height == 1024 && mode.pitch == 5120 && mode.bytes == 4 && mode.start == 0);
	dispi(1, 640);
	cr_assert_eq(dispi_is(1), 1280, "it is enabled");
	dispi(9, 1);
	dispi(8, 1);
	cr_assert_eq(dispi_is(8), 0, "no room at the right");
	dispi(9, 65535);
	cr_assert(vga_model_linear(&s, &mode));
	cr_assert_leq((uint64_t)mode.start + (uint64_t)mode.pitch * mode.height, LAYOUT_SCREEN_BYTES);
	cr_assert_eq(vga_model.validate(&s, &field), 0, "%s", field);
	dispi(4, 0);
	dispi(4, 0xc1);
	cr_assert(!vga_model_take_clear(&s), "80h: memory stays");
	dispi(4, 0x43);
	cr_assert(dispi_is(1) == 2560 && dispi_is(2) == 1600 && dispi_is(3) == 32, "02h: capabilities");
}

/* 8 bits a pixel have the DAC's colours. */
Test(vga_model, bochs_palette)
{
	struct dispi_mode mode;

	dispi(1, 64);
	dispi(2, 64);
	dispi(3, 8);
	dispi(4, 0x41);
	out(0x3c8, 9);
	out(0x3c9, 63);
	out(0x3c9, 0);
	out(0x3c9, 63);
	screen[65] = 9;
	cr_assert(vga_model_linear(&s, &mode));
	vga_picture_linear(&s.vga, &mode, &memory, &canvas);
	cr_assert_eq(dot(1, 1), 0xff00ff);
}

/* --display lfb: the framebuffer, and of an adapter no more than --vga says. */
Test(vga_model, framebuffer_alone)
{
	const struct model_config lfb = { .ram_low = 1 << 20, .vcpus = 1, .display = { DISPLAY_LFB, 800, 600 } };
	struct dispi_mode mode;

	vga_model.reset(&s, &lfb, 0);
	cr_assert(vga_model_linear(&s, &mode));
	cr_assert(mode.width == 800 && mode.height == 600 && mode.pitch == 3200 && mode.bytes == 4);
	out(0x3d4, 0x0e);
	out(0x3d5, 7);
	cr_assert_eq(in(0x3d5), 7);
	cr_assert_eq(in(0x3da), 0xff);
	cr_assert_eq(in(0x3c4), 0xff);
	cr_assert_eq(inw(0x1cf), 0xffff);
}

static uint64_t mmio(uint64_t addr, unsigned size)
{
	return model_read_at(&vga_model, &s, MODEL_MMIO, addr, size, 0);
}

static void set_mmio(uint64_t addr, uint64_t value, unsigned size)
{
	model_write_at(&vga_model, &s, MODEL_MMIO, addr, value, size, 0);
}

/* PCI 3.0, 6.2: what the function is; 6.2.5.1: all-ones, and the register tells its size. QEMU's standard VGA has the rest. */
Test(vga_model, pci_function)
{
	const uint64_t function = LAYOUT_ECAM_BASE + LAYOUT_SCREEN_DEVICE * LAYOUT_ECAM_DEVICE;
	const char *field;

	cr_assert_eq(mmio(function, 4), 0x11111234);
	cr_assert_eq(mmio(function + 8, 4), 0x03000000);
	cr_assert_eq(mmio(function + 0x10, 4), LAYOUT_SCREEN_BASE | 8);
	set_mmio(function + 0x10, UINT32_MAX, 4);
	set_mmio(function + 0x18, UINT32_MAX, 4);
	cr_assert_eq(mmio(function + 0x10, 4), 0xff000008, "16 MiB, prefetchable");
	cr_assert_eq(mmio(function + 0x14, 4), 0);
	cr_assert_eq(mmio(function + 0x18, 4), 0xfffff000, "4 KiB");
	set_mmio(function + 0x30, UINT32_MAX, 4);
	cr_assert_eq(mmio(function + 0x30, 4), 0, "no expansion ROM");
	cr_assert_eq(vga_model.validate(&s, &field), 0);
}

/* 6.2.5.2: all-ones but for the switch, and the register tells the size; bits 10..1 are reserved, and zero. Only firmware looks for it. */
Test(vga_model, expansion_rom)
{
	const uint64_t function = LAYOUT_ECAM_BASE + LAYOUT_SCREEN_DEVICE * LAYOUT_ECAM_DEVICE;
	const char *field;

	vga_model.reset(&s, &(struct model_config){ .rom = 1 << 18, .display = { .kind = DISPLAY_VGA } }, 0);
	set_mmio(function + 0x30, 0xfffffffe, 4);
	cr_assert_eq(mmio(function + 0x30, 4), 0xffff0000, "64 KiB");
	set_mmio(function + 0x30, 0xfeb00001, 4);
	cr_assert_eq(mmio(function + 0x30, 4), 0xfeb00001);
	cr_assert_eq(vga_model.validate(&s, &field), 0);
	s.has_rom = 0;
	cr_assert_eq(vga_model.validate(&s, &field), -EINVAL, "a register that is not there has a value");
	s.has_rom = 2;
	cr_assert_eq(vga_model.validate(&s, &field), -EINVAL);
}

/* 400h: ports 3C0h to 3DFh; 500h: Bochs' registers, 16 bits each. */
Test(vga_model, registers_as_memory)
{
	const uint64_t bar = LAYOUT_SCREEN_REGISTERS;

	cr_assert_eq(mmio(bar + 0x500, 2), 0xb0c5);
	set_mmio(bar + 0x502, 800, 2);
	set_mmio(bar + 0x504, 600, 2);
	set_mmio(bar + 0x506, 32, 2);
	set_mmio(bar + 0x508, 0x41, 2);
	cr_assert(vga_model_take_clear(&s));
	cr_assert_eq(dispi_is(1), 800);
	set_mmio(bar + 0x414, 0x0e, 1);
	set_mmio(bar + 0x415, 0x11, 1);
	cr_assert_eq(in(0x3d5), 0x11);
	cr_assert_eq(mmio(bar + 0x40c, 1), 0x67, "3CCh");
	cr_assert_eq(mmio(bar, 4) & UINT32_MAX, UINT32_MAX, "no EDID");
}

/* Whatever a guest writes: a state that validates, and a picture that fits. */
Test(vga_model, nonsense)
{
	uint64_t random = 1;

	for (unsigned n = 0; n < 20000; n++) {
		const char *field;
		struct dispi_mode mode;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		out((unsigned)(0x3b4 + (random >> 33) % 40), (unsigned)(random >> 50));
		dispi((unsigned)(random >> 60), (unsigned)(random >> 40) & 0x1fff);
		cr_assert_eq(vga_model.validate(&s, &field), 0, "%s", field);
		if (n % 50)
			continue;
		if (vga_model_linear(&s, &mode))
			cr_assert_leq((uint64_t)mode.start + (uint64_t)mode.pitch * mode.height, LAYOUT_SCREEN_BYTES);
		paint((struct vga_blink){ false, false });
		cr_assert(picture_size_is_good(&picture.half[0]));
	}
}
