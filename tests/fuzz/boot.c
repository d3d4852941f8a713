/* SPDX-License-Identifier: MIT */
/*
 * boot_load() of arbitrary images into a small guest. RAM has no page to spare at either end, results are one of the
 * documented ones, a failure has a sentence, and a success an entry point in RAM.
 *
 * Input: format, memory, command line, initrd, a byte each; the rest is the image.
 */
#include "boot/boot.h"
#include "fuzz.h"
#include "proto/layout.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { GUARD = 1 << 16, HIGH = 1 << 16, INITRD = 5000 };

/* Address randomization would make findings depend on luck. */
ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
	memset(buf, 0x5a, len);
	return (ssize_t)len;
}

static uint8_t *guarded(size_t size)
{
	uint8_t *p = mmap(NULL, size + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED || mprotect(p + GUARD, size, PROT_READ | PROT_WRITE) < 0)
		exit(1);
	return p + GUARD;
}

static void release(uint8_t *p, size_t size)
{
	munmap(p - GUARD, size + 2 * GUARD);
}

static uint64_t entry_address(const struct cpu *c)
{
	return c->seg[SEG_CS].base + c->rip;
}

static void check_result(const struct boot_request *rq, const struct boot_result *rs, int err)
{
	switch (-err) {
	case 0:
		CHECK(strnlen(rs->note, sizeof(rs->note)) < sizeof(rs->note));
		CHECK(rs->format != BOOT_AUTO && (rq->format == BOOT_AUTO || rq->format == rs->format));
		CHECK(entry_address(&rs->cpu) < rq->ram.low_size, "%#llx", (unsigned long long)entry_address(&rs->cpu));
		break;
	case ENOEXEC:
	case ENOMEM:
	case E2BIG:
	case EINVAL:
	case EIO:
		CHECK(rs->error[0] != 0 && strnlen(rs->error, sizeof(rs->error)) < sizeof(rs->error));
		break;
	default:
		CHECK(false, "%d", err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const lines[] = { "console=ttyS0", "nokaslr", "mem=4M quiet", "" };
	static const uint8_t initrd[INITRD], mib[] = { 1, 2, 3, 4, 8, 16, 24, 32 };
	struct boot_request rq = { 0 };
	struct input in = { data, size };
	struct boot_result *rs = fuzz_alloc(sizeof(*rs));
	uint8_t *image;
	unsigned flags;

	rq.format = (enum boot_format)take_below(&in, BOOT_FLAT64 + 1);
	rq.ram.low_size = (uint64_t)mib[take_below(&in, sizeof(mib))] << 20;
	flags = (unsigned)take(&in, 1);
	rq.ram.low = guarded(rq.ram.low_size);
	rq.ram.high_size = flags & 4 ? HIGH : 0;
	rq.ram.high = guarded(HIGH);
	rq.cmdline = lines[flags & 3];
	rq.vcpus = 1 + (flags >> 3 & 7);
	if (flags & 0x40)
		rq.initrd[0] = (struct boot_image){ .data = initrd, .size = INITRD, .name = "initrd" };
	image = fuzz_alloc(in.left ? in.left : 1);
	memcpy(image, in.data, in.left);
	rq.kernel = (struct boot_image){ .data = image, .size = in.left, .name = "kernel" };
	check_result(&rq, rs, boot_load(&rq, rs));
	release(rq.ram.low, rq.ram.low_size);
	release(rq.ram.high, HIGH);
	free(image), free(rs);
	return 0;
}
