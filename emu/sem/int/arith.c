/* SPDX-License-Identifier: MIT */
/* Semantics: arithmetic, logic, multiplication, division, decimal adjustment. */
#include "operand.h"

#define BY_SIZE2(name)                                                                                                 \
	static uint64_t do_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *f)                                  \
	{                                                                                                              \
		switch (size) {                                                                                        \
		case 1:                                                                                                \
			return alu_##name##_1((uint8_t)a, (uint8_t)b, f);                                              \
		case 2:                                                                                                \
			return alu_##name##_2((uint16_t)a, (uint16_t)b, f);                                            \
		case 4:                                                                                                \
			return alu_##name##_4((uint32_t)a, (uint32_t)b, f);                                            \
		default:                                                                                               \
			return alu_##name##_8(a, b, f);                                                                \
		}                                                                                                      \
	}
#define BY_SIZE1(name)                                                                                                 \
	static uint64_t do_##name(unsigned size, uint64_t a, uint64_t b, uint16_t *f)                                  \
	{                                                                                                              \
		switch (size) {                                                                                        \
		case 1:                                                                                                \
			return alu_##name##_1((uint8_t)a, f);                                                          \
		case 2:                                                                                                \
			return alu_##name##_2((uint16_t)a, f);                                                         \
		case 4:                                                                                                \
			return alu_##name##_4((uint32_t)a, f);                                                         \
		default:                                                                                               \
			return alu_##name##_8(a, f);                                                                   \
		}                                                                                                      \
	}

BY_SIZE2(add)
BY_SIZE2(sub)
BY_SIZE2(adc)
BY_SIZE2(sbb)
BY_SIZE2(and)
BY_SIZE2(or)
BY_SIZE2(xor)
BY_SIZE1(inc)
BY_SIZE1(dec)
BY_SIZE1(neg)

static uint64_t do_not(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return ~a;
}

static uint64_t do_xchg(unsigned size, uint64_t a, uint64_t b, uint16_t *f)
{
	return b;
}

