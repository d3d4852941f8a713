/* SPDX-License-Identifier: MIT */
/* The device daemons. One program holds them all; the name it is started under decides which one it is (main.c). */
#ifndef BULKHEAD_DEVICES_DAEMONS_H
#define BULKHEAD_DEVICES_DAEMONS_H

#include "devices/runtime.h"

extern const struct daemon_shell irqd_shell, platformd_shell, seriald_shell, timerd_shell;

#endif
