/* SPDX-License-Identifier: MIT */
/* What the record of the end is made of, to the keeper: ../common/report.h. */
#ifndef BULKHEAD_VMM_SUPERVISOR_REPORT_H
#define BULKHEAD_VMM_SUPERVISOR_REPORT_H

#include <stdint.h>

struct launch;
struct vm;

/* Before there is another process: none but us and the keeper is to have it. */
void report_claim(struct launch *launch);
/* What we say is kept there from here on. */
void report_begin(struct vm *vm);
/* The guest has chosen how it ends. */
void report_guest_code(struct vm *vm, uint8_t code);
void report_registers(struct vm *vm, const char *text);
/* All is over. */
void report_end(struct vm *vm);

#endif
