/* SPDX-License-Identifier: MIT */
/* The test device's model: accesses of a guest, and a shell that answers its wishes. */
#include "devices/testdev_model.h"
#include "model.h"

static void shell(void *state, struct input *in, uint64_t now)
{
	uint64_t address, data;

	(void)now;
	if (testdev_model_take_wish(state, &address, &data) == TESTDEV_LOAD)
		testdev_model_load(state, take(in, 8));
	CHECK(testdev_model_take_wish(state, &address, &data) == TESTDEV_NOTHING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &testdev_model, shell, 0, 0 };

	return model_input(&target, data, size);
}
