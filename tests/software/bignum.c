/* SPDX-License-Identifier: MIT */
/* Integers of up to some ten thousand bits by libgmp, which chooses its inner loops by CPUID: results, and identities that
 * must hold whatever they are. */
#include "digest.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

static void add(struct digest *d, const mpz_t v)
{
	size_t count;
	unsigned char *bytes = mpz_export(NULL, &count, 1, 1, 1, 0, v);

	digest_add(d, bytes, count);
	digest_add(d, &count, sizeof(count));
	free(bytes);
}

static void fill(mpz_t v, size_t bits, uint64_t *state)
{
	size_t size = (bits + 7) / 8;
	unsigned char *bytes = malloc(size + 1);

	random_fill(state, bytes, size);
	mpz_import(v, size, 1, 1, 1, 0, bytes);
	mpz_setbit(v, bits - 1);
	free(bytes);
}

static void expect(int ok, const char *what, size_t bits)
{
	if (ok)
		return;
	printf("WRONG %s at %zu bits\n", what, bits);
	exit(1);
}

static void round_of(struct digest *d, size_t bits, uint64_t *state)
{
	mpz_t a, b, c, q, r;

	mpz_inits(a, b, c, q, r, NULL);
	fill(a, bits, state);
	fill(b, bits / 2 + 1, state);
	mpz_mul(c, a, b);
	add(d, c);
	mpz_add_ui(c, c, 12345);
	mpz_tdiv_qr(q, r, c, b);
	mpz_sub_ui(c, c, 12345);
	mpz_addmul(r, q, b);
	mpz_sub_ui(r, r, 12345);
	expect(mpz_cmp(r, c) == 0, "(a * b + k) / b * b + rest", bits);
	add(d, q);
	mpz_mul(c, a, a);
	mpz_sqrtrem(q, r, c);
	expect(mpz_cmp(q, a) == 0 && mpz_sgn(r) == 0, "square root of a square", bits);
	mpz_gcdext(q, r, NULL, a, b);
	add(d, q);
	add(d, r);
	mpz_setbit(b, 0);
	mpz_powm_ui(c, a, 65537, b);
	add(d, c);
	mpz_fdiv_q_2exp(q, a, bits / 3);
	mpz_xor(r, a, b);
	expect(mpz_popcount(r) == mpz_hamdist(a, b), "bit counts", bits);
	add(d, q);
	add(d, r);
	mpz_clears(a, b, c, q, r, NULL);
}

/* Fermat's little theorem with a Mersenne prime: 3^(p-1) = 1 mod p for p = 2^1279 - 1. */
static void fermat(struct digest *d)
{
	mpz_t p, e, r;

	mpz_inits(p, e, r, NULL);
	mpz_setbit(p, 1279);
	mpz_sub_ui(p, p, 1);
	mpz_sub_ui(e, p, 1);
	mpz_set_ui(r, 3);
	mpz_powm(r, r, e, p);
	expect(mpz_cmp_ui(r, 1) == 0, "3^(p-1) mod p", 1279);
	mpz_fac_ui(r, 2000);
	add(d, r);
	mpz_fib_ui(r, 20000);
	add(d, r);
	mpz_clears(p, e, r, NULL);
}

int main(void)
{
	static const size_t sizes[] = { 64, 65, 127, 128, 192, 256, 500, 512, 1000, 1024, 2048, 3000, 4096, 8192, 16384, 30000 };
	uint64_t state = 11;

	for (size_t n = 0; n < sizeof(sizes) / sizeof(sizes[0]); n++) {
		char what[32];
		struct digest d;

		digest_begin(&d);
		for (unsigned k = 0; k < (sizes[n] < 5000 ? 20 : 4); k++)
			round_of(&d, sizes[n], &state);
		snprintf(what, sizeof(what), "gmp-%zu", sizes[n]);
		digest_print(&d, what);
	}
	struct digest d;

	digest_begin(&d);
	fermat(&d);
	digest_print(&d, "gmp-numbers");
	return 0;
}
