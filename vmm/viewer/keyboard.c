/* SPDX-License-Identifier: MIT */
/* Keys that are down: keyboard.h. */
#include "keyboard.h"

#include "keysym.h"

#include <linux/input-event-codes.h>

/* One that is down and is pressed again repeats: whether it does, is the guest's. */
void keyboard_key(struct keyboard *k, struct link *l, uint16_t code, bool down)
{
	if (code > SCREEN_CODE_MAX || k->down[code] == down)
		return;
	k->down[code] = down;
	link_push(l, SCREEN_EV_KEY, code, down);
}

static void set_shift(struct keyboard *k, struct link *l, bool left, bool right)
{
	keyboard_key(k, l, KEY_LEFTSHIFT, left);
	keyboard_key(k, l, KEY_RIGHTSHIFT, right);
}

static bool is_shortcut(const struct keyboard *k)
{
	return k->down[KEY_LEFTCTRL] || k->down[KEY_RIGHTCTRL] || k->down[KEY_LEFTALT] || k->down[KEY_LEFTMETA] ||
	       k->down[KEY_RIGHTMETA];
}

void keyboard_keysym(struct keyboard *k, struct link *l, uint32_t keysym, bool down)
{
	const struct keysym_key key = keysym_find(keysym);
	const bool left = k->down[KEY_LEFTSHIFT], right = k->down[KEY_RIGHTSHIFT];

	if (!key.code)
		return;
	if (!down || !key.is_character || key.shift == (left || right) || is_shortcut(k)) {
		keyboard_key(k, l, key.code, down);
		return;
	}
	set_shift(k, l, key.shift, false);
	keyboard_key(k, l, key.code, true);
	set_shift(k, l, left, right);
}

void keyboard_release_all(struct keyboard *k, struct link *l)
{
	for (unsigned code = 0; code <= SCREEN_CODE_MAX; code++)
		keyboard_key(k, l, (uint16_t)code, false);
}
