/* SPDX-License-Identifier: MIT */
/* PM1 block against ACPI 6, section 4.8.3. */
#include <criterion/criterion.h>

#include "devices/chips/acpi_pm1.h"

static struct acpi_pm1 p;

static void init(void)
{
	acpi_pm1_reset(&p);
}

static unsigned get(unsigned offset)
{
	return acpi_pm1_read(&p, offset) | (unsigned)acpi_pm1_read(&p, offset + 1) << 8;
}

static int set(unsigned offset, unsigned value)
{
	const int low = acpi_pm1_write(&p, offset, (uint8_t)value), high = acpi_pm1_write(&p, offset + 1, (uint8_t)(value >> 8));

	return low >= 0 ? low : high;
}

TestSuite(acpi_pm1, .init = init);

/* 4.8.3.1.1: status bits are set by hardware, cleared by writing a 1, and a 0 has no effect; writing never
 * sets one. */
Test(acpi_pm1, status_is_write_one_to_clear)
{
	acpi_pm1_power_button(&p);
	set(0, 0);
	cr_assert_eq(get(0), PM1_PWRBTN);
	set(0, 0xffff & ~PM1_PWRBTN);
	cr_assert_eq(get(0), PM1_PWRBTN);
	set(0, PM1_PWRBTN);
	cr_assert_eq(get(0), 0);
}

/* 4.8.2.1: the SCI is asserted while a status bit and its enable bit are set; it is a level. */
Test(acpi_pm1, sci)
{
	acpi_pm1_power_button(&p);
	cr_assert_not(acpi_pm1_sci(&p));
	set(2, PM1_PWRBTN);
	cr_assert(acpi_pm1_sci(&p));
	set(2, 0);
	cr_assert_not(acpi_pm1_sci(&p));
	set(2, PM1_PWRBTN);
	set(0, PM1_PWRBTN);
	cr_assert_not(acpi_pm1_sci(&p));
	set(2, 0xffff);
	cr_assert_eq(get(2), PM1_TMR | PM1_GBL | PM1_PWRBTN | PM1_SLPBTN | PM1_RTC, "table 4.14");
	acpi_pm1_wake(&p);
	cr_assert_not(acpi_pm1_sci(&p), "WAK_STS has no enable bit");
}

/* 4.8.3.2.1: SCI_EN says ACPI mode; SLP_EN reads 0. */
Test(acpi_pm1, control)
{
	cr_assert_eq(get(4), PM1_SCI_EN);
	set(4, 0);
	cr_assert_eq(get(4), PM1_SCI_EN, "there is no other mode");
	cr_assert_eq(set(4, 5 << PM1_SLP_TYP_SHIFT), -1, "SLP_TYP alone does nothing");
	cr_assert_eq(set(4, 5 << PM1_SLP_TYP_SHIFT | PM1_SLP_EN), 5);
	cr_assert_eq(get(4), 5 << PM1_SLP_TYP_SHIFT | PM1_SCI_EN);
	for (int type = 0; type < 8; type++)
		cr_assert_eq(acpi_pm1_write(&p, 5, (uint8_t)(type << 2 | 0x20)), type, "a byte write does it too");
	acpi_pm1_wake(&p);
	cr_assert_eq(get(0), PM1_WAK_STS);
	cr_assert_eq(acpi_pm1_read(&p, 6), 0xff);
}

/* 82801 RST_CNT: bit 2 from 0 to 1. */
Test(acpi_pm1, reset_register)
{
	cr_assert_not(acpi_reset_write(&p, 0x02));
	cr_assert(acpi_reset_write(&p, 0x06), "ACPI reset value, after 02h");
	cr_assert_not(acpi_reset_write(&p, 0x06), "no transition");
	cr_assert_not(acpi_reset_write(&p, 0x00));
	cr_assert(acpi_reset_write(&p, 0x04));
	acpi_reset_write(&p, 0);
	cr_assert(acpi_reset_write(&p, 0x0e));
	acpi_reset_write(&p, 0);
	cr_assert_not(acpi_reset_write(&p, 0xf1));
	cr_assert_eq(p.reset, 0);
}

Test(acpi_pm1, check_rejects)
{
	cr_assert_null(acpi_pm1_check(&p));
	p.status = 1 << 1;
	cr_assert_str_eq(acpi_pm1_check(&p), "pm1.status");
	p.status = 0, p.enable = PM1_WAK_STS;
	cr_assert_str_eq(acpi_pm1_check(&p), "pm1.enable");
	p.enable = 0, p.control = PM1_SLP_EN;
	cr_assert_str_eq(acpi_pm1_check(&p), "pm1.control");
	p.control = 0, p.reset = 1;
	cr_assert_str_eq(acpi_pm1_check(&p), "pm1.reset");
}
