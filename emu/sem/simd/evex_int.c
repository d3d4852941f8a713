/* SPDX-License-Identifier: MIT */
/* Integer AVX-512 that has no older form: arithmetic, bit counts, rotations, funnel shifts, comparisons into opmasks. */
#include "evex.h"

LANES(pmullq, u64, x * y)
LANES(pminsq, i64, x < y ? x : y)
LANES(pminuq, u64, x < y ? x : y)
LANES(pmaxsq, i64, x > y ? x : y)
LANES(pmaxuq, u64, x > y ? x : y)
LANES(pabsq, u64, (int64_t)y < 0 ? 0 - y : y)
EVEX_SEM(pmullq)
EVEX_SEM(pminsq)
EVEX_SEM(pminuq)
EVEX_SEM(pmaxsq)
EVEX_SEM(pmaxuq)
EVEX_SEM(pabsq)

LANES(plzcntd, u32, y ? (uint32_t)__builtin_clz(y) : 32)
LANES(plzcntq, u64, y ? (uint64_t)__builtin_clzll(y) : 64)
LANES(popcntb, u8, __builtin_popcount(y))
LANES(popcntw, u16, __builtin_popcount(y))
LANES(popcntd, u32, __builtin_popcount(y))
LANES(popcntq, u64, __builtin_popcountll(y))
EVEX_SEM(plzcntd)
EVEX_SEM(plzcntq)
EVEX_SEM(popcntb)
EVEX_SEM(popcntw)
EVEX_SEM(popcntd)
EVEX_SEM(popcntq)

/* ---- shifts and rotations --------------------------------------------------------------------------------- */

LANES(psllvw, u16, y < 16 ? x << y : 0)
LANES(psrlvw, u16, y < 16 ? x >> y : 0)
LANES(psravw, i16, x >> ((uint16_t)y < 16 ? y : 15))
LANES(psravq, i64, x >> ((uint64_t)y < 64 ? y : 63))
LANES(prolvd, u32, x << (y & 31) | x >> (-y & 31))
LANES(prolvq, u64, x << (y & 63) | x >> (-y & 63))
LANES(prorvd, u32, x >> (y & 31) | x << (-y & 31))
LANES(prorvq, u64, x >> (y & 63) | x << (-y & 63))
EVEX_SEM(psllvw)
EVEX_SEM(psrlvw)
EVEX_SEM(psravw)
EVEX_SEM(psravq)
EVEX_SEM(prolvd)
EVEX_SEM(prolvq)
EVEX_SEM(prorvd)
EVEX_SEM(prorvq)

/* Rotations by an immediate: the destination is in vvvv. */
#define ROTATE_IMM(name, elem, variable)                                                                          \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		union vec a, count, d;                                                                            \
		if (evex_source(e, i, &a))                                                                        \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < EVEX_BYTES / sizeof(d.elem[0]); k++)                                     \
			count.elem[k] = (uint8_t)i->imm;                                                          \
		lane_##variable(&d, &a, &count, EVEX_BYTES);                                                      \
		evex_put(e, i, i->vvvv, &d, evex_bytes(i));                                                       \
		return 0;                                                                                         \
	}
ROTATE_IMM(proldi, u32, prolvd)
ROTATE_IMM(prolqi, u64, prolvq)
ROTATE_IMM(prordi, u32, prorvd)
ROTATE_IMM(prorqi, u64, prorvq)

/* The high half of hi:lo << c, the low half of hi:lo >> c. */
#define FUNNEL(elem)                                                                                              \
	FPU_INLINE __typeof__(((union vec *)0)->elem[0]) shld_##elem(uint64_t hi, uint64_t lo, uint64_t c)        \
	{                                                                                                         \
		const unsigned bits = 8 * sizeof(((union vec *)0)->elem[0]), n = (unsigned)c & (bits - 1);        \
		return (__typeof__(((union vec *)0)->elem[0]))(n ? hi << n | lo >> (bits - n) : hi);              \
	}                                                                                                         \
	FPU_INLINE __typeof__(((union vec *)0)->elem[0]) shrd_##elem(uint64_t hi, uint64_t lo, uint64_t c)        \
	{                                                                                                         \
		const unsigned bits = 8 * sizeof(((union vec *)0)->elem[0]), n = (unsigned)c & (bits - 1);        \
		return (__typeof__(((union vec *)0)->elem[0]))(n ? lo >> n | hi << (bits - n) : lo);              \
	}
FUNNEL(u16)
FUNNEL(u32)
FUNNEL(u64)

