/* SPDX-License-Identifier: MIT */
/* A picture: red grows to the right, green downwards. It stays until a key is pressed. */
#include "../frame.h"
#include "../print.h"

static void draw(void)
{
	uint32_t *pixel = frame_pixels();

	for (uint32_t y = 0; y < FRAME_HEIGHT; y++)
		for (uint32_t x = 0; x < FRAME_WIDTH; x++)
			*pixel++ = x * 255 / (FRAME_WIDTH - 1) << 16 | y * 255 / (FRAME_HEIGHT - 1) << 8 | 0x40;
}

static bool has_key(void)
{
	for (uint32_t i = 0; i < frame_event_count(); i++)
		if (frame_mailbox()->events[i].type == EVENT_KEY)
			return true;
	return false;
}

void guest_main(void)
{
	draw();
	print("a picture is shown\n");
	do
		frame_show();
	while (!has_key());
}
