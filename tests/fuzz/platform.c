/* SPDX-License-Identifier: MIT */
/* ACPI, reset and exit ports, i8042, debug console, PCI stub. */
#include "devices/platform_model.h"
#include "model.h"

static void shell(void *state, struct input *in, uint64_t now)
{
	uint8_t buf[DEBUGCON_SIZE];
	size_t len = take_below(in, sizeof(buf));
	struct platform_event e;

	switch (take(in, 1) & 3) {
	case 0:
		e = platform_model_take_event(state);
		CHECK(e.type < PLATFORM_EVENT_TYPES);
		break;
	case 1:
		CHECK(platform_model_take_debug(state, buf, len) <= len);
		break;
	default:
		platform_model_power_button(state);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &platform_model, shell, 0, 0 };

	return model_input(&target, data, size);
}
