/* SPDX-License-Identifier: MIT */
/* A request in words: see ring.h. */
#include "ring.h"

#include <stdio.h>

#include "range.h"

void ring_describe(const struct io_slot *s, char *out, size_t len)
{
	static const char *const names[IO_OPS] = {
		[IO_INVALID] = "nothing",
		[IO_READ] = "read",
		[IO_WRITE] = "write",
		[IO_EOI] = "end of interrupt",
		[IO_INTA] = "interrupt acknowledge",
		[IO_FENCE] = "fence",
		[IO_RESET] = "reset",
	};

	snprintf(out, len, "request %u: %s of %u x %u bytes at %s 0x%llx, data 0x%llx, vcpu %u", s->seq,
		 s->op < IO_OPS ? names[s->op] : "unknown", s->count ? s->count : 1, s->size,
		 s->space == MODEL_PORT ? "port" : "address", (unsigned long long)s->addr, (unsigned long long)s->data, s->vcpu);
}
