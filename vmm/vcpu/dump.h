/* SPDX-License-Identifier: MIT */
/* A processor's registers as text, for reports and for a debugger's user. */
#ifndef BULKHEAD_VMM_VCPU_DUMP_H
#define BULKHEAD_VMM_VCPU_DUMP_H

#include "emu/core/cpu.h"

#include <stddef.h>

/* Several lines; cut where `len` ends. */
void entry_dump(const struct cpu *cpu, char *text, size_t len);

#endif
