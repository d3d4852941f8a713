/* SPDX-License-Identifier: MIT */
/* A virtio GPU without 3D (virtio 1.2, 5.7). */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/gpu.h"
#include "devices/gpu_picture.h"

enum { RAM = 1 << 20, WIDTH = 800, HEIGHT = 600 };

static uint8_t ram[RAM];
static struct gpu_store *store;
static struct gpu gpu;
static uint16_t used; /* index of the control queue */
static uint32_t reply[102];
static struct virtq_chain chain;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
}

static const struct virtq_memory memory = { at, written, NULL };

static void begin(void)
{
	store = calloc(1, sizeof(*store));
	store->magic = GPU_MAGIC;
	store->version = GPU_VERSION;
	store->width = WIDTH;
	store->height = HEIGHT;
	used = 0;
	gpu_init(&gpu, store, NULL, NULL);
}

static void finish(void)
{
	free(store);
}

TestSuite(gpu, .init = begin, .fini = finish);

static int64_t serve(const void *request, uint32_t bytes)
{
	chain.readable = chain.writable = 1;
	chain.pieces[0] = (struct virtq_piece){ (uint8_t *)(uintptr_t)request, 0, bytes };
	chain.pieces[1] = (struct virtq_piece){ (uint8_t *)reply, 0, sizeof(reply) };
	return gpu_control(&gpu, &memory, &chain, used);
}

