/* SPDX-License-Identifier: MIT */
/* A machine's numbers as JSON (docs/observing.md): new taken reference. */
#ifndef BULKHEAD_VMM_SAMPLE_JSON_H
#define BULKHEAD_VMM_SAMPLE_JSON_H

#include "sample.h"

#include <jansson.h>

/* Counts. */
json_t *sample_json(const struct sample *s);
/* What is between two, as counts per second. */
json_t *sample_rates_json(const struct sample *difference);

/* What a process uses; null where it cannot be told. */
void sample_add_usage(json_t *process, const struct usage_row *row);

#endif
