/* SPDX-License-Identifier: MIT */
/* Requests for metrics: of HTTP nothing is read but where a request ends (RFC 9112, 2.1: with an empty line). */
#ifndef BULKHEAD_VMM_SCRAPE_H
#define BULKHEAD_VMM_SCRAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Does it end within these bytes? *tail is kept between calls; at first it is 0. */
bool scrape_ends(unsigned *tail, const char *bytes, size_t len);

#endif
