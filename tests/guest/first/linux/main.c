/* SPDX-License-Identifier: MIT */
#include "../frame.h"
#include "../print.h"
#include "linux.h"

enum { NOT_A_PROGRAM = 127 }; /* as shells have it */

void guest_main(void)
{
	struct image image;
	const char *wrong = elf_load(&image);

	if (wrong) {
		print("linux-ring0: ");
		print(wrong);
		print("\n");
		frame_exit(NOT_A_PROGRAM);
	}
	processor_init();
	memory_init(&image);
	files_init(&image);
	enter_program(image.entry, stack_build(&image));
}
