/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "devices/chips/debugcon.h"

/* Bytes come out in order, also around the end of the buffer; what does not fit is counted, not waited for.
 */
Test(debugcon, fifo)
{
	struct debugcon d;
	uint8_t buf[DEBUGCON_SIZE + 1];
	uint8_t next_in = 0, next_out = 0;

	debugcon_reset(&d);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 37; i++)
			debugcon_write(&d, next_in++);
		for (size_t n = debugcon_take(&d, buf, 20), i = 0; i < n; i++)
			cr_assert_eq(buf[i], next_out++);
		for (size_t n = debugcon_take(&d, buf, sizeof(buf)), i = 0; i < n; i++)
			cr_assert_eq(buf[i], next_out++);
		cr_assert_eq(next_in, next_out);
		cr_assert_null(debugcon_check(&d));
	}
	for (unsigned i = 0; i < DEBUGCON_SIZE + 5; i++)
		debugcon_write(&d, 0);
	cr_assert_eq(d.dropped, 5);
	cr_assert_null(debugcon_check(&d));
	cr_assert_eq(debugcon_take(&d, buf, sizeof(buf)), DEBUGCON_SIZE);
	d.head = DEBUGCON_SIZE;
	cr_assert_not_null(debugcon_check(&d));
	d.head = 0, d.count = DEBUGCON_SIZE + 1;
	cr_assert_not_null(debugcon_check(&d));
}
