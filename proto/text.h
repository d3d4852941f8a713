/* SPDX-License-Identifier: MIT */
/* Words of somebody who is not trusted, before they reach a terminal, a log or a table. */
#ifndef BULKHEAD_PROTO_TEXT_H
#define BULKHEAD_PROTO_TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

/* Where line feeds may stay. */
enum text_lines {
	TEXT_ONE_LINE,
	TEXT_REGISTERS, /* before a line that begins like a register dump's, "RIP=": no other line can be forged */
	TEXT_LINES,
};

/* Control characters, bytes that are not UTF-8, and characters that turn the order of others around, become question marks, in
 * place; NULL is fine. */
void text_clean(char *text, enum text_lines lines);

/* The same for `len` bytes, zeroes among them, which are control characters. text[len] must be 0. */
void text_clean_bytes(char *text, size_t len, enum text_lines lines);

/*
 * `len` bytes as UTF-8, which is to be escaped before anybody sees it: each byte that is none becomes U+FFFD, everything else
 * stays. `out` has room for 3 * len. Returns how many bytes it holds.
 */
size_t text_to_utf8(const void *bytes, size_t len, char *out);

/* text_clean() for every string in a decoded message and in the messages within it. */
void text_clean_message(ProtobufCMessage *message, enum text_lines lines);

#endif
