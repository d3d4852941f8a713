/* SPDX-License-Identifier: MIT */
/*
 * Modes with pixels, one for each letter that comes over the serial port: 'c' colours and attributes of text, 'a' mode 13h, 'p' colour
 * planes, 'b' the Bochs registers, 'm' the framebuffer elsewhere, 'x' sizes that there are not, 'z' nonsense in all registers. 'q' ends the machine.
 */
#include "guest.h"

enum { SEQUENCER = 0x3c4, CRTC = 0x3d4, GRAPHICS = 0x3ce, ATTRIBUTE = 0x3c0, STATUS = 0x3da, DAC = 0x3c8, MISC = 0x3c2 };
enum { DISPI = 0x1ce, ID = 0, XRES, YRES, BPP, ENABLE, VIRT_WIDTH = 6, VIRT_HEIGHT, X_OFFSET, Y_OFFSET, MEMORY };
enum { ENABLED = 0x41 };

static void dispi(uint16_t index, uint16_t value)
{
	outw(DISPI, index);
	outw(DISPI + 1, value);
}

static uint16_t dispi_is(uint16_t index)
{
	outw(DISPI, index);
	return inw(DISPI + 1);
}

static void set_attribute(uint8_t index, uint8_t value)
{
	inb(STATUS);
	outb(ATTRIBUTE, index);
	outb(ATTRIBUTE, value);
	outb(ATTRIBUTE, 0x20);
}

/* What differs between mode 3 and mode 13h (IBM, "Video Subsystem", "BIOS modes"). */
static void graphics_256(bool planes)
{
	static const uint8_t crtc[] = { 0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0x00, 0x00, 0x00,
					0x00, 0x00, 0x00, 0x9c, 0x0e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff };

	outb(MISC, 0x63);
	outw(SEQUENCER, 0x0101);
	outw(SEQUENCER, planes ? 0x0604 : 0x0e04);
	outw(CRTC, 0x0e11); /* registers 0 to 7 can be written */
	for (uint16_t i = 0; i < sizeof(crtc); i++)
		outw(CRTC, (uint16_t)(crtc[i] << 8 | i));
	outw(GRAPHICS, 0x4005);
	outw(GRAPHICS, 0x0506);
	set_attribute(0x10, 0x41);
}

static void mode_13h(void)
{
	volatile uint8_t *screen = (volatile uint8_t *)0xa0000;

	graphics_256(false);
	outb(DAC, 0);
	for (unsigned i = 0; i < 256; i++) {
		outb(DAC + 1, (uint8_t)(i / 4));
		outb(DAC + 1, 0);
		outb(DAC + 1, (uint8_t)(63 - i / 4));
	}
	for (unsigned y = 0; y < 200; y++)
		for (unsigned x = 0; x < 320; x++)
			screen[y * 320 + x] = (uint8_t)(x < 256 ? x : 0);
}

static void bochs(void)
{
	volatile uint32_t *screen = (volatile uint32_t *)LAYOUT_SCREEN_BASE;

	screen[0] = 0x123456;
	dispi(ENABLE, 0);
	dispi(XRES, 800);
	dispi(YRES, 600);
	dispi(BPP, 32);
	dispi(ENABLE, ENABLED);
	print(screen[0] ? "kept\n" : "cleared\n");
	for (unsigned y = 0; y < 600; y++)
		for (unsigned x = 0; x < 800; x++)
			screen[y * 800 + x] = x << 8 | (y & 255);
	print_dec(dispi_is(XRES));
	print("x");
	print_dec(dispi_is(YRES));
	print(", id ");
	print_hex(dispi_is(ID));
	print(", units of memory ");
	print_dec(dispi_is(MEMORY));
	print("\n");
}

static void config_write(uint8_t reg, uint32_t value)
{
	__asm__ volatile("outl %0, %1" ::"a"(0x80000000u | LAYOUT_SCREEN_DEVICE << 11 | reg), "Nd"((uint16_t)0xcf8));
	__asm__ volatile("outl %0, %1" ::"a"(value), "Nd"((uint16_t)0xcfc));
}

/* PCI 3.0, 6.2.5.1: decoding off, a new address, decoding on. The same pixels, and what the display shows. */
static void move(void)
{
	volatile uint32_t *there = (volatile uint32_t *)0xc8000000;

	config_write(0x04, 0);
	config_write(0x10, 0xc8000000);
	config_write(0x04, 2);
	print_hex(there[800 + 3]);
	there[0] = 0xfedcba;
	*(volatile uint8_t *)0xc8000006 = 0x77;
	*(volatile uint16_t *)0xc8000009 = 0x5566;
	print(" moved\n");
	config_write(0x10, 0xdf000000);
	print_hex(there[0] & 0xffff);
	print(" behind it\n");
}

/* What was there stays. */
static void sizes(void)
{
	dispi(ENABLE, 0);
	dispi(XRES, 65535);
	dispi(YRES, 1601);
	dispi(BPP, 24);
	dispi(ENABLE, ENABLED);
	dispi(X_OFFSET, 1);
	dispi(VIRT_WIDTH, 10);
	dispi(Y_OFFSET, 65535);
	print_dec(dispi_is(XRES));
	print("x");
	print_dec(dispi_is(YRES));
	print("x");
	print_dec(dispi_is(BPP));
	print(" at ");
	print_dec(dispi_is(X_OFFSET));
	print(",");
	print_dec(dispi_is(Y_OFFSET));
	print(" of ");
	print_dec(dispi_is(VIRT_WIDTH));
	print("\n");
}

static void nonsense(void)
{
	uint32_t random = 12345;

	dispi(ENABLE, 0);
	for (unsigned n = 0; n < 4000; n++) {
		random = random * 1664525 + 1013904223;
		outb((uint16_t)(0x3b4 + random % 40), (uint8_t)(random >> 8));
		outw((uint16_t)(0x3c0 + (random >> 16) % 32), (uint16_t)(random >> 4));
		inb((uint16_t)(0x3b4 + (random >> 24) % 40));
		dispi((uint16_t)(random >> 28), (uint16_t)(random >> 3));
	}
}

/* Character 01h to 10h in the colours of their numbers, on black and on blue; the last one blinks. */
static void colours(void)
{
	volatile uint16_t *text = (volatile uint16_t *)0xb8000;

	for (unsigned i = 0; i < 16; i++) {
		text[i] = (uint16_t)(i << 8 | 0xdb);
		text[80 + i] = (uint16_t)(0x1000 | i << 8 | 'A');
	}
}

static char typed(void)
{
	while (!(inb(LAYOUT_COM1 + 5) & 1))
		__asm__ volatile("pause");
	return (char)inb(LAYOUT_COM1);
}

static void show(char c)
{
	switch (c) {
	case 'c':
		colours();
		break;
	case 'a':
		mode_13h();
		break;
	case 'p':
		graphics_256(true);
		break;
	case 'b':
		bochs();
		break;
	case 'm':
		move();
		break;
	case 'x':
		sizes();
		break;
	case 'z':
		nonsense();
		break;
	default:
		break;
	}
}

void guest_main(void)
{
	unsigned flips = 0;

	for (uint8_t before = inb(STATUS) & 8; flips < 4;) { /* the beam goes there and back */
		uint8_t now = inb(STATUS) & 8;

		flips += now != before;
		before = now;
	}
	print("ready\n");
	for (char c = typed(); c != 'q'; c = typed()) {
		char name[] = { c, ' ', 'i', 's', ' ', 't', 'h', 'e', 'r', 'e', '\n', 0 };

		show(c);
		print(name);
	}
	finish(7);
}
