/* SPDX-License-Identifier: MIT */
/* The guest of `bulkhead demo`, built from vmm/keeper/demo_guest.S: a flat long-mode image (boot.h, BOOT_FLAT64). */
#ifndef BULKHEAD_VMM_DEMO_H
#define BULKHEAD_VMM_DEMO_H

#include <stddef.h>

extern const unsigned char demo_image[], demo_image_end[];
#define demo_image_size ((size_t)(demo_image_end - demo_image))

#endif
