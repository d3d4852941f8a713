/* SPDX-License-Identifier: MIT */
/* The disk's back-end answers no address: what it is to the guest, its front-end is. All that it keeps is in the image. */
#ifndef BULKHEAD_DEVICES_BLK_MODEL_H
#define BULKHEAD_DEVICES_BLK_MODEL_H

#include "devices/model.h"

struct blk_state {
	uint64_t batches; /* served so far */
};

#endif
