/* SPDX-License-Identifier: MIT */
/* Segment and system descriptors: reading them from the GDT and LDT, and what they put into a segment register. */
#include "internal.h"

/* Base and limit of the table that a selector names; false: an LDT that is not there. */
static bool selector_table(const struct emu *e, uint16_t selector, uint64_t *base, uint32_t *limit)
{
	if (!(selector & 4)) {
		*base = e->cpu.gdtr.base;
		*limit = e->cpu.gdtr.limit;
		return true;
	}
	*base = e->cpu.ldtr.base;
	*limit = e->cpu.ldtr.limit;
	return !(e->cpu.ldtr.attr & SEG_ATTR_UNUSABLE);
}

int desc_read(struct emu *e, uint16_t selector, enum vector vector, struct desc *d)
{
	uint64_t base;
	uint32_t limit;

	if (!selector_table(e, selector, &base, &limit) || (selector | 7u) > limit)
		return emu_fault_code(e, vector, selector & ~3u);
	d->linear = base + (selector & ~7u);
	d->raw_hi = 0;
	return emu_sys_read(e, d->linear, &d->raw, 8);
}

int desc_read_high(struct emu *e, uint16_t selector, enum vector vector, struct desc *d)
{
	uint64_t base;
	uint32_t limit;

	if (!selector_table(e, selector, &base, &limit) || (selector | 7u) + 8 > limit)
		return emu_fault_code(e, vector, selector & ~3u);
	return emu_sys_read(e, d->linear + 8, &d->raw_hi, 8);
}

int desc_set_accessed(struct emu *e, struct desc *d)
{
	if (desc_has(d, SEG_ATTR_ACCESSED))
		return 0;
	d->raw |= 1ull << 40;
	return emu_sys_set_bits32(e, d->linear + 4, 1u << 8, 0);
}

static uint32_t desc_limit(const struct desc *d)
{
	uint32_t limit = (uint32_t)(d->raw & 0xffff) | ((uint32_t)(d->raw >> 32) & 0xf0000);

	return desc_has(d, SEG_ATTR_G) ? (limit << 12) | 0xfff : limit;
}

struct segment desc_segment(const struct desc *d, uint16_t selector)
{
	return (struct segment){
		.base = ((d->raw >> 16) & 0xffffff) | ((d->raw >> 56) << 24),
		.limit = desc_limit(d),
		.attr = desc_attr(d),
		.selector = selector,
	};
}

struct segment desc_system_segment(const struct desc *d, uint16_t selector)
{
	struct segment s = desc_segment(d, selector);

	s.base |= d->raw_hi << 32;
	return s;
}

/* The DPL bits of a null SS hold the privilege level in 64-bit mode, see cpu_cpl(). */
struct segment segment_null(uint16_t selector, unsigned dpl)
{
	return (struct segment){ .attr = SEG_ATTR_UNUSABLE | (dpl << SEG_ATTR_DPL_SHIFT), .selector = selector };
}

/* Real mode loads only selector and base; limit and attributes stay ("big real mode" depends on it). Virtual-8086
 * mode has fixed ones (SDM vol. 3, 20.2.1). */
struct segment segment_real(const struct emu *e, const struct segment *old, uint16_t selector)
{
	struct segment s = *old;

	s.selector = selector;
	s.base = (uint64_t)selector << 4;
	if (sys_v86(e)) {
		s.limit = 0xffff;
		s.attr = SEG_ATTR_P | (3 << SEG_ATTR_DPL_SHIFT) | SEG_ATTR_S | SEG_ATTR_RW | SEG_ATTR_ACCESSED;
	}
	s.attr &= ~(uint32_t)SEG_ATTR_UNUSABLE;
	return s;
}

struct segment segment_flat_code(uint16_t selector, unsigned dpl, bool is_64bit)
{
	return (struct segment){
		.limit = UINT32_MAX,
		.attr = SEG_ATTR_P | (dpl << SEG_ATTR_DPL_SHIFT) | SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_RW | SEG_ATTR_ACCESSED |
			SEG_ATTR_G | (is_64bit ? SEG_ATTR_L : SEG_ATTR_DB),
		.selector = selector,
	};
}

struct segment segment_flat_data(uint16_t selector, unsigned dpl)
{
	return (struct segment){
		.limit = UINT32_MAX,
		.attr = SEG_ATTR_P | (dpl << SEG_ATTR_DPL_SHIFT) | SEG_ATTR_S | SEG_ATTR_RW | SEG_ATTR_ACCESSED | SEG_ATTR_G |
			SEG_ATTR_DB,
		.selector = selector,
	};
}

bool segment_in_limit(const struct segment *s, uint64_t offset, unsigned size)
{
	uint64_t last = offset + size - 1;
	bool expand_down = (s->attr & (SEG_ATTR_CODE | SEG_ATTR_DC)) == SEG_ATTR_DC;

	if (s->attr & SEG_ATTR_UNUSABLE)
		return false;
	if (expand_down)
		return offset > s->limit && last <= ((s->attr & SEG_ATTR_DB) ? UINT32_MAX : 0xffffu);
	return last <= s->limit;
}