/* Words behind the head of 24 bytes; the type of the answer. */
static uint32_t ask_words(uint32_t type, const uint32_t *words, unsigned count)
{
	uint32_t q[6 + 64] = { type };

	memcpy(q + 6, words, count * sizeof(*words));
	cr_assert_geq(serve(q, (6 + count) * 4), 24);
	used++;
	return reply[0];
}
#define ASK(type, ...) \
	ask_words(type, (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static uint32_t pixel(unsigned x, unsigned y)
{
	static struct picture_half half;
	static uint16_t cells[PICTURE_CELLS];
	uint32_t *pixels = calloc(PICTURE_PIXELS, 4), value;

	gpu_picture(store, &(struct vga_canvas){ &half, pixels, cells });
	value = pixels[y * half.width + x];
	free(pixels);
	return value;
}

/* A dead one's successor: the store is all that it has. */
static void dies(void)
{
	gpu_init(&gpu, store, NULL, NULL);
}

/* 5.7.6.8: VIRTIO_GPU_RESP_OK_DISPLAY_INFO; the fence of a request is that of its answer. */
Test(gpu, tells_its_size)
{
	const uint32_t q[6] = { GPU_GET_DISPLAY_INFO, 1, 7, 8, 9, 0 };

	cr_assert_eq(serve(q, sizeof(q)), 24 + 16 * 24);
	cr_expect_eq(reply[0], GPU_OK_DISPLAY_INFO);
	cr_expect_arr_eq(reply + 1, q + 1, 16, "flag, fence, context");
	cr_expect_eq(reply[6 + 2], WIDTH);
	cr_expect_eq(reply[6 + 3], HEIGHT);
	cr_expect_eq(reply[6 + 4], 1, "enabled");
	cr_expect_eq(reply[6 + 6 + 4], 0, "there is one scanout");
}

/* A resource of 4 by 2 whose memory lies in three pieces, which part pixels and rows. */
static void make(uint32_t format)
{
	for (unsigned i = 0; i < 32; i++)
		ram[i < 6 ? 100 + i : i < 20 ? 200 + i : 300 + i] = (uint8_t)(i + 1);
	cr_assert_eq(ASK(GPU_CREATE_2D, 5, format, 4, 2), GPU_OK);
	cr_assert_eq(ASK(GPU_ATTACH, 5, 3, 100, 0, 6, 0, 206, 0, 14, 0, 320, 0, 12, 0), GPU_OK);
	cr_assert_eq(ASK(GPU_TRANSFER_2D, 0, 0, 4, 2, 0, 0, 5, 0), GPU_OK);
	cr_assert_eq(ASK(GPU_SET_SCANOUT, 0, 0, 4, 2, 0, 5), GPU_OK);
	cr_assert_eq(ASK(GPU_FLUSH, 0, 0, 4, 2, 5, 0), GPU_OK);
}

/* 5.7.6.8, enum virtio_gpu_formats: the names are of bytes in memory, in their order. */
Test(gpu, shows_each_format)
{
	static const struct {
		uint32_t format, first, last;
	} rows[] = {
		{ GPU_BGRX, 0x030201, 0x1f1e1d }, { GPU_BGRA, 0x030201, 0x1f1e1d }, { GPU_XRGB, 0x020304, 0x1e1f20 },
		{ GPU_ARGB, 0x020304, 0x1e1f20 }, { GPU_RGBA, 0x010203, 0x1d1e1f }, { GPU_RGBX, 0x010203, 0x1d1e1f },
		{ GPU_XBGR, 0x040302, 0x201f1e }, { GPU_ABGR, 0x040302, 0x201f1e },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(rows[i].format);
		cr_expect_eq(pixel(0, 0), rows[i].first, "format %u", rows[i].format);
		cr_expect_eq(pixel(3, 1), rows[i].last, "format %u", rows[i].format);
		cr_assert_eq(ASK(GPU_UNREF, 5, 0), GPU_OK);
		cr_expect_eq(pixel(0, 0), 0, "nothing is black");
	}
	cr_expect_eq(ASK(GPU_CREATE_2D, 5, 5, 4, 2), GPU_ERR_PARAMETER, "there is no format 5");
}

/* Its part of the resource alone changes; `offset` is where that begins in the guest's memory. */
Test(gpu, transfers_a_rectangle)
{
	make(GPU_BGRX);
	memset(ram, 0xee, 1000);
	cr_assert_eq(ASK(GPU_TRANSFER_2D, 2, 1, 1, 1, 24, 0, 5, 0), GPU_OK);
	cr_expect_eq(pixel(2, 1), 0xeeeeee);
	cr_expect_eq(pixel(1, 1), 0x171615);
	cr_expect_eq(pixel(3, 1), 0x1f1e1d);
	cr_assert_eq(ASK(GPU_SET_SCANOUT, 2, 1, 1, 1, 0, 5), GPU_OK);
	cr_expect_eq(pixel(0, 0), 0xeeeeee, "a part of it is shown");
}

Test(gpu, refuses)
{
	make(GPU_BGRX);
	cr_expect_eq(ASK(0x1ff, 0), GPU_ERR_UNSPEC);
	cr_expect_eq(ASK(GPU_FLUSH, 0), GPU_ERR_UNSPEC, "half a request");
	cr_expect_eq(ASK(GPU_CREATE_2D, 5, 2, 4, 2), GPU_ERR_RESOURCE, "there is one");
	cr_expect_eq(ASK(GPU_CREATE_2D, 0, 2, 4, 2), GPU_ERR_RESOURCE, "0 is none");
	cr_expect_eq(ASK(GPU_CREATE_2D, 6, 2, 0, 2), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_CREATE_2D, 6, 2, 4097, 1), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_CREATE_2D, 6, 2, 0x10000, 0x10000), GPU_ERR_PARAMETER, "4 * 2^32 is not 0");
	for (unsigned type = GPU_UNREF; type <= GPU_DETACH; type++)
		if (type == GPU_UNREF || type >= GPU_ATTACH)
			cr_expect_eq(ASK(type, 77, 1, 0, 0, 1, 0), GPU_ERR_RESOURCE);
	cr_expect_eq(ASK(GPU_SET_SCANOUT, 0, 0, 4, 2, 1, 5), GPU_ERR_SCANOUT);
	cr_expect_eq(ASK(GPU_SET_SCANOUT, 0, 0, 4, 2, 0, 77), GPU_ERR_RESOURCE);
	cr_expect_eq(ASK(GPU_SET_SCANOUT, 1, 0, 4, 2, 0, 5), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_SET_SCANOUT, 0xffffffff, 0, 2, 1, 0, 5), GPU_ERR_PARAMETER, "no sum wraps");
	cr_expect_eq(ASK(GPU_FLUSH, 0, 0, 4, 3, 5, 0), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_FLUSH, 0, 0, 0, 2, 5, 0), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_TRANSFER_2D, 0, 0, 4, 2, 1, 0, 5, 0), GPU_ERR_PARAMETER, "one byte beyond its memory");
	cr_expect_eq(ASK(GPU_TRANSFER_2D, 0, 0, 4, 2, 0xffffffff, 0xffffffff, 5, 0), GPU_ERR_PARAMETER);
	cr_expect_eq(ASK(GPU_ATTACH, 5, 1, 0, 0, 1, 0), GPU_ERR_UNSPEC, "it has memory");
	cr_expect_eq(ASK(GPU_DETACH, 5, 0), GPU_OK);
	cr_expect_eq(ASK(GPU_ATTACH, 5, 2, 0, 0, 1, 0), GPU_ERR_PARAMETER, "the second entry is missing");
	cr_expect_eq(ASK(GPU_ATTACH, 5, 0x10000001, 0, 0, 1, 0), GPU_ERR_PARAMETER, "16 * 2^28 is not 0");
	cr_expect_eq(ASK(GPU_ATTACH, 5, 1, RAM - 7, 0, 32, 0), GPU_OK, "looked at when it is used");
	cr_expect_eq(ASK(GPU_TRANSFER_2D, 0, 0, 4, 2, 0, 0, 5, 0), GPU_ERR_PARAMETER, "no memory of the guest's");
	cr_expect_eq(pixel(0, 0), 0x030201, "nothing of all that was done");
}

