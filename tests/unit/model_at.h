/* SPDX-License-Identifier: MIT */
/* A model's ranges by address, for tests that speak of ports: the vcpu process finds them once (proto/route.h). */
#ifndef BULKHEAD_TESTS_MODEL_AT_H
#define BULKHEAD_TESTS_MODEL_AT_H

#include "devices/model.h"
#include "proto/ring.h"

/* The index of the range that answers, or one that there is not. */
static inline unsigned model_range_at(const struct device_model *m, enum model_space space, uint64_t addr)
{
	unsigned i = 0;

	while (i < m->range_count && (m->ranges[i].space != space || addr - m->ranges[i].base >= m->ranges[i].len))
		i++;
	return i;
}

static inline uint32_t model_offset_at(const struct device_model *m, unsigned range, uint64_t addr)
{
	return range < m->range_count ? (uint32_t)(addr - m->ranges[range].base) : 0;
}

static inline uint64_t model_read_at(const struct device_model *m, void *state, enum model_space space, uint64_t addr,
				     unsigned size, uint64_t now_ns)
{
	unsigned range = model_range_at(m, space, addr);

	return m->read(state, range, model_offset_at(m, range, addr), size, now_ns);
}

static inline void model_write_at(const struct device_model *m, void *state, enum model_space space, uint64_t addr,
				  uint64_t data, unsigned size, uint64_t now_ns)
{
	unsigned range = model_range_at(m, space, addr);

	m->write(state, range, model_offset_at(m, range, addr), data, size, now_ns);
}

/* A request as the vcpu process would make it. */
static inline struct io_slot model_slot_at(const struct device_model *m, enum io_op op, enum model_space space, uint64_t addr,
					   unsigned size, uint64_t data)
{
	unsigned range = model_range_at(m, space, addr);

	return (struct io_slot){
		.op = (uint8_t)op,
		.size = (uint8_t)size,
		.range = (uint8_t)range,
		.space = (uint8_t)space,
		.offset = model_offset_at(m, range, addr),
		.addr = addr,
		.data = data,
	};
}

#endif
