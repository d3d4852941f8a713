/* SPDX-License-Identifier: MIT */
/* The size of a screen: screen_size.h. */
#include "screen_size.h"

#include "../../proto/display.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int screen_size_parse(const char *text, uint32_t *width, uint32_t *height)
{
	int end = 0;

	if (sscanf(text, "%4" SCNu32 "x%4" SCNu32 "%n", width, height, &end) != 2 || text[end])
		return -EINVAL;
	return display_size_is_possible(*width, *height) ? 0 : -ERANGE;
}
