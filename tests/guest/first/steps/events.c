/* SPDX-License-Identifier: MIT */
/* What the user does, as the mailbox has it: type, code and value of each event. Escape ends the machine. */
#include "../frame.h"
#include "../print.h"

static void say(const struct frame_event *e)
{
	print_dec(e->type);
	print(" ");
	print_dec(e->code);
	print(" ");
	print_dec(e->value);
	print("\n");
}

void guest_main(void)
{
	print("ready\n");
	for (;;) {
		frame_show();
		for (uint32_t i = 0; i < frame_event_count(); i++) {
			const struct frame_event *e = &frame_mailbox()->events[i];

			if (e->type == EVENT_KEY && e->code == KEY_ESCAPE)
				return;
			say(e);
		}
	}
}
