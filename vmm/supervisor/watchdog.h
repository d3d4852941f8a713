/* SPDX-License-Identifier: MIT */
/* Finds processes that live and do not work; watch.h says who is to blame. */
#ifndef BULKHEAD_VMM_WATCHDOG_H
#define BULKHEAD_VMM_WATCHDOG_H

#include <stdint.h>

struct proc;
struct vm;

/* 0 or -1 */
int watchdog_start(struct vm *vm);
void watchdog_born(struct proc *p);
/* Watch time in ns: stands still while the supervisor does not run; never 0. */
uint64_t watchdog_now(const struct vm *vm);

#endif
