/* SPDX-License-Identifier: MIT */
/* Keysyms into codes: keysym.h. Numbers are those of X11's list of keysyms. */
#include "keysym.h"

#include "layout_us.h"

#include <linux/input-event-codes.h>

static const struct {
	uint32_t keysym;
	uint16_t code;
} keys[] = {
	{ 0xff08, KEY_BACKSPACE }, { 0xff09, KEY_TAB }, { 0xfe20, KEY_TAB }, { 0xff0d, KEY_ENTER }, { 0xff13, KEY_PAUSE },
	{ 0xff14, KEY_SCROLLLOCK }, { 0xff1b, KEY_ESC }, { 0xff50, KEY_HOME }, { 0xff51, KEY_LEFT }, { 0xff52, KEY_UP },
	{ 0xff53, KEY_RIGHT }, { 0xff54, KEY_DOWN }, { 0xff55, KEY_PAGEUP }, { 0xff56, KEY_PAGEDOWN }, { 0xff57, KEY_END },
	{ 0xff61, KEY_SYSRQ }, { 0xff63, KEY_INSERT }, { 0xff67, KEY_COMPOSE }, { 0xff7f, KEY_NUMLOCK }, { 0xffff, KEY_DELETE },
	{ 0xffe1, KEY_LEFTSHIFT }, { 0xffe2, KEY_RIGHTSHIFT }, { 0xffe3, KEY_LEFTCTRL }, { 0xffe4, KEY_RIGHTCTRL },
	{ 0xffe7, KEY_LEFTMETA }, { 0xffe8, KEY_RIGHTMETA }, { 0xffe9, KEY_LEFTALT }, { 0xffea, KEY_RIGHTALT },
	{ 0xffeb, KEY_LEFTMETA }, { 0xffec, KEY_RIGHTMETA }, { 0xfe03, KEY_RIGHTALT },
	/* the keypad; with Num Lock and without */
	{ 0xff8d, KEY_KPENTER }, { 0xffaa, KEY_KPASTERISK }, { 0xffab, KEY_KPPLUS }, { 0xffad, KEY_KPMINUS },
	{ 0xffae, KEY_KPDOT }, { 0xffaf, KEY_KPSLASH }, { 0xffb0, KEY_KP0 }, { 0xffb1, KEY_KP1 }, { 0xffb2, KEY_KP2 },
	{ 0xffb3, KEY_KP3 }, { 0xffb4, KEY_KP4 }, { 0xffb5, KEY_KP5 }, { 0xffb6, KEY_KP6 }, { 0xffb7, KEY_KP7 },
	{ 0xffb8, KEY_KP8 }, { 0xffb9, KEY_KP9 }, { 0xff95, KEY_KP7 }, { 0xff96, KEY_KP4 }, { 0xff97, KEY_KP8 },
	{ 0xff98, KEY_KP6 }, { 0xff99, KEY_KP2 }, { 0xff9a, KEY_KP9 }, { 0xff9b, KEY_KP3 }, { 0xff9c, KEY_KP1 },
	{ 0xff9d, KEY_KP5 }, { 0xff9e, KEY_KP0 }, { 0xff9f, KEY_KPDOT },
};

enum { F1 = 0xffbe, F10 = 0xffc7, F11 = 0xffc8, F12 = 0xffc9 };

struct keysym_key keysym_find(uint32_t keysym)
{
	struct keysym_key k = { 0 };

	if (keysym >= ' ' && keysym <= '~') {
		k.code = layout_us_key((char)keysym, &k.shift);
		k.is_character = k.code && keysym != ' ';
		return k;
	}
	if (keysym >= F1 && keysym <= F10)
		k.code = (uint16_t)(KEY_F1 + keysym - F1);
	else if (keysym == F11 || keysym == F12)
		k.code = keysym == F11 ? KEY_F11 : KEY_F12; /* they do not follow F10 in that header */
	for (unsigned i = 0; !k.code && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].keysym == keysym)
			k.code = keys[i].code;
	return k;
}
