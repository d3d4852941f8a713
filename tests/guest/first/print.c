/* SPDX-License-Identifier: MIT */
#include "print.h"
#include "frame.h"

void print(const char *s)
{
	for (; *s; s++)
		frame_putc((uint8_t)*s);
}

void print_dec(uint64_t v)
{
	char digits[21];
	int i = 20;

	digits[i] = 0;
	do {
		digits[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	print(digits + i);
}

void print_hex(uint64_t v)
{
	for (int shift = 60; shift >= 0; shift -= 4)
		frame_putc((uint8_t) "0123456789abcdef"[v >> shift & 15]);
}

uint64_t picture_sum(void)
{
	const uint32_t *pixels = frame_pixels();
	uint64_t sum = SUM_START;

	for (int i = 0; i < FRAME_PIXELS; i++)
		sum = sum_add(sum, pixels[i]);
	return sum;
}
