/* SPDX-License-Identifier: MIT */
/*
 * Locked operations on a value that lies in two pages. The host has none for that, as the pages are anywhere in its memory.
 *
 * A processor locks the bus (SDM vol. 3, 8.1.2), and nobody else reaches memory between its read and its write. Here:
 *
 * - Operations of this kind exclude one another in all of the machine. So a value that is only ever changed by locked
 *   operations on all of it, as 8.1.2.2 asks for ("identical addresses and operand lengths"), is changed atomically.
 * - Each half is changed by one compare-and-swap of the host's. So no store or locked operation on a part of the value is
 *   undone by one on all of it, nor the other way round, nor what others do to the neighbours of the value.
 * - What does not hold: somebody who reads the second half and has seen the first half changed before may find it unchanged.
 *   The order of two single accesses to the halves of one lock is what a program would have to go by.
 *
 * All that takes a lock prefix but CMPXCHG works from the lowest bit up: the first half of the result depends on nothing of the
 * second. So the first half can be final while the second is still being raced for.
 */
#include "operand.h"
#include "emu/core/machine.h"
#include "emu/core/ram.h"

uint64_t split_update(struct emu *e, const struct ram_halves *h, unsigned size, alu_function *op, uint64_t b, uint16_t *flags)
{
	const uint16_t before = *flags;
	uint64_t half[2], a, r;

	pthread_mutex_lock(&e->machine->split_lock);
	half[0] = ram_half_load(h, 0);
	half[1] = ram_half_load(h, 1);
	for (unsigned n = 0; n < 2; n++)
		do {
			a = half[0] | half[1] << 8 * h->bytes[0];
			*flags = before;
			r = op(size, a, b, flags);
		} while (!ram_half_cas(h, n, &half[n], ram_half_of(h, n, r)));
	pthread_mutex_unlock(&e->machine->split_lock);
	return a;
}

/* Both halves are as expected, or nothing is to be seen of it: unless somebody has stored to the first since, whose word is the
 * last. */
uint64_t split_cmpxchg(struct emu *e, const struct ram_halves *h, uint64_t expected, uint64_t desired)
{
	uint64_t half[2], mine = ram_half_of(h, 0, desired);

	pthread_mutex_lock(&e->machine->split_lock);
	half[0] = ram_half_load(h, 0);
	half[1] = ram_half_load(h, 1);
	if (half[0] == ram_half_of(h, 0, expected) && half[1] == ram_half_of(h, 1, expected) &&
	    ram_half_cas(h, 0, &half[0], mine) && !ram_half_cas(h, 1, &half[1], ram_half_of(h, 1, desired)))
		ram_half_cas(h, 0, &mine, half[0]);
	pthread_mutex_unlock(&e->machine->split_lock);
	return half[0] | half[1] << 8 * h->bytes[0];
}
