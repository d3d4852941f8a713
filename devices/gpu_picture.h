/* SPDX-License-Identifier: MIT */
/* What a virtio GPU shows: pure. */
#ifndef BULKHEAD_DEVICES_GPU_PICTURE_H
#define BULKHEAD_DEVICES_GPU_PICTURE_H

#include <stdbool.h>

#include "devices/vga_picture.h"
#include "proto/gpu.h"

/* NULL: there is none. */
const struct gpu_resource *gpu_resource_of(const struct gpu_store *s, uint32_t id);
bool gpu_format_is_known(uint32_t format);
/* The part of the resource that is shown, with the cursor; nothing is black. The store has been checked (gpu_check()). */
void gpu_picture(const struct gpu_store *s, const struct vga_canvas *to);

#endif
