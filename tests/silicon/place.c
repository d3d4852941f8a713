/* SPDX-License-Identifier: MIT */
/* Descriptors: those of Linux's GDT that a program can name, and an LDT of awkward ones, the same on both sides. */
#include "silicon.h"

#include <string.h>

enum { FIRST_FREE = 12, DESCRIPTOR_PAGES = 1 << 23 };

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
			      (s->limit & 0xf0000) | (uint64_t)s->big << 22 | (uint64_t)s->pages << 23 | (s->base & 0xff000000);

	return high << 32 | (uint64_t)(s->base & 0xffff) << 16 | (s->limit & 0xffff);
}

/* Linux's GDT: what programs can load or LAR and VERR can see. find_global() adds the last ones. */
static uint64_t global[16] = {
	[1] = 0x00cf9b000000ffff, [2] = 0x00af9b000000ffff, [3] = 0x00cf93000000ffff,
	[USER_CODE32 >> 3] = 0x00cffb000000ffff, [USER_DATA >> 3] = 0x00cff3000000ffff,
	[USER_CODE64 >> 3] = 0x00affb000000ffff,
};

/* LAR and LSL: false if this program must not see the descriptor. */
static bool look_at(uint16_t selector, uint64_t *attributes, uint64_t *limit)
{
	bool seen;

	__asm__ volatile("lar %[selector], %[attributes]\n\t"
			 "lsl %[selector], %[limit]"
			 : [attributes] "=&r"(*attributes), [limit] "=r"(*limit), "=@ccz"(seen)
			 : [selector] "r"((uint64_t)selector));
	return seen;
}

void find_global(void)
{
	uint64_t attributes = 0, limit = 0;

	for (unsigned n = FIRST_FREE; n < 16; n++)
		if (look_at((uint16_t)(n << 3 | 3), &attributes, &limit) && !(attributes & DESCRIPTOR_PAGES))
			global[n] = (attributes & 0xf0ff00) << 32 | (limit & 0xf0000) << 32 | (limit & 0xffff);
}

uint64_t descriptor_of(uint16_t selector)
{
	const unsigned n = selector >> 3;

	if (selector & 4)
		return n < LOCAL_COUNT ? local_descriptor(&local_segments[n]) : 0;
	return n < 16 ? global[n] : 0;
}

uint64_t segment_base(const struct test_case *t, unsigned seg)
{
	const uint64_t d = descriptor_of(t->in.seg[seg]);

	if (t->code_size == 8 || t->in.seg[seg] == 0)
		return seg == SEG_FS ? t->in.fs_base : seg == SEG_GS ? t->in.gs_base : 0;
	return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

/* The displacement was patched after decoding, but for one of 8 bits, which EVEX scales. */
static uint64_t displacement(const struct test_case *t)
{
	const unsigned unused = 64 - 8 * t->disp_bytes;
	uint64_t v = 0;

	if (t->disp_bytes <= 1)
		return (uint64_t)(int64_t)t->i.disp;
	memcpy(&v, t->code + t->disp_at, t->disp_bytes);
	return (uint64_t)((int64_t)(v << unused) >> unused);
}

uint64_t operand_linear(const struct test_case *t)
{
	const struct insn *i = &t->i;
	uint64_t offset = displacement(t);

	if (i->base == ADDR_PC)
		offset += t->in.rip + t->length;
	else if (i->base != ADDR_NONE)
		offset += t->in.gpr[i->base];
	if (i->index != ADDR_NONE)
		offset += t->in.gpr[i->index] << i->scale;
	if (i->asize != 8)
		offset &= i->asize == 2 ? 0xffff : UINT32_MAX;
	offset += segment_base(t, i->seg);
	return t->code_size == 8 ? offset : (uint32_t)offset;
}

bool is_ours(uint64_t linear)
{
	return (linear >= DATA && linear < DATA + DATA_PAGES * PAGE) || (linear >= STACK && linear < STACK + STACK_PAGES * PAGE);
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
