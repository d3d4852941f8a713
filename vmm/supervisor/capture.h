/* SPDX-License-Identifier: MIT */
/* Captures of devices (proto/capture.h): of each that dies, for a file; of one that serves, for a client. */
#ifndef BULKHEAD_VMM_CAPTURE_H
#define BULKHEAD_VMM_CAPTURE_H

struct proc;

/* It has just died: the keeper writes what it was, and `captured` of its proc.recovery says where. */
void capture_death(struct proc *p);
/* Into the state object, whose read-only handle may then be handed out. NULL, or why it cannot be had. */
const char *capture_now(struct proc *p);

#endif
