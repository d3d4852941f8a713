/* SPDX-License-Identifier: MIT */
/* EVEX operands: masked loads and stores with fault suppression, broadcasts, masked writes of registers. */
#include "evex.h"

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* Unselected elements are not accessed, so they do not take part in limit checks either. */
static int element_linear(struct emu *e, const struct insn *i, unsigned at, unsigned size, bool write, uint64_t *linear)
{
	return emu_seg_linear(e, i->seg, emu_ea(e, i) + at, size, write, linear);
}

/*
 * Is it one access of all elements? Where a mask suppresses faults, each element is checked by itself, from the lowest on, also if
 * all are selected: one in a missing page faults before a higher one that is out of its segment (measured on Zen 4; the order is a
 * processor's own, SDM vol. 3, 6.9). In 64-bit mode there is no difference.
 */
static bool is_one_access(const struct emu *e, const struct insn *i, uint64_t mask, uint64_t all)
{
	const bool by_element = i->mask && !(evex_row(i)->evex & ISA_NF) && e->code_size != 8;

	return (mask & all) == all && !by_element;
}

/* Within one page that is in the TLB nothing can fault: whole vectors are copied. */
int evex_load_elements(struct emu *e, const struct insn *i, union vec *v, unsigned bytes, unsigned size, uint64_t mask)
{
	const uint64_t all = low_bits(bytes / size);
	const uint8_t *p = NULL;
	uint64_t linear;

	memset(v, 0, sizeof(*v));
	if (!(mask & all))
		return 0;
	if (is_one_access(e, i, mask, all))
		return simd_linear(e, i, bytes, false, &linear) ? EMU_STOP : simd_read(e, i, linear, v, bytes);
	if (e->code_size == 8 && !simd_linear(e, i, bytes, false, &linear))
		p = tlb_read_ptr(e, linear, bytes);
	if (p) {
		ram_read(v, p, bytes);
		return 0;
	}
	for (unsigned k = 0; k < bytes / size; k++)
		if ((mask >> k & 1) &&
		    (element_linear(e, i, k * size, size, false, &linear) || emu_read(e, i->seg, linear, v->u8 + k * size, size)))
			return EMU_STOP;
	return 0;
}

int evex_store_elements(struct emu *e, const struct insn *i, const union vec *v, unsigned bytes, unsigned size,
			uint64_t mask)
{
	const uint64_t all = low_bits(bytes / size);
	uint64_t linear;

	if (is_one_access(e, i, mask, all))
		return simd_linear(e, i, bytes, true, &linear) ? EMU_STOP : simd_write(e, i, linear, v, bytes);
	if ((evex_row(i)->evex & ISA_NF) &&
	    (simd_linear(e, i, bytes, true, &linear) || emu_probe_write(e, i->seg, linear, bytes)))
		return EMU_STOP;
	for (unsigned k = 0; k < bytes / size; k++)
		if ((mask >> k & 1) &&
		    (element_linear(e, i, k * size, size, true, &linear) || emu_probe_write(e, i->seg, linear, size)))
			return EMU_STOP;
	for (unsigned k = 0; k < bytes / size; k++)
		if ((mask >> k & 1) &&
		    (element_linear(e, i, k * size, size, true, &linear) || emu_write(e, i->seg, linear, v->u8 + k * size, size)))
			return EMU_STOP;
	return 0;
}

static void replicate(union vec *v, unsigned size)
{
	for (unsigned done = size; done < EVEX_BYTES; done *= 2)
		memcpy(v->u8 + done, v->u8, done);
}

int evex_source(struct emu *e, const struct insn *i, union vec *v)
{
	const struct isa_row *r = evex_row(i);
	const unsigned bytes = evex_memory_bytes(i);
	uint64_t mask = r->evex & ISA_NF ? UINT64_MAX : evex_mask(e, i);

	if (!i->is_mem) {
		*v = e->cpu.vec[i->rm];
		return 0;
	}
	/* One element for all: it is read if any of them is wanted. */
	if (i->bcst)
		mask = mask & low_bits(evex_bytes(i) / (r->esize > r->elem ? r->esize : r->elem)) ? 1 : 0;
	if (evex_load_elements(e, i, v, bytes, r->esize, mask))
		return EMU_STOP;
	if (i->bcst)
		replicate(v, bytes);
	return 0;
}

/* ---- registers ------------------------------------------------------------------------------------------- */

#define MERGE(elem)                                                                                               \
	for (unsigned k = 0; k < n / sizeof(to->elem[0]); k++)                                                    \
		to->elem[k] = mask >> k & 1 ? d->elem[k] : zero ? 0 : to->elem[k]

static void merge(union vec *to, const union vec *d, unsigned n, unsigned size, uint64_t mask, bool zero)
{
	if (size == 1)
		MERGE(u8);
	else if (size == 2)
		MERGE(u16);
	else if (size == 4)
		MERGE(u32);
	else
		MERGE(u64);
}

void evex_put(struct emu *e, const struct insn *i, unsigned reg, const union vec *d, unsigned n)
{
	union vec *to = &e->cpu.vec[reg];

	if (i->mask)
		merge(to, d, n, evex_row(i)->elem, e->cpu.k[i->mask], i->zero);
	else
		memcpy(to, d, n);
	memset(to->u8 + n, 0, sizeof(*to) - n);
}

void evex_put_scalar(struct emu *e, const struct insn *i, unsigned reg, const union vec *d, const union vec *upper)
{
	const unsigned size = evex_row(i)->elem;
	union vec v = { .u64 = { upper->u64[0], upper->u64[1] } };

	memcpy(&v, &e->cpu.vec[reg], size);
	merge(&v, d, size, size, evex_mask(e, i), i->zero);
	e->cpu.vec[reg] = v;
}

void evex_put_opmask(struct emu *e, const struct insn *i, uint64_t result)
{
	const struct isa_row *r = evex_row(i);
	const unsigned count = r->tuple == ISA_T1S ? 1 : evex_bytes(i) / r->esize;

	e->cpu.k[i->reg] = result & evex_mask(e, i) & low_bits(count);
}

int evex_store(struct emu *e, const struct insn *i, const union vec *v)
{
	const unsigned bytes = evex_memory_bytes(i);

	if (i->is_mem)
		return evex_store_elements(e, i, v, bytes, evex_row(i)->elem, evex_mask(e, i));
	evex_put(e, i, i->rm, v, bytes);
	return 0;
}

/* ---- shapes ---------------------------------------------------------------------------------------------- */

int evex_binary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	union vec b, d;

	if (evex_source(e, i, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, evex_bytes(i));
	evex_write(e, i, &d);
	return 0;
}

int evex_binary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn)
{
	union vec b, d;

	if (evex_source(e, i, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, evex_bytes(i), (uint8_t)i->imm);
	evex_write(e, i, &d);
	return 0;
}

int evex_ternary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	union vec b, d = e->cpu.vec[i->reg];

	if (evex_source(e, i, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, evex_bytes(i));
	evex_write(e, i, &d);
	return 0;
}

int evex_ternary_imm(struct emu *e, const struct insn *i, lane_imm_fn *fn)
{
	union vec b, d = e->cpu.vec[i->reg];

	if (evex_source(e, i, &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, evex_bytes(i), (uint8_t)i->imm);
	evex_write(e, i, &d);
	return 0;
}

int evex_test(struct emu *e, const struct insn *i, lane_test_fn *fn)
{
	union vec b;

	if (evex_source(e, i, &b))
		return EMU_STOP;
	evex_put_opmask(e, i, fn(vex_first(e, i), &b));
	return 0;
}
