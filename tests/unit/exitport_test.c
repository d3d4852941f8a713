/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "devices/chips/exitport.h"

/* As QEMU's isa-debug-exit documents: (value << 1) | 1, of which a process can report 8 bits. */
Test(exitport, codes)
{
	cr_assert_eq(exitport_code(0), 1);
	cr_assert_eq(exitport_code(0x10), 33);
	cr_assert_eq(exitport_code(0xff), 255);
	cr_assert_eq(exitport_code(0x80), 1);
	cr_assert_eq(exitport_plain_code(0), 0);
	cr_assert_eq(exitport_plain_code(42), 42);
}
