/* SPDX-License-Identifier: MIT */
/* Random numbers without system calls, see rng.h. The cipher is RFC 8439, section 2.3. */
#include "rng.h"
#include "emu/core/host.h"
#include "emu/isa/isa.h"
#include "emu/native/host.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#ifdef HOST_X86_64
/* Intel's advice is ten tries; a unit that never answers is treated as absent. */
static bool host_rdrand(uint64_t *value)
{
	unsigned long long v;
	unsigned char ok;

	for (int n = 0; n < 10; n++) {
		__asm__ volatile("rdrand %0; setc %1" : "=r"(v), "=qm"(ok) : : "cc");
		if (ok) {
			*value = v;
			return true;
		}
	}
	return false;
}
#else
static bool host_rdrand(uint64_t *value)
{
	return false;
}
#endif

static uint32_t rotl(uint32_t v, unsigned n)
{
	return v << n | v >> (32 - n);
}

static void quarter(uint32_t *s, unsigned a, unsigned b, unsigned c, unsigned d)
{
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 16);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 12);
	s[a] += s[b];
	s[d] = rotl(s[d] ^ s[a], 8);
	s[c] += s[d];
	s[b] = rotl(s[b] ^ s[c], 7);
}

static void chacha_block(const struct rng *r, uint32_t out[16])
{
	uint32_t in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };

	memcpy(in + 4, r->key, sizeof(r->key));
	in[12] = (uint32_t)r->block;
	in[13] = (uint32_t)(r->block >> 32);
	memcpy(out, in, sizeof(in));
	for (int n = 0; n < 10; n++) {
		for (unsigned c = 0; c < 4; c++)
			quarter(out, c, c + 4, c + 8, c + 12);
		for (unsigned c = 0; c < 4; c++)
			quarter(out, c, 4 + (c + 1) % 4, 8 + (c + 2) % 4, 12 + (c + 3) % 4);
	}
	for (unsigned c = 0; c < 16; c++)
		out[c] += in[c];
}

/* Half of each block becomes the next key. */
static void refill(struct rng *r)
{
	uint32_t block[16];

	chacha_block(r, block);
	memcpy(r->key, block, sizeof(r->key));
	memcpy(r->out, block + 8, sizeof(r->out));
	r->block++;
	r->used = 0;
}

static uint32_t next_word(struct rng *r)
{
	uint32_t v;

	if (r->used >= 8)
		refill(r);
	v = r->out[r->used];
	r->out[r->used++] = 0;
	return v;
}

uint64_t rng_next(struct rng *r)
{
	uint64_t v;

	if (r->host_rdrand && host_rdrand(&v))
		return v;
	v = next_word(r);
	return v << 32 | next_word(r);
}

void rng_init_seed(struct rng *r, const uint8_t seed[32])
{
	memset(r, 0, sizeof(*r));
	memcpy(r->key, seed, sizeof(r->key));
	r->used = 8;
}

int rng_init(struct rng *r)
{
	uint8_t seed[32];

	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return errno ? -errno : -EIO;
	rng_init_seed(r, seed);
	r->host_rdrand = native_has(FEAT_RDRAND);
	return 0;
}
