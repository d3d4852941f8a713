/* SPDX-License-Identifier: MIT */
/*
 * The registers that gdb sees, as one table: from it come the target description, the g packet, and single registers.
 * Names and features are gdb's own where it has any (gdb's manual, "i386 Features"); what it does not know stands in
 * org.bulkhead.system.
 */
#ifndef BULKHEAD_VMM_GDB_REGISTERS_H
#define BULKHEAD_VMM_GDB_REGISTERS_H

#include "emu/core/state.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REGISTER_MAX = 32 /* bytes */, REGISTERS_XML_MAX = 48 * 1024, REGISTERS_MAX = 4096 };

/* How many bytes the description has; it is the same whatever the guest. */
size_t registers_describe(char xml[REGISTERS_XML_MAX]);

/* Of all registers, in the order of their numbers. */
unsigned registers_size(void);
void registers_get_all(const struct engine_state *s, uint8_t *out);
void registers_set_all(struct engine_state *s, const uint8_t *in);

/* One by its number. How many bytes it has; 0: there is none. */
unsigned register_get(const struct engine_state *s, unsigned number, uint8_t out[REGISTER_MAX]);
unsigned register_size(unsigned number);
void register_set(struct engine_state *s, unsigned number, const uint8_t in[REGISTER_MAX]);

/* gdb's number of RIP, which stop replies bring along. */
enum { REGISTER_RIP = 16 };

#endif
