/* SPDX-License-Identifier: MIT */
/* Semantics: bit tests, bit scans, counts, CRC32, compare-and-exchange. */
#include "operand.h"
#include "emu/core/machine.h"
#include "emu/core/host.h"

#include <string.h>

static void set_cf(uint16_t *f, uint64_t a, uint64_t bit)
{
	*f = (uint16_t)((*f & ~IMG_CF) | (a >> bit & 1 ? IMG_CF : 0));
}

static uint64_t do_bts(unsigned size, uint64_t a, uint64_t bit, uint16_t *f)
{
	set_cf(f, a, bit);
	return a | 1ull << bit;
}

static uint64_t do_btr(unsigned size, uint64_t a, uint64_t bit, uint16_t *f)
{
	set_cf(f, a, bit);
	return a & ~(1ull << bit);
}

static uint64_t do_btc(unsigned size, uint64_t a, uint64_t bit, uint16_t *f)
{
	set_cf(f, a, bit);
	return a ^ 1ull << bit;
}

/* With memory and a register offset the bit string extends in both directions from the operand's address (SDM vol. 1,
 * 3.7.3). */
static int bit_address(struct emu *e, const struct insn *i, uint64_t offset, bool write, uint64_t *linear)
{
	bool in_register = isa_rows[i->id].op[1].kind == OPK_G;
	int64_t units = in_register ? sign_extend_from(offset, i->size) >> (i->size == 2 ? 4 : i->size == 4 ? 5 : 6) : 0;
	uint64_t ea = emu_ea(e, i) + (uint64_t)units * i->size;

	return emu_seg_linear(e, i->seg, ea & size_mask(i->asize), i->size, write, linear);
}

static int bit_operation(struct emu *e, const struct insn *i, alu_function *op)
{
	uint64_t offset, bit, linear, a = 0;

	operand_read(e, i, 1, &offset);
	bit = offset & (8u * i->size - 1);
	if (!i->is_mem) {
		a = reg_read(e, i->rm, i->size);
		if (!op)
			set_cf(&e->flags_image, a, bit);
		else
			reg_write(e, i->rm, i->size, op(i->size, a, bit, &e->flags_image));
		return 0;
	}
	if (bit_address(e, i, offset, op != NULL, &linear))
		return EMU_STOP;
	if (op)
		return memory_update(e, i, linear, i->size, op, bit, NULL);
	if (emu_read(e, i->seg, linear, &a, i->size))
		return EMU_STOP;
	set_cf(&e->flags_image, a, bit);
	return 0;
}

int sem_int_bt(struct emu *e, const struct insn *i)
{
	return bit_operation(e, i, NULL);
}

int sem_int_bts(struct emu *e, const struct insn *i)
{
	return bit_operation(e, i, do_bts);
}

int sem_int_btr(struct emu *e, const struct insn *i)
{
	return bit_operation(e, i, do_btr);
}

int sem_int_btc(struct emu *e, const struct insn *i)
{
	return bit_operation(e, i, do_btc);
}

/* ---- scans and counts ---- */

/* ZF is defined; Intel's processors leave a zero source's destination alone (SDM vol. 2, BSF footnote). */
static int scan(struct emu *e, const struct insn *i, bool reverse)
{
	uint64_t v, r;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	e->flags_image = (uint16_t)((e->flags_image & ~IMG_ZF) | (v ? 0 : IMG_ZF));
	if (v) {
		r = (uint64_t)(reverse ? 63 - __builtin_clzll(v) : __builtin_ctzll(v));
		reg_write(e, i->reg, i->size, r);
	}
	return 0;
}

int sem_int_bsf(struct emu *e, const struct insn *i)
{
	return scan(e, i, false);
}

int sem_int_bsr(struct emu *e, const struct insn *i)
{
	return scan(e, i, true);
}

static int count_zeros(struct emu *e, const struct insn *i, bool leading)
{
	unsigned bits = 8u * i->size;
	uint64_t v, r;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	r = bits;
	if (v)
		r = (uint64_t)(leading ? __builtin_clzll(v) - (64 - (int)bits) : __builtin_ctzll(v));
	reg_write(e, i->reg, i->size, r);
	e->flags_image = (uint16_t)((e->flags_image & ~(IMG_ZF | IMG_CF)) | (r == 0 ? IMG_ZF : 0) | (v == 0 ? IMG_CF : 0));
	return 0;
}

int sem_int_tzcnt(struct emu *e, const struct insn *i)
{
	return count_zeros(e, i, false);
}

int sem_int_lzcnt(struct emu *e, const struct insn *i)
{
	return count_zeros(e, i, true);
}

int sem_int_popcnt(struct emu *e, const struct insn *i)
{
	uint64_t v;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	reg_write(e, i->reg, i->size, (uint64_t)__builtin_popcountll(v));
	e->flags_image = (uint16_t)(0x200 | (v ? 0 : IMG_ZF));
	return 0;
}

