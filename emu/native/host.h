/* SPDX-License-Identifier: MIT */
/* What the processor that this program runs on has, in the words of the instruction table. */
#ifndef BULKHEAD_EMU_NATIVE_HOST_H
#define BULKHEAD_EMU_NATIVE_HOST_H

#include <stdbool.h>

/* Has the host's processor this feature (enum isa_feature), and its system switched on the state that it needs? False for
 * all where instructions of x86-64 cannot be run (host.h). */
bool native_has(unsigned feature);

/* From now on these features (names of model/features.def, with commas between), and what needs them, are taken as missing, as on
 * another host: for tests. Before any machine is made. -EINVAL: there is no feature of such a name. */
int native_hide(const char *features);

#endif
