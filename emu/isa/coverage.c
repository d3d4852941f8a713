/* SPDX-License-Identifier: MIT */
/*
 * One byte for each row in the file that ISA_COVERAGE names, shared by all tests that run: those that fork, crash or leave
 * with _exit() count, too.
 */
#include "coverage.h"

#ifdef ISA_COVERAGE
#include "isa.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static uint8_t *open_map(void)
{
	const char *path = getenv("ISA_COVERAGE");
	const int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644) : -1;
	uint8_t *map = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, ISA_COUNT) == 0)
		map = mmap(NULL, ISA_COUNT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

void isa_cover(unsigned row)
{
	static uint8_t *map;
	static bool tried;

	if (!tried)
		map = open_map();
	tried = true;
	if (map)
		map[row] = 1;
}
#endif
