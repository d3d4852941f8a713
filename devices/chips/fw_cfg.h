/* SPDX-License-Identifier: MIT */
/*
 * The firmware configuration device of QEMU's machines (QEMU, docs/specs/fw_cfg.rst), by which firmware learns what machine it is
 * in: a selector and a data register, and behind them numbered items and named files. It offers no DMA, so that
 * whoever serves it needs no guest memory; firmware sees that in the item ID, and reads bytes from the port.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_FW_CFG_H
#define BULKHEAD_DEVICES_CHIPS_FW_CFG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/reg.h"

enum { FW_CFG_BASE = 0x510, FW_CFG_PORTS = 2, FW_CFG_REGS = 2 };
enum { FW_CFG_FILES = 12, FW_CFG_NAME = 56, FW_CFG_BYTES = 24 * 1024 };
/* Items with numbers that are no files. */
enum {
	FW_CFG_SIGNATURE = 0x00,
	FW_CFG_ID = 0x01,
	FW_CFG_RAM_SIZE = 0x03,
	FW_CFG_NOGRAPHIC = 0x04,
	FW_CFG_NB_CPUS = 0x05,
	FW_CFG_MAX_CPUS = 0x0f,
	FW_CFG_FILE_DIR = 0x19,
	FW_CFG_FILE_FIRST = 0x20,
	FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

struct fw_cfg {
	uint64_t ram_bytes;
	uint16_t vcpus;
	uint16_t key;
	uint32_t at; /* in the item */
	uint32_t files, used;
	struct {
		char name[FW_CFG_NAME];
		uint32_t offset, len; /* in `bytes` */
	} file[FW_CFG_FILES];
	uint8_t bytes[FW_CFG_BYTES];
};

extern const struct reg_desc fw_cfg_regs[FW_CFG_REGS];

/* Without files. */
void fw_cfg_reset(struct fw_cfg *f, uint64_t ram_bytes, uint16_t vcpus);
/* In the order of the directory. 0; -ENOSPC: no room, -EINVAL: the name is too long. */
int fw_cfg_add(struct fw_cfg *f, const char *name, const void *data, size_t len);
/* Ports FW_CFG_BASE and the one behind it. */
void fw_cfg_select(struct fw_cfg *f, uint16_t key);
uint8_t fw_cfg_read(struct fw_cfg *f); /* behind an item's end: 0 */
/* The field of a state that makes no sense; NULL: it does. */
const char *fw_cfg_check(const struct fw_cfg *f);

#endif
