/* SPDX-License-Identifier: MIT */
/*
 * ACPI power management timer, pure: 24 bits at 3.579545 MHz (ACPI, "Power Management Timer"). TMR_STS in the PM1 block
 * would have to be set whenever bit 23 changes, but the PM1 block belongs to another process: the FADT says "24 bit"
 * (no TMR_VAL_EXT) and TMR_STS stays 0. Systems that run Linux, the BSDs or Windows read the counter only.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PMTIMER_H
#define BULKHEAD_DEVICES_CHIPS_PMTIMER_H

#include "proto/reg.h"

enum { PMTIMER_MASK = 0xffffff };

struct pmtimer {
	uint64_t epoch_ns;
};

enum { PMTIMER_REG_COUNT = 1 };
extern const struct reg_desc pmtimer_regs[PMTIMER_REG_COUNT];

void pmtimer_reset(struct pmtimer *t, uint64_t now_ns);
uint32_t pmtimer_read(const struct pmtimer *t, uint64_t now_ns);
const char *pmtimer_bad_field(const struct pmtimer *t, uint64_t now_ns);

#endif
