/* SPDX-License-Identifier: MIT */
/*
 * What a PC's firmware asks and sets up, as firmwared has it: fw_cfg with the description of the machine, and the chipset's two
 * functions. The description is a pure function of the machine's configuration, and part of the state.
 */
#ifndef BULKHEAD_DEVICES_FIRMWARE_MODEL_H
#define BULKHEAD_DEVICES_FIRMWARE_MODEL_H

#include "devices/chips/fw_cfg.h"
#include "devices/chips/pflash.h"
#include "devices/chips/q35.h"
#include "devices/model.h"

/* What the flash holds is in a file, as a disk's content is, and no part of the state: the shell reads it before the first access, and
 * writes what `changed` says. NULL: there is no flash, or nobody has its content; its addresses read as all-ones. */
extern uint8_t *firmware_flash;

struct firmware_state {
	struct fw_cfg fw_cfg;
	struct pci_function bridge, lpc;
	struct pflash flash;
	uint32_t flash_at, flash_bytes; /* in the range of addresses before 4 GiB */
	struct pflash_change changed;	/* that no file has yet */
};

/* firmware_files.c: adds all files that tell what the machine is. 0, or -ENOSPC. */
int firmware_describe(struct fw_cfg *f, const struct model_config *config);

#endif
