/* SPDX-License-Identifier: MIT */
/*
 * emu_harness for tests of what single instructions do: no fetch, and a window of memory behind which nothing is mapped.
 * Control registers and code size are the test's to change under the feet of a processor that is in 64-bit mode.
 */
#ifndef BULKHEAD_TESTS_FLAT_H
#define BULKHEAD_TESTS_FLAT_H

#include "emu_harness.h"
#include "emu/isa/isa.h"

enum { WINDOW_BYTES = 1024, WINDOW = HARNESS_DATA + 4096 - WINDOW_BYTES };

/* The processor as it was at first, the same one each time: CR0.PE and NE, XCR0 and CR4 as the caller says; RSI and RDI
 * point to the window, which is filled with `fill`. */
struct emu *flat_machine(uint64_t cr4, uint64_t xcr0, uint8_t fill);
/* The window as the host sees it: the guest's address is WINDOW. */
uint8_t *flat_window(void);
/* Runs one instruction, which stands at HARNESS_CODE, as if the processor were in the mode that e->code_size says: 0, or
 * EMU_STOP; the outcome is in e->fault. Its row's checks are made. */
int flat_step(struct emu *e, const uint8_t *code, unsigned length);

#endif
