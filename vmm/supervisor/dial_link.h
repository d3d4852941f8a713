/* SPDX-License-Identifier: MIT */
/* The supervisor's end of the dialler (vmm/common/dial.h). */
#ifndef BULKHEAD_VMM_DIAL_LINK_H
#define BULKHEAD_VMM_DIAL_LINK_H

#include "../common/dial.h"

struct vm;

/* Listens for answers, which go to the hook dialled(). 0 or -ENOMEM; in a machine without a dialler, 0. */
int dial_watch(struct vm *vm);
/* Asks for a connection to that device. The answer always comes, unless the dialler is gone: -errno */
int dial(struct vm *vm, unsigned device);

#endif
