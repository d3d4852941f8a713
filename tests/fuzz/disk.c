/* SPDX-License-Identifier: MIT */
/*
 * A driver that puts anything into its queue: rings, descriptors, tables and requests are the input's. Each chain is served
 * inside guest memory and inside the image, or breaks the queue; and it comes to an end.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/blk.h"
#include "fuzz.h"

enum { SIZE = 16, RAM = 8192, DESC = 0, AVAIL = 512, USED = 1024, SECTORS = 16, STEPS = 64 };

static uint8_t *ram;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
	CHECK(len <= RAM && addr <= RAM - len);
}

static const struct virtq_memory memory = { at, written, NULL };

static int image(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("image", 0);
	CHECK(ftruncate(fd, 0) == 0 && ftruncate(fd, SECTORS * BLK_SECTOR) == 0);
	return fd;
}

/* Descriptors that lead somewhere, and requests in front of them, so that not every input breaks at once. */
static void fill(struct input *in)
{
	for (unsigned n = 0; n < SIZE; n++) {
		uint8_t *d = ram + DESC + 16 * n;

		d[1] = (uint8_t)(16 + take_below(in, 16));
		d[8] = (uint8_t)take(in, 1);
		d[9] = (uint8_t)take_below(in, 4);
		d[12] = (uint8_t)take_below(in, 8);
		d[14] = (uint8_t)take_below(in, SIZE + 1);
		ram[0x1000 + 256 * n] = (uint8_t)take_below(in, 16);
		ram[0x1008 + 256 * n] = (uint8_t)take_below(in, SECTORS + 2);
	}
	ram[AVAIL + 2] = (uint8_t)take_below(in, SIZE + 2);
	for (unsigned n = 0; n < SIZE; n++)
		ram[AVAIL + 4 + 2 * n] = (uint8_t)take_below(in, SIZE + 1);
}

static void serve(struct virtq *q, struct blk *disk, struct input *in)
{
	static struct virtq_chain chain;

	for (unsigned n = 0; n < STEPS && in->left; n++) {
		int rc = virtq_pop(q, &chain);

		CHECK(rc == 0 || rc == -EAGAIN || rc == -EPROTO);
		if (!rc) {
			int64_t bytes = blk_request(disk, &memory, &chain);

			CHECK(bytes == -EPROTO || bytes > 0);
			if (bytes > 0)
				virtq_push(q, &chain, (uint32_t)bytes);
		}
		virtq_wants_call(q);
		virtq_sleep(q);
		take_poke(in, ram, RAM);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct virtq q = { .indirect = true };
	struct blk disk = { .fd = image(), .sectors = SECTORS };
	unsigned flags = (unsigned)take(&in, 1);

	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);
	q.event_idx = flags & 1;
	q.indirect = !(flags & 2);
	disk.read_only = flags & 4;
	disk.write_through = flags & 8;
	fill(&in);
	if (virtq_start(&q, &memory, SIZE, DESC, AVAIL, USED) == 0)
		serve(&q, &disk, &in);
	CHECK(lseek(disk.fd, 0, SEEK_END) == SECTORS * BLK_SECTOR);
	munmap(ram, RAM);
	return 0;
}
