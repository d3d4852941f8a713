/* SPDX-License-Identifier: MIT */
/* The guest goes over to the other engine while it runs. */
#ifndef BULKHEAD_VMM_HANDOVER_H
#define BULKHEAD_VMM_HANDOVER_H

#include "../../proto/control.pb-c.h"

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* NULL: vm_hooks.engine_changed() tells when it is done, or that it failed. Else why it cannot be done now.
 * `force`: also where this host's KVM is known to harm the guest. */
const char *handover_begin(struct vm *vm, bool to_kvm, bool force);
bool handover_is_going_on(const struct vm *vm);
/* The vcpu process's and irqd's answers meanwhile; error NULL: it did what it was asked. True: that is all about it. */
bool handover_replied(struct vm *vm, uint16_t request, const Bulkhead__Ok *ok, const char *error);
/* The vcpu process has ended. True: as it should. */
bool handover_gone(struct vm *vm);
/* The guest runs. */
void handover_running(struct vm *vm);
/* The machine is started again, or ends. */
void handover_cancel(struct vm *vm, const char *why);

#endif
