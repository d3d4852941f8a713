/* SPDX-License-Identifier: MIT */
/*
 * Input from a pseudo terminal. What is read from one is gone from it: it cannot be peeked at, and stay until it is in
 * the journal, as in a socket. So it lands in shared memory, which outlives us.
 *
 *   1. The landing is filled with a pattern, and gets the number of the next piece.
 *   2. read() into it. From here on the bytes are there and nowhere else.
 *   3. They are copied to the input, and the number becomes that of the latest piece, in one commit.
 *
 * Who dies between 2 and 3 leaves a landing with a number that the journal does not know; what is in front of the pattern was read.
 * A last byte that is just what the pattern has there would be missed: one death of 256 within these microseconds.
 */
#include <string.h>
#include <unistd.h>

#include "console.h"

static uint8_t pattern(uint32_t number, size_t at)
{
	uint32_t x = (number * 0x9e3779b9u) ^ ((uint32_t)at * 0x85ebca6bu);

	return (uint8_t)((x ^ x >> 15) * 0xc2b2ae35u >> 24);
}

static void take(struct console *c, const struct backlog_landing *l, size_t len)
{
	if (len > c->input_max - c->counts->input_len)
		len = c->input_max - c->counts->input_len;
	memcpy(c->input + c->counts->input_len, l->bytes, len);
	c->counts->input_len += (uint32_t)len;
	c->counts->landings = l->number;
	c->bytes_in += len;
}

/* 0 is no piece's number. */
static uint32_t next_number(const struct console *c)
{
	return c->counts->landings + 1 ? c->counts->landings + 1 : 1;
}

ssize_t console_tty_receive(struct console_client *client, size_t room)
{
	struct console *c = client->console;
	struct backlog_landing *l = &c->backlog->landing;
	const uint32_t number = next_number(c);
	ssize_t n;

	for (size_t i = 0; i < BACKLOG_LANDING; i++)
		l->bytes[i] = pattern(number, i);
	atomic_store(&l->number, number);
	n = read(client->fd, l->bytes, room < BACKLOG_LANDING ? room : BACKLOG_LANDING);
	if (n > 0)
		take(c, l, (size_t)n);
	else
		atomic_store(&l->number, 0);
	return n;
}

void console_tty_recover(struct console *c)
{
	struct backlog_landing *l = &c->backlog->landing;
	size_t len = BACKLOG_LANDING;

	if (!l->number || l->number != next_number(c))
		return;
	while (len && l->bytes[len - 1] == pattern(l->number, len - 1))
		len--;
	take(c, l, len);
	runtime_touch(c->rt);
}
