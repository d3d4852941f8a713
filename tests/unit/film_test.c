/* SPDX-License-Identifier: MIT */
/* Pictures in files: a reader that follows the formats' specifications finds what was put in. (tests/e2e/pictures.py reads whole PNGs.) */
#include "vmm/cli/gif.h"
#include "vmm/cli/png.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { W = 16, H = 9 };

static uint32_t picture[W * H];

static void fill(unsigned seed, unsigned colours)
{
	for (unsigned i = 0; i < W * H; i++)
		picture[i] = (i * 2654435761u + seed) % colours * 0x10203;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* PNG specification, 5.3: the n-th chunk of that type. */
static const uint8_t *find(const uint8_t *file, size_t size, const char *type, unsigned n, uint32_t *len)
{
	for (size_t at = 8; at + 12 <= size; at += 12 + *len) {
		*len = be32(file + at);
		cr_assert_leq(at + 12 + *len, size);
		cr_assert_eq(be32(file + at + 8 + *len), crc32(crc32(0, NULL, 0), file + at + 4, *len + 4));
		if (!memcmp(file + at + 4, type, 4) && n-- == 0)
			return file + at + 8;
	}
	return NULL;
}

/* Undoes filter type Up (9.2). */
static void expect_picture(const uint8_t *packed, uint32_t len)
{
	uint8_t raw[H * (1 + 3 * W)], above[3 * W] = { 0 };
	unsigned long bytes = sizeof(raw);

	cr_assert_eq(uncompress(raw, &bytes, packed, len), Z_OK);
	cr_assert_eq(bytes, sizeof(raw));
	for (unsigned y = 0; y < H; y++) {
		cr_assert_eq(raw[y * (1 + 3 * W)], 2);
		for (unsigned x = 0; x < 3 * W; x++)
			above[x] = (uint8_t)(above[x] + raw[y * (1 + 3 * W) + 1 + x]);
		for (unsigned x = 0; x < W; x++)
			cr_assert_eq((uint32_t)above[3 * x] << 16 | (uint32_t)above[3 * x + 1] << 8 | above[3 * x + 2],
				     picture[y * W + x]);
	}
}

Test(film, png_and_apng)
{
	char *file = NULL;
	size_t size;
	FILE *out = open_memstream(&file, &size);
	const uint8_t *chunk;
	struct png p;
	uint32_t len;

	cr_assert_eq(png_begin(&p, out, W, H, true), 0);
	for (unsigned n = 0; n < 3; n++) {
		fill(n, 200);
		cr_assert_eq(png_frame(&p, picture, 40), 0);
	}
	cr_assert_eq(png_end(&p), 0);
	fclose(out);
	chunk = find((uint8_t *)file, size, "acTL", 0, &len);
	cr_assert(chunk && be32(chunk) == 3 && be32(chunk + 4) == 0, "three frames, for ever");
	chunk = find((uint8_t *)file, size, "fcTL", 2, &len);
	cr_assert(chunk && be32(chunk) == 3 && chunk[21] == 40 && len == 26, "numbers go through fcTL and fdAT");
	fill(0, 200);
	chunk = find((uint8_t *)file, size, "IDAT", 0, &len);
	expect_picture(chunk, len);
	fill(2, 200);
	chunk = find((uint8_t *)file, size, "fdAT", 1, &len);
	expect_picture(chunk + 4, len - 4);
	cr_assert_not_null(find((uint8_t *)file, size, "IEND", 0, &len));
	free(file);
}

Test(film, png_without_a_frame)
{
	char *file = NULL;
	size_t size;
	FILE *out = open_memstream(&file, &size);
	struct png p;

	cr_assert_eq(png_begin(&p, out, W, H, false), 0);
	cr_assert_eq(png_end(&p), -ENODATA);
	fclose(out);
	free(file);
}

/* 256 colours are kept as they are; of more, each pixel stays near its own. */
Test(film, gif_colours)
{
	uint32_t colours[256];
	uint8_t indices[W * H];
	unsigned n;

	fill(1, 140);
	n = gif_indices(picture, W, H, indices, colours);
	for (unsigned i = 0; i < W * H; i++)
		cr_assert(indices[i] < n && colours[indices[i]] == picture[i]);
	for (unsigned i = 0; i < W * H; i++)
		picture[i] = i * 0x071103;
	for (unsigned seed = 0; seed < 3; seed++) {
		uint32_t many[W * 64];
		uint8_t there[W * 64];

		for (unsigned i = 0; i < W * 64; i++)
			many[i] = (i * 2654435761u >> 4 ^ seed) & 0xffffff;
		n = gif_indices(many, W, 64, there, colours);
		cr_assert_eq(n, 252);
		for (unsigned i = 0; i < W * 64; i++)
			for (unsigned shift = 0; shift < 24; shift += 8)
				cr_assert_leq(abs((int)(many[i] >> shift & 0xff) - (int)(colours[there[i]] >> shift & 0xff)), 51,
					      "no further than the next level");
	}
}

Test(film, gif_file)
{
	char *file = NULL;
	size_t size;
	FILE *out = open_memstream(&file, &size);
	struct gif g;

	cr_assert_eq(gif_begin(&g, out, W, H), 0);
	fill(0, 10);
	cr_assert_eq(gif_frame(&g, picture, 0), 0);
	cr_assert_eq(gif_frame(&g, picture, 100), 0);
	cr_assert_eq(gif_end(&g), 0);
	fclose(out);
	cr_assert(size > 20 && !memcmp(file, "GIF89a\x10\0\x09\0", 10));
	cr_assert_eq((uint8_t)file[size - 1], 0x3b, "trailer");
	free(file);
}
