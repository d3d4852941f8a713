/* SPDX-License-Identifier: MIT */
/*
 * CONSOLE: a client wants to type at a serial port, or to watch it. The supervisor makes a pair of sockets, asks seriald to take
 * one of them, and passes the other one on with its answer: none of the two is believed more than it was before.
 */
#ifndef BULKHEAD_VMM_ATTACH_H
#define BULKHEAD_VMM_ATTACH_H

#include "../../proto/frame.h"

struct client;
struct vm;

void attach_asked(struct client *c, const struct frame *f);
/* seriald's answer to CONSOLE_CLIENT. Both NULL: it died over it. */
void attach_answered(struct vm *vm, const Bulkhead__ConsoleAttached *attached, const Bulkhead__Error *error);

#endif
