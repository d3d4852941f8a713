/* SPDX-License-Identifier: MIT */
/* C, on the frame-port machine: nothing to be set up. */
#include "../frame.h"
#include "../print.h"

void guest_main(void)
{
	print("hello from C\n");
	frame_exit(42);
}
