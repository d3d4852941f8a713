/* SPDX-License-Identifier: MIT */
/* Words into events: input.h. Codes are those of linux/input-event-codes.h. */
#include "input.h"

#include "../common/value.h"
#include "../viewer/layout_us.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	uint16_t code;
} keys[] = {
	{ "esc", KEY_ESC }, { "enter", KEY_ENTER }, { "tab", KEY_TAB }, { "space", KEY_SPACE }, { "backspace", KEY_BACKSPACE },
	{ "shift", KEY_LEFTSHIFT }, { "ctrl", KEY_LEFTCTRL }, { "alt", KEY_LEFTALT }, { "super", KEY_LEFTMETA },
	{ "rightshift", KEY_RIGHTSHIFT }, { "rightctrl", KEY_RIGHTCTRL }, { "altgr", KEY_RIGHTALT }, { "capslock", KEY_CAPSLOCK },
	{ "up", KEY_UP }, { "down", KEY_DOWN }, { "leftarrow", KEY_LEFT }, { "rightarrow", KEY_RIGHT }, { "home", KEY_HOME },
	{ "end", KEY_END }, { "pageup", KEY_PAGEUP }, { "pagedown", KEY_PAGEDOWN }, { "insert", KEY_INSERT },
	{ "delete", KEY_DELETE }, { "f1", KEY_F1 }, { "f2", KEY_F2 }, { "f3", KEY_F3 }, { "f4", KEY_F4 }, { "f5", KEY_F5 },
	{ "f6", KEY_F6 }, { "f7", KEY_F7 }, { "f8", KEY_F8 }, { "f9", KEY_F9 }, { "f10", KEY_F10 }, { "f11", KEY_F11 },
	{ "f12", KEY_F12 }, { "left", BTN_LEFT }, { "middle", BTN_MIDDLE }, { "right", BTN_RIGHT }, { "side", BTN_SIDE }, { "extra", BTN_EXTRA }, { "plus", KEY_EQUAL },
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static int fail(char *error, const char *format, const char *word)
{
	snprintf(error, INPUT_ERROR_MAX, format, word);
	return -EINVAL;
}

static uint16_t key_named(const char *name, size_t len)
{
	bool shift = false;
	uint16_t code = len == 1 ? layout_us_key(*name, &shift) : 0;

	for (unsigned i = 0; !code && i < KEYS; i++)
		if (strlen(keys[i].name) == len && !strncmp(keys[i].name, name, len))
			code = keys[i].code;
	return len == 1 && shift ? 0 : code;
}

static int give(const struct input_sink *sink, unsigned type, unsigned code, uint32_t value)
{
	return sink->event(sink->ctx, (struct screen_event){ (uint16_t)type, (uint16_t)code, value });
}

static int key(const struct input_sink *sink, uint16_t code, bool down)
{
	return give(sink, SCREEN_EV_KEY, code, down);
}

static int tap(const struct input_sink *sink, uint16_t code)
{
	int rc = key(sink, code, true);

	return rc ? rc : key(sink, code, false);
}

static bool parse_number(const char *text, long least, long most, long *out)
{
	char *end;

	errno = 0;
	*out = strtol(text, &end, 10);
	return *text && !*end && !errno && *out >= least && *out <= most;
}

/* ---- the words ------------------------------------------------------------------------------------------------- */

enum { CHORD_MAX = 8 };

static int do_key(char *const *words, const struct input_sink *sink, char *error)
{
	uint16_t chord[CHORD_MAX];
	unsigned count = 0;
	int rc = 0;

	for (const char *at = words[0]; count < CHORD_MAX; at++) {
		size_t len = strcspn(at + (*at == '+'), "+") + (*at == '+');

		chord[count] = key_named(at, len);
		if (!chord[count++])
			return fail(error, "%.60s: no such key; letters, digits, and names as enter, esc, f1, shift+a", words[0]);
		at += len;
		if (!*at)
			break;
		if (count == CHORD_MAX)
			return fail(error, "%.60s: too many keys at once", words[0]);
	}
	for (unsigned i = 0; !rc && i < count; i++)
		rc = key(sink, chord[i], true);
	for (unsigned i = count; !rc && i-- > 0;)
		rc = key(sink, chord[i], false);
	return rc;
}

static int do_one(char *const *words, const struct input_sink *sink, char *error, bool down)
{
	uint16_t code = key_named(words[0], strlen(words[0]));

	return code ? key(sink, code, down) : fail(error, "%.60s: no such key or button", words[0]);
}

static int do_press(char *const *words, const struct input_sink *sink, char *error)
{
	return do_one(words, sink, error, true);
}

static int do_release(char *const *words, const struct input_sink *sink, char *error)
{
	return do_one(words, sink, error, false);
}

static int type_character(const struct input_sink *sink, char c)
{
	bool shift = false;
	uint16_t code = layout_us_key(c, &shift);
	int rc = shift ? key(sink, KEY_LEFTSHIFT, true) : 0;

	if (!rc)
		rc = tap(sink, code);
	return !rc && shift ? key(sink, KEY_LEFTSHIFT, false) : rc;
}

static int do_text(char *const *words, const struct input_sink *sink, char *error)
{
	bool shift;
	int rc = 0;

	for (const char *at = words[0]; *at; at++)
		if (!layout_us_key(*at, &shift))
			return fail(error, "text: no key of the US layout has what follows: %.40s", at);
	for (const char *at = words[0]; !rc && *at; at++)
		rc = type_character(sink, *at);
	return rc;
}

static int do_mouse(char *const *words, const struct input_sink *sink, char *error)
{
	long x, y;
	int rc;

	if (!parse_number(words[0], 0, SCREEN_WAY_MAX, &x))
		return fail(error, "mouse: %.40s is no column, which begin with 0", words[0]);
	if (!parse_number(words[1], 0, SCREEN_WAY_MAX, &y))
		return fail(error, "mouse: %.40s is no row, which begin with 0", words[1]);
	rc = give(sink, SCREEN_EV_ABS, SCREEN_ABS_X, (uint32_t)x);
	return rc ? rc : give(sink, SCREEN_EV_ABS, SCREEN_ABS_Y, (uint32_t)y);
}

/* Nothing moves by nothing. */
static int go(const struct input_sink *sink, unsigned axis, long way)
{
	return way ? give(sink, SCREEN_EV_REL, axis, (uint32_t)way) : 0;
}

static int do_move(char *const *words, const struct input_sink *sink, char *error)
{
	long dx, dy;
	int rc;

	if (!parse_number(words[0], -SCREEN_WAY_MAX, SCREEN_WAY_MAX, &dx))
		return fail(error, "move: %.40s is no way to the right, or below zero to the left", words[0]);
	if (!parse_number(words[1], -SCREEN_WAY_MAX, SCREEN_WAY_MAX, &dy))
		return fail(error, "move: %.40s is no way down, or below zero up", words[1]);
	rc = go(sink, SCREEN_REL_X, dx);
	return rc ? rc : go(sink, SCREEN_REL_Y, dy);
}

static int do_click(char *const *words, const struct input_sink *sink, char *error)
{
	uint16_t code = words[0] ? key_named(words[0], strlen(words[0])) : BTN_LEFT;

	return code >= BTN_LEFT && code <= BTN_EXTRA
		       ? tap(sink, code)
		       : fail(error, "click: %.40s is no button: left, middle, right, side or extra", words[0]);
}

static int do_wheel(char *const *words, const struct input_sink *sink, char *error)
{
	long n;

	return parse_number(words[0], -1000, 1000, &n) ? give(sink, SCREEN_EV_REL, SCREEN_REL_WHEEL, (uint32_t)n)
						       : fail(error, "wheel: %.40s is no number of notches", words[0]);
}

static int do_wait(char *const *words, const struct input_sink *sink, char *error)
{
	uint32_t ms;

	return config_parse_duration(words[0], &ms) ? fail(error, "wait: %.40s is no time, as 200ms", words[0])
						    : sink->wait(sink->ctx, ms);
}

static int do_frames(char *const *words, const struct input_sink *sink, char *error)
{
	long n;

	return parse_number(words[0], 1, 1000000, &n) ? sink->frames(sink->ctx, (uint32_t)n)
						      : fail(error, "frames: %.40s is no number of frames", words[0]);
}

static const struct {
	const char *name;
	unsigned least, most; /* words behind it */
	int (*function)(char *const *words, const struct input_sink *sink, char *error);
} verbs[] = {
	{ "key", 1, 1, do_key },     { "press", 1, 1, do_press }, { "release", 1, 1, do_release }, { "text", 1, 1, do_text },
	{ "mouse", 2, 2, do_mouse }, { "move", 2, 2, do_move },   { "click", 0, 1, do_click }, { "wheel", 1, 1, do_wheel },	   { "wait", 1, 1, do_wait },
	{ "frames", 1, 1, do_frames },
};

int input_words(char *const *words, unsigned count, const struct input_sink *sink, char error[INPUT_ERROR_MAX])
{
	char *operands[INPUT_WORDS] = { NULL };

	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, words[0]))
			continue;
		if (count - 1 < verbs[i].least || count - 1 > verbs[i].most)
			return fail(error, verbs[i].least == 2 ? "%.40s takes two numbers, as 320 240" : "%.40s takes one word",
				    words[0]);
		memcpy(operands, words + 1, (count - 1) * sizeof(*words));
		return verbs[i].function(operands, sink, error);
	}
	return fail(error, "%.40s is none of key, press, release, text, mouse, move, click, wheel, script", words[0]);
}

/* The next word: *line goes behind it. NULL: there is none; *bad: a quote does not end. */
static char *next_word(char **line, bool *bad)
{
	char *at = *line + strspn(*line, " \t\r\n"), *end;
	bool quoted = *at == '"';

	if (!*at || *at == '#')
		return NULL;
	at += quoted;
	end = at + strcspn(at, quoted ? "\"" : " \t\r\n");
	*bad = quoted && !*end;
	*line = *end ? end + 1 : end;
	*end = 0;
	return at;
}

int input_line(char *line, const struct input_sink *sink, char error[INPUT_ERROR_MAX])
{
	char *words[INPUT_WORDS + 1];
	unsigned count = 0;
	bool bad = false;

	while (count <= INPUT_WORDS && !bad) {
		char *word = next_word(&line, &bad);

		if (!word)
			break;
		words[count++] = word;
	}
	if (bad || count > INPUT_WORDS)
		return fail(error, bad ? "%.40s: a quote that does not end" : "%.40s: too many words", words[0]);
	return count ? input_words(words, count, sink, error) : 0;
}