/* What it keeps is bounded: 64 resources, of 64 MiB together; what is given back can be had again. */
Test(gpu, memory_has_an_end)
{
	for (unsigned id = 1; id <= 4; id++)
		cr_assert_eq(ASK(GPU_CREATE_2D, id, 2, 2048, 2048), GPU_OK);
	cr_expect_eq(ASK(GPU_CREATE_2D, 9, 2, 1, 1), GPU_ERR_OUT_OF_MEMORY);
	cr_assert_eq(ASK(GPU_UNREF, 2, 0), GPU_OK);
	cr_assert_eq(ASK(GPU_CREATE_2D, 9, 2, 2048, 2048), GPU_OK);
	for (unsigned id = 1; id <= 9; id++)
		ASK(GPU_UNREF, id, 0);
	for (unsigned id = 1; id <= GPU_RESOURCES; id++)
		cr_assert_eq(ASK(GPU_CREATE_2D, id, 2, 1, 1), GPU_OK);
	cr_expect_eq(ASK(GPU_CREATE_2D, 100, 2, 1, 1), GPU_ERR_OUT_OF_MEMORY);
	cr_expect_null(gpu_check(store));
}

/* 5.7.6.10: its hot spot is at that place. */
Test(gpu, pointer)
{
	uint32_t q[14] = { GPU_UPDATE_CURSOR, [7] = 2, [8] = 1, [10] = 6, [11] = 1, [12] = 0 };

	make(GPU_BGRX);
	memset(ram + 5000, 0, 16);
	memcpy(ram + 5000, "\x10\x20\x30\xff", 4);
	cr_assert_eq(ASK(GPU_CREATE_2D, 6, GPU_BGRA, 2, 2), GPU_OK);
	cr_assert_eq(ASK(GPU_ATTACH, 6, 1, 5000, 0, 16, 0), GPU_OK);
	cr_assert_eq(ASK(GPU_TRANSFER_2D, 0, 0, 2, 2, 0, 0, 6, 0), GPU_OK);
	chain.pieces[0] = (struct virtq_piece){ (uint8_t *)q, 0, sizeof(q) };
	chain.writable = 0;
	cr_assert_eq(gpu_cursor(&gpu, &memory, &chain), 0);
	cr_expect_eq(pixel(1, 1), 0x302010);
	cr_expect_eq(pixel(2, 1), 0x1b1a19, "clear");
	q[0] = GPU_MOVE_CURSOR;
	q[7] = 0; /* the first column is outside, and so is all that is seen of it */
	cr_assert_eq(gpu_cursor(&gpu, &memory, &chain), 0);
	cr_expect_eq(pixel(1, 1), 0x171615);
	cr_expect_eq(pixel(0, 1), 0x131211);
}

/* Dead before the answer, it does the same again; dead behind it, it goes on. Never is anything done twice. */
Test(gpu, death)
{
	static const struct {
		uint32_t type, words[12];
	} steps[] = {
		{ GPU_CREATE_2D, { 5, 2, 4, 2 } },
		{ GPU_CREATE_2D, { 5, 2, 4, 2 } },
		{ GPU_ATTACH, { 5, 1, 100, 0, 32, 0 } },
		{ GPU_ATTACH, { 5, 1, 100, 0, 32, 0 } },
		{ GPU_TRANSFER_2D, { 0, 0, 4, 2, 0, 0, 5 } },
		{ GPU_SET_SCANOUT, { 0, 0, 4, 2, 0, 5 } },
		{ GPU_DETACH, { 5 } },
		{ GPU_UNREF, { 5 } },
		{ GPU_UNREF, { 5 } },
	};
	static const uint32_t answers[] = { GPU_OK, GPU_ERR_RESOURCE, GPU_OK, GPU_ERR_UNSPEC,  GPU_OK,
					    GPU_OK, GPU_OK,	      GPU_OK, GPU_ERR_RESOURCE };

	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		cr_expect_eq(ask_words(steps[i].type, steps[i].words, 12), answers[i], "step %u", i);
		used--;
		dies();
		cr_expect_eq(ask_words(steps[i].type, steps[i].words, 12), answers[i], "step %u again", i);
		dies();
	}
}

/* A driver that begins anew finds nothing; one whose queue goes on, all. */
Test(gpu, another_driver)
{
	make(GPU_BGRX);
	dies();
	cr_expect_eq(ASK(GPU_FLUSH, 0, 0, 4, 2, 5, 0), GPU_OK);
	dies();
	used = 0;
	cr_expect_eq(ASK(GPU_FLUSH, 0, 0, 4, 2, 5, 0), GPU_ERR_RESOURCE);
	cr_expect_eq(pixel(0, 0), 0);
}

/* A store was written by one who crashed. */
Test(gpu, broken_store)
{
	make(GPU_BGRX);
	store->resources[0].page = GPU_PAGES;
	dies();
	cr_expect_null(gpu_check(store));
	cr_expect_null(gpu_resource_of(store, 5));
	make(GPU_BGRX);
	store->scanout.rect.width = 5;
	dies();
	cr_expect_eq(store->scanout.resource, 0);
	store->width = 0;
	dies();
	cr_expect_null(gpu_check(store));
}

/* A chain that asks nothing, or has no room for an answer, breaks the queue. */
Test(gpu, chains_that_are_none)
{
	const uint32_t q[6] = { GPU_GET_DISPLAY_INFO };

	cr_expect_eq(serve(q, 23), -EPROTO);
	chain.pieces[0].len = 24;
	chain.pieces[1].len = 23;
	cr_expect_eq(gpu_control(&gpu, &memory, &chain, used), -EPROTO);
}
