/* SPDX-License-Identifier: MIT */
/*
 * Which daemon answers an address, and how: derived from the devices' tables of ranges and registers, so that the vCPU
 * process holds no knowledge of chips.
 */
#ifndef BULKHEAD_PROTO_ROUTE_H
#define BULKHEAD_PROTO_ROUTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kind.h"
#include "range.h"

enum { ROUTE_CHANNELS = DEVICES_MAX, ROUTE_PORTS = 128, ROUTE_MMIO = 32 };

/* What one range of addresses does; `channel` is the index that route_add() was called with. */
struct route_range {
	uint64_t base;
	uint32_t len;
	uint8_t channel;
	uint8_t range; /* its index in the device's row */
	const struct reg_desc *regs;
	unsigned reg_count;
	unsigned first_shadow; /* shadow index of the first REG_SHADOW_* row of this range */
	bool rom; /* an expansion ROM: what is written there is lost */
	uint8_t *memory; /* it is memory that this process has, and nobody is asked; NULL: it is the device's */
};

/* Where no access goes: a BAR that is not decoded. */
#define ROUTE_NOWHERE (1ull << 63)

/* One thread adds; others may look up meanwhile: a range is complete before it can be found, and stays. */
struct route_table {
	_Atomic uint8_t port[65536]; /* index + 1 into ports; 0: nobody */
	struct route_range ports[ROUTE_PORTS];
	unsigned port_count;
	struct route_range mmio[ROUTE_MMIO];
	_Atomic unsigned mmio_count;
	bool has_pci; /* else what lies in PCI's windows (layout.h) is not routed */
};

void route_init(struct route_table *t);
/*
 * Adds all ranges of a device, the `instance`th of its kind. 0; -EEXIST: two devices claim one port or
 * address, and the later one does not say that it may (range.h); -EINVAL:
 * beyond the last port or address; -ENOSPC: raise the tables' sizes.
 */
int route_add(struct route_table *t, const struct model_range *ranges, unsigned count, unsigned instance, uint8_t channel);
/* Adds one range, ranges[index], with a base of its own. Errors as above; on an error nothing has changed. */
int route_place(struct route_table *t, const struct model_range *ranges, unsigned index, uint64_t base, uint8_t channel);

/* A BAR was moved: the memory range `range` of the channel is at `base` from now on, or ROUTE_NOWHERE. Of two that overlap, the
 * one that was added first is found. An access of another thread that has found it before may still reach it. */
void route_move(struct route_table *t, uint8_t channel, uint8_t range, uint64_t base);

/* The memory range `range` of the channel is these bytes of ours, wherever its BAR leads. Before the guest runs. */
void route_memory(struct route_table *t, uint8_t channel, uint8_t range, uint8_t *memory);

/* NULL: nobody answers (reads are all-ones). The access may reach beyond the range: see route_fits(). */
const struct route_range *route_find(const struct route_table *t, enum model_space space, uint64_t addr);

/* Does the whole access lie in the range? If not, the caller splits it into bytes, each routed by itself. */
static inline bool route_fits(const struct route_range *r, uint64_t addr, unsigned size)
{
	return addr - r->base + size <= r->len;
}

/* How one access goes. */
enum route_way {
	ROUTE_SYNC,    /* ring_call */
	ROUTE_LAST,    /* ring_call, and the processor stands still behind it (REG_LAST) */
	ROUTE_POST,    /* ring_post with `classes` */
	ROUTE_DROP,    /* a write without any effect: not sent */
	ROUTE_SHADOWED, /* ring_is_applied(depends) && shadow_read(index) == 0, else ring_call */
};
struct route_access {
	enum route_way way;
	uint8_t classes; /* ROUTE_POST: of the operation; ROUTE_SHADOWED: that it depends on */
	uint8_t shadow;	 /* ROUTE_SHADOWED: index of the entry */
};
struct route_access route_read(const struct route_range *r, uint64_t addr, unsigned size);
struct route_access route_write(const struct route_range *r, uint64_t addr, unsigned size, uint64_t data);

#endif
