/* SPDX-License-Identifier: MIT */
/* Every compression of a bzImage by itself: output never exceeds the room, which is a whole allocation. */
#include "boot/decompress.h"
#include "fuzz.h"

#include <errno.h>

enum { ROOM_MAX = 32768 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t room = 1 + take(&in, 2) % ROOM_MAX, len = 0;
	const struct codec *c = codec_find(in.data, in.left);
	uint8_t *copy, *out;
	int err;

	if (c == NULL)
		return -1;
	copy = fuzz_alloc(in.left);
	out = fuzz_alloc(room);
	memcpy(copy, in.data, in.left);
	err = c->unpack(copy, in.left, out, room, &len);
	CHECK(err == 0 || err == -EBADMSG || err == -ENOSPC || err == -ENOMEM, "%d", err);
	if (err == 0)
		CHECK(len <= room);
	free(copy), free(out);
	return 0;
}
