/* SPDX-License-Identifier: MIT */
/*
 * decode-walk: every opcode of every map with every ModRM byte, with the prefixes that can change its meaning, in
 * 16-, 32- and 64-bit code. What follows (SIB, displacement, immediate) is arbitrary but the same in each run.
 */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 24 };

static uint64_t state = 88172645463325252ull;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Prefixes, then the rest: text[at..]. */
struct text {
	uint8_t bytes[TEXT];
	unsigned count;
};

static void put(struct text *t, unsigned byte)
{
	t->bytes[t->count++] = (uint8_t)byte;
}

static void put_tail(struct text *t)
{
	uint64_t v[2] = { any(), any() };

	memcpy(t->bytes + t->count, v, TEXT - t->count < 16 ? TEXT - t->count : 16);
}

static void put_map(struct text *t, unsigned map)
{
	if (map >= ISA_M0F)
		put(t, 0x0f);
	if (map == ISA_M0F38 || map == ISA_M0F3A)
		put(t, map == ISA_M0F38 ? 0x38 : 0x3a);
}

/* Bytes of map 0 that are no opcodes: they are walked as what they are. */
static bool is_prefix(unsigned map, unsigned opcode, unsigned code_size)
{
	static const uint8_t prefixes[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	if (map == ISA_M0F && (opcode == 0x38 || opcode == 0x3a))
		return true;
	if (map != ISA_M0)
		return false;
	if (opcode == 0x0f || (code_size == 8 && (opcode & 0xf0) == 0x40))
		return true;
	for (unsigned n = 0; n < sizeof(prefixes); n++) {
		if (opcode == prefixes[n])
			return true;
	}
	return false;
}

/* All ModRM bytes after `prefix`, or 24 of them: every reg with a memory operand, SIB or not, and a register. */
static void walk_opcode(const struct text *prefix, unsigned map, unsigned opcode, bool dense, unsigned code_size)
{
	for (unsigned k = 0; k < (dense ? 256 : 24); k++) {
		static const uint8_t forms[3] = { 0x00, 0x80, 0xc0 };
		struct text t = *prefix;
		unsigned modrm = dense ? k : forms[k % 3] | k / 3 << 3 | (unsigned)(any() & 7);

		put_map(&t, map);
		put(&t, opcode);
		put(&t, modrm);
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

static void walk_maps(const struct text *prefix, bool dense, unsigned code_size)
{
	for (unsigned map = ISA_M0; map <= ISA_M0F3A; map++) {
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			if (!is_prefix(map, opcode, code_size))
				walk_opcode(prefix, map, opcode, dense, code_size);
		}
	}
}

/* One set of legacy prefixes, and with it the REX bytes. */
static void walk_set(unsigned set, unsigned code_size)
{
	static const uint8_t rep[3] = { 0, 0xf2, 0xf3 }, segment[3] = { 0, 0x2e, 0x64 };
	static const uint8_t rex[9] = { 0, 0x40, 0x41, 0x42, 0x44, 0x48, 0x4b, 0x4c, 0x4f };
	bool rare = set / 6 % 12 != 0; /* more than 66, F2, F3 */

	for (unsigned k = 0; k < (code_size == 8 ? 9 : 1); k++) {
		struct text t = { .count = 0 };

		if (segment[set / 24 % 3])
			put(&t, segment[set / 24 % 3]);
		if (set / 12 % 2)
			put(&t, 0xf0);
		if (set / 6 % 2)
			put(&t, 0x67);
		if (set % 2)
			put(&t, 0x66);
		if (rep[set / 2 % 3])
			put(&t, rep[set / 2 % 3]);
		if (rex[k])
			put(&t, rex[k]);
		walk_maps(&t, !rare && (rex[k] == 0 || rex[k] == 0x48), code_size);
	}
}

static void walk_legacy(unsigned code_size)
{
	for (unsigned set = 0; set < 72; set++)
		walk_set(set, code_size);
}

static void walk_vex3(unsigned map, unsigned opcode, unsigned bits, unsigned code_size)
{
	const unsigned pp = bits & 3, l = bits >> 2 & 1, w = bits >> 3 & 1, none = bits >> 4 & 1;

	for (unsigned k = 0; k < (none ? 256 : 24); k++) {
		static const uint8_t forms[3] = { 0x00, 0x80, 0xc0 };
		struct text t = { .count = 0 };
		unsigned rxb = code_size == 8 ? (unsigned)(any() & 7) : 6 | (unsigned)(any() & 1);

		put(&t, 0xc4);
		put(&t, rxb << 5 | map);
		put(&t, w << 7 | (none ? 15u : (unsigned)(any() & 15)) << 3 | l << 2 | pp);
		put(&t, opcode);
		put(&t, none ? k : forms[k % 3] | k / 3 << 3 | (unsigned)(any() & 7));
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

static void walk_vex2(unsigned opcode, unsigned bits, unsigned code_size)
{
	for (unsigned k = 0; k < 24; k++) {
		static const uint8_t forms[3] = { 0x00, 0x80, 0xc0 };
		struct text t = { .count = 0 };

		put(&t, 0xc5);
		put(&t, (code_size == 8 ? (unsigned)(any() & 0x80) : 0x80) | (bits >> 3 ? 15u : (unsigned)(any() & 15)) << 3 |
				(bits & 7));
		if (code_size != 8)
			t.bytes[1] |= 0xc0;
		put(&t, opcode);
		put(&t, forms[k % 3] | k / 3 << 3 | (unsigned)(any() & 7));
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

static void walk_vex(unsigned code_size)
{
	for (unsigned map = 0; map < 32; map++) {
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			for (unsigned bits = 0; bits < (map >= 1 && map <= 3 ? 32 : 1); bits++)
				walk_vex3(map, opcode, bits, code_size);
		}
	}
	for (unsigned opcode = 0; opcode < 256; opcode++) {
		for (unsigned bits = 0; bits < 16; bits++)
			walk_vex2(opcode, bits, code_size);
	}
}

/* What follows 62: map, pp, W; L'L, b, z, aaa; registers at random. */
static void walk_evex_opcode(unsigned map, unsigned opcode, unsigned bits, unsigned code_size)
{
	static const uint8_t masks[4] = { 0, 1, 0x81, 0x80 };
	const unsigned pp = bits & 3, w = bits >> 2 & 1, l = bits >> 3 & 3, b = bits >> 5 & 1, none = bits >> 8 & 1;

	for (unsigned k = 0; k < 12; k++) {
		static const uint8_t forms[4] = { 0x00, 0x40, 0x80, 0xc0 };
		struct text t = { .count = 0 };
		unsigned v = none ? 0x1f : (unsigned)any() & 0x1f,
			 high = code_size == 8 ? (unsigned)any() & 0xf0 : 0xd0 | ((unsigned)any() & 0x20);

		put(&t, 0x62);
		put(&t, high | map);
		put(&t, w << 7 | (v & 15) << 3 | 4 | pp);
		put(&t, masks[bits >> 6 & 3] | l << 5 | b << 4 | (v & 0x10) >> 1);
		put(&t, opcode);
		put(&t, forms[k % 4] | ((unsigned)any() & 0x3f));
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

static void walk_evex(unsigned code_size)
{
	for (unsigned map = 0; map < 16; map++) {
		for (unsigned opcode = 0; opcode < 256; opcode++) {
			for (unsigned bits = 0; bits < (map < 8 ? 512 : 1); bits++)
				walk_evex_opcode(map, opcode, bits, code_size);
		}
	}
}

/* All ModRM and SIB bytes with all REX bytes and both address sizes, for a load, LEA, and a gather. */
static void walk_addresses(unsigned code_size)
{
	for (unsigned n = 0; n < 192 * 256; n++) {
		const unsigned modrm = n / 256, sib = n % 256;

		for (unsigned rex = 0x3f; rex < (code_size == 8 ? 0x50 : 0x40); rex++) {
			for (unsigned k = 0; k < 4; k++) {
				struct text t = { .count = 0 };

				if (k & 1)
					put(&t, 0x67);
				if (rex >= 0x40)
					put(&t, rex);
				put(&t, k & 2 ? 0x8d : 0x8b);
				put(&t, modrm);
				put(&t, sib);
				put_tail(&t);
				compare_bytes(t.bytes, 15, code_size);
			}
		}
	}
	for (unsigned n = 0; n < 192 * 256; n++) {
		struct text t = { .count = 0 };

		put(&t, 0xc4);
		put(&t, (code_size == 8 ? (unsigned)(any() & 7) : 7) << 5 | 2);
		put(&t, (unsigned)(any() & 0xfc) | 1);
		put(&t, 0x90 + (unsigned)(any() & 3));
		put(&t, n / 256);
		put(&t, n % 256);
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

/* What stands before VEX forbids it, but for segment and address size; redundant prefixes; too many. */
static void walk_oddities(unsigned code_size)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x40, 0x48 };

	for (unsigned n = 0; n < 200000; n++) {
		struct text t = { .count = 0 };
		unsigned count = (unsigned)(any() % 15);

		while (t.count < count)
			put(&t, prefixes[any() % (code_size == 8 ? 13 : 11)]);
		put(&t, n & 1 ? (unsigned)any() : n & 2 ? 0xc5 : n & 4 ? 0xc4 : 0x0f);
		put_tail(&t);
		compare_bytes(t.bytes, 15, code_size);
	}
}

int main(int argc, char **argv)
{
	static const unsigned sizes[3] = { 8, 4, 2 };
	unsigned bad;

	setvbuf(stdout, NULL, _IOLBF, 0);
	compare_init();
	for (unsigned n = 0; n < 3; n++) {
		walk_legacy(sizes[n]);
		walk_vex(sizes[n]);
		walk_evex(sizes[n]);
		walk_addresses(sizes[n]);
		walk_oddities(sizes[n]);
	}
	bad = compare_report();
	return bad != 0;
}
