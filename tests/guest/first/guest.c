/* SPDX-License-Identifier: MIT */
/*
 * frame.h on the machine itself. With -DLAST_FRAME=N the guest ends behind its Nth frame, for whoever counts frames a second.
 */
#include "guest.h"
#include "frame.h"

#ifndef LAST_FRAME
#define LAST_FRAME 0
#endif

enum {
	PORT_SERIAL = 0x3f8,
	PORT_EXIT = 0xf4,
	PORT_FRAME = 0xf5,

	LINE_STATUS = 5,
	DATA_READY = 1 << 0,
	TRANSMIT_EMPTY = 1 << 5,

	CR4_OSXSAVE = 1 << 18,
	XCR0_SSE = 3,
	XCR0_AVX = 1 << 2,
	XCR0_AVX512 = 7 << 5,
};

void frame_show(void)
{
	static unsigned shown;

	outb(PORT_FRAME, 0);
	if (LAST_FRAME && ++shown == LAST_FRAME)
		frame_exit(0);
}

_Noreturn void frame_exit(uint8_t code)
{
	for (;;)
		outb(PORT_EXIT, code);
}

void frame_putc(uint8_t c)
{
	while (!(inb(PORT_SERIAL + LINE_STATUS) & TRANSMIT_EMPTY))
		;
	outb(PORT_SERIAL, c);
}

uint8_t frame_getc(void)
{
	while (!(inb(PORT_SERIAL + LINE_STATUS) & DATA_READY))
		__asm__ volatile("pause");
	return inb(PORT_SERIAL);
}

static bool is_in_ring_3(void)
{
	uint16_t code;

	__asm__("mov %%cs, %0" : "=r"(code));
	return (code & 3) == 3;
}

void frame_enable_vectors(void)
{
	uint32_t a = 1, b, c = 0, d, supported;

	if (is_in_ring_3()) /* start_user.S has done it */
		return;
	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (!(c & 1 << 26))
		return;
	__asm__ volatile("mov %%cr4, %%rax; or %0, %%rax; mov %%rax, %%cr4" ::"r"((uint64_t)CR4_OSXSAVE) : "rax");
	supported = 0xd;
	c = 0;
	__asm__ volatile("cpuid" : "+a"(supported), "=b"(b), "+c"(c), "=d"(d));
	supported &= XCR0_SSE | XCR0_AVX | XCR0_AVX512;
	__asm__ volatile("xsetbv" ::"a"(supported), "d"(0), "c"(0));
}

/* What a compiler calls without being asked. */
void *memset(void *to, int c, size_t n)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(c) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t n)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
	return start;
}
