/* SPDX-License-Identifier: MIT */
/* Asks the spawner for processes; spawner.h is that. */
#ifndef BULKHEAD_VMM_SPAWN_H
#define BULKHEAD_VMM_SPAWN_H

#include "spawner.h"

#include <stdint.h>

struct vm;

/* Before there is a root of our own; when there is, and we have our user id; when there is an event loop. 0 or
 * -errno. `id`: user and group under ISOLATION_ROOT. */
int spawn_start(struct vm *vm, uint32_t id);
int spawn_go(struct vm *vm);
int spawn_watch(struct vm *vm);
/* Asks for a child, and numbers the request; the hook spawned() gets the answer. The descriptors stay the caller's. 0 or
 * -errno. */
int spawn(struct vm *vm, struct spawn_packet *request, const int fds[SPAWN_FDS]);
/* Processor time that the spawner has spent since this was last asked, in ns. */
uint64_t spawn_cost(struct vm *vm);

#endif
