/* SPDX-License-Identifier: MIT */
/* Frames and nothing else: what the frame port itself costs (`make bench`). */
#include "frame.h"

void guest_main(void)
{
	for (;;)
		frame_show();
}
