/* SPDX-License-Identifier: MIT */
/*
 * Extended state in memory, for the emulator's XSAVE family and for KVM's area: the legacy region (SDM vol. 1, 10.5.1), and for
 * each extended component which bytes of struct cpu it holds (SDM vol. 1, 13.4 and 13.5).
 */
#ifndef BULKHEAD_EMU_XSTATE_H
#define BULKHEAD_EMU_XSTATE_H

#include "cpu.h"

/* The first 512 bytes. In the forms without REX.W the pointers are 32 bits, with a selector above them. */
struct fx_image {
	uint16_t cw, sw;
	uint8_t tag, reserved0;
	uint16_t fop;
	uint64_t fip, fdp;
	uint32_t mxcsr, mxcsr_mask;
	uint8_t st[8][16];
	uint8_t xmm[16][16];
	uint8_t unused[96];
};

struct xsave_header {
	uint64_t xstate_bv, xcomp_bv;
	uint64_t reserved[6];
};

enum { XSTATE_AVX = 2, XSTATE_OPMASK = 5, XSTATE_ZMM_HI256 = 6, XSTATE_HI16_ZMM = 7, XSTATE_PKRU = 9, XSTATE_COMPONENTS };
enum { XSTATE_LEGACY_BYTES = 512, XSTATE_HEADER_BYTES = 64, XSTATE_COMPONENT_MOST = 1024, XSTATE_REGISTERS = 32 };

/* A component: size 0 if there is none of that number. */
struct xstate_component {
	uint16_t size, offset; /* in the standard form of the emulator's area */
	bool align64;	       /* in the compacted form */
	uint8_t first, count;  /* vector registers of which it holds `bytes` from byte `at` on; opmasks and PKRU hold none */
	uint8_t at, bytes;
};
extern const struct xstate_component xstate_components[XSTATE_COMPONENTS];

/* The bytes of component k, where only the vector registers below `registers` exist: outside 64-bit mode the first eight (SDM vol.
 * 1, 13.5.2, 13.5.6). How many these are; to memory; and from there. */
unsigned xstate_bytes(unsigned k, unsigned registers);
void xstate_pack(const struct cpu *c, unsigned k, unsigned registers, uint8_t *out);
void xstate_unpack(struct cpu *c, unsigned k, unsigned registers, const uint8_t *in);

#endif
