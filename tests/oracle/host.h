/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_TESTS_HOST_H
#define BULKHEAD_TESTS_HOST_H

#include <stdbool.h>

/* Has this processor the feature (enum isa_feature)? */
bool host_has(unsigned feature);
/* And all that a row of the table wants? */
bool host_has_row(unsigned row);
bool host_is_intel(void);

#endif
