/* SPDX-License-Identifier: MIT */
/* What ps shows of keeper and supervisor: written over the memory of argv and environment. */
#ifndef BULKHEAD_VMM_TITLE_H
#define BULKHEAD_VMM_TITLE_H

/* Before anything keeps pointers into argv: moves argv and environ to the heap. The new argv, or NULL. */
char **title_init(int argc, char **argv);
/* "bulkhead: vm1/supervisor". */
void title_set(const char *vm, const char *role);

#endif
