/* SPDX-License-Identifier: MIT */
/* PNG files: png.h. */
#include "png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { CHANNELS = 3, FILTER_UP = 2, COLOUR_RGB = 2, LEVEL = 6, DELAY_MAX = 65535 };

static void put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static int put(struct png *p, const void *data, size_t len)
{
	return fwrite(data, 1, len, p->out) == len ? 0 : errno ? -errno : -EIO;
}

/* 5.3, "Chunk layout": length, type, data, CRC of type and data. The data may be in two pieces. */
static int chunk(struct png *p, const char *type, const uint8_t *head, size_t head_len, const uint8_t *data, size_t len)
{
	uint8_t begin[8], end[4];
	uLong crc;
	int rc;

	put32(begin, (uint32_t)(head_len + len));
	memcpy(begin + 4, type, 4);
	crc = crc32(crc32(0, NULL, 0), begin + 4, 4);
	crc = head_len ? crc32(crc, head, (uInt)head_len) : crc;
	crc = len ? crc32(crc, data, (uInt)len) : crc;
	put32(end, (uint32_t)crc);
	rc = put(p, begin, sizeof(begin));
	if (!rc)
		rc = put(p, head, head_len);
	if (!rc)
		rc = put(p, data, len);
	return rc ? rc : put(p, end, sizeof(end));
}

/* acTL: so many frames, for ever. */
static int put_animation(struct png *p)
{
	uint8_t data[8];

	put32(data, p->frames);
	put32(data + 4, 0);
	return chunk(p, "acTL", data, sizeof(data), NULL, 0);
}

static int put_header(struct png *p)
{
	static const uint8_t signature[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	uint8_t data[13] = { 0 };
	int rc;

	put32(data, p->width);
	put32(data + 4, p->height);
	data[8] = 8;
	data[9] = COLOUR_RGB;
	rc = put(p, signature, sizeof(signature));
	if (!rc)
		rc = chunk(p, "IHDR", data, sizeof(data), NULL, 0);
	if (rc || !p->animated)
		return rc;
	p->animation_at = ftell(p->out);
	return p->animation_at < 0 ? -errno : put_animation(p);
}

int png_begin(struct png *p, FILE *out, uint32_t width, uint32_t height, bool animated)
{
	const size_t bytes = (size_t)height * (1 + (size_t)width * CHANNELS);

	*p = (struct png){
		.out = out, .width = width, .height = height, .animated = animated, .packed_max = compressBound(bytes)
	};
	p->raw = malloc(bytes);
	p->packed = malloc(p->packed_max);
	return p->raw && p->packed ? put_header(p) : -ENOMEM;
}

static void unpack_row(uint8_t *to, const uint32_t *pixels, uint32_t width)
{
	for (uint32_t x = 0; x < width; x++, to += CHANNELS) {
		to[0] = (uint8_t)(pixels[x] >> 16);
		to[1] = (uint8_t)(pixels[x] >> 8);
		to[2] = (uint8_t)pixels[x];
	}
}

/* 9.2, "Filter types": Up, which makes zeroes of what stands below its like. From the last row up, so that each finds the one above it
 * unfiltered. */
static void filter(struct png *p, const uint32_t *pixels)
{
	const size_t row = (size_t)p->width * CHANNELS, stride = row + 1;

	for (uint32_t y = 0; y < p->height; y++)
		unpack_row(p->raw + y * stride + 1, pixels + (size_t)y * p->width, p->width);
	for (uint32_t y = p->height; y-- > 0;) {
		uint8_t *at = p->raw + y * stride;

		at[0] = FILTER_UP;
		for (size_t x = 1; y && x <= row; x++)
			at[x] = (uint8_t)(at[x] - at[x - stride]);
	}
}

/* fcTL: the whole picture, over the one before. */
static int put_control(struct png *p, uint32_t delay_ms)
{
	uint8_t data[26] = { 0 };

	put32(data, p->sequence++);
	put32(data + 4, p->width);
	put32(data + 8, p->height);
	delay_ms = delay_ms < DELAY_MAX ? delay_ms : DELAY_MAX;
	data[20] = (uint8_t)(delay_ms >> 8);
	data[21] = (uint8_t)delay_ms;
	data[22] = 1000 >> 8;
	data[23] = 1000 & 0xff;
	return chunk(p, "fcTL", data, sizeof(data), NULL, 0);
}

/* The first frame is what a reader shows that knows no animation. */
int png_frame(struct png *p, const uint32_t *pixels, uint32_t delay_ms)
{
	const size_t bytes = (size_t)p->height * (1 + (size_t)p->width * CHANNELS);
	unsigned long len = p->packed_max;
	uint8_t number[4];
	int rc = 0;

	if (p->frames && !p->animated)
		return -EINVAL;
	filter(p, pixels);
	if (compress2(p->packed, &len, p->raw, bytes, LEVEL) != Z_OK)
		return -ENOMEM;
	if (p->animated)
		rc = put_control(p, delay_ms);
	if (rc)
		return rc;
	if (!p->frames++)
		return chunk(p, "IDAT", NULL, 0, p->packed, len);
	put32(number, p->sequence++);
	return chunk(p, "fdAT", number, sizeof(number), p->packed, len);
}

/* Only now it is known how many there are. */
static int count_frames(struct png *p)
{
	long end = ftell(p->out);
	int rc;

	if (end < 0 || fseek(p->out, p->animation_at, SEEK_SET) < 0)
		return -errno;
	rc = put_animation(p);
	return !rc && fseek(p->out, end, SEEK_SET) < 0 ? -errno : rc;
}

int png_end(struct png *p)
{
	int rc = p->frames ? chunk(p, "IEND", NULL, 0, NULL, 0) : -ENODATA;

	if (!rc && p->animated)
		rc = count_frames(p);
	free(p->raw);
	free(p->packed);
	p->raw = p->packed = NULL;
	return rc;
}
