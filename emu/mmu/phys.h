/* SPDX-License-Identifier: MIT */
/* Guest-physical accesses of the MMU's slow paths. Within one page. */
#ifndef BULKHEAD_EMU_PHYS_H
#define BULKHEAD_EMU_PHYS_H

#include "emu/core/emu.h"

/* RAM or not. */
void phys_read(struct emu *e, uint64_t gpa, void *data, unsigned size);
void phys_write(struct emu *e, uint64_t gpa, const void *data, unsigned size);
/* Known not to be RAM: the local APIC or the bus. size 1, 2, 4, 8. */
uint64_t phys_io_read(struct emu *e, uint64_t gpa, unsigned size);
void phys_io_write(struct emu *e, uint64_t gpa, uint64_t data, unsigned size);

#endif
