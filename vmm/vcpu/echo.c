/* SPDX-License-Identifier: MIT */
/* Registers that read as what was written: echo.h. */
#include "echo.h"

#include <string.h>

void echo_init(struct echo *e)
{
	memset(e, 0, sizeof(*e));
	pthread_mutex_init(&e->lock, NULL);
}

void echo_forget(struct echo *e)
{
	pthread_mutex_lock(&e->lock);
	e->knows_index = false;
	e->known = 0;
	pthread_mutex_unlock(&e->lock);
}

/* The row of the data register; the index is the byte before it. */
static const struct reg_desc *echo_row(const struct route_range *r)
{
	for (unsigned i = 0; i < r->reg_count; i++)
		if (r->regs[i].echo)
			return &r->regs[i];
	return NULL;
}

static void set_index(struct echo *e, const struct reg_desc *row, uint8_t value)
{
	e->index = value & row->echo_index_mask;
	e->knows_index = true;
}

static void set_value(struct echo *e, const struct reg_desc *row, uint8_t value)
{
	if (!e->knows_index || e->index >= ECHO_REGISTERS || e->index >= row->echo_count || !row->echo[e->index])
		return;
	e->value[e->index] = value & row->echo[e->index];
	e->known |= 1u << e->index;
}

void echo_written(struct echo *e, const struct route_range *r, uint64_t addr, uint64_t data, unsigned size)
{
	const struct reg_desc *row = echo_row(r);
	const uint64_t offset = addr - r->base;

	if (row && size == 1 && offset == row->offset - 1u) {
		set_index(e, row, (uint8_t)data);
	} else if (row && size == 1 && offset == row->offset) {
		set_value(e, row, (uint8_t)data);
	} else if (row && size == 2 && offset == row->offset - 1u) {
		set_index(e, row, (uint8_t)data);
		set_value(e, row, (uint8_t)(data >> 8));
	} else {
		e->knows_index = false;
		e->known = 0;
	}
}

bool echo_read(struct echo *e, const struct route_range *r, uint64_t addr, unsigned size, uint64_t *value)
{
	const struct reg_desc *row = size == 1 ? echo_row(r) : NULL;
	const bool is_index = row && addr - r->base == row->offset - 1u;
	bool known;

	if (!row || (!is_index && addr - r->base != row->offset))
		return false;
	pthread_mutex_lock(&e->lock);
	known = e->knows_index && (is_index || (e->index < ECHO_REGISTERS && e->known >> e->index & 1));
	if (known)
		*value = is_index ? e->index : e->value[e->index];
	pthread_mutex_unlock(&e->lock);
	return known;
}
