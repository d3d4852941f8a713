/* SPDX-License-Identifier: MIT */
#ifndef BULKHEAD_TESTS_HOST_H
#define BULKHEAD_TESTS_HOST_H

#include <stdbool.h>

bool host_is_intel(void);
bool host_has(unsigned feature); /* enum isa_feature */

#endif
