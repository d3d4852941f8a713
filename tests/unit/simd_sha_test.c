/* SPDX-License-Identifier: MIT */
/* Instructions that few hosts have to compare with: SHA against the examples of FIPS 180-4, VAES against its halves. */
#include "flat.h"

#include <criterion/criterion.h>
#include <string.h>

static struct emu *machine;

#define STEP(...)                                                                                                      \
	cr_assert_eq(flat_step(machine, (const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ })), 0)

static void setup(void)
{
	machine = flat_machine(CR4_OSFXSR | CR4_OSXSAVE, 7, 0);
}

/* By value; union vec is aligned to 64 bytes, which no calling convention passes without a remark. */
struct xmm {
	uint32_t u32[4];
};

static void set_xmm(unsigned n, struct xmm v)
{
	memcpy(&machine->cpu.vec[n], &v, sizeof(v));
}

static struct xmm get_xmm(unsigned n)
{
	struct xmm v;

	memcpy(&v, &machine->cpu.vec[n], sizeof(v));
	return v;
}

/* xmm1 = op(xmm1, xmm2) */
enum { NEXTE = 0xc8, SHA1MSG1, SHA1MSG2, RNDS2, SHA256MSG1, SHA256MSG2 };

static struct xmm sha(uint8_t opcode, struct xmm a, struct xmm b)
{
	set_xmm(1, a);
	set_xmm(2, b);
	STEP(0x0f, 0x38, opcode, 0xca);
	return get_xmm(1);
}

static struct xmm sha1rnds4(struct xmm a, struct xmm b, uint8_t group)
{
	set_xmm(1, a);
	set_xmm(2, b);
	STEP(0x0f, 0x3a, 0xcc, 0xca, group);
	return get_xmm(1);
}

static struct xmm words(uint32_t e3, uint32_t e2, uint32_t e1, uint32_t e0)
{
	return (struct xmm){ .u32 = { e0, e1, e2, e3 } };
}

/* FIPS 180-4, examples: the one block of "abc". */
static uint32_t block_abc(unsigned n)
{
	return n == 0 ? 0x61626380 : n == 15 ? 24 : 0;
}

