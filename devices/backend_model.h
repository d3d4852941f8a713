/* SPDX-License-Identifier: MIT */
/* A virtio back-end answers no address: what it is to the guest, its front-end is. It keeps nothing here. */
#ifndef BULKHEAD_DEVICES_BACKEND_MODEL_H
#define BULKHEAD_DEVICES_BACKEND_MODEL_H

#include "devices/model.h"

struct backend_state {
	uint64_t batches; /* served so far */
};

#endif
