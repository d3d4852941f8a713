/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_TESTS_HOST_H
#define BULKHEAD_TESTS_HOST_H

#include <stdbool.h>

/* Has this processor the feature (enum isa_feature)? */
bool host_has(unsigned feature);
bool host_is_intel(void);

#endif
