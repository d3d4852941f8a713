/* SPDX-License-Identifier: MIT */
/* Address -> daemon, derived from the models' tables: see route.h. */
#include "route.h"

#include <errno.h>
#include <string.h>

#include "layout.h"
#include "shadow.h"

enum { PORTS = 65536 };

void route_init(struct route_table *t)
{
	memset(t, 0, sizeof(*t));
}

/* Shadow entries of a device are numbered through all its ranges. */
static unsigned first_shadow(const struct model_range *ranges, unsigned index)
{
	unsigned n = 0;

	for (unsigned r = 0; r < index; r++)
		for (unsigned i = 0; i < ranges[r].reg_count; i++)
			n += ranges[r].regs[i].shadow != REG_ROUND_TRIP;
	return n;
}

static bool is_port_taken(const struct route_table *t, const struct route_range *r)
{
	for (uint64_t p = r->base; p < r->base + r->len; p++)
		if (t->port[p])
			return true;
	return false;
}

static int add_ports(struct route_table *t, const struct route_range *r, bool over)
{
	if (t->port_count == ROUTE_PORTS)
		return -ENOSPC;
	if (r->base >= PORTS || r->len > PORTS - r->base)
		return -EINVAL;
	if (!over && is_port_taken(t, r))
		return -EEXIST;
	t->ports[t->port_count++] = *r;
	for (uint64_t p = r->base; p < r->base + r->len; p++)
		atomic_store_explicit(&t->port[p], (uint8_t)t->port_count, memory_order_release);
	return 0;
}

/* Not all machines have PCI; the devices that they share with those that have do not answer there. */
static bool is_pci(uint64_t base)
{
	return base - LAYOUT_PCI_BASE < LAYOUT_PCI_SIZE || base - LAYOUT_ECAM_BASE < LAYOUT_ECAM_SIZE;
}

static int add_mmio(struct route_table *t, const struct route_range *r, bool over)
{
	unsigned n = t->mmio_count;

	if (is_pci(r->base) && !t->has_pci)
		return 0;
	if (n == ROUTE_MMIO)
		return -ENOSPC;
	if (r->base > UINT64_MAX - r->len)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++) {
		if (r->base >= t->mmio[i].base + t->mmio[i].len || t->mmio[i].base >= r->base + r->len)
			continue;
		if (!over)
			return -EEXIST;
		t->mmio[i].base = ROUTE_NOWHERE;
	}
	t->mmio[n] = *r;
	atomic_store_explicit(&t->mmio_count, n + 1, memory_order_release);
	return 0;
}

int route_place(struct route_table *t, const struct model_range *ranges, unsigned index, uint64_t base, uint8_t channel)
{
	const struct model_range *m = &ranges[index];
	const struct route_range r = {
		.base = base,
		.len = m->len,
		.channel = channel,
		.range = (uint8_t)index,
		.regs = m->regs,
		.reg_count = m->reg_count,
		.first_shadow = first_shadow(ranges, index),
		.rom = m->rom,
	};

	return m->space == MODEL_PORT ? add_ports(t, &r, m->over) : add_mmio(t, &r, m->over);
}

/* Only the base changes, and it is one word. */
void route_move(struct route_table *t, uint8_t channel, uint8_t range, uint64_t base)
{
	for (unsigned i = 0; i < t->mmio_count; i++)
		if (t->mmio[i].channel == channel && t->mmio[i].range == range)
			__atomic_store_n(&t->mmio[i].base, base, __ATOMIC_RELEASE);
}

void route_memory(struct route_table *t, uint8_t channel, uint8_t range, uint8_t *memory)
{
	for (unsigned i = 0; i < t->mmio_count; i++)
		if (t->mmio[i].channel == channel && t->mmio[i].range == range)
			t->mmio[i].memory = memory;
}

int route_add(struct route_table *t, const struct model_range *ranges, unsigned count, unsigned instance, uint8_t channel)
{
	int err = 0;

	for (unsigned i = 0; i < count && !err; i++)
		err = route_place(t, ranges, i, ranges[i].base + (uint64_t)instance * ranges[i].step, channel);
	return err;
}

const struct route_range *route_find(const struct route_table *t, enum model_space space, uint64_t addr)
{
	unsigned count;

	if (space == MODEL_PORT) {
		uint8_t index = addr < PORTS ? atomic_load_explicit(&t->port[addr], memory_order_acquire) : 0;

		return index ? &t->ports[index - 1] : NULL;
	}
	count = atomic_load_explicit(&t->mmio_count, memory_order_acquire);
	for (unsigned i = 0; i < count; i++) {
		if (addr - __atomic_load_n(&t->mmio[i].base, __ATOMIC_ACQUIRE) < t->mmio[i].len)
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
	unsigned rows = 0, posted = 0, dropped = 0, last = 0;
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
		last += reg->post == REG_LAST;
		classes |= (uint8_t)reg->class;
	}
	if (rows && posted == rows)
		return (struct route_access){ ROUTE_POST, classes, 0 };
	if (rows && dropped == rows)
		return (struct route_access){ .way = ROUTE_DROP };
	if (rows && last == rows)
		return (struct route_access){ .way = ROUTE_LAST };
	return (struct route_access){ .way = ROUTE_SYNC };
}
