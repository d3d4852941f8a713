/* SPDX-License-Identifier: MIT */
/* A text screen as text: pure. */
#ifndef BULKHEAD_VMM_CELLS_H
#define BULKHEAD_VMM_CELLS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that so many lines of so many cells make at most, with the zero behind them. */
size_t cells_room(unsigned columns, unsigned lines);
/* Code page 437 in UTF-8. What is empty at the end of a line, and lines that are at the end of the screen, are left out. */
void cells_text(const uint16_t *cells, unsigned columns, unsigned lines, char *out);

#endif
