/* SPDX-License-Identifier: MIT */
/* Names of addresses: a System.map, or what nm(1) prints. */
#ifndef BULKHEAD_VMM_TRACE_SYMBOLS_H
#define BULKHEAD_VMM_TRACE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

struct symbols {
	struct symbol {
		uint64_t address;
		const char *name;
	} *of; /* by address */
	size_t count;
};

/* `text` is cut into pieces, and stays the caller's. Lines that are none are passed over. 0 or -ENOMEM. */
int symbols_read(struct symbols *s, char *text, size_t len);
/* "schedule+0x12", with `offset`, or "schedule"; the address itself where no symbol is near below. */
const char *symbols_name(const struct symbols *s, uint64_t address, int offset, char *out, size_t len);

#endif
