/* SPDX-License-Identifier: MIT */
/* The machine begins where another one stood still. */
#ifndef BULKHEAD_VMM_RESTORE_H
#define BULKHEAD_VMM_RESTORE_H

struct vm;

/* Before any process is there: into the machine's new objects. 0, or -errno; what is wrong has been said. */
int restore_objects(struct vm *vm);
/* Guest memory is there: the machine's time goes on from here. */
void restore_clock(struct vm *vm);
/* The next part for the vcpu process; when it has all of them, `restored` is no more. 0 or -errno */
int restore_next(struct vm *vm);

#endif
