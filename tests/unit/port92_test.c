/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "devices/chips/port92.h"

/* PS/2 system control port A: bit 1 alternate gate A20, bit 0 alternate hot reset on 0 to 1. */
Test(port92, a20_and_reset)
{
	struct port92 p;

	port92_reset(&p);
	cr_assert_eq(port92_read(&p), 2);
	cr_assert_not(port92_write(&p, 0));
	cr_assert_eq(port92_read(&p), 0);
	cr_assert_not(port92_write(&p, 0xfe));
	cr_assert_eq(port92_read(&p), 2);
	cr_assert(port92_write(&p, 3));
	cr_assert_not(port92_write(&p, 1), "no transition");
	cr_assert_not(port92_write(&p, 0));
	cr_assert(port92_write(&p, 1));
	cr_assert_null(port92_check(&p));
	p.value = 4;
	cr_assert_not_null(port92_check(&p));
}
