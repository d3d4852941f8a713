/* SPDX-License-Identifier: MIT */
/* ACPI fixed hardware: PM1 event and control blocks (ACPI 6, 4.8.3) and the reset register (4.8.3.6). */
#ifndef BULKHEAD_DEVICES_CHIPS_ACPI_PM1_H
#define BULKHEAD_DEVICES_CHIPS_ACPI_PM1_H

#include "proto/reg.h"

enum { ACPI_PM1_REG_COUNT = 3, ACPI_PM1_LEN = 6, ACPI_RESET_PORT = 0xcf9, ACPI_RESET_MASK = 0x0e };

/* Power management 1 status and enable registers, tables 4.13 and 4.14. */
enum {
	PM1_TMR = 1 << 0,
	PM1_GBL = 1 << 5,
	PM1_PWRBTN = 1 << 8,
	PM1_SLPBTN = 1 << 9,
	PM1_RTC = 1 << 10,
	PM1_WAK_STS = 1 << 15,
};

/* Control register, table 4.15. */
enum {
	PM1_SCI_EN = 1 << 0,
	PM1_BM_RLD = 1 << 1,
	PM1_GBL_RLS = 1 << 2,
	PM1_SLP_TYP_SHIFT = 10,
	PM1_SLP_TYP = 7 << 10,
	PM1_SLP_EN = 1 << 13,
};

struct acpi_pm1 {
	uint16_t status, enable, control; /* control without SCI_EN, which is always 1 */
	uint8_t reset;			  /* port CF9h */
};

extern const struct reg_desc acpi_pm1_regs[ACPI_PM1_REG_COUNT];

void acpi_pm1_reset(struct acpi_pm1 *p);
/* Byte `offset` (0..5) of the event and control blocks: they may be accessed with any width. */
uint8_t acpi_pm1_read(const struct acpi_pm1 *p, unsigned offset);
/* Returns the SLP_TYP of a sleep request, or -1: there was none. */
int acpi_pm1_write(struct acpi_pm1 *p, unsigned offset, uint8_t value);
/* The sleep request is not supported: the machine is awake again at once. */
void acpi_pm1_wake(struct acpi_pm1 *p);
void acpi_pm1_power_button(struct acpi_pm1 *p);
bool acpi_pm1_sci(const struct acpi_pm1 *p);
/* true: the write asks for a reset. */
bool acpi_reset_write(struct acpi_pm1 *p, uint8_t value);
const char *acpi_pm1_check(const struct acpi_pm1 *p);

#endif
