/* SPDX-License-Identifier: MIT */
/*
 * Virtio devices have two processes, a front-end and a back-end. What connects them is made here: a fresh connection whenever
 * both serve and one of them has not had the one before, and only while a guest runs; and taken away before a reset empties the
 * memory that back-ends write.
 */
#ifndef BULKHEAD_VMM_LINK_H
#define BULKHEAD_VMM_LINK_H

#include <stdbool.h>

struct proc;
struct vm;

/* Somebody serves, or was given up, or the guest runs by now. */
void link_update(struct vm *vm);
/* It is gone. */
void link_lost(struct proc *p);
/* A front-end has hung up, and wants another connection. */
void link_again(struct proc *front);
/* A reset: back-ends are told to stop. False: one has not answered yet, ask again. */
bool link_part(struct vm *vm);

#endif
