/* SPDX-License-Identifier: MIT */
/*
 * Random numbers for RDRAND and RDSEED.
 *
 * The run-time sandbox of the vcpu process has no getrandom(), so the host's RDRAND instruction is used where there is
 * one: it needs no system call and is what the guest asked for. Elsewhere a ChaCha20 generator seeded at start, before
 * the sandbox closes, and rekeyed from its own output after each block, so that a later leak of the state
 * does not reveal earlier numbers.
 */
#ifndef BULKHEAD_EMU_RNG_H
#define BULKHEAD_EMU_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint32_t key[8];
	uint64_t block;
	uint32_t out[8];
	unsigned used; /* words of `out` already given away */
	bool host_rdrand;
};

/* 0, or -errno of getrandom() where the generator needs a seed. */
int rng_init(struct rng *r);
/* For tests: the software generator with a known key. */
void rng_init_seed(struct rng *r, const uint8_t seed[32]);
uint64_t rng_next(struct rng *r);

#endif
