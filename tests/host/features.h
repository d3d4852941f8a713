/* SPDX-License-Identifier: MIT */
/* What this processor has, by the features of the instruction table. */
#ifndef BULKHEAD_TESTS_FEATURES_H
#define BULKHEAD_TESTS_FEATURES_H

#include <stdbool.h>

/* Has this processor the feature (enum isa_feature)? The product's native_has() by another name: here also in a portable build,
 * where the product's says no to everything. */
bool host_has(unsigned feature);
/* Can it run the row: its feature, and that of its prefix? */
bool host_has_row(unsigned row);

#endif
