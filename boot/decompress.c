/* SPDX-License-Identifier: MIT */
/*
 * The compressions that a Linux build can choose from, each by its own library. LZO is missing: a kernel
 * packed with it (hardly any) unpacks itself in the guest.
 */
#include "decompress.h"

#include "loader.h"

#include <bzlib.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

/* What an xz or lzma stream may ask for: the kernel's build uses dictionaries of up to 128 MiB. */
enum { LZMA_MEMORY_MAX = 256 << 20 };
enum { LZ4_BLOCK_MAX = 8 << 20 };

static int unpack_gzip(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	z_stream z = { .next_in = (uint8_t *)in, .avail_in = (uInt)in_len, .next_out = out, .avail_out = (uInt)room };
	int ret;

	if (in_len > UINT32_MAX || room > UINT32_MAX)
		return -ENOSPC;
	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return -ENOMEM;
	ret = inflate(&z, Z_FINISH);
	*out_len = z.total_out;
	inflateEnd(&z);
	if (ret == Z_STREAM_END)
		return 0;
	if (ret == Z_MEM_ERROR)
		return -ENOMEM;
	return ret == Z_BUF_ERROR && z.avail_out == 0 ? -ENOSPC : -EBADMSG;
}

static int run_lzma(lzma_stream *s, const uint8_t *in, size_t in_len, uint8_t *out, size_t room,
		    size_t *out_len)
{
	lzma_ret ret;

	s->next_in = in;
	s->avail_in = in_len;
	s->next_out = out;
	s->avail_out = room;
	ret = lzma_code(s, LZMA_FINISH);
	*out_len = s->total_out;
	if (ret == LZMA_OK && s->avail_out == 0) {
		/* The end mark may still be unread although all output is there: one more step, with no room.
		 */
		uint8_t none;

		s->next_out = &none;
		ret = lzma_code(s, LZMA_FINISH);
	}
	lzma_end(s);
	if (ret == LZMA_STREAM_END)
		return 0;
	if (ret == LZMA_MEM_ERROR || ret == LZMA_MEMLIMIT_ERROR)
		return -ENOMEM;
	return s->avail_out == 0 && ret == LZMA_BUF_ERROR ? -ENOSPC : -EBADMSG;
}

/* Any filter chain that liblzma knows, the x86 BCJ filter of the kernel's build among them. */
static int unpack_xz(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_stream_decoder(&s, LZMA_MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&s, in, in_len, out, room, out_len);
}

static int unpack_lzma(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	lzma_stream s = LZMA_STREAM_INIT;

	if (lzma_alone_decoder(&s, LZMA_MEMORY_MAX) != LZMA_OK)
		return -ENOMEM;
	return run_lzma(&s, in, in_len, out, room, out_len);
}

/* The legacy frame: magic, then blocks of a 32-bit length and at most 8 MiB of output each, to the end of
 * input. */
static int unpack_lz4(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	size_t at = 4, done = 0;

	while (at < in_len) {
		size_t left = room - done;
		uint32_t block;
		int got;

		if (in_len - at < 4)
			return -EBADMSG;
		block = boot_le32(in + at);
		at += 4;
		if (block == 0 || block > in_len - at || block > LZ4_COMPRESSBOUND(LZ4_BLOCK_MAX))
			return -EBADMSG;
		if (left > LZ4_BLOCK_MAX)
			left = LZ4_BLOCK_MAX;
		got = LZ4_decompress_safe((const char *)in + at, (char *)out + done, (int)block, (int)left);
		if (got < 0)
			return -EBADMSG; /* the library does not tell a broken block from a large one */
		at += block;
		done += (size_t)got;
	}
	*out_len = done;
	return 0;
}

static int unpack_zstd(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	size_t frame = ZSTD_findFrameCompressedSize(in, in_len);
	size_t got;

	if (ZSTD_isError(frame))
		return -EBADMSG;
	got = ZSTD_decompress(out, room, in, frame);
	if (!ZSTD_isError(got)) {
		*out_len = got;
		return 0;
	}
	switch (ZSTD_getErrorCode(got)) {
	case ZSTD_error_dstSize_tooSmall:
		return -ENOSPC;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
}

static int unpack_bzip2(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len)
{
	unsigned int len = (unsigned int)room;
	int ret;

	if (in_len > UINT32_MAX || room > UINT32_MAX)
		return -ENOSPC;
	ret = BZ2_bzBuffToBuffDecompress((char *)out, &len, (char *)in, (unsigned int)in_len, 0, 0);
	*out_len = len;
	return ret == BZ_OK ? 0 : ret == BZ_MEM_ERROR ? -ENOMEM : ret == BZ_OUTBUFF_FULL ? -ENOSPC : -EBADMSG;
}

/* gzip ends with the unpacked size by itself; after the others, the kernel's build appends four bytes of it.
 */
static const struct codec codecs[] = {
	{"gzip", {0x1f, 0x8b, 0x08}, 3, 0, unpack_gzip},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0}, 6, 4, unpack_xz},
	{"lzma", {0x5d, 0, 0}, 3, 4, unpack_lzma},
	{"lz4", {0x02, 0x21, 0x4c, 0x18}, 4, 4, unpack_lz4},
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4, 4, unpack_zstd},
	{"bzip2", {'B', 'Z', 'h'}, 3, 4, unpack_bzip2},
};

const struct codec *codec_find(const uint8_t *in, size_t in_len)
{
	for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
		const struct codec *c = &codecs[i];

		if (in_len >= c->magic_len && memcmp(in, c->magic, c->magic_len) == 0)
			return c;
	}
	return NULL;
}
