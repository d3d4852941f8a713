/* SPDX-License-Identifier: MIT */
/* Images of the processor's extended state: what CPUID and the processor model ask about them. */
#ifndef BULKHEAD_EMU_FP_H
#define BULKHEAD_EMU_FP_H

#include <stdbool.h>
#include <stdint.h>

/* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM, PKRU: what the emulator has at most. Of these, what the processor model
 * has is machine->xcr0_supported. */
#define EMU_XCR0_SUPPORTED 0x2e7ull
/* XSAVE geometry for CPUID leaf 0Dh: bytes needed for the components in `xcr0`. */
uint32_t xsave_size(uint64_t xcr0, bool compacted);
/* One extended component (from 2 on): its size, 0 if there is none; place in the standard form; alignment. */
uint32_t xsave_component(unsigned k, uint32_t *offset, bool *align64);

struct emu;

/* FIP is all that an x87 instruction notes, unless it raises an unmasked exception: the model's FCS, FDS and FDP are zero else. */
bool fp_has_simple_pointers(const struct emu *e);

#endif
