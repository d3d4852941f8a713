/* SPDX-License-Identifier: MIT */
/* Address -> daemon, derived from the models' tables: see route.h. */
#include "route.h"

#include <errno.h>
#include <string.h>

#include "shadow.h"

enum { PORTS = 65536 };

void route_init(struct route_table *t)
{
	memset(t, 0, sizeof(*t));
}

static unsigned count_shadow(const struct model_range *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->reg_count; i++)
		n += r->regs[i].shadow != REG_ROUND_TRIP;
	return n;
}

static struct route_range make_range(const struct model_range *r, unsigned index, uint8_t channel, unsigned first_shadow)
{
	return (struct route_range){
		.base = r->base, .len = r->len, .channel = channel, .range = (uint8_t)index,
		.regs = r->regs, .reg_count = r->reg_count, .first_shadow = first_shadow,
	};
}

static int add_ports(struct route_table *t, const struct route_range *r)
{
	if (t->port_count == sizeof(t->ports) / sizeof(t->ports[0]))
		return -ENOSPC;
	if (r->base >= PORTS || r->len > PORTS - r->base)
		return -EINVAL;
	for (uint64_t p = r->base; p < r->base + r->len; p++) {
		if (t->port[p])
			return -EEXIST;
		t->port[p] = (uint8_t)(t->port_count + 1);
	}
	t->ports[t->port_count++] = *r;
	return 0;
}

static int add_mmio(struct route_table *t, const struct route_range *r)
{
	if (t->mmio_count == ROUTE_MMIO)
		return -ENOSPC;
	for (unsigned i = 0; i < t->mmio_count; i++) {
		if (r->base < t->mmio[i].base + t->mmio[i].len && t->mmio[i].base < r->base + r->len)
			return -EEXIST;
	}
	t->mmio[t->mmio_count++] = *r;
	return 0;
}

int route_add(struct route_table *t, const struct model_range *ranges, unsigned count, uint8_t channel)
{
	unsigned shadow = 0;
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++) {
		struct route_range r = make_range(&ranges[i], i, channel, shadow);

		shadow += count_shadow(&ranges[i]);
		switch (ranges[i].space) {
		case MODEL_PORT:
			err = add_ports(t, &r);
			break;
		case MODEL_MMIO:
			err = add_mmio(t, &r);
			break;
		}
	}
	return err;
}

const struct route_range *route_find(const struct route_table *t, enum model_space space, uint64_t addr)
{
	if (space == MODEL_PORT) {
		uint8_t index = addr < PORTS ? t->port[addr] : 0;

		return index ? &t->ports[index - 1] : NULL;
	}
	for (unsigned i = 0; i < t->mmio_count; i++) {
		if (addr - t->mmio[i].base < t->mmio[i].len)
			return &t->mmio[i];
	}
	return NULL;
}

static bool is_exactly(const struct reg_desc *reg, uint64_t offset, unsigned size)
{
	return reg->offset == offset && reg->size == size;
}

/* Registers that share an address for reads are shadowed only if there is just one of them. */
struct route_access route_read(const struct route_range *r, uint64_t addr, unsigned size)
{
	struct route_access a = { .way = ROUTE_SYNC };
	unsigned shadow = r->first_shadow, found = 0;

	for (unsigned i = 0; i < r->reg_count; i++) {
		const struct reg_desc *reg = &r->regs[i];

		if (reg->readable && is_exactly(reg, addr - r->base, size)) {
			found++;
			if (reg->shadow != REG_ROUND_TRIP && shadow < MODEL_MAX_SHADOW)
				a = (struct route_access){ ROUTE_SHADOWED, reg->depends, (uint8_t)shadow };
		}
		shadow += reg->shadow != REG_ROUND_TRIP;
	}
	return found == 1 ? a : (struct route_access){ .way = ROUTE_SYNC };
}

/*
 * Several registers may share an address for writes. A row whose predicate matches decides; without one, all rows must
 * allow the same, and the operation belongs to the classes of all.
 */
struct route_access route_write(const struct route_range *r, uint64_t addr, unsigned size, uint64_t data)
{
	unsigned rows = 0, posted = 0, dropped = 0;
	uint8_t classes = 0;

	for (unsigned i = 0; i < r->reg_count; i++) {
		const struct reg_desc *reg = &r->regs[i];

		if (!reg->writable || !is_exactly(reg, addr - r->base, size))
			continue;
		rows++;
		if (reg->post_mask && reg->post == REG_POSTED && (data & reg->post_mask) == reg->post_match)
			return (struct route_access){ ROUTE_POST, (uint8_t)reg->class, 0 };
		if (reg->post_mask)
			continue;
		posted += reg->post == REG_POSTED;
		dropped += reg->post == REG_DROPPED;
		classes |= (uint8_t)reg->class;
	}
	if (rows && posted == rows)
		return (struct route_access){ ROUTE_POST, classes, 0 };
	if (rows && dropped == rows)
		return (struct route_access){ .way = ROUTE_DROP };
	return (struct route_access){ .way = ROUTE_SYNC };
}
