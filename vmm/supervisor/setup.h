/* SPDX-License-Identifier: MIT */
/* Builds and sends SETUP: which objects each process gets. 0 or -errno. */
#ifndef BULKHEAD_VMM_SETUP_H
#define BULKHEAD_VMM_SETUP_H

#include "../../proto/control.pb-c.h"

#include <stdbool.h>

struct proc;
struct vm;

int setup_device(struct proc *p, bool recover);
/* What every process is told of its machine. */
void setup_machine(const struct vm *vm, Bulkhead__MachineConfig *m);
int setup_boot(struct proc *p);
int setup_vcpu(struct proc *p, const Bulkhead__EntryState *entry);

#endif
