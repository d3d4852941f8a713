/* SPDX-License-Identifier: MIT */
/* Prints 240 KiB on COM1, less than the console's backlog holds, and leaves at once with code 6. */
#include "guest.h"

void guest_main(void)
{
	for (unsigned i = 0; i < 240 * 1024 / 64; i++)
		print("a line of sixty-four characters, the newline at its end as well\n");
	finish(6);
}
