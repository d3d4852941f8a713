/* SPDX-License-Identifier: MIT */
/* The life of a machine: start, reboot, what its processes say. */
#ifndef BULKHEAD_VMM_MACHINE_H
#define BULKHEAD_VMM_MACHINE_H

#include "../../proto/control.pb-c.h"

#include <stdint.h>

struct frame;
struct proc;
struct vm;

int machine_start(struct vm *vm);
void machine_start_again(struct vm *vm);
void machine_reply(struct proc *p, uint16_t request, const struct frame *reply);
void machine_event(struct proc *p, const Bulkhead__Event *event);
/* `code` and `status` as in siginfo_t of waitid(). */
void machine_proc_gone(struct proc *p, int code, int status);
/* Starts or goes on with the guest when everybody is there who will be. */
void machine_maybe_run(struct vm *vm);

#endif
