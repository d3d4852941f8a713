/* SPDX-License-Identifier: MIT */
/* Clients of the control socket. */
#ifndef BULKHEAD_VMM_CONTROL_H
#define BULKHEAD_VMM_CONTROL_H

#include "../common/launch.h"

struct proc;
struct vm;

void control_init(struct vm *vm);
void control_add(struct vm *vm, int fd, enum client_rights rights);
/* Answers everyone who waits for the end. */
void control_ended(struct vm *vm);
/* A device has a new incarnation that serves (error NULL), or will not get one. */
void control_device_changed(struct vm *vm, struct proc *p, const char *error);
/* A STATS reply came, or a process is gone. */
void control_stats_changed(struct vm *vm);

#endif
