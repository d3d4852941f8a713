/* SPDX-License-Identifier: MIT */
/* The device daemons. One program holds them all; the name it is started under decides which one it is (main.c). */
#ifndef BULKHEAD_DEVICES_DAEMONS_H
#define BULKHEAD_DEVICES_DAEMONS_H

#include "devices/runtime.h"

#define DEVICE(NAME, name, ...) extern const struct daemon_shell name##_shell;
#include "proto/devices.def"

#endif
