/* SPDX-License-Identifier: MIT */
/* Doorbells: see runtime.h. */
#include "runtime.h"

#include <unistd.h>

void runtime_ring_bell(int fd)
{
	ssize_t n = fd >= 0 ? write(fd, "", 1) : 0;

	(void)n; /* a full pipe is a rung bell */
}
