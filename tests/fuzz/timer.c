/* SPDX-License-Identifier: MIT */
/* PIT, RTC, ACPI timer, HPET: registers and time. */
#include "devices/timer_model.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Three HPET timers and the PIT at 50 kHz each, the RTC at 8 kHz, and a few one-shots. */
	static const struct model_target target = { &timer_model, NULL, PERIODIC_MIN_WAKE_NS, 4 * 51 + 16 };

	return model_input(&target, data, size);
}
