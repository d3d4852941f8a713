/* SPDX-License-Identifier: MIT */
/* Requests of a virtio block device (virtio 1.2, 5.2.6), on a file. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/blk.h"

enum { SECTORS = 64, IN = 0, OUT = 1, FLUSH = 4, GET_ID = 8, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2, NOT_WRITTEN = 0x77 };

static struct blk disk;
static struct virtq_chain chain;
static uint8_t header[16], data[64 * BLK_SECTOR], status;

static void written(void *ctx, uint64_t addr, uint64_t len)
{
}
static const struct virtq_memory memory = { NULL, written, NULL };

static void setup(void)
{
	disk = (struct blk){ .fd = memfd_create("disk", 0), .sectors = SECTORS, .id = "serial" };
	cr_assert_eq(ftruncate(disk.fd, SECTORS * BLK_SECTOR), 0);
}

static void teardown(void)
{
	close(disk.fd);
}

TestSuite(blk, .init = setup, .fini = teardown);

static void piece(void *at, uint32_t len, bool write)
{
	chain.pieces[chain.readable + chain.writable] = (struct virtq_piece){ at, 0, len };
	chain.writable += write;
	chain.readable += !write;
}

static void begin(uint32_t type, uint64_t sector)
{
	chain.readable = chain.writable = 0;
	memset(header, 0, sizeof(header));
	memcpy(header, &type, 4);
	memcpy(header + 8, &sector, 8);
	piece(header, 16, false);
	status = NOT_WRITTEN;
}

static int64_t finish(void)
{
	piece(&status, 1, true);
	return blk_request(&disk, &memory, &chain);
}

static int request(uint32_t type, uint64_t sector, uint32_t bytes)
{
	begin(type, sector);
	if (bytes)
		piece(data, bytes, type == IN || type == GET_ID);
	cr_assert_gt(finish(), 0);
	return status;
}

Test(blk, what_is_written_is_read)
{
	memset(data, 0xa5, 1024);
	cr_expect_eq(request(OUT, 7, 1024), OK);
	memset(data, 0, sizeof(data));
	cr_expect_eq(request(IN, 8, 512), OK);
	cr_expect_eq(data[0] & data[511], 0xa5);
	cr_expect_eq(request(IN, 9, 512), OK);
	cr_expect_eq(data[0] | data[511], 0);
	cr_expect_eq(request(FLUSH, 0, 0), OK);
}

/* 2.7.4.1: the device makes no assumption about how a request is cut into descriptors. */
Test(blk, any_layout)
{
	uint8_t in[513] = { 0 };

	memset(data, 0x5a, 512);
	cr_expect_eq(request(OUT, 3, 512), OK);
	begin(IN, 3);
	chain.pieces[0].len = 5;
	piece(header + 5, 11, false);
	piece(in, 1, true);
	piece(in + 1, 512, true);
	cr_expect_eq(blk_request(&disk, &memory, &chain), 513);
	cr_expect_eq(in[0] & in[511], 0x5a);
	cr_expect_eq(in[512], OK, "the status is the last byte");
	begin(OUT, 4);
	chain.pieces[0].len = 4;
	piece(header + 4, 12, false);
	piece(data, 512, false);
	cr_expect_eq(finish(), 1);
	cr_expect_eq(status, OK);
}

Test(blk, bounds)
{
	cr_expect_eq(request(IN, SECTORS - 1, 512), OK);
	cr_expect_eq(request(IN, SECTORS - 1, 1024), IOERR);
	cr_expect_eq(request(OUT, SECTORS, 512), IOERR);
	cr_expect_eq(request(IN, UINT64_MAX, 512), IOERR);
	cr_expect_eq(request(IN, UINT64_MAX / 512, 1024), IOERR);
	cr_expect_eq(request(IN, 0, 511), IOERR);
	cr_expect_eq(request(IN, 0, 0), IOERR);
	cr_expect_eq(request(99, 0, 512), UNSUPP);
}

Test(blk, no_requests_at_all)
{
	begin(IN, 0);
	cr_expect_eq(blk_request(&disk, &memory, &chain), -EPROTO, "no status");
	begin(IN, 0);
	chain.pieces[0].len = 15;
	cr_expect_eq(finish(), -EPROTO, "no header");
	begin(IN, 0);
	piece(data, 512, false);
	piece(data, 512, true);
	cr_expect_eq(finish(), -EPROTO, "data both ways");
}

Test(blk, directions)
{
	begin(IN, 0);
	piece(data, 512, false);
	cr_expect_eq(finish(), 1);
	cr_expect_eq(status, IOERR, "a read into memory that is only to be read");
	begin(OUT, 0);
	piece(data, 512, true);
	finish();
	cr_expect_eq(status, IOERR);
}

Test(blk, read_only)
{
	disk.read_only = true;
	cr_expect_eq(request(OUT, 0, 512), IOERR);
	cr_expect_eq(request(DISCARD, 0, 16), IOERR);
	cr_expect_eq(request(IN, 0, 512), OK);
	cr_expect(blk_features(&disk) & BLK_F_RO);
	cr_expect_not(blk_features(&disk) & (BLK_F_DISCARD | BLK_F_WRITE_ZEROES));
}

static int segment(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	memcpy(data, &sector, 8);
	memcpy(data + 8, &sectors, 4);
	memcpy(data + 12, &flags, 4);
	return request(type, 0, 16);
}

Test(blk, zeroes)
{
	memset(data, 0xff, 4096);
	cr_expect_eq(request(OUT, 0, 4096), OK);
	cr_expect_eq(segment(WRITE_ZEROES, 1, 2, 0), OK);
	cr_expect_eq(segment(WRITE_ZEROES, 4, 1, 1), OK, "may unmap");
	cr_expect_eq(segment(DISCARD, 6, 1, 0), OK);
	cr_expect_eq(segment(DISCARD, 6, 1, 1), UNSUPP, "5.2.6.2: a flag that discard does not have");
	cr_expect_eq(segment(WRITE_ZEROES, 0, 1, 2), UNSUPP);
	cr_expect_eq(segment(WRITE_ZEROES, SECTORS, 1, 0), IOERR);
	cr_expect_eq(segment(WRITE_ZEROES, 1, UINT32_MAX, 0), IOERR);
	cr_expect_eq(request(DISCARD, 0, 15), UNSUPP);
	cr_expect_eq(request(IN, 0, 4096), OK);
	for (unsigned sector = 0; sector < 8; sector++)
		if (sector != 6)
			cr_expect_eq(data[sector * 512] != 0, sector != 1 && sector != 2 && sector != 4, "sector %u", sector);
}

Test(blk, id)
{
	memset(data, 0xff, 20);
	cr_expect_eq(request(GET_ID, 0, 20), OK);
	cr_expect_str_eq((char *)data, "serial");
	cr_expect_eq(request(GET_ID, 0, 19), IOERR);
}

/* An image that somebody has cut off: an error to the guest, and no loop. */
Test(blk, truncated)
{
	cr_assert_eq(ftruncate(disk.fd, 512), 0);
	cr_expect_eq(request(IN, 0, 1024), IOERR);
	cr_expect_eq(disk.errors, 1);
	cr_expect_str_eq(disk.failed, "read");
}

/* 5.2.4 */
Test(blk, configuration)
{
	uint8_t c[BLK_CONFIG_BYTES];
	uint64_t capacity;

	blk_config(&disk, 4, c);
	memcpy(&capacity, c, 8);
	cr_expect_eq(capacity, SECTORS);
	cr_expect_eq(c[20] | c[21] << 8, 512, "blk_size");
	cr_expect_eq(c[34], 4, "num_queues");
}