#define FUNNEL_SEMS(s, elem)                                                                                      \
	FPU_INLINE void lane_pshld##s(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm) \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++)                                             \
			d->elem[k] = shld_##elem(a->elem[k], b->elem[k], imm);                                    \
	}                                                                                                         \
	FPU_INLINE void lane_pshrd##s(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm) \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++)                                             \
			d->elem[k] = shrd_##elem(b->elem[k], a->elem[k], imm);                                    \
	}                                                                                                         \
	FPU_INLINE void lane_pshldv##s(union vec *d, const union vec *a, const union vec *b, unsigned n)          \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++)                                             \
			d->elem[k] = shld_##elem(d->elem[k], a->elem[k], b->elem[k]);                             \
	}                                                                                                         \
	FPU_INLINE void lane_pshrdv##s(union vec *d, const union vec *a, const union vec *b, unsigned n)          \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++)                                             \
			d->elem[k] = shrd_##elem(a->elem[k], d->elem[k], b->elem[k]);                             \
	}                                                                                                         \
	EVEX_SEM_IMM(pshld##s)                                                                                    \
	EVEX_SEM_IMM(pshrd##s)                                                                                    \
	EVEX_SEM3(pshldv##s)                                                                                      \
	EVEX_SEM3(pshrdv##s)
FUNNEL_SEMS(w, u16)
FUNNEL_SEMS(d, u32)
FUNNEL_SEMS(q, u64)

/* ---- logic ------------------------------------------------------------------------------------------------ */

/* The immediate is the truth table of three bits: V's is the highest one of its index. */
FPU_INLINE void lane_pternlog(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	for (unsigned k = 0; k < n / 8; k++) {
		uint64_t r = 0;

		for (unsigned row = 0; row < 8; row++) {
			const uint64_t hit = (row & 4 ? d->u64[k] : ~d->u64[k]) & (row & 2 ? a->u64[k] : ~a->u64[k]) &
					     (row & 1 ? b->u64[k] : ~b->u64[k]);
			r |= imm >> row & 1 ? hit : 0;
		}
		d->u64[k] = r;
	}
}
EVEX_SEM3_IMM(pternlog)

/* Each element gets the set of elements below it that are equal. */
#define CONFLICT(name, elem)                                                                                      \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		for (unsigned k = 0; k < n / sizeof(d->elem[0]); k++) {                                           \
			d->elem[k] = 0;                                                                           \
			for (unsigned j = 0; j < k; j++)                                                          \
				d->elem[k] |= (__typeof__(d->elem[0]))(b->elem[j] == b->elem[k]) << j;            \
		}                                                                                                 \
	}                                                                                                         \
	EVEX_SEM(name)
CONFLICT(pconflictd, u32)
CONFLICT(pconflictq, u64)

/* ---- multiply and add ------------------------------------------------------------------------------------- */

enum { IFMA_BITS = 52 };

FPU_INLINE unsigned __int128 product52(uint64_t a, uint64_t b)
{
	return (unsigned __int128)(a & low_bits(IFMA_BITS)) * (b & low_bits(IFMA_BITS));
}

FPU_INLINE void lane_pmadd52luq(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] += (uint64_t)product52(a->u64[k], b->u64[k]) & low_bits(IFMA_BITS);
}

FPU_INLINE void lane_pmadd52huq(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n / 8; k++)
		d->u64[k] += (uint64_t)(product52(a->u64[k], b->u64[k]) >> IFMA_BITS);
}
EVEX_SEM3(pmadd52luq)
EVEX_SEM3(pmadd52huq)

/* VNNI: the saturating forms saturate the sum once, at the end. VEX has them, too (AVX-VNNI). */
FPU_INLINE int32_t sat_i32(int64_t v)
{
	return (int32_t)(v < INT32_MIN ? INT32_MIN : v > INT32_MAX ? INT32_MAX : v);
}

FPU_INLINE int64_t dot_bytes(const union vec *a, const union vec *b, unsigned k)
{
	int64_t sum = 0;

	for (unsigned j = 4 * k; j < 4 * k + 4; j++)
		sum += a->u8[j] * b->i8[j];
	return sum;
}

FPU_INLINE int64_t dot_words(const union vec *a, const union vec *b, unsigned k)
{
	return (int64_t)a->i16[2 * k] * b->i16[2 * k] + (int64_t)a->i16[2 * k + 1] * b->i16[2 * k + 1];
}

static int vex_ternary(struct emu *e, const struct insn *i, lane_fn *fn)
{
	union vec b, d = *sse_reg(e, i);

	if (vex_source(e, i, vex_bytes(i), &b))
		return EMU_STOP;
	fn(&d, vex_first(e, i), &b, vex_bytes(i));
	vex_write(e, i, &d, vex_bytes(i));
	return 0;
}

