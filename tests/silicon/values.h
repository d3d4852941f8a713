/* SPDX-License-Identifier: MIT */
/* Random values, thick with those that instructions treat specially (random.c), and the image they come in. */
#ifndef BULKHEAD_TESTS_VALUES_H
#define BULKHEAD_TESTS_VALUES_H

#include <stdint.h>

/* FXSAVE64 image. */
struct fximage {
	uint16_t cw, sw;
	uint8_t tag, reserved0;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t unused[96];
} __attribute__((aligned(16)));

uint64_t rnd(void);
void rnd_seed(uint64_t seed);
static inline unsigned rnd_below(unsigned n)
{
	return (unsigned)(rnd() % n);
}
void random_bytes(void *out, unsigned bytes); /* integers, floats, x87 images with all the awkward values */
void random_x87(struct fximage *fx);
uint64_t random_integer(void);

#endif
