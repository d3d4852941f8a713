/* SPDX-License-Identifier: MIT */
/* Unpacking what a bzImage carries. Pure; output never exceeds the room given, whatever the input says. */
#ifndef BULKHEAD_BOOT_DECOMPRESS_H
#define BULKHEAD_BOOT_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

struct codec {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_len;
	uint8_t trailer; /* bytes after the stream that belong to the kernel's build, not to the format */
	/* Sets *out_len. 0, -EBADMSG (broken stream), -ENOSPC (needs more room), -ENOMEM (host memory). */
	int (*unpack)(const uint8_t *in, size_t in_len, uint8_t *out, size_t room, size_t *out_len);
};

/* The codec whose magic opens `in`, or NULL. */
const struct codec *codec_find(const uint8_t *in, size_t in_len);

#endif
