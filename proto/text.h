/* SPDX-License-Identifier: MIT */
/* Words of somebody who is not trusted, before they reach a terminal, a log or a table. */
#ifndef BULKHEAD_PROTO_TEXT_H
#define BULKHEAD_PROTO_TEXT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

/* Control characters, and bytes that are not UTF-8, become question marks, in place; NULL is fine. `lines`: line feeds may
 * stay. */
void text_clean(char *text, bool lines);

/* The same for every string in a decoded message and in the messages within it. */
void text_clean_message(ProtobufCMessage *message, bool lines);

#endif
