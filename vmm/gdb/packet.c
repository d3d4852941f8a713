/* SPDX-License-Identifier: MIT */
/* Packets: packet.h. */
#include "packet.h"


enum { INTERRUPT = 3, ESCAPE_XOR = 0x20 };

static enum packet_event between(struct packet_reader *r, uint8_t byte)
{
	switch (byte) {
	case '$':
		r->at = PACKET_BODY;
		r->sum = 0;
		r->len = 0;
		r->too_long = false;
		return PACKET_NOTHING;
	case '+':
		return PACKET_ACK;
	case '-':
		return PACKET_NACK;
	case INTERRUPT:
		return PACKET_INTERRUPT;
	default:
		return PACKET_NOTHING; /* noise on the line */
	}
}

static void keep(struct packet_reader *r, uint8_t byte)
{
	if (r->len == PACKET_MAX)
		r->too_long = true;
	else
		r->body[r->len++] = (char)byte;
}

static enum packet_event in_body(struct packet_reader *r, uint8_t byte)
{
	if (byte == '#' && r->at == PACKET_BODY) {
		r->at = PACKET_SUM_HIGH;
		return PACKET_NOTHING;
	}
	r->sum = (uint8_t)(r->sum + byte);
	if (r->at == PACKET_ESCAPED) {
		r->at = PACKET_BODY;
		keep(r, byte ^ ESCAPE_XOR);
	} else if (byte == '}') {
		r->at = PACKET_ESCAPED;
	} else {
		keep(r, byte);
	}
	return PACKET_NOTHING;
}

static enum packet_event in_sum(struct packet_reader *r, uint8_t byte)
{
	int digit = hex_digit((char)byte);

	if (digit < 0) {
		r->at = PACKET_BETWEEN;
		return PACKET_BAD;
	}
	if (r->at == PACKET_SUM_HIGH) {
		r->wanted = (uint8_t)(digit << 4);
		r->at = PACKET_SUM_LOW;
		return PACKET_NOTHING;
	}
	r->at = PACKET_BETWEEN;
	r->body[r->len] = 0;
	return (r->wanted | digit) == r->sum && !r->too_long ? PACKET_WHOLE : PACKET_BAD;
}

enum packet_event packet_feed(struct packet_reader *r, uint8_t byte)
{
	switch (r->at) {
	case PACKET_BETWEEN:
		return between(r, byte);
	case PACKET_BODY:
	case PACKET_ESCAPED:
		return in_body(r, byte);
	case PACKET_SUM_HIGH:
	case PACKET_SUM_LOW:
		return in_sum(r, byte);
	}
	return PACKET_NOTHING;
}

static bool needs_escape(char c)
{
	return c == '$' || c == '#' || c == '}' || c == '*';
}

size_t packet_make(char *out, size_t cap, const char *body, size_t len)
{
	uint8_t sum = 0;
	size_t n = 0;

	if (cap < 4)
		return 0;
	out[n++] = '$';
	for (size_t i = 0; i < len; i++) {
		char c = body[i];

		if (cap - n < 5)
			return 0;
		if (needs_escape(c)) {
			out[n++] = '}';
			sum = (uint8_t)(sum + '}');
			c ^= ESCAPE_XOR;
		}
		out[n++] = c;
		sum = (uint8_t)(sum + (uint8_t)c);
	}
	out[n++] = '#';
	hex_write(out + n, &sum, 1);
	return n + 2;
}

int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

void hex_write(char *out, const void *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = bytes;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[in[i] >> 4];
		out[2 * i + 1] = digits[in[i] & 15];
	}
}

bool hex_read(void *bytes, const char *digits, size_t n)
{
	uint8_t *out = bytes;

	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(digits[2 * i]), low = high < 0 ? -1 : hex_digit(digits[2 * i + 1]);

		if (low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool hex_number(const char **at, uint64_t *out)
{
	unsigned n = 0;
	int digit;

	*out = 0;
	for (; (digit = hex_digit(**at)) >= 0; (*at)++) {
		if (++n > 16)
			return false;
		*out = *out << 4 | (unsigned)digit;
	}
	return n > 0;
}

bool hex_until(const char **at, char mark, uint64_t *out)
{
	return hex_number(at, out) && *(*at)++ == mark;
}
