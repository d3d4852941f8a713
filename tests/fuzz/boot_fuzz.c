/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the loader: any bytes as a kernel image, in any format, into a small guest. The first two bytes
 * choose format and size of the memory, the rest is the image. Memory has guard pages: a write past the
 * guest's end is a crash, also without a sanitizer.
 *
 *   cc -I. -Itests/unit -D_GNU_SOURCE tests/fuzz/boot_fuzz_seeds.c tests/unit/boot_images.c -lz -llzma -lzstd
 * -llz4
 *   clang -g -O1 -I. -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
 *         tests/fuzz/boot_fuzz.c $(ls boot/[!m]*.c boot/me*.c boot/mp*.c boot/mu*.c) -lz -llzma -lzstd -llz4
 */
#include "boot/boot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { GUARD = 1 << 20, RAM_MAX = 32 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Fresh pages each time: what an earlier input wrote must not matter. */
static uint8_t *fresh_ram(size_t size)
{
	static uint8_t *area;

	if (area == NULL) {
		area = mmap(NULL, RAM_MAX + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			    -1, 0);
		if (area == MAP_FAILED)
			exit(1);
	}
	if (mmap(area + GUARD, RAM_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		 -1, 0) == MAP_FAILED ||
	    mprotect(area + GUARD, size, PROT_READ | PROT_WRITE) < 0)
		exit(1);
	return area + GUARD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_request rq = {.cmdline = "quiet", .vcpus = 1};
	static const uint8_t initrd[5000];
	static struct boot_result rs;
	uint8_t *copy;

	if (size < 2)
		return 0;
	rq.format = (enum boot_format)(data[0] % 8); /* one of them unknown */
	rq.ram.low_size = (1 + data[1] % 32) * 1ull << 20;
	rq.ram.low = fresh_ram(rq.ram.low_size);
	if (data[1] & 0x80)
		rq.initrd = (struct boot_image){.data = initrd, .size = sizeof(initrd), .name = "initrd"};
	copy = malloc(size - 2); /* exactly as long as it is, for the address sanitizer */
	if (copy == NULL)
		return 0;
	memcpy(copy, data + 2, size - 2);
	rq.kernel = (struct boot_image){.data = copy, .size = size - 2, .name = "fuzz"};
	if (boot_load(&rq, &rs) == 0 ? rs.cpu.rip >= rq.ram.low_size : rs.error[0] == 0)
		abort();
	free(copy);
	return 0;
}
