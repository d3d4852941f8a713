/* SPDX-License-Identifier: MIT */
/*
 * The test device's model: what QEMU's pc-testdev is to test suites for machines (a latch, a wire to every interrupt line,
 * a window of memory that traps), a fw_cfg that tells the machine's size (QEMU's docs/specs/fw_cfg), and a view of guest
 * memory from outside.
 */
#ifndef BULKHEAD_DEVICES_TESTDEV_MODEL_H
#define BULKHEAD_DEVICES_TESTDEV_MODEL_H

#include "devices/model.h"

enum { TESTDEV_WINDOW = 0x10000, FW_CFG_ITEM_MAX = 8 };

/* What the shell is to do with guest memory, by which the model cannot reach. */
enum testdev_memory { TESTDEV_NOTHING, TESTDEV_LOAD, TESTDEV_STORE };

struct testdev_state {
	uint32_t latch;
	uint16_t fw_cfg_key, fw_cfg_at; /* item, and how many bytes of it have been read */
	uint16_t vcpus;
	uint16_t wish;			/* enum testdev_memory */
	uint64_t ram_bytes;
	uint64_t address, data;		/* MEMORY */
	uint32_t lines[MODEL_LINES];	/* words */
	uint8_t window[TESTDEV_WINDOW];
};

/* Takes the wish; the shell answers TESTDEV_LOAD with testdev_model_load(). */
enum testdev_memory testdev_model_take_wish(void *state, uint64_t *address, uint64_t *data);
void testdev_model_load(void *state, uint64_t data);

#endif
