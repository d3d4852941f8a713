/* SPDX-License-Identifier: MIT */
/* What the SDM leaves undefined, beyond the flags that the instruction table declares for a row. */
#ifndef BULKHEAD_TESTS_UNDEFINED_H
#define BULKHEAD_TESTS_UNDEFINED_H

#include "processor.h"

#include "emu/isa/isa.h"

/* C0, C2 and C3 of the x87 status word as far as the row leaves them undefined (SDM vol. 2, FPU flags affected). */
uint16_t x87_undefined_codes(unsigned row);

/* Reserved bytes of FNSTENV's and FNSAVE's image (`narrow`: the 16-bit form) and of FXSAVE's and XSAVE's, or what they leave
 * to software. Offsets below IMAGE_BYTES. */
enum { IMAGE_BYTES = 512 };
bool is_reserved_byte(unsigned row, bool narrow, unsigned offset);

/* Flags and result of this instruction with CL for a count, if it is a shift or a rotation. */
struct isa_undefined undefined_after(const struct insn *i, uint64_t rcx);

/* The point because of which a row's whole result may be open, with operands of `size`; POINT_COUNT if there is none. */
enum point open_result(unsigned row, unsigned size);

/* Encodings that the SDM's tables leave empty, and that processors have run ever since the 8087 or the 8086. */
bool is_undocumented(unsigned row);

#endif
