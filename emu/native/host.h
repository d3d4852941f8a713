/* SPDX-License-Identifier: MIT */
/* What the processor that this program runs on has, in the words of the instruction table. */
#ifndef BULKHEAD_EMU_NATIVE_HOST_H
#define BULKHEAD_EMU_NATIVE_HOST_H

#include <stdbool.h>

/* Has the host's processor this feature (enum isa_feature), and its system switched on the state that it needs? False for
 * all where instructions of x86-64 cannot be run (host.h). */
bool native_has(unsigned feature);

#endif
