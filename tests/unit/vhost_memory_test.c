/* SPDX-License-Identifier: MIT */
/* SET_MEM_TABLE (QEMU, docs/interop/vhost-user.rst, "Memory regions description"): what a front-end may hand over, and what not. */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/vhost_memory.h"

enum { PAGE = 4096, BYTES = 4 * PAGE };

static struct vhost_back b;

static void setup(void)
{
	memset(&b, 0, sizeof(b));
	b.memory = vhost_memory(&b);
	b.fds[0] = memfd_create("region", 0);
	b.fd_count = 1;
	cr_assert_eq(ftruncate(b.fds[0], BYTES), 0);
}

static void teardown(void)
{
	vhost_forget_memory(&b);
	close(b.fds[0]);
}

TestSuite(vhost_memory, .init = setup, .fini = teardown);

static int take(struct vu_region region)
{
	b.in.body.memory = (struct vu_memory){ .count = 1, .regions = { region } };
	b.in.header.size = 8 + sizeof(region);
	return vhost_take_memory(&b);
}

Test(vhost_memory, addresses)
{
	cr_assert_eq(take((struct vu_region){ 0x100000, 2 * PAGE, 0x7f0000000000, PAGE }), 0);
	cr_expect_eq(vhost_guest_address(&b, 0x7f0000000010), 0x100010, "the front-end's address");
	cr_expect_eq(vhost_guest_address(&b, 0x7f0000000000 + 2 * PAGE), UINT64_MAX);
	cr_expect_eq((uint8_t *)b.memory.at(&b, 0x100000, 1) - (uint8_t *)b.regions[0].mapped, PAGE, "mmap offset");
	cr_expect_not_null(b.memory.at(&b, 0x100000 + 2 * PAGE - 8, 8));
	cr_expect_null(b.memory.at(&b, 0x100000 + 2 * PAGE - 7, 8));
	cr_expect_null(b.memory.at(&b, 0x100000, UINT64_MAX));
}

/* Memory behind the end of its file would be a signal to whoever touches it. */
Test(vhost_memory, longer_than_its_file)
{
	cr_expect_eq(take((struct vu_region){ 0, BYTES, 0, 0 }), 0);
	cr_expect_eq(take((struct vu_region){ 0, BYTES + 1, 0, 0 }), -EPROTO);
	cr_expect_eq(take((struct vu_region){ 0, BYTES, 0, 1 }), -EPROTO);
	cr_expect_eq(take((struct vu_region){ 0, 1ull << 60, 0, 0 }), -EPROTO);
	cr_expect_eq(take((struct vu_region){ 0, 0, 0, 0 }), -EPROTO);
}

Test(vhost_memory, arithmetic)
{
	cr_expect_eq(take((struct vu_region){ UINT64_MAX - 100, PAGE, 0, 0 }), -EPROTO);
	cr_expect_eq(take((struct vu_region){ 0, PAGE, UINT64_MAX - 100, 0 }), -EPROTO);
	cr_expect_eq(take((struct vu_region){ 0, PAGE, 0, UINT64_MAX }), -EPROTO);
}

Test(vhost_memory, as_many_descriptors_as_regions)
{
	b.fd_count = 0;
	cr_expect_eq(take((struct vu_region){ 0, PAGE, 0, 0 }), -EPROTO);
	b.fd_count = 1;
	b.in.header.size = 8;
	cr_expect_eq(vhost_take_memory(&b), -EPROTO, "shorter than its count");
	b.in.body.memory.count = VU_REGIONS + 1;
	b.in.header.size = 8 + (VU_REGIONS + 1) * sizeof(struct vu_region);
	cr_expect_eq(vhost_take_memory(&b), -EPROTO);
}