#define SEM_UPDATE2(name)                                                                                              \
	int sem_int_##name(struct emu *e, const struct insn *i)                                                        \
	{                                                                                                              \
		uint64_t b;                                                                                            \
                                                                                                                       \
		return operand_read(e, i, 1, &b) || operand_update(e, i, do_##name, b, NULL) ? EMU_STOP : 0;           \
	}
#define SEM_UPDATE1(name)                                                                                              \
	int sem_int_##name(struct emu *e, const struct insn *i)                                                        \
	{                                                                                                              \
		return operand_update(e, i, do_##name, 0, NULL);                                                       \
	}
#define SEM_COMPARE(name, op)                                                                                          \
	int sem_int_##name(struct emu *e, const struct insn *i)                                                        \
	{                                                                                                              \
		uint64_t a, b;                                                                                         \
                                                                                                                       \
		if (operand_read(e, i, 0, &a) || operand_read(e, i, 1, &b))                                            \
			return EMU_STOP;                                                                               \
		do_##op(operand_bytes(i, 0), a, b, &e->flags_image);                                                      \
		return 0;                                                                                              \
	}

SEM_UPDATE2(add)
SEM_UPDATE2(sub)
SEM_UPDATE2(adc)
SEM_UPDATE2(sbb)
SEM_UPDATE2(and)
SEM_UPDATE2(or)
SEM_UPDATE2(xor)
SEM_UPDATE1(inc)
SEM_UPDATE1(dec)
SEM_UPDATE1(neg)
SEM_UPDATE1(not)
SEM_COMPARE(cmp, sub)
SEM_COMPARE(test, and)

int sem_int_xchg(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t b, old;

	if (operand_read(e, i, 1, &b) || operand_update(e, i, do_xchg, b, &old))
		return EMU_STOP;
	reg_write(e, isa_rows[i->id].op[1].kind == OPK_AX ? RAX : i->reg, size, old);
	return 0;
}

int sem_int_xadd(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t b, old;

	operand_read(e, i, 1, &b);
	if (!i->is_mem) { /* XADD r, r: the sum wins if both are the same register */
		uint64_t a = reg_read(e, i->rm, size), r = do_add(size, a, b, &e->flags_image);

		reg_write(e, i->reg, size, a);
		reg_write(e, i->rm, size, r);
		return 0;
	}
	if (operand_update(e, i, do_add, b, &old))
		return EMU_STOP;
	reg_write(e, i->reg, size, old);
	return 0;
}

/* ---- multiplication and division ---- */

static void write_product(struct emu *e, unsigned size, uint64_t low, uint64_t high)
{
	if (size == 1) {
		reg_write(e, RAX, 2, (low & 0xff) | (high & 0xff) << 8);
		return;
	}
	reg_write(e, RAX, size, low);
	reg_write(e, RDX, size, high);
}

int sem_int_mul(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t b, low, high;
	unsigned __int128 p;

	if (operand_read(e, i, 0, &b))
		return EMU_STOP;
	p = (unsigned __int128)reg_read(e, RAX, size) * b;
	low = truncate_to((uint64_t)p, size);
	high = truncate_to((uint64_t)(p >> (8 * size)), size);
	write_product(e, size, low, high);
	e->flags_image = img_product(size, low, high != 0);
	return 0;
}

int sem_int_imul1(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	uint64_t b, low;
	__int128 p;

	if (operand_read(e, i, 0, &b))
		return EMU_STOP;
	p = (__int128)sign_extend_from(reg_read(e, RAX, size), size) * sign_extend_from(b, size);
	low = truncate_to((uint64_t)p, size);
	write_product(e, size, low, truncate_to((uint64_t)(p >> (8 * size)), size));
	e->flags_image = img_product(size, low, p != sign_extend_from(low, size));
	return 0;
}

static int imul(struct emu *e, const struct insn *i, uint64_t a, uint64_t b)
{
	uint16_t *f = &e->flags_image;

	switch (i->size) {
	case 2:
		reg_write(e, i->reg, 2, alu_imul_2((uint16_t)a, (uint16_t)b, f));
		break;
	case 4:
		reg_write(e, i->reg, 4, alu_imul_4((uint32_t)a, (uint32_t)b, f));
		break;
	default:
		reg_write(e, i->reg, 8, alu_imul_8(a, b, f));
		break;
	}
	return 0;
}

int sem_int_imul2(struct emu *e, const struct insn *i)
{
	uint64_t b;

	return operand_read(e, i, 1, &b) ? EMU_STOP : imul(e, i, reg_read(e, i->reg, i->size), b);
}

int sem_int_imul3(struct emu *e, const struct insn *i)
{
	uint64_t a;

	return operand_read(e, i, 1, &a) ? EMU_STOP : imul(e, i, a, i->imm);
}

static unsigned __int128 dividend(const struct emu *e, unsigned size)
{
	if (size == 1)
		return reg_read(e, RAX, 2);
	return (unsigned __int128)reg_read(e, RDX, size) << (8 * size) | reg_read(e, RAX, size);
}

int sem_int_div(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0);
	unsigned __int128 n = dividend(e, size), q;
	uint64_t d;

	if (operand_read(e, i, 0, &d))
		return EMU_STOP;
	if (d == 0)
		return emu_fault(e, VEC_DE);
	if (size <= 4) { /* the 128-bit division of the host is slow and rarely needed */
		uint64_t n64 = (uint64_t)n, q64 = n64 / d;

		if (q64 > size_mask(size))
			return emu_fault(e, VEC_DE);
		write_product(e, size, q64, n64 % d);
		return 0;
	}
	if ((uint64_t)(n >> 64) == 0) {
		write_product(e, size, (uint64_t)n / d, (uint64_t)n % d);
		return 0;
	}
	q = n / d;
	if (q > size_mask(size))
		return emu_fault(e, VEC_DE);
	write_product(e, size, (uint64_t)q, (uint64_t)(n % d));
	return 0;
}

int sem_int_idiv(struct emu *e, const struct insn *i)
{
	unsigned size = operand_bytes(i, 0), bits = 16 * size;
	__int128 n = (__int128)(dividend(e, size) << (128 - bits)) >> (128 - bits), q, limit = (__int128)1 << (8 * size - 1);
	uint64_t v;
	int64_t d;

	if (operand_read(e, i, 0, &v))
		return EMU_STOP;
	d = sign_extend_from(v, size);
	if (d == 0 || (d == -1 && n == (__int128)((unsigned __int128)1 << 127)))
		return emu_fault(e, VEC_DE);
	q = n / d;
	if (q >= limit || q < -limit)
		return emu_fault(e, VEC_DE);
	write_product(e, size, (uint64_t)q, (uint64_t)(n % d));
	return 0;
}

/* ---- decimal adjustment (SDM vol. 2, AAA .. DAS) ---- */

static void set_af_cf(uint16_t *f, bool af, bool cf)
{
	*f = (uint16_t)((*f & ~(IMG_AF | IMG_CF)) | (af ? IMG_AF : 0) | (cf ? IMG_CF : 0));
}

static int decimal(struct emu *e, bool subtract)
{
	uint8_t al = (uint8_t)e->cpu.gpr[RAX], old = al;
	bool cf = e->flags_image & IMG_CF, old_cf = cf, af = e->flags_image & IMG_AF;

	if ((al & 15) > 9 || af) {
		cf = old_cf || (subtract ? al < 6 : al > 0xf9);
		al = (uint8_t)(subtract ? al - 6 : al + 6);
		af = true;
	}
	if (old > 0x99 || old_cf) {
		al = (uint8_t)(subtract ? al - 0x60 : al + 0x60);
		cf = true;
	} else if (!subtract) {
		cf = false;
	}
	reg_write(e, RAX, 1, al);
	e->flags_image = img_szp(1, al);
	set_af_cf(&e->flags_image, af, cf);
	return 0;
}

int sem_int_daa(struct emu *e, const struct insn *i)
{
	return decimal(e, false);
}

int sem_int_das(struct emu *e, const struct insn *i)
{
	return decimal(e, true);
}

static int ascii(struct emu *e, bool subtract)
{
	uint16_t ax = (uint16_t)e->cpu.gpr[RAX];
	bool adjust = (ax & 15) > 9 || (e->flags_image & IMG_AF);

	if (adjust)
		ax = (uint16_t)(subtract ? ax - 0x106 : ax + 0x106);
	ax &= 0xff0f;
	reg_write(e, RAX, 2, ax);
	e->flags_image = img_szp(1, ax & 0xff);
	set_af_cf(&e->flags_image, adjust, adjust);
	return 0;
}

int sem_int_aaa(struct emu *e, const struct insn *i)
{
	return ascii(e, false);
}

int sem_int_aas(struct emu *e, const struct insn *i)
{
	return ascii(e, true);
}

int sem_int_aam(struct emu *e, const struct insn *i)
{
	uint8_t al = (uint8_t)e->cpu.gpr[RAX], base = (uint8_t)i->imm;

	if (base == 0)
		return emu_fault(e, VEC_DE);
	reg_write(e, RAX, 2, (uint64_t)(al / base) << 8 | al % base);
	e->flags_image = img_szp(1, al % base);
	return 0;
}

int sem_int_aad(struct emu *e, const struct insn *i)
{
	uint8_t al = (uint8_t)e->cpu.gpr[RAX], ah = (uint8_t)(e->cpu.gpr[RAX] >> 8);

	al = (uint8_t)(al + ah * (uint8_t)i->imm);
	reg_write(e, RAX, 2, al);
	e->flags_image = img_szp(1, al);
	return 0;
}

int sem_int_salc(struct emu *e, const struct insn *i)
{
	reg_write(e, RAX, 1, e->flags_image & IMG_CF ? 0xff : 0);
	return 0;
}

/* ---- one-flag additions ---- */

static int add_one_flag(struct emu *e, const struct insn *i, uint16_t flag)
{
	uint64_t a, b;
	uint16_t f;

	if (operand_read(e, i, 1, &b))
		return EMU_STOP;
	a = reg_read(e, i->reg, i->size);
	a = portable_adc(i->size, a, b, (e->flags_image & flag) != 0, &f);
	reg_write(e, i->reg, i->size, a);
	e->flags_image = (uint16_t)((e->flags_image & ~flag) | (f & IMG_CF ? flag : 0));
	return 0;
}

int sem_int_adcx(struct emu *e, const struct insn *i)
{
	return add_one_flag(e, i, IMG_CF);
}

int sem_int_adox(struct emu *e, const struct insn *i)
{
	return add_one_flag(e, i, IMG_OF);
}
