/* SPDX-License-Identifier: MIT */
/* bulkhead device capture: a device as a file (proto/capture.h). */
#ifndef BULKHEAD_VMM_DEVICE_FILE_H
#define BULKHEAD_VMM_DEVICE_FILE_H

#include "client.h"

/* Writes it to standard output. An exit code. */
int device_capture(const struct machine_ref *ref, const char *device);

#endif
