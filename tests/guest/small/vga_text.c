/* SPDX-License-Identifier: MIT */
/*
 * Writes to the text screen as small kernels do: the cursor's place is asked of the CRT controller for each character, the character put
 * into memory, and the cursor moved on; at the bottom, memory is moved up. A line for each letter that comes over the serial
 * port, a hundred for 'n', and for 'f' until the next letter comes; what the controller says is compared with what it was told. 'q' ends the machine.
 */
#include "guest.h"

enum { CRTC = 0x3d4, COLUMNS = 80, LINES = 25, BLANK = 0x0720 };

static volatile uint16_t *const text = (volatile uint16_t *)0xb8000;
static uint16_t expected; /* where the cursor should be */
static uint64_t wrong, lines;

static uint16_t cursor(void)
{
	uint16_t at;

	outb(CRTC, 0x0e);
	at = (uint16_t)(inb(CRTC + 1) << 8);
	outb(CRTC, 0x0f);
	return at | inb(CRTC + 1);
}

static void move_cursor(uint16_t at)
{
	outb(CRTC, 0x0e);
	outb(CRTC + 1, (uint8_t)(at >> 8));
	outb(CRTC, 0x0f);
	outb(CRTC + 1, (uint8_t)at);
	expected = at;
}

static uint16_t scroll(uint16_t at)
{
	for (unsigned i = 0; i < COLUMNS * (LINES - 1); i++)
		text[i] = text[i + COLUMNS];
	for (unsigned i = 0; i < COLUMNS; i++)
		text[COLUMNS * (LINES - 1) + i] = BLANK;
	return (uint16_t)(at - COLUMNS);
}

static void put(char c)
{
	uint16_t at = cursor();

	wrong += at != expected;
	if (c == '\n')
		at = (uint16_t)(at + COLUMNS - at % COLUMNS);
	else
		text[at++] = (uint16_t)(0x0700 | (uint8_t)c);
	if (at >= COLUMNS * LINES)
		at = scroll(at);
	move_cursor(at);
}

static void put_text(const char *s)
{
	while (*s)
		put(*s++);
}

/* "line 00042 ........" */
static void put_line(uint64_t n)
{
	char digits[] = "00000";

	for (int i = 4; i >= 0; i--, n /= 10)
		digits[i] = (char)('0' + n % 10);
	put_text("line ");
	put_text(digits);
	put_text(" of a guest that draws its text itself\n");
}

static bool has_typed(void)
{
	return inb(LAYOUT_COM1 + 5) & 1;
}

static char typed(void)
{
	while (!has_typed())
		__asm__ volatile("pause");
	return (char)inb(LAYOUT_COM1);
}

static void tell(void)
{
	print("line ");
	print_dec(lines);
	print("\n");
}

static void run_on(void)
{
	while (!has_typed()) {
		put_line(++lines);
		if (lines % 100 == 0)
			tell();
	}
}

void guest_main(void)
{
	expected = cursor();
	for (unsigned i = 0; i < COLUMNS * LINES; i++)
		text[i] = BLANK;
	move_cursor(0);
	print("ready\n");
	for (char c = typed(); c != 'q'; c = typed()) {
		if (c == 'f')
			run_on();
		for (unsigned n = c == 'n' ? 100 : 1; n; n--)
			put_line(++lines);
		tell();
	}
	print_dec(wrong);
	print(" wrong\n");
	finish(wrong ? 1 : 7);
}
