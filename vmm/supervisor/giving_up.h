/* SPDX-License-Identifier: MIT */
/* A device is given up: its reads are all-ones, what is written to it is lost, and the machine goes on, pauses or ends. */
#ifndef BULKHEAD_VMM_GIVING_UP_H
#define BULKHEAD_VMM_GIVING_UP_H

struct proc;
struct vm;

void giving_up(struct proc *p);
/* It is to be started again; what the guest had asked of it before is dropped, as the guest was told. */
void giving_up_take_back(struct proc *p);
/* It is being started: the guest waits for it from here on. */
void giving_up_over(struct proc *p);
/* A new vcpu process does not know yet which devices are given up. */
void giving_up_tell_vcpu(struct vm *vm);

#endif
