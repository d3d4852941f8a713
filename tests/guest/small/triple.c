/* SPDX-License-Identifier: MIT */
/* A triple fault on purpose: an exception with an empty interrupt table. RAX carries a mark for the report. */
#include "guest.h"

void guest_main(void)
{
	static const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} empty = { 0, 0 };

	print("about to fault three times\n");
	__asm__ volatile("lidt %0; mov $0x600dcafe, %%eax; ud2" ::"m"(empty) : "rax");
}
