/* SPDX-License-Identifier: MIT */
/* Descriptors: those of Linux's GDT that a program can name, and an LDT of awkward ones, the same on both sides. */
#include "silicon.h"

const struct local_segment local_segments[LOCAL_COUNT] = {
	[LDT_CODE32] = { .limit = 0xfffff, .big = true, .pages = true, .present = true, .contents = 2 },
	[LDT_CODE16] = { .base = CODE, .limit = 0xffff, .present = true, .contents = 2 },
	[LDT_SMALL] = { .base = DATA, .limit = 0x17ff, .big = true, .present = true },
	[LDT_DATA16] = { .base = DATA - 0x4000, .limit = 0xffff, .present = true },
	[LDT_DOWN] = { .base = DATA, .limit = 0xfff, .big = true, .present = true, .contents = 1 },
	[LDT_READ_ONLY] = { .limit = 0xfffff, .big = true, .pages = true, .present = true, .read_exec_only = true },
	[LDT_ABSENT] = { .limit = 0xfffff, .big = true, .pages = true },
	[LDT_STACK16] = { .base = STACK - 0x8000, .limit = 0xffff, .present = true },
	[LDT_EXECUTE_ONLY] = { .limit = 0xfffff, .big = true, .pages = true, .present = true, .contents = 2,
			       .read_exec_only = true },
};

/* As Linux makes it (arch/x86/include/asm/desc.h): DPL 3, accessed. */
uint64_t local_descriptor(const struct local_segment *s)
{
	const uint64_t type = (s->read_exec_only ? 0 : 2u) | (unsigned)s->contents << 2 | 1;
	const uint64_t high = (s->base >> 16 & 0xff) | type << 8 | 1 << 12 | 3 << 13 | (uint64_t)s->present << 15 |
			      (s->limit & 0xf0000) | (uint64_t)s->big << 22 | (uint64_t)s->pages << 23 |
			      (s->base & 0xff000000);

	return high << 32 | (uint64_t)(s->base & 0xffff) << 16 | (s->limit & 0xffff);
}

/* Linux's GDT, but for entries that no program can load: LAR and VERR see them. */
static const uint64_t global[16] = {
	[1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff, [3] = 0x00cf93000000ffff,
	[USER_CODE32 >> 3] = 0x00cffb000000ffff, [USER_DATA >> 3] = 0x00cff3000000ffff,
	[USER_CODE64 >> 3] = 0x00affb000000ffff,
};

uint64_t descriptor_of(uint16_t selector)
{
	const unsigned n = selector >> 3;

	if (selector & 4)
		return n < LOCAL_COUNT ? local_descriptor(&local_segments[n]) : 0;
	return n < 16 ? global[n] : 0;
}

bool is_ours(uint64_t linear)
{
	return (linear >= DATA && linear < DATA + DATA_PAGES * PAGE) ||
	       (linear >= STACK && linear < STACK + STACK_PAGES * PAGE);
}

void put_memory(uint64_t linear, const void *data, unsigned bytes)
{
	const uint8_t *p = data;

	for (unsigned n = 0; n < bytes; n++) {
		if (!is_ours(linear + n))
			continue;
		*native_memory(linear + n) = p[n];
		for (unsigned tier = 0; tier < TIERS; tier++)
			*emulated_memory(tier, linear + n) = p[n];
	}
}
