/* SPDX-License-Identifier: MIT */
/* Keyboard and mouse: accesses of a guest, events from outside, and a shell that takes resets. */
#include "devices/input_model.h"
#include "model.h"

static void shell(void *state, struct input *in, uint64_t now)
{
	struct screen_event events[8];
	unsigned count = take_below(in, 9), room = input_model_room(state);
	int err;

	(void)now;
	for (unsigned i = 0; i < count; i++) {
		/* Most of them are some that can be. */
		const unsigned how = (unsigned)take(in, 1);

		events[i] = (struct screen_event){ (uint16_t)(how & 3), (uint16_t)take(in, 1),
						   (uint32_t)take(in, how & 0x80 ? 4 : 1) };
		if (how & 0x40)
			events[i].code |= SCREEN_BTN_LEFT;
		if (events[i].type == SCREEN_EV_KEY && !(how & 0x80))
			events[i].value %= 3;
	}
	err = input_model_offer(state, events, count);
	CHECK(input_model_room(state) == (err ? room : room - count));
	if (input_model_take_reset(state))
		CHECK(!input_model_take_reset(state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &input_model, shell, 0, 1 };

	return model_input(&target, data, size);
}
