/* SPDX-License-Identifier: MIT */
/* The display's model: accesses of a guest, and a shell that offers events and shows frames. */
#include "devices/display_model.h"
#include "model.h"

static void offer(void *state, struct input *in)
{
	struct screen_event events[8];
	unsigned count = take_below(in, 9), room = display_model_room(state);
	int err;

	for (unsigned i = 0; i < count; i++)
		events[i] = (struct screen_event){ (uint16_t)take(in, 1), (uint16_t)take(in, 2), (uint32_t)take(in, 4) };
	err = display_model_offer(state, events, count);
	CHECK(display_model_room(state) == (err ? room : room - count));
}

static void shell(void *state, struct input *in, uint64_t now)
{
	static struct mailbox m;

	(void)now;
	offer(state, in);
	if (!display_model_take_frame(state))
		return;
	display_model_fill(state, &m);
	CHECK(m.count <= MAILBOX_EVENTS && m.reserved == 0);
	CHECK(!display_model_take_frame(state));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &display_model, shell, 0, 0 };

	return model_input(&target, data, size);
}