Test(simd_sha, sha1_of_abc)
{
	const struct xmm init = words(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
	const struct xmm e_init = words(0xc3d2e1f0, 0, 0, 0);
	struct xmm w[20], abcd = init, before = init, e;

	setup();
	for (unsigned g = 0; g < 20; g++) {
		if (g < 4) {
			w[g] = words(block_abc(4 * g), block_abc(4 * g + 1), block_abc(4 * g + 2), block_abc(4 * g + 3));
		} else {
			struct xmm x = sha(SHA1MSG1, w[g - 4], w[g - 3]);

			for (unsigned k = 0; k < 4; k++)
				x.u32[k] ^= w[g - 2].u32[k];
			w[g] = sha(SHA1MSG2, x, w[g - 1]);
		}
		e = w[g];
		if (g == 0)
			e.u32[3] += e_init.u32[3];
		else
			e = sha(NEXTE, before, e);
		before = abcd;
		abcd = sha1rnds4(abcd, e, (uint8_t)(g / 5));
	}
	e = sha(NEXTE, before, e_init);
	cr_expect_eq(abcd.u32[3] + init.u32[3], 0xa9993e36);
	cr_expect_eq(abcd.u32[2] + init.u32[2], 0x4706816a);
	cr_expect_eq(abcd.u32[1] + init.u32[1], 0xba3e2571);
	cr_expect_eq(abcd.u32[0] + init.u32[0], 0x7850c26c);
	cr_expect_eq(e.u32[3], 0x9cd0d89d);
}

/* FIPS 180-4, 4.2.2 and 5.3.3: fractions of the cube and square roots of the first primes. */
static unsigned prime(unsigned n)
{
	for (unsigned p = 2;; p++) {
		unsigned d = 2;

		while (d * d <= p && p % d)
			d++;
		if (d * d > p && n-- == 0)
			return p;
	}
}

static uint32_t root_fraction(unsigned p, bool cube)
{
	const unsigned __int128 target = (unsigned __int128)p << (cube ? 96 : 64);
	uint64_t r = 0;

	for (unsigned bit = 40; bit-- > 0;) {
		const unsigned __int128 t = r | 1ull << bit;

		if ((cube ? t * t * t : t * t) <= target)
			r = (uint64_t)t;
	}
	return (uint32_t)r;
}

Test(simd_sha, sha256_of_abc)
{
	static const uint32_t digest[8] = { 0xba7816bf, 0x8f01cfea, 0x414140de, 0x5dae2223,
					    0xb00361a3, 0x96177a9c, 0xb410ff61, 0xf20015ad };
	struct xmm w[16], abef, cdgh;
	uint32_t h[8], out[8];

	setup();
	for (unsigned n = 0; n < 8; n++)
		h[n] = root_fraction(prime(n), false);
	abef = words(h[0], h[1], h[4], h[5]);
	cdgh = words(h[2], h[3], h[6], h[7]);
	for (unsigned g = 0; g < 16; g++) {
		if (g < 4) {
			w[g] = words(block_abc(4 * g + 3), block_abc(4 * g + 2), block_abc(4 * g + 1), block_abc(4 * g));
		} else {
			struct xmm x = sha(SHA256MSG1, w[g - 4], w[g - 3]);

			for (unsigned k = 0; k < 4; k++)
				x.u32[k] += k < 3 ? w[g - 2].u32[k + 1] : w[g - 1].u32[0];
			w[g] = sha(SHA256MSG2, x, w[g - 1]);
		}
		for (unsigned half = 0; half < 2; half++) {
			const unsigned t = 4 * g + 2 * half;
			struct xmm next;

			machine->cpu.vec[0].u32[0] = w[g].u32[2 * half] + root_fraction(prime(t), true);
			machine->cpu.vec[0].u32[1] = w[g].u32[2 * half + 1] + root_fraction(prime(t + 1), true);
			next = sha(RNDS2, cdgh, abef);
			cdgh = abef;
			abef = next;
		}
	}
	for (unsigned n = 0; n < 8; n++)
		out[n] = h[n] + (n & 2 ? cdgh : abef).u32[3 - (n & 1) - (n & 4 ? 2 : 0)];
	cr_expect_arr_eq(out, digest, sizeof(digest));
}

/* VEX.256 does to each 128-bit lane what VEX.128 does, and both clear what is above (SDM vol. 2, AESENC). */
static void check_lanes(uint8_t map, uint8_t opcode, const uint8_t *imm)
{
	union vec a, b, wide;

	for (unsigned k = 0; k < 64; k++) {
		a.u8[k] = (uint8_t)(opcode * 7 + 31 * k);
		b.u8[k] = (uint8_t)(opcode + 17 * k * k);
	}
	machine->cpu.vec[2] = a;
	machine->cpu.vec[3] = b;
	memset(&machine->cpu.vec[1], 0xee, sizeof(wide));
	if (imm)
		STEP(0xc4, map, 0x6d, opcode, 0xcb, *imm);
	else
		STEP(0xc4, map, 0x6d, opcode, 0xcb);
	wide = machine->cpu.vec[1];
	for (unsigned lane = 0; lane < 2; lane++) {
		memcpy(machine->cpu.vec[2].u8, a.u8 + 16 * lane, 16);
		memcpy(machine->cpu.vec[3].u8, b.u8 + 16 * lane, 16);
		if (imm)
			STEP(0xc4, map, 0x69, opcode, 0xcb, *imm);
		else
			STEP(0xc4, map, 0x69, opcode, 0xcb);
		cr_expect_arr_eq(machine->cpu.vec[1].u8, wide.u8 + 16 * lane, 16);
		cr_expect_eq(machine->cpu.vec[1].u64[2], 0);
	}
	cr_expect_eq(wide.u64[4] | wide.u64[7], 0);
}

Test(simd_sha, vaes_and_vpclmulqdq_lane_by_lane)
{
	setup();
	for (uint8_t opcode = 0xdc; opcode <= 0xdf; opcode++)
		check_lanes(0xe2, opcode, NULL);
	for (unsigned k = 0; k < 4; k++)
		check_lanes(0xe3, 0x44, &(const uint8_t){ (uint8_t)((k & 1) | (k & 2) << 3) });
}
