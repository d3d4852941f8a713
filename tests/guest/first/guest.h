/* SPDX-License-Identifier: MIT */
/* Ports, and what a compiler wants of a C library: for guests alone. */
#ifndef BULKHEAD_TESTS_FIRST_GUEST_H
#define BULKHEAD_TESTS_FIRST_GUEST_H

#include <stddef.h>
#include <stdint.h>

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

void *memset(void *to, int c, size_t n);
void *memcpy(void *to, const void *from, size_t n);

#endif
