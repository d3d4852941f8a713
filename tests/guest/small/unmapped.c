/* SPDX-License-Identifier: MIT */
/* What nothing answers reads as all-ones and swallows writes: ports, addresses, of every size, and in strings. */
#include "guest.h"

static uint8_t buffer[64];

void guest_main(void)
{
	uint16_t port = 0x5a0;
	uint64_t addr = 0xd0000000;
	void *to = buffer;
	uint64_t count = sizeof(buffer);

	check(inb(port) == 0xff, "byte port");
	check(inw(port) == 0xffff, "word port");
	check(inl(port) == 0xffffffff, "dword port");
	check(inl(0xfffe) == 0xffffffff, "dword at the end of the port space");
	outb(port, 0x12);
	outw(port, 0x1234);
	check(*(volatile uint8_t *)addr == 0xff, "byte address");
	check(*(volatile uint16_t *)addr == 0xffff, "word address");
	check(mmio_read(addr) == 0xffffffff, "dword address");
	check(*(volatile uint64_t *)addr == ~0ull, "qword address");
	check(*(volatile uint64_t *)(addr + 0xffc) == ~0ull, "qword across pages");
	check(*(volatile uint32_t *)(addr + 1) == ~0u, "unaligned dword");
	mmio_write(addr, 1);
	check(mmio_read(addr) == 0xffffffff, "a write is dropped");
	__asm__ volatile("cld; rep insb" : "+D"(to), "+c"(count) : "d"(port) : "memory");
	for (unsigned i = 0; i < sizeof(buffer); i++)
		check(buffer[i] == 0xff, "REP INSB");
	print("all ones\n");
	finish(0);
}
