/* SPDX-License-Identifier: MIT */
/* Integer workloads: arithmetic mix, records and strings, SHA-256, calls, indirect calls. */
#include "bench.h"
#include "mix.h"

#include <string.h>

/* Calls stay calls: gcc would make copies of a function, and either would unroll half of a recursion away. */
#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#define RECURSIVE __attribute__((noinline, disable_tail_calls))
#else
#define NOINLINE __attribute__((noinline, noclone))
#define RECURSIVE __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls,no-inline")))
#endif

/* The operations that Dhrystone is known for: assignments of records, comparison of strings, small procedures. */
struct record {
	struct record *next;
	int kind, number;
	char text[32];
};

static NOINLINE int classify(char a, char b)
{
	return a == b ? 1 : a < b ? 2 : 3;
}

static NOINLINE void fill_record(struct record *r, int v)
{
	struct record *other = r->next;

	*other = *r;
	other->number = v;
	other->kind = r->kind + 5;
	if (other->kind > 20)
		other->kind = 1;
	else
		r->number += 7;
}

static NOINLINE int compare_text(const char *a, const char *b)
{
	int index = 2;

	while (index <= 3 && classify(a[index], b[index + 1]) == 1)
		index++;
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a - *b + index;
}

static uint64_t records(uint64_t n)
{
	static struct record one = { .text = "DHRYSTONE PROGRAM, SOME STRING" };
	static struct record two = { .text = "DHRYSTONE PROGRAM, 2ND STRING" };
	static int array[50], square[50][50];
	uint64_t sum = 0;

	one.next = &two;
	for (uint64_t k = 0; k < n; k++) {
		unsigned at = (unsigned)(k % 40) + 1;

		two.next = &one;
		fill_record(&one, (int)k);
		memcpy(two.text, "DHRYSTONE PROGRAM, 2ND STRING", 30);
		sum += (uint64_t)compare_text(one.text, two.text);
		array[at] = (int)k;
		array[at + 1] = array[at];
		square[at][at] += array[at] * 5 / 3;
		square[at][at - 1]++;
		sum += (uint64_t)square[at][at];
	}
	return sum;
}

static const uint32_t sha_k[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotr(uint32_t v, unsigned n)
{
	return v >> n | v << (32 - n);
}

static void sha256_schedule(uint32_t w[64], const uint8_t *p)
{
	for (unsigned t = 0; t < 16; t++)
		w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 | (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
	for (unsigned t = 16; t < 64; t++)
		w[t] = (rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10) + w[t - 7] +
		       (rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3) + w[t - 16];
}

/* FIPS 180-4, 6.2.2 */
static void sha256_block(uint32_t s[8], const uint8_t *p)
{
	uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7], w[64];

	sha256_schedule(w, p);
	for (unsigned t = 0; t < 64; t++) {
		uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + sha_k[t] + w[t];
		uint32_t t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

		h = g, g = f, f = e, e = d + t1;
		d = c, c = b, b = a, a = t1 + t2;
	}
	s[0] += a, s[1] += b, s[2] += c, s[3] += d;
	s[4] += e, s[5] += f, s[6] += g, s[7] += h;
}

static uint64_t sha256(uint64_t n)
{
	static uint8_t data[1024];
	uint32_t h[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

	for (uint64_t k = 0; k < n; k++) {
		for (unsigned at = 0; at < sizeof(data); at += 64)
			sha256_block(h, data + at);
		data[k & 1023]++;
	}
	return h[0];
}

static RECURSIVE uint64_t fib(unsigned n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t calls(uint64_t n)
{
	uint64_t sum = 0;

	for (uint64_t k = 0; k < n; k++)
		sum += fib(20);
	return sum;
}

#define OPERATION(name, expression)                                                                                    \
	static NOINLINE uint64_t name(uint64_t a, uint64_t b)                                                          \
	{                                                                                                              \
		return expression;                                                                                     \
	}
OPERATION(op_add, a + b)
OPERATION(op_sub, a - b)
OPERATION(op_xor, a ^ b)
OPERATION(op_mul, a * (b | 1))

/* 1000 calls through a table a round. */
static uint64_t indirect(uint64_t n)
{
	uint64_t (*volatile table[4])(uint64_t, uint64_t) = { op_add, op_sub, op_xor, op_mul };
	uint64_t v = 1;

	for (uint64_t k = 0; k < n * 1000; k++)
		v = table[(v >> 7) & 3](v, k);
	return v;
}

const struct workload integer_workloads[] = {
	{ "integer-mix", "ns", integer_mix, 0, NULL },
	{ "records", "ns", records, 0, NULL },
	{ "sha256", "MB/s", sha256, 1024, NULL },
	{ "calls", "ns", calls, 0, NULL },
	{ "indirect-calls", "ns", indirect, 0, NULL },
	{ NULL, NULL, NULL, 0, NULL },
};
