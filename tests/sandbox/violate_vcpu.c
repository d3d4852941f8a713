/* SPDX-License-Identifier: MIT */
/*
 * A vcpu process that breaks its fence: linked into an otherwise unchanged one
 * (-Wl,--wrap=child_event). When it tells that the guest is about to run, it makes a system call
 * that is not on its list.
 */
#include "proto/child.h"

#include <sys/syscall.h>
#include <unistd.h>

int __real_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text);
int __wrap_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text);

int __wrap_child_event(struct child *c, Bulkhead__EventType type, uint32_t code, Bulkhead__Role device, const char *text)
{
	if (type == BULKHEAD__EVENT_TYPE__EVENT_RUNNING)
		syscall(SYS_getppid);
	return __real_child_event(c, type, code, device, text);
}
