/* SPDX-License-Identifier: MIT */
/* What a frame machine's kernel has: a serial port, a port to end, and the frame port (docs/guests.md). */
#ifndef BULKHEAD_TESTS_FRAME_H
#define BULKHEAD_TESTS_FRAME_H

#include "proto/layout.h"

#include <stdint.h>

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void print(const char *text)
{
	for (; *text; text++)
		out8(LAYOUT_COM1, (uint8_t)*text);
}

static inline void print_number(uint64_t value, unsigned base)
{
	char text[24], *at = text + sizeof(text) - 1;

	*at = 0;
	do
		*--at = "0123456789abcdef"[value % base];
	while (value /= base);
	print(at);
}

/* The byte is the exit code of `bulkhead run`. */
_Noreturn static inline void leave(uint8_t code)
{
	out8(LAYOUT_EXIT_PORT_ALT, code);
	for (;;)
		__asm__ volatile("hlt");
}

#endif
