/* SPDX-License-Identifier: MIT */
/* The parts of host_read(). */
#ifndef BULKHEAD_VMM_HOST_READ_H
#define BULKHEAD_VMM_HOST_READ_H

#include "host.h"

#include <stddef.h>

/* The first line of a file, without its end; empty if it cannot be read. */
void host_read_line(const char *path, char *out, size_t size);
/* The number in it, or `otherwise`. */
uint64_t host_read_number(const char *path, uint64_t otherwise);

void host_read_processor(struct host_facts *f);
void host_read_kvm(struct host_facts *f);
void host_read_fence(struct host_facts *f);
void host_read_resources(struct host_facts *f);

#endif
