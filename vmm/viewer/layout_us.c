/* SPDX-License-Identifier: MIT */
/* The US layout: layout_us.h. */
#include "layout_us.h"

#include <linux/input-event-codes.h>
#include <string.h>

/* Row by row; the codes of a row's keys follow each other. */
static const struct {
	const char *plain, *shifted;
	uint16_t first;
} rows[] = {
	{ "1234567890-=", "!@#$%^&*()_+", KEY_1 },
	{ "qwertyuiop[]", "QWERTYUIOP{}", KEY_Q },
	{ "asdfghjkl;'`", "ASDFGHJKL:\"~", KEY_A },
	{ "\\zxcvbnm,./", "|ZXCVBNM<>?", KEY_BACKSLASH },
	{ " ", "", KEY_SPACE },
	{ "\n", "", KEY_ENTER },
	{ "\t", "", KEY_TAB },
};

uint16_t layout_us_key(char c, bool *shift)
{
	for (unsigned r = 0; c && r < sizeof(rows) / sizeof(rows[0]); r++) {
		const char *plain = strchr(rows[r].plain, c), *shifted = strchr(rows[r].shifted, c);

		*shift = shifted != NULL;
		if (plain)
			return (uint16_t)(rows[r].first + (plain - rows[r].plain));
		if (shifted)
			return (uint16_t)(rows[r].first + (shifted - rows[r].shifted));
	}
	return 0;
}