/* CRC-32C, reflected polynomial 82f63b78h, one bit after the other. */
int sem_int_crc32(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 1);
	uint32_t crc = (uint32_t)e->cpu.gpr[i->reg];
	uint64_t v;

	if (operand_read(e, i, 1, &v))
		return EMU_STOP;
	for (unsigned n = 0; n < size; n++) {
		crc ^= (uint32_t)(v >> (8 * n)) & 0xff;
		for (unsigned k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	e->cpu.gpr[i->reg] = crc;
	return 0;
}

/* ---- compare and exchange ---- */

static void compare_flags(struct emu *e, unsigned size, uint64_t a, uint64_t b)
{
	portable_sbb(size, a, b, 0, &e->flags_image);
}

int sem_int_cmpxchg(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t acc = reg_read(e, RAX, size), src = reg_read(e, i->reg, size), linear, old;

	if (i->is_mem) {
		if (emu_linear(e, i, size, true, &linear) || memory_cmpxchg(e, i, linear, size, acc, src, &old))
			return EMU_STOP;
	} else {
		old = reg_read(e, i->rm, size);
		if (old == acc) /* else not even zero-extended */
			reg_write(e, i->rm, size, src);
	}
	compare_flags(e, size, acc, old);
	if (old != acc)
		reg_write(e, RAX, size, old);
	return 0;
}

/* Atomic compare and exchange of 16 bytes; returns what was there. */
#ifdef HOST_X86_64
static unsigned __int128 host_cmpxchg16(unsigned __int128 *p, unsigned __int128 expected, unsigned __int128 desired)
{
	uint64_t low = (uint64_t)expected, high = (uint64_t)(expected >> 64);

	__asm__ volatile("lock cmpxchg16b %0"
			 : "+m"(*p), "+a"(low), "+d"(high)
			 : "b"((uint64_t)desired), "c"((uint64_t)(desired >> 64))
			 : "cc", "memory");
	return (unsigned __int128)high << 64 | low;
}
#elif defined(__aarch64__)
/* Not __atomic_compare_exchange_16: libatomic takes a lock on some processors, which plain stores do not. */
static unsigned __int128 host_cmpxchg16(unsigned __int128 *p, unsigned __int128 expected, unsigned __int128 desired)
{
	uint64_t low, high, store_low, store_high;
	uint32_t failed;
	bool equal;

	/* What was read counts only once it has been written, be it back: a pair of loads alone is not atomic. */
	do {
		__asm__ volatile("ldaxp %0, %1, %2" : "=&r"(low), "=&r"(high) : "Q"(*p) : "memory");
		equal = ((unsigned __int128)high << 64 | low) == expected;
		store_low = equal ? (uint64_t)desired : low;
		store_high = equal ? (uint64_t)(desired >> 64) : high;
		__asm__ volatile("stlxp %w0, %2, %3, %1" : "=&r"(failed), "=Q"(*p) : "r"(store_low), "r"(store_high) : "memory");
	} while (failed);
	return (unsigned __int128)high << 64 | low;
}
#else
static unsigned __int128 host_cmpxchg16(unsigned __int128 *p, unsigned __int128 expected, unsigned __int128 desired)
{
	__atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return expected;
}
#endif

static int cmpxchg16b(struct emu *e, const struct insn *i)
{
	uint64_t *g = e->cpu.gpr, linear;
	unsigned __int128 old, expected = (unsigned __int128)g[RDX] << 64 | g[RAX],
			       desired = (unsigned __int128)g[RCX] << 64 | g[RBX];
	struct rmw m;
	bool equal;

	if (!emu_has_feature(e, FEAT_CX16))
		return emu_ud(e);
	if (emu_linear(e, i, 16, true, &linear))
		return EMU_STOP;
	if (linear & 15)
		return emu_gp0(e);
	if (mmu_rmw_open(e, i->seg, linear, 16, &m))
		return EMU_STOP;
	if (m.host) {
		old = host_cmpxchg16((void *)m.host, expected, desired);
		mmu_rmw_close(e, &m);
		equal = old == expected;
	} else {
		if (emu_read(e, i->seg, linear, &old, 16))
			return EMU_STOP;
		equal = old == expected;
		if (!equal)
			desired = old;
		if (emu_write(e, i->seg, linear, &desired, 16))
			return EMU_STOP;
	}
	if (!equal) {
		g[RAX] = (uint64_t)old;
		g[RDX] = (uint64_t)(old >> 64);
	}
	e->flags_image = (uint16_t)((e->flags_image & ~IMG_ZF) | (equal ? IMG_ZF : 0));
	return 0;
}

int sem_int_cmpxchg8b(struct emu *e, const struct insn *i)
{
	uint64_t *g = e->cpu.gpr, linear, old;
	uint64_t expected = (uint32_t)g[RAX] | g[RDX] << 32, desired = (uint32_t)g[RBX] | g[RCX] << 32;

	if (i->size == 8)
		return cmpxchg16b(e, i);
	if (emu_linear(e, i, 8, true, &linear) || memory_cmpxchg(e, i, linear, 8, expected, desired, &old))
		return EMU_STOP;
	if (old != expected) {
		g[RAX] = (uint32_t)old;
		g[RDX] = old >> 32;
	}
	e->flags_image = (uint16_t)((e->flags_image & ~IMG_ZF) | (old == expected ? IMG_ZF : 0));
	return 0;
}
