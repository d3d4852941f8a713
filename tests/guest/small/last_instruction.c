/* SPDX-License-Identifier: MIT */
/* Writes an exit code, as a string instruction does it, and tries to go on: nothing of that is seen. */
#include "guest.h"

void guest_main(void)
{
	static const uint8_t code = 5;
	const void *at = &code;

	print("before\n");
	__asm__ volatile("outsb" : "+S"(at) : "d"((uint16_t)0xf4));
	for (;;)
		print("after\n");
}
