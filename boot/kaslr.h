/* SPDX-License-Identifier: MIT */
/*
 * Kernel address randomization, done by the loader. Linux does it in the code that unpacks a bzImage; since
 * the loader unpacks on the host, that code never runs, and the loader must take over its part: choose where
 * the kernel lies and where it believes to lie, and apply the relocations that the build appended to the
 * unpacked image.
 */
#ifndef BULKHEAD_BOOT_KASLR_H
#define BULKHEAD_BOOT_KASLR_H

#include "elf.h"

/* Addresses in the kernel's image mapping: virtual = physical + this, for a kernel that has not been moved.
 */
#define KERNEL_MAP_BASE 0xffffffff80000000ull
#define KERNEL_MAP_SIZE (1ull << 30) /* with randomization built in; Documentation/x86/x86_64/mm */
#define KERNEL_MAP_SIZE_32 (512ull << 20) /* KERNEL_IMAGE_SIZE of 32-bit kernels */

/* The lists of 32-bit words behind the ELF file: each holds locations, virtual addresses (64 bits: sign-extended). */
struct relocs {
	const uint8_t *words;
	size_t count;	/* in words, all lists with their leading zeros */
	unsigned lists; /* 0: none; 2: 64 bits, 32 bits; 3: 64 bits, inverse 32 bits, 32 bits; 1: 32-bit kernels */
	bool is64;
	uint64_t map;	/* virtual = physical + this, as linked */
};

/* Finds the lists behind `e`. Nothing there is no error (lists = 0); broken ones are -ENOEXEC with a message.
 */
int kaslr_find_relocs(struct loader *l, const struct elf *e, struct relocs *r);

/*
 * Adds `virt_delta` to every location of `r`. The image lies at [phys_base, phys_base + span) and was linked
 * for `link_base`; a location outside of it is -ENOEXEC.
 */
int kaslr_apply(struct loader *l, const struct relocs *r, uint64_t link_base, uint64_t phys_base,
		uint64_t span, uint64_t virt_delta);

/* A random multiple of `align` in [first, last], both multiples of `align` apart; 0 or -EIO. */
int kaslr_pick(uint64_t first, uint64_t last, uint64_t align, uint64_t *out);

#endif
