/* SPDX-License-Identifier: MIT */
/* A request that kills a device twice is skipped by its next incarnation. */
#ifndef BULKHEAD_VMM_POISON_H
#define BULKHEAD_VMM_POISON_H

#include <stdbool.h>

struct proc;

/* It has died; `foreign`: killed from outside, which says nothing about its requests. */
void poison_blame(struct proc *p, bool foreign);

#endif
