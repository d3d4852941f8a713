/* SPDX-License-Identifier: MIT */
/*
 * Registers behind an index that read as what was written there, and that nothing else changes: where a VGA's cursor is, which text
 * consoles ask for at each line. A shadow entry is no help, for what it depends on was posted a moment before. All writes pass
 * through this process, so it knows the answer, which is the device's to define: struct reg_desc, `echo`. Whatever else is
 * written to the device, it forgets all.
 */
#ifndef BULKHEAD_VMM_VCPU_ECHO_H
#define BULKHEAD_VMM_VCPU_ECHO_H

#include "proto/route.h"

#include <pthread.h>

enum { ECHO_REGISTERS = 32 };

struct echo {
	pthread_mutex_t lock; /* held from before a write goes on its way, so that two vCPUs' writes are known in their order */
	bool knows_index;
	uint8_t index;
	uint32_t known; /* bit n: value[n] */
	uint8_t value[ECHO_REGISTERS];
};

void echo_init(struct echo *e);
/* Of a new guest, which has written nothing. */
void echo_forget(struct echo *e);

/* A write to any of the device's ranges is on its way; the lock is held. */
void echo_written(struct echo *e, const struct route_range *r, uint64_t addr, uint64_t data, unsigned size);
/* False: the device must be asked. Takes the lock. */
bool echo_read(struct echo *e, const struct route_range *r, uint64_t addr, unsigned size, uint64_t *value);

#endif