#define VNNI(name, dot, store)                                                                                    \
	FPU_INLINE void lane_##name(union vec *d, const union vec *a, const union vec *b, unsigned n)             \
	{                                                                                                         \
		for (unsigned k = 0; k < n / 4; k++)                                                              \
			d->i32[k] = store(d->i32[k] + dot(a, b, k));                                              \
	}                                                                                                         \
	EVEX_SEM3(name)                                                                                           \
	SEM(avx_##name)                                                                                           \
	{                                                                                                         \
		return vex_ternary(e, i, lane_##name);                                                            \
	}
VNNI(pdpbusd, dot_bytes, (int32_t))
VNNI(pdpbusds, dot_bytes, sat_i32)
VNNI(pdpwssd, dot_words, (int32_t))
VNNI(pdpwssds, dot_words, sat_i32)

/* ---- bytes ------------------------------------------------------------------------------------------------ */

FPU_INLINE void lane_pmultishiftqb(union vec *d, const union vec *a, const union vec *b, unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		const unsigned c = a->u8[k] & 63;
		const uint64_t q = b->u64[k / 8];

		d->u8[k] = (uint8_t)(q >> c | q << (-c & 63));
	}
}
EVEX_SEM(pmultishiftqb)

static unsigned sum_of_differences(const uint8_t *a, const uint8_t *b)
{
	unsigned sum = 0;

	for (unsigned k = 0; k < 4; k++)
		sum += (unsigned)(a[k] > b[k] ? a[k] - b[k] : b[k] - a[k]);
	return sum;
}

/* W's doublewords are shuffled as by VPSHUFD; then four sums for each quadword, of four bytes each. */
static void lane_dbpsadbw(union vec *d, const union vec *a, const union vec *b, unsigned n, unsigned imm)
{
	union vec s;

	for (unsigned k = 0; k < n / 4; k++)
		s.u32[k] = b->u32[(k & ~3u) + (imm >> 2 * (k & 3) & 3)];
	for (unsigned k = 0; k < n / 2; k++) {
		const unsigned q = k / 4 * 8, part = k % 4;

		d->u16[k] = (uint16_t)sum_of_differences(a->u8 + q + (part & 2) * 2, s.u8 + q + part);
	}
}
EVEX_SHAPED(dbpsadbw, binary_imm, lane_dbpsadbw)

/* ---- comparisons into opmasks ------------------------------------------------------------------------------ */

#define TEST(name, elem, expr)                                                                                    \
	static uint64_t test_##name(const union vec *a, const union vec *b)                                       \
	{                                                                                                         \
		uint64_t bits = 0;                                                                                \
		for (unsigned k = 0; k < EVEX_BYTES / sizeof(a->elem[0]); k++) {                                  \
			const __typeof__(a->elem[0]) x = a->elem[k], y = b->elem[k];                              \
			(void)x;                                                                                  \
			bits |= (uint64_t)(expr) << k;                                                            \
		}                                                                                                 \
		return bits;                                                                                      \
	}                                                                                                         \
	EVEX_SHAPED(name, test, test_##name)
TEST(pcmpeqb, u8, x == y)
TEST(pcmpeqw, u16, x == y)
TEST(pcmpeqd, u32, x == y)
TEST(pcmpeqq, u64, x == y)
TEST(pcmpgtb, i8, x > y)
TEST(pcmpgtw, i16, x > y)
TEST(pcmpgtd, i32, x > y)
TEST(pcmpgtq, i64, x > y)
TEST(ptestmb, u8, (x & y) != 0)
TEST(ptestmw, u16, (x & y) != 0)
TEST(ptestmd, u32, (x & y) != 0)
TEST(ptestmq, u64, (x & y) != 0)
TEST(ptestnmb, u8, (x & y) == 0)
TEST(ptestnmw, u16, (x & y) == 0)
TEST(ptestnmd, u32, (x & y) == 0)
TEST(ptestnmq, u64, (x & y) == 0)
TEST(pshufbitqmb, u8, a->u64[k / 8] >> (y & 63) & 1)

/* EQ LT LE FALSE NE NLT NLE TRUE (SDM vol. 2, VPCMPB). */
static uint64_t predicate_bits(uint64_t equal, uint64_t less, unsigned predicate)
{
	const uint64_t bits = (predicate & 3) == 0   ? equal
			      : (predicate & 3) == 1 ? less
			      : (predicate & 3) == 2 ? equal | less
						     : 0;

	return predicate & 4 ? ~bits : bits;
}

#define COMPARE(name, elem)                                                                                       \
	SEM(evex_##name)                                                                                          \
	{                                                                                                         \
		const union vec *a = vex_first(e, i);                                                             \
		uint64_t equal = 0, less = 0;                                                                     \
		union vec b;                                                                                      \
		if (evex_source(e, i, &b))                                                                        \
			return EMU_STOP;                                                                          \
		for (unsigned k = 0; k < EVEX_BYTES / sizeof(b.elem[0]); k++) {                                   \
			equal |= (uint64_t)(a->elem[k] == b.elem[k]) << k;                                        \
			less |= (uint64_t)(a->elem[k] < b.elem[k]) << k;                                          \
		}                                                                                                 \
		evex_put_opmask(e, i, predicate_bits(equal, less, (unsigned)i->imm & 7));                         \
		return 0;                                                                                         \
	}
COMPARE(pcmpb, i8)
COMPARE(pcmpw, i16)
COMPARE(pcmpd, i32)
COMPARE(pcmpq, i64)
COMPARE(pcmpub, u8)
COMPARE(pcmpuw, u16)
COMPARE(pcmpud, u32)
COMPARE(pcmpuq, u64)
