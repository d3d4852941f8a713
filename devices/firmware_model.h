/* SPDX-License-Identifier: MIT */
/*
 * What a PC's firmware asks and sets up, as firmwared has it: fw_cfg with the description of the machine, and the chipset's two
 * functions. The description is a pure function of the machine's configuration, and part of the state.
 */
#ifndef BULKHEAD_DEVICES_FIRMWARE_MODEL_H
#define BULKHEAD_DEVICES_FIRMWARE_MODEL_H

#include "devices/chips/fw_cfg.h"
#include "devices/chips/q35.h"
#include "devices/model.h"

struct firmware_state {
	struct fw_cfg fw_cfg;
	struct pci_function bridge, lpc;
};

/* firmware_files.c: adds all files that tell what the machine is. 0, or -ENOSPC. */
int firmware_describe(struct fw_cfg *f, const struct model_config *config);

#endif
