/* SPDX-License-Identifier: MIT */
/* The size of a screen, as --gpu has it. */
#ifndef BULKHEAD_VMM_SCREEN_SIZE_H
#define BULKHEAD_VMM_SCREEN_SIZE_H

#include <stdint.h>

/* WIDTHxHEIGHT: 0; -EINVAL: it is none; -ERANGE: no screen is so small or so large. */
int screen_size_parse(const char *text, uint32_t *width, uint32_t *height);

#endif
