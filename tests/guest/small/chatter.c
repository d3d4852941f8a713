/* SPDX-License-Identifier: MIT */
/* Prints a mebibyte on COM1 without waiting for anybody, then leaves with code 5. */
#include "guest.h"

void guest_main(void)
{
	for (unsigned i = 0; i < 1048576 / 64; i++)
		print("a line of sixty-four characters, the newline at its end as well\n");
	print_dec(1048576);
	print(" bytes\n");
	finish(5);
}
