/* SPDX-License-Identifier: MIT */
/*
 * A machine's debugger: bulkhead-gdbd is started when the first connection comes, and is given connections one by one; it
 * says itself whom it serves. It and the vcpu process speak over a pair of sockets of their own.
 */
#ifndef BULKHEAD_VMM_DEBUG_H
#define BULKHEAD_VMM_DEBUG_H

struct proc;
struct vm;

/* The keeper has let somebody in; the descriptor is ours. */
void debug_client(struct vm *vm, int fd);
/* There is a new vcpu process; it has not been told to run. 0 or -errno. */
int debug_vcpu_born(struct vm *vm);
/* gdbd has ended: the guest goes on without it. */
void debug_gone(struct proc *p);
/* The machine ends. */
void debug_machine_ends(struct vm *vm);

#endif
