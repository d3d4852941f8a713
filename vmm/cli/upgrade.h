/* SPDX-License-Identifier: MIT */
/* bulkhead device upgrade: the installed programs in the place of those that machines run. */
#ifndef BULKHEAD_VMM_UPGRADE_H
#define BULKHEAD_VMM_UPGRADE_H

#include "client.h"

/* `device` NULL: all of the machine's. `older_than` NULL: whatever its version is. One line for each; an exit code. */
int upgrade_machine(const struct machine_ref *ref, const char *device, const char *older_than);
/* The same of each machine that runs. */
int upgrade_all(const char *older_than);

#endif
