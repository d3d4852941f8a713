/* SPDX-License-Identifier: MIT */
/* bulkhead-firmwared: fw_cfg and the chipset, for a PC's firmware. All it does is in the model. */
#include "daemons.h"

const struct daemon_shell firmwared_shell = {
	.shell_version = FIRMWARED_SHELL_VERSION,
	.kind = KIND_FIRMWARED,
	.model = &firmware_model,
};
