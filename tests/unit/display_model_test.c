/* SPDX-License-Identifier: MIT */
/* The frame port and its mailbox, as docs/guests.md has them ("The frame machine"). */
#include "model_at.h"
#include "model_fuzz.h"

#include <errno.h>

#include "devices/display_model.h"
#include "proto/layout.h"

static struct display_state s;
static struct mailbox m;
static const struct model_config config = { .ram_low = LAYOUT_FRAME_RAM, .vcpus = 1, .frame = true };

static void ask(uint64_t now_ns)
{
	model_write_at(&display_model, &s, MODEL_PORT, LAYOUT_FRAME_PORT, 0, 1, now_ns);
}

static struct screen_event key(unsigned code, uint32_t value)
{
	return (struct screen_event){ SCREEN_EV_KEY, (uint16_t)code, value };
}

static void init(void)
{
	memset(&s, 0xff, sizeof(s));
	memset(&m, 0xff, sizeof(m));
	display_model.reset(&s, &config, 0);
}

TestSuite(display_model, .init = init);

Test(display_model, frames_and_their_mailbox)
{
	const struct screen_event events[] = { key(30, 1), key(30, 0) };

	cr_assert(!display_model_take_frame(&s), "nobody has asked");
	cr_assert_eq(display_model_offer(&s, events, 2), 0);
	ask(1000);
	cr_assert(display_model_take_frame(&s));
	cr_assert(!display_model_take_frame(&s), "one request, one frame");
	display_model_fill(&s, &m);
	cr_assert_eq(m.frame, 1);
	cr_assert_eq(m.time_ns, 1000);
	cr_assert_eq(m.count, 2);
	cr_assert_eq(m.reserved, 0);
	cr_assert_arr_eq(m.events, events, sizeof(events));
	ask(2000);
	cr_assert(display_model_take_frame(&s));
	display_model_fill(&s, &m);
	cr_assert_eq(m.frame, 2);
	cr_assert_eq(m.count, 0, "an event comes once");
}

/* "at most 256"; what does not fit waits, and goes round the queue's end. */
Test(display_model, events_wait_in_order)
{
	uint32_t given = 0, taken = 0;

	for (unsigned round = 0; round < 20; round++) {
		while (display_model_room(&s) > 0) {
			struct screen_event e = { SCREEN_EV_REL, SCREEN_REL_WHEEL, given++ };

			cr_assert_eq(display_model_offer(&s, &e, 1), 0);
		}
		cr_assert_eq(display_model_offer(&s, &(struct screen_event){ SCREEN_EV_KEY, 1, 1 }, 1), -ENOSPC);
		ask(round);
		cr_assert(display_model_take_frame(&s));
		display_model_fill(&s, &m);
		cr_assert_eq(m.count, MAILBOX_EVENTS);
		for (unsigned i = 0; i < m.count; i++)
			cr_assert_eq(m.events[i].value, taken++);
	}
}

/* 640x480: guests draw where the mouse is. */
Test(display_model, a_position_beyond_the_screen_is_at_its_edge)
{
	const struct screen_event events[] = { { SCREEN_EV_ABS, SCREEN_ABS_X, 640 },
					       { SCREEN_EV_ABS, SCREEN_ABS_Y, UINT32_MAX },
					       { SCREEN_EV_ABS, SCREEN_ABS_X, 639 },
					       { SCREEN_EV_ABS, SCREEN_ABS_Y, 479 } };

	cr_assert_eq(display_model_offer(&s, events, 4), 0);
	ask(1);
	cr_assert(display_model_take_frame(&s));
	display_model_fill(&s, &m);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_eq(m.events[i].value, i % 2 ? 479u : 639u);
}

/* Nothing of it is taken then: half a chord would be another one. */
Test(display_model, what_is_no_event)
{
	const struct screen_event bad[] = { key(1, 1), { SCREEN_EV_ABS + 1, 0, 0 } }, worse[] = { key(1, 1), key(0x300, 1) };

	cr_assert_eq(display_model_offer(&s, bad, 2), -EINVAL);
	cr_assert_eq(display_model_offer(&s, worse, 2), -EINVAL);
	cr_assert_eq(display_model_room(&s), DISPLAY_QUEUE);
}

Test(display_model, states_that_cannot_be)
{
	const struct display_state good = s;
	const char *field = NULL;

	cr_assert_eq(display_model.validate(&s, &field), 0);
	s.count = DISPLAY_QUEUE + 1;
	cr_assert_eq(display_model.validate(&s, &field), -EINVAL);
	s = good;
	s.head = DISPLAY_QUEUE;
	cr_assert_eq(display_model.validate(&s, &field), -EINVAL);
	s = good;
	s.due = 2;
	cr_assert_eq(display_model.validate(&s, &field), -EINVAL);
	s = good;
	s.count = 1;
	s.queue[0].type = 77;
	cr_assert_eq(display_model.validate(&s, &field), -EINVAL);
	cr_assert_str_eq(field, "display.events");
}

Test(display_model, any_access)
{
	cr_assert_eq(model_read_at(&display_model, &s, MODEL_PORT, LAYOUT_FRAME_PORT, 1, 0) & 0xff, 0xff, "nothing to read");
	fuzz_seed = 12;
	fuzz_run(&display_model, &config, 2000, 0);
}
