/* SPDX-License-Identifier: MIT */
/*
 * CONSOLE: a client wants to type at a serial port, or to watch it. SCREEN: the same of the screen; INPUT: to
 * type and move only, at whatever keyboard and mouse the machine has. The supervisor makes a pair of
 * sockets, asks seriald, displayd or inputd to take one of them, and passes the other one on with its answer: none of the two is
 * believed more than it was before.
 */
#ifndef BULKHEAD_VMM_ATTACH_H
#define BULKHEAD_VMM_ATTACH_H

#include "../../proto/frame.h"

struct client;
struct proc;

void attach_asked(struct client *c, const struct frame *f);
/* The daemon's answer to CONSOLE_CLIENT. Both NULL: it died over it. */
void attach_answered(struct proc *p, const Bulkhead__Ok *ok, const Bulkhead__Error *error);

#endif
