/* SPDX-License-Identifier: MIT */
/*
 * A self-test: what the instructions of each class make of some operands, as one checksum a class. A class that CPUID does not show is
 * left out. The same program runs on the host (native.c), and the lines must be the same.
 */
#include "insns.h"
#include "frame.h"
#include "print.h"

enum cpuid_register { EBX = 1, ECX = 2, EDX = 3 };

/* A bit of CPUID that a class needs, and bits of XCR0; leaf 0: always there. */
struct class {
	const char *name;
	insns_class *run;
	uint32_t leaf;
	enum cpuid_register in;
	unsigned bit;
	uint32_t xcr0;
};

enum { XCR0_AVX = 6, XCR0_AVX512 = 0xe6 };

static const struct class classes[] = {
	{ "arithmetic", insns_arithmetic, 0, 0, 0, 0 },
	{ "shifts", insns_shifts, 0, 0, 0, 0 },
	{ "products", insns_products, 0, 0, 0, 0 },
	{ "bits", insns_bits, 0, 0, 0, 0 },
	{ "strings", insns_strings, 0, 0, 0, 0 },
	{ "conditions", insns_conditions, 0, 0, 0, 0 },
	{ "x87", insns_x87, 0, 0, 0, 0 },
	{ "sse2-integer", insns_sse_integer, 0, 0, 0, 0 },
	{ "sse2-float", insns_sse_float, 0, 0, 0, 0 },
	{ "ssse3", insns_ssse3, 1, ECX, 9, 0 },
	{ "sse4.1", insns_sse41, 1, ECX, 19, 0 },
	{ "crc32", insns_crc32, 1, ECX, 20, 0 },
	{ "popcnt", insns_popcnt, 1, ECX, 23, 0 },
	{ "aes", insns_aes, 1, ECX, 25, 0 },
	{ "sha", insns_sha, 7, EBX, 29, 0 },
	{ "bmi", insns_bmi, 7, EBX, 8, 0 },
	{ "avx", insns_avx, 1, ECX, 28, XCR0_AVX },
	{ "fma", insns_fma, 1, ECX, 12, XCR0_AVX },
	{ "avx2", insns_avx2, 7, EBX, 5, XCR0_AVX },
	{ "avx512", insns_avx512, 7, EBX, 30, XCR0_AVX512 }, /* BW; then F, DQ and VL are there as well */
};

static bool has(const struct class *class)
{
	uint32_t r[4] = { class->leaf, 0, 0, 0 }, low = 0, high;

	if (!class->leaf)
		return true;
	__asm__ volatile("cpuid" : "+a"(r[0]), "=b"(r[1]), "+c"(r[2]), "=d"(r[3]));
	if (!(r[class->in] >> class->bit & 1))
		return false;
	if (class->xcr0)
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & class->xcr0) == class->xcr0;
}

static void say(const struct class *class, const struct insns_result *r)
{
	print(class->name);
	print(" ");
	print_dec(r->runs);
	print(" ");
	print_hex(r->sum);
	print("\n");
}

void guest_main(void)
{
	frame_enable_vectors();
	for (unsigned i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		struct insns_result r = { 0, SUM_START };

		if (!has(&classes[i]))
			continue;
		classes[i].run(&r);
		say(&classes[i], &r);
	}
}
