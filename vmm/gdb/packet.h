/* SPDX-License-Identifier: MIT */
/*
 * Packets of gdb's remote serial protocol (gdb's manual, "Overview" in "GDB Remote Serial Protocol"): $body#checksum, with
 * acknowledgements between them, and the byte 03h for an interrupt. Pure: bytes in, packets out; nothing that comes can make
 * it take more than it has room for.
 */
#ifndef BULKHEAD_VMM_GDB_PACKET_H
#define BULKHEAD_VMM_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a body, as it travels. qSupported tells the peer, which keeps to it. */
enum { PACKET_MAX = 16384 };

enum packet_event {
	PACKET_NOTHING,	  /* more bytes are needed */
	PACKET_WHOLE,	  /* body[0..len) is a packet; terminated by a zero that does not count */
	PACKET_BAD,	  /* its checksum is wrong, or it was too long: to be asked for again */
	PACKET_INTERRUPT,
	PACKET_ACK,
	PACKET_NACK,
};

/* All zeroes at first. */
struct packet_reader {
	enum { PACKET_BETWEEN, PACKET_BODY, PACKET_ESCAPED, PACKET_SUM_HIGH, PACKET_SUM_LOW } at;
	uint8_t sum, wanted;
	bool too_long;
	size_t len;
	char body[PACKET_MAX + 1];
};

/* Takes one byte. What an event says of `body` holds until the next byte. */
enum packet_event packet_feed(struct packet_reader *r, uint8_t byte);

/* Puts a packet around `body`. How long it is, or 0: it does not fit into `cap` bytes. */
size_t packet_make(char *out, size_t cap, const char *body, size_t len);

/* ---- what bodies are made of ---- */

int hex_digit(char c); /* -1: it is none */
/* `n` bytes as 2 * n digits, not terminated. */
void hex_write(char *out, const void *bytes, size_t n);
/* The other way round; false: there are not 2 * n digits. */
bool hex_read(void *bytes, const char *digits, size_t n);
/* A number in hexadecimal digits, at most 16; *at moves behind it. False: there is none, or more. */
bool hex_number(const char **at, uint64_t *out);
/* The same, and behind it `mark`, which is passed, too. */
bool hex_until(const char **at, char mark, uint64_t *out);

#endif
