/* SPDX-License-Identifier: MIT */
/*
 * A driver that asks a virtio GPU anything, with deaths in between: only the guest's memory and the store's pixels are touched, what the
 * store holds always makes sense, and each picture comes to an end.
 */
#include "devices/gpu.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/gpu_picture.h"
#include "fuzz.h"

enum { RAM = 8192, STEPS = 64, WORDS = 16 };

static struct gpu_store *store;
static struct gpu gpu;
static uint8_t *ram, *request, *reply;

static void *at(void *ctx, uint64_t addr, uint64_t len)
{
	return len <= RAM && addr <= RAM - len ? ram + addr : NULL;
}

static void written(void *ctx, uint64_t addr, uint64_t len)
{
}

static const struct virtq_memory memory = { at, written, NULL };

/* Small numbers mostly, so that resources are found. */
static void fill(struct input *in, uint32_t *words)
{
	words[0] = (uint32_t)(take_below(in, 8) ? 0x100 + take_below(in, 9) : take(in, 4));
	for (unsigned i = 1; i < WORDS; i++)
		words[i] = (uint32_t)(take_below(in, 16) ? take_below(in, 8) : take(in, 4));
}

static void ask(struct input *in, uint16_t *index, struct virtq_chain *chain)
{
	const bool cursor = !take_below(in, 6);
	uint32_t words[WORDS];
	int64_t rc;

	fill(in, words);
	memcpy(request, words, sizeof(words));
	chain->readable = chain->writable = 1;
	chain->pieces[0] = (struct virtq_piece){ request, 0, (uint32_t)take_below(in, sizeof(words) + 1) };
	chain->pieces[1] = (struct virtq_piece){ reply, 0, (uint32_t)take_below(in, 409) };
	rc = cursor ? gpu_cursor(&gpu, &memory, chain) : gpu_control(&gpu, &memory, chain, *index);
	CHECK(rc == -EPROTO || (rc >= 0 && rc <= 408));
	*index = (uint16_t)(*index + (rc >= 0 && !cursor && take_below(in, 8)));
}

static void look(void)
{
	static struct picture_half half;
	static uint16_t cells[PICTURE_CELLS];
	static uint32_t *pixels;

	if (!pixels)
		pixels = calloc(PICTURE_PIXELS, sizeof(*pixels));
	CHECK(pixels);
	gpu_picture(store, &(struct vga_canvas){ &half, pixels, cells });
	CHECK(picture_size_is_good(&half));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct virtq_chain chain;
	struct input in = { data, size };
	uint16_t index = 0;

	if (!store)
		store = calloc(1, sizeof(*store));
	if (!ram)
		ram = calloc(1, RAM + 4096 + 409);
	CHECK(store && ram);
	request = ram + RAM;
	reply = ram + RAM + 4096;
	gpu_forget(store);
	gpu_init(&gpu, store, NULL, NULL);
	for (unsigned n = 0; n < STEPS && in.left; n++) {
		ask(&in, &index, &chain);
		CHECK(!gpu_check(store));
		if (!take_below(&in, 8))
			gpu_init(&gpu, store, NULL, NULL);
	}
	look();
	return 0;
}
