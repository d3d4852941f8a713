/* SPDX-License-Identifier: MIT */
/* Shows frames, whatever comes of them, says so, and ends with 42. */
#include "frame.h"

enum { FRAMES = 3000 };

__attribute__((section(".start"))) void _start(void);
void _start(void)
{
	show_frame();
	print("first frame\n");
	for (uint32_t n = 2; n <= FRAMES; n++) {
		pixels()[0] = n;
		show_frame();
	}
	print("steady done\n");
	leave(42);
}
