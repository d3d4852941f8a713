/* SPDX-License-Identifier: MIT */
/*
 * All four serial ports: each says "port N ready" and sends back what it gets, letters in upper case. '%' at a port prints
 * numbered lines there, some 600 KiB; '@' at COM1 ends it with code 6.
 */
#include "guest.h"

enum { PORTS = 4, LINES = 20000, RBR = 0, THR = 0, FCR = 2, MCR = 4, LSR = 5, LSR_DR = 0x01, LSR_THRE = 0x20 };

static const uint16_t bases[PORTS] = { LAYOUT_COM1, LAYOUT_COM2, LAYOUT_COM3, LAYOUT_COM4 };

static void put(unsigned port, char c)
{
	while (!(inb(bases[port] + LSR) & LSR_THRE))
		;
	outb(bases[port] + THR, (uint8_t)c);
}

static void say(unsigned port, const char *text)
{
	for (; *text; text++)
		put(port, *text);
}

static void say_number(unsigned port, unsigned n)
{
	char digits[8];
	int i = 0;

	do
		digits[i++] = (char)('0' + n % 10);
	while (n /= 10);
	while (i)
		put(port, digits[--i]);
}

static void flood(unsigned port)
{
	for (unsigned i = 0; i < LINES; i++) {
		say(port, "a line with the number ");
		say_number(port, i);
		put(port, '\n');
	}
	say(port, "flooded\n");
}

static void answer(unsigned port, char c)
{
	if (c == '@' && !port)
		finish(6);
	if (c == '%')
		flood(port);
	else
		put(port, c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
}

void guest_main(void)
{
	for (unsigned port = 0; port < PORTS; port++) {
		outb(bases[port] + FCR, 0x07);
		outb(bases[port] + MCR, 0x03);
		say(port, "port ");
		say_number(port, port + 1);
		say(port, " ready\n");
	}
	for (;;)
		for (unsigned port = 0; port < PORTS; port++)
			if (inb(bases[port] + LSR) & LSR_DR)
				answer(port, (char)inb(bases[port] + RBR));
}
