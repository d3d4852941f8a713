/* SPDX-License-Identifier: MIT */
/* Memory objects and pipes of a machine. 0 or -errno. */
#ifndef BULKHEAD_VMM_OBJECTS_H
#define BULKHEAD_VMM_OBJECTS_H

struct vm;

/* All but guest memory. */
int objects_create(struct vm *vm);
/* Guest memory, and the code map that goes with it: made, or emptied. */
int objects_fresh_ram(struct vm *vm);
int objects_fresh_code_map(struct vm *vm);

#endif
