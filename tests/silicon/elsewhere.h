/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_TESTS_ELSEWHERE_H
#define BULKHEAD_TESTS_ELSEWHERE_H

#include <stdbool.h>

/* Why the row is not run by tests/silicon, and which test has it instead. NULL: it is run. */
const char *not_run(unsigned row);

/* x87 functions, reciprocals. */
bool is_approximate(unsigned row);

/* enum isa_feature by name; NULL: it gates no row, or names.c has forgotten it. */
const char *isa_feature_name(unsigned feature);

#endif
