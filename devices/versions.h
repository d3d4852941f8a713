/* SPDX-License-Identifier: MIT */
/*
 * What the daemons' shells keep in their journals beside their models' states (struct device_model has those versions): a
 * struct that changes gets the next number. 0: it keeps nothing.
 */
#ifndef BULKHEAD_DEVICES_VERSIONS_H
#define BULKHEAD_DEVICES_VERSIONS_H

enum {
	IRQD_SHELL_VERSION = 1,
	TIMERD_SHELL_VERSION = 0,
	SERIALD_SHELL_VERSION = 5,
	PLATFORMD_SHELL_VERSION = 1,
	TESTD_SHELL_VERSION = 0,
};

#endif
