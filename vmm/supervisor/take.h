/* SPDX-License-Identifier: MIT */
/* The machine stands still, and its state is handed out. */
#ifndef BULKHEAD_VMM_TAKE_H
#define BULKHEAD_VMM_TAKE_H

#include "../../proto/control.pb-c.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;
struct proc;
struct vm;

/* The client gets an answer, now or later. */
void take_begin(struct client *c, uint32_t id);
/* It hung up: the machine goes on, if it had stopped. */
void take_end(struct vm *vm);
/* The client ends the machine that it holds: nothing of it is to be delivered here any more. False: it holds none. */
bool take_leave(struct client *c);
bool take_is_going_on(const struct vm *vm);
/* The client for which the machine stands still. NULL: none. */
struct client *take_client(struct vm *vm);
/* irqd, if it serves, is not to look at lines, or to look again. */
void take_hold_lines(struct vm *vm, bool hold);
/* Answers of the vcpu process and of irqd; error NULL: it did what it was asked. */
void take_replied(struct vm *vm, uint16_t request, const Bulkhead__Ok *ok, const char *error);
/* A device has left. False: it was not asked to, for this. */
bool take_device_gone(struct proc *p);
/* The text of the debug ports that nobody has taken yet: how many bytes. */
size_t take_debug_text(struct vm *vm, void *out, size_t size);
void give_debug_text(struct vm *vm, const void *text, size_t len);

#endif
