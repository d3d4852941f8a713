/* SPDX-License-Identifier: MIT */
/* AVX and AVX2 instructions that touch memory element by element: masked loads and stores, gathers. */
#include "simd.h"

/* An element is selected by its sign bit. */
static bool selected(const union vec *mask, unsigned k, unsigned size)
{
	return mask->i8[(k + 1) * size - 1] < 0;
}

static bool all_selected(const union vec *mask, unsigned n, unsigned size)
{
	for (unsigned k = 0; k < n / size; k++)
		if (!selected(mask, k, size))
			return false;
	return true;
}

/* Linear address of element k: unselected ones are not accessed, so they do not take part in limit checks either. */
static int element_linear(struct emu *e, const struct insn *i, unsigned k, unsigned size, bool write, uint64_t *linear)
{
	return emu_seg_linear(e, i->seg, emu_ea(e, i) + k * size, size, write, linear);
}

/* As that of EVEX (evex_core.c). */
static bool is_one_access(const struct emu *e, const union vec *mask, unsigned n, unsigned size)
{
	return e->code_size == 8 && all_selected(mask, n, size);
}

static int masked_load(struct emu *e, const struct insn *i, unsigned size)
{
	const union vec *mask = vex_first(e, i);
	const unsigned n = vex_bytes(i);
	union vec d = { .u64 = { 0 } };
	uint64_t linear;

	if (is_one_access(e, mask, n, size)) {
		if (simd_load(e, i, &d, n))
			return EMU_STOP;
	} else {
		for (unsigned k = 0; k < n / size; k++)
			if (selected(mask, k, size) &&
			    (element_linear(e, i, k, size, false, &linear) || emu_read(e, i->seg, linear, d.u8 + k * size, size)))
				return EMU_STOP;
	}
	vex_write(e, i, &d, n);
	return 0;
}

/* All selected elements are probed first, so that a fault leaves nothing written. */
static int masked_store(struct emu *e, const struct insn *i, unsigned size)
{
	const union vec *mask = vex_first(e, i), *s = sse_reg(e, i);
	const unsigned n = vex_bytes(i);
	uint64_t linear;

	if (is_one_access(e, mask, n, size))
		return simd_store(e, i, s, n);
	for (unsigned k = 0; k < n / size; k++)
		if (selected(mask, k, size) &&
		    (element_linear(e, i, k, size, true, &linear) || emu_probe_write(e, i->seg, linear, size)))
			return EMU_STOP;
	for (unsigned k = 0; k < n / size; k++)
		if (selected(mask, k, size) &&
		    (element_linear(e, i, k, size, true, &linear) || emu_write(e, i->seg, linear, s->u8 + k * size, size)))
			return EMU_STOP;
	return 0;
}

/* VMASKMOVPS, VPMASKMOVD; VMASKMOVPD, VPMASKMOVQ */
SEM(avx_maskload32)
{
	return masked_load(e, i, 4);
}

SEM(avx_maskload64)
{
	return masked_load(e, i, 8);
}

SEM(avx_maskstore32)
{
	return masked_store(e, i, 4);
}

SEM(avx_maskstore64)
{
	return masked_store(e, i, 8);
}

/* ---- gathers ------------------------------------------------------------------------------------------- */

static uint64_t gather_offset(const struct emu *e, const struct insn *i, unsigned k, unsigned index_size)
{
	const union vec *index = &e->cpu.vec[i->index];
	const uint64_t value = index_size == 8 ? index->u64[k] : (uint64_t)(int64_t)index->i32[k];
	const uint64_t ea = emu_address_register(e, i->base) + (value << i->scale) + (uint64_t)(int64_t)i->disp;

	return i->asize == 8 ? ea : (uint32_t)ea;
}

/* The mask becomes all ones or all zeroes for each element of the vector length (even those that a gather with wider
 * indexes does not use), and zero above: visible if the first load faults. */
static void normalise_mask(union vec *mask, unsigned n, unsigned size)
{
	for (unsigned k = 0; k < n / size; k++)
		memset(mask->u8 + k * size, selected(mask, k, size) ? 0xff : 0, size);
	memset(mask->u8 + n, 0, sizeof(*mask) - n);
}

/*
 * Elements are loaded from the lowest on; each one that has arrived clears its mask, so that after a fault the
 * instruction goes on where it stopped (SDM vol. 2, VGATHERDPS). Destination, mask and index are different registers:
 * the decoder has seen to it.
 */
static int gather(struct emu *e, const struct insn *i, unsigned size, unsigned index_size)
{
	const unsigned count = vex_bytes(i) / (size > index_size ? size : index_size);
	union vec *d = sse_reg(e, i), *mask = &e->cpu.vec[i->vvvv];
	uint64_t linear;

	normalise_mask(mask, vex_bytes(i), size);
	for (unsigned k = 0; k < count; k++) {
		if (!selected(mask, k, size))
			continue;
		if (emu_seg_linear(e, i->seg, gather_offset(e, i, k, index_size), size, false, &linear) ||
		    emu_read(e, i->seg, linear, d->u8 + k * size, size))
			return EMU_STOP;
		memset(mask->u8 + k * size, 0, size);
		memset(d->u8 + vex_bytes(i), 0, sizeof(*d) - vex_bytes(i));
	}
	memset(mask, 0, sizeof(*mask));
	memset(d->u8 + count * size, 0, sizeof(*d) - count * size);
	return 0;
}

SEM(avx_gather_d32)
{
	return gather(e, i, 4, 4);
}

SEM(avx_gather_d64)
{
	return gather(e, i, 8, 4);
}

SEM(avx_gather_q32)
{
	return gather(e, i, 4, 8);
}

SEM(avx_gather_q64)
{
	return gather(e, i, 8, 8);
}
