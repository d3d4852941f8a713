/* SPDX-License-Identifier: MIT */
/* A virtio device as the guest sees it: accesses of a guest, and a back-end that says and does what it likes. */
#include "devices/virtio_model.h"
#include "model.h"

static void back_end(void *state, struct input *in, uint64_t now)
{
	struct virtio_description d = { .features = take(in, 8), .queues = (unsigned)take(in, 1) };

	(void)now;
	switch (take_below(in, 5)) {
	case 0:
		d.config[take_below(in, VIRTIO_CONFIG_BYTES)] = (uint8_t)take(in, 1);
		virtio_model_describe(state, &d);
		break;
	case 1:
		virtio_model_called(state, take_below(in, VIRTIO_VECTORS));
		break;
	case 2:
		virtio_model_stopped(state);
		break;
	case 3:
		virtio_model_break(state);
		break;
	case 4:
		virtio_model_take_pending(state);
		break;
	}
	CHECK(virtio_model_common(state)->queue_count <= VIRTIO_QUEUES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &virtio_model, back_end, 0, 0 };

	return model_input(&target, data, size);
}
