/* SPDX-License-Identifier: MIT */
/* Words that are not trusted: text.h. */
#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Bytes of the UTF-8 sequence at `s` (RFC 3629, section 4); 0: it is none. It ends at the terminating 0 at the latest. */
static unsigned sequence_at(const uint8_t *s)
{
	unsigned n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	uint8_t low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
	uint8_t high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;

	if (n > 1 && (s[1] < low || s[1] > high))
		return 0;
	for (unsigned i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}

/* C0, DEL, and C1, which some terminals obey as ESC and a letter. */
static bool is_control(const uint8_t *s)
{
	return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

/* U+200E, 200F, 2028 to 202E, 2066 to 2069: marks, embeddings, overrides and isolates of bidirectional text, and separators that
 * some readers take for line feeds (Unicode Standard Annex 9, section 2). */
static bool is_reordering(const uint8_t *s)
{
	if (s[0] != 0xe2 || (s[1] != 0x80 && s[1] != 0x81))
		return false;
	return s[1] == 0x81 ? s[2] >= 0xa6 && s[2] <= 0xa9 : s[2] == 0x8e || s[2] == 0x8f || (s[2] >= 0xa8 && s[2] <= 0xae);
}

/* "RIP=", "R8 =", "CS=" */
static bool is_register(const char *s)
{
	size_t name = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
	size_t blank = strspn(s + name, " ");

	return name && name + blank <= 8 && s[name + blank] == '=';
}

static bool may_stay(const uint8_t *s, enum text_lines lines)
{
	return *s == '\n' && (lines == TEXT_LINES || (lines == TEXT_REGISTERS && is_register((const char *)s + 1)));
}

void text_clean_bytes(char *text, size_t len, enum text_lines lines)
{
	uint8_t *s = (uint8_t *)text, *end = s + len;

	while (s < end) {
		unsigned n = sequence_at(s);

		if (!n || is_reordering(s) || (is_control(s) && !may_stay(s, lines))) {
			memset(s, '?', n ? n : 1);
			n = n ? n : 1;
		}
		s += n;
	}
}

size_t text_to_utf8(const void *bytes, size_t len, char *out)
{
	const uint8_t *in = bytes;
	uint8_t last[4];
	size_t at = 0;

	for (size_t i = 0; i < len;) {
		const uint8_t *s = in + i;
		unsigned n;

		if (len - i < sizeof(last)) { /* a sequence may be cut off by the end */
			memset(last, 0, sizeof(last));
			memcpy(last, s, len - i);
			s = last;
		}
		n = sequence_at(s);
		if (n)
			memcpy(out + at, s, n);
		else
			memcpy(out + at, "\xef\xbf\xbd", 3);
		at += n ? n : 3;
		i += n ? n : 1;
	}
	return at;
}

void text_clean(char *text, enum text_lines lines)
{
	if (text)
		text_clean_bytes(text, strlen(text), lines);
}

static void clean_value(const ProtobufCFieldDescriptor *field, void *value, enum text_lines lines)
{
	if (field->type == PROTOBUF_C_TYPE_STRING)
		text_clean(value, lines);
	else if (value)
		text_clean_message(value, lines);
}

static void clean_field(const ProtobufCFieldDescriptor *field, char *message, enum text_lines lines)
{
	void *member = message + field->offset;
	size_t n = 1;

	if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
		return;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		n = *(const size_t *)(message + field->quantifier_offset);
		member = *(void **)member;
	}
	for (size_t i = 0; i < n; i++)
		clean_value(field, ((void **)member)[i], lines);
}

void text_clean_message(ProtobufCMessage *message, enum text_lines lines)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++)
		clean_field(&message->descriptor->fields[i], (char *)message, lines);
}
