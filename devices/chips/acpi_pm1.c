/* SPDX-License-Identifier: MIT */
/*
 * ACPI PM1 block and reset register. There is no SMI_CMD and no firmware to hand over from: FADT says that
 * the machine is in ACPI mode already, so SCI_EN is 1 and stays so (ACPI 6, 4.8.2.5). TMR_STS would tell of
 * an overflow of the PM timer, which lives in another process; it stays 0 here (Linux and BSD never enable
 * TMR_EN: they read the timer often enough).
 */
#include "acpi_pm1.h"

enum {
	RESET_CPU = 1 << 2, /* bit 1 hard, bit 3 full (power cycle) */
	ENABLE_BITS = PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC,
	STATUS_BITS = ENABLE_BITS | PM1_WAK_STS,
};

const struct reg_desc acpi_pm1_regs[ACPI_PM1_REG_COUNT] = {
	/* Write 1 to clear: nothing that is written can be read back. */
	{.name = "PM1_STS", .offset = 0, .size = 2, .readable = true, .writable = true, .post = REG_SYNC},
	{.name = "PM1_EN",
	 .offset = 2,
	 .size = 2,
	 .readable = true,
	 .writable = true,
	 .write_mask = ENABLE_BITS,
	 .post = REG_SYNC,
	 .shadow = REG_SHADOW_VALUE},
	{.name = "PM1_CNT",
	 .offset = 4,
	 .size = 2,
	 .readable = true,
	 .writable = true,
	 .reset = PM1_SCI_EN,
	 .write_mask = PM1_BM_RLD | PM1_SLP_TYP,
	 .post = REG_SYNC,
	 .shadow = REG_SHADOW_VALUE},
};

void acpi_pm1_reset(struct acpi_pm1 *p)
{
	*p = (struct acpi_pm1){ 0 };
}

uint8_t acpi_pm1_read(const struct acpi_pm1 *p, unsigned offset)
{
	const uint16_t words[3] = { p->status, p->enable, p->control | PM1_SCI_EN };

	if (offset >= ACPI_PM1_LEN)
		return 0xff;
	return (uint8_t)(words[offset / 2] >> 8 * (offset & 1));
}

/* 4.8.3.2.1: SLP_EN is write-only and starts the transition to the state that SLP_TYP names; both are in one
 * byte. */
static int write_control(struct acpi_pm1 *p, uint16_t value, uint16_t lane)
{
	const uint16_t mask = lane & (uint16_t)acpi_pm1_regs[2].write_mask;

	p->control = (uint16_t)((p->control & ~mask) | (value & mask));
	if (!(value & PM1_SLP_EN))
		return -1;
	return (p->control & PM1_SLP_TYP) >> PM1_SLP_TYP_SHIFT;
}

int acpi_pm1_write(struct acpi_pm1 *p, unsigned offset, uint8_t value)
{
	const unsigned shift = 8 * (offset & 1);
	const uint16_t word = (uint16_t)(value << shift), lane = (uint16_t)(0xff << shift);

	switch (offset / 2) {
	case 0:
		p->status &= (uint16_t)~word;
		break;
	case 1:
		p->enable = (uint16_t)((p->enable & ~lane) | (word & acpi_pm1_regs[1].write_mask));
		break;
	case 2:
		return write_control(p, word, lane);
	}
	return -1;
}

/* An operating system that has written SLP_EN polls WAK_STS until it comes; without it, it would hang. */
void acpi_pm1_wake(struct acpi_pm1 *p)
{
	p->status |= PM1_WAK_STS;
}

void acpi_pm1_power_button(struct acpi_pm1 *p)
{
	p->status |= PM1_PWRBTN;
}

bool acpi_pm1_sci(const struct acpi_pm1 *p)
{
	return p->status & p->enable & ENABLE_BITS;
}

/* The transition of bit 2 from 0 to 1 resets (82801, "RST_CNT"); bits 1 and 3 say how, which is all one here.
 */
bool acpi_reset_write(struct acpi_pm1 *p, uint8_t value)
{
	const bool go = (value & ~p->reset) & RESET_CPU;

	p->reset = value & ACPI_RESET_MASK;
	return go;
}

const char *acpi_pm1_check(const struct acpi_pm1 *p)
{
	if (p->status & ~STATUS_BITS)
		return "pm1.status";
	if (p->enable & ~ENABLE_BITS)
		return "pm1.enable";
	if (p->control & ~acpi_pm1_regs[2].write_mask)
		return "pm1.control";
	if (p->reset & ~ACPI_RESET_MASK)
		return "pm1.reset";
	return NULL;
}
