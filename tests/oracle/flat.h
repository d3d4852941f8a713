/* SPDX-License-Identifier: MIT */
/* The flat machine: see flat.c. */
#ifndef BULKHEAD_TESTS_FLAT_H
#define BULKHEAD_TESTS_FLAT_H

#include "emu/core/emu.h"
#include "emu/isa/isa.h"

enum { WINDOW_BYTES = 1024, CODE_BYTES = 64 };

/* The memory that operands point into; everything else faults. */
extern uint8_t *oracle_window;
/* Where the instruction under test stands. */
extern uint8_t *oracle_code;

/* Runs one instruction in the mode that e->code_size says. The outcome is in e->fault. */
int flat_step(struct emu *e, const uint8_t *code, unsigned length);

#endif
