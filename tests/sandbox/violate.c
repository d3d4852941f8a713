/* SPDX-License-Identifier: MIT */
/*
 * A daemon that breaks its fence: linked into an otherwise unchanged one
 * (-Wl,--wrap=runtime_apply). At the guest's third request it makes a system call that is not on
 * its list.
 */
#include "devices/runtime.h"

#include <sys/syscall.h>
#include <unistd.h>

enum { BREAKS_AT = 3 };

void __real_runtime_apply(struct runtime *rt, const struct io_slot *slot);
void __wrap_runtime_apply(struct runtime *rt, const struct io_slot *slot);

void __wrap_runtime_apply(struct runtime *rt, const struct io_slot *slot)
{
	static unsigned requests;

	if (++requests == BREAKS_AT)
		syscall(SYS_getppid);
	__real_runtime_apply(rt, slot);
}
