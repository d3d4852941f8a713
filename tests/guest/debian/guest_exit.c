/* SPDX-License-Identifier: MIT */
/*
 * guest-exit CODE: ends the virtual machine with this exit code, from inside the guest, through the plain exit port
 * (proto/layout.h). Debian's cloud kernel has no /dev/port, so it takes I/O permission itself.
 */
#include "proto/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: guest-exit CODE\n");
		return 2;
	}
	if (ioperm(LAYOUT_EXIT_PLAIN_PORT, 1, 1) < 0) {
		perror("guest-exit: ioperm");
		return 1;
	}
	outb((unsigned char)atoi(argv[1]), LAYOUT_EXIT_PLAIN_PORT);
	return 0;
}
