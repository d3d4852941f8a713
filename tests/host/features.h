/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_TESTS_FEATURES_H
#define BULKHEAD_TESTS_FEATURES_H

#include <stdbool.h>

/* Has this processor the feature (enum isa_feature)? */
bool host_has(unsigned feature);
/* Can it run the row: its feature, and that of its prefix? */
bool host_has_row(unsigned row);

#endif
