/* SPDX-License-Identifier: MIT */
/*
 * Another program in a device's place, on trial: until it serves, or as long as its requester says. If it ends before that, the
 * program before it is put back, with the state that this one left.
 */
#ifndef BULKHEAD_VMM_TRIAL_H
#define BULKHEAD_VMM_TRIAL_H

#include <stdbool.h>

struct proc;

/* The program before has left, and this is the state that it left. */
void trial_keep(struct proc *p);
/* Can the program before take over? If the new one has written the same kind of state, it goes on where that was; else it gets
 * back what it has left, if no request has been applied since. */
bool trial_can_go_back(struct proc *p);
/* It is over, either way. */
void trial_forget(struct proc *p);

#endif
