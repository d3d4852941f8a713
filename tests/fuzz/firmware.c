/* SPDX-License-Identifier: MIT */
/* What firmware asks and sets up: accesses of a guest. */
#include "devices/firmware_model.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &firmware_model, NULL, 0, 0 };

	return model_input(&target, data, size);
}
