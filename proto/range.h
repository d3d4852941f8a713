/* SPDX-License-Identifier: MIT */
/* Ranges of addresses that a device answers: its row in devices.def lists them, the vcpu process routes by them. */
#ifndef BULKHEAD_PROTO_RANGE_H
#define BULKHEAD_PROTO_RANGE_H

#include "reg.h"

enum model_space { MODEL_PORT, MODEL_MMIO };

struct model_range {
	const char *name;
	enum model_space space;
	uint64_t base;
	uint32_t len;
	const struct reg_desc *regs; /* NULL: every access is synchronous */
	unsigned reg_count;
	uint32_t step; /* the next instance's base is so much higher */
	bool rom; /* a PCI function's expansion ROM: where that register says, and not a BAR */
	bool over; /* ports that an earlier row's range has as well are this one's; in memory, that range answers nowhere */
};

/* For the NAME_RANGES lists of devices.def: an enumerator and an element of each. */
#define RANGE_ID(NAME, ...) RANGE_##NAME,
#define RANGE_ROW(NAME, space_, base_, len_, regs_, reg_count_, ...) \
	{ .name = #NAME, .space = MODEL_##space_, .base = base_, .len = len_, .regs = regs_, .reg_count = reg_count_, \
	  .step = 0 __VA_OPT__(+) __VA_ARGS__ },

#endif
