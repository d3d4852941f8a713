/* SPDX-License-Identifier: MIT */
/*
 * A virtio GPU without 3D (virtio 1.2, 5.7) as a vhost-user back-end. Everything that it knows is in a struct gpu_store, which
 * survives it. A request is decided on, noted, carried out and then answered, in such a way that whoever finds it noted and not answered
 * can carry it out again; so the guest sees each request done once, whoever dies.
 */
#ifndef BULKHEAD_DEVICES_GPU_H
#define BULKHEAD_DEVICES_GPU_H

#include "devices/vhost_back.h"
#include "proto/gpu.h"

enum gpu_request {
	GPU_GET_DISPLAY_INFO = 0x100,
	GPU_CREATE_2D,
	GPU_UNREF,
	GPU_SET_SCANOUT,
	GPU_FLUSH,
	GPU_TRANSFER_2D,
	GPU_ATTACH,
	GPU_DETACH,
	GPU_UPDATE_CURSOR = 0x300,
	GPU_MOVE_CURSOR,
};

enum gpu_answer {
	GPU_OK = 0x1100,
	GPU_OK_DISPLAY_INFO,
	GPU_ERR_UNSPEC = 0x1200,
	GPU_ERR_OUT_OF_MEMORY,
	GPU_ERR_SCANOUT,
	GPU_ERR_RESOURCE,
	GPU_ERR_CONTEXT,
	GPU_ERR_PARAMETER,
};

/* Bytes in memory, in their order. X: nothing. */
enum gpu_format {
	GPU_BGRA = 1,
	GPU_BGRX = 2,
	GPU_ARGB = 3,
	GPU_XRGB = 4,
	GPU_RGBA = 67,
	GPU_XBGR = 68,
	GPU_ABGR = 121,
	GPU_RGBX = 134,
};

struct gpu {
	struct gpu_store *store;
	bool fresh;  /* the control queue has been started, and nothing of it been served yet */
	bool is_due; /* there may be something new to show */
	struct vhost_device device;
};

/* `served` and `lost` as in struct vhost_device. What the store holds and cannot be so is forgotten. */
void gpu_init(struct gpu *g, struct gpu_store *store, void (*served)(void *ctx), void (*lost)(void *ctx, const char *why));
/* Power-on: no resources, and nothing is shown. */
void gpu_forget(struct gpu_store *s);
/* NULL, or what of a store cannot be so. */
const char *gpu_check(const struct gpu_store *s);
/*
 * One chain of the control queue whose used index is `index`: bytes that were written into it. -EPROTO: it has no room for an answer, or
 * asks nothing.
 */
int64_t gpu_control(struct gpu *g, const struct virtq_memory *memory, const struct virtq_chain *chain, uint16_t index);
/* The same of the cursor queue, whose requests need no answer. */
int64_t gpu_cursor(struct gpu *g, const struct virtq_memory *memory, const struct virtq_chain *chain);

#endif
