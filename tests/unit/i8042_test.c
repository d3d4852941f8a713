/* SPDX-License-Identifier: MIT */
/* 8042 against the PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
 */
#include <criterion/criterion.h>

#include "devices/chips/i8042.h"

static struct i8042 k;

/* A board with nothing plugged in, as platformd's: is its reset line pulled? */
static bool obey(struct i8042_effect effect)
{
	if (effect.sends)
		i8042_no_answer(&k, effect.aux);
	return effect.reset;
}

static void init(void)
{
	i8042_reset(&k);
}

/* The answer to a command; the output buffer must be full, and empty afterwards. */
static unsigned ask(uint8_t command)
{
	unsigned value;

	cr_assert_not(obey(i8042_write_command(&k, command)));
	cr_assert(i8042_read_status(&k) & I8042_OBF);
	value = i8042_read_data(&k);
	cr_assert_not(i8042_read_status(&k) & I8042_OBF);
	return value;
}

static bool tell(uint8_t command, uint8_t value)
{
	cr_assert_not(obey(i8042_write_command(&k, command)));
	return obey(i8042_write_data(&k, value));
}

TestSuite(i8042, .init = init);

Test(i8042, tests)
{
	cr_assert_eq(ask(0xaa), 0x55, "self-test passed");
	cr_assert_eq(ask(0xab), 0x00, "keyboard interface: no error");
	cr_assert_eq(ask(0xa9), 0x00, "auxiliary interface: no error");
	cr_assert_eq(ask(0xa4), 0xf1, "no password");
	cr_assert_eq(ask(0x20) & (I8042_KBD_OFF | I8042_AUX_OFF | I8042_SYS_FLAG), 0x34);
}

Test(i8042, command_byte_and_ram)
{
	tell(0x60, 0xff);
	cr_assert_eq(ask(0x20), 0x7f, "bit 7 is reserved");
	cr_assert_eq(i8042_read_status(&k) & I8042_SYSTEM, I8042_SYSTEM, "status bit 2 is the system flag");
	tell(0x60, 0x03);
	cr_assert_eq(ask(0x20), 0x03);
	cr_assert_eq(i8042_read_status(&k) & I8042_SYSTEM, 0);
	i8042_write_command(&k, 0xad);
	i8042_write_command(&k, 0xa7);
	cr_assert_eq(ask(0x20), 0x33);
	i8042_write_command(&k, 0xae);
	i8042_write_command(&k, 0xa8);
	cr_assert_eq(ask(0x20), 0x03);
	tell(0x7f, 0xa5);
	cr_assert_eq(ask(0x3f), 0xa5);
}

/* Status bit 3 tells which port was written last. */
Test(i8042, command_data_bit)
{
	i8042_write_command(&k, 0xae);
	cr_assert(i8042_read_status(&k) & I8042_COMMAND);
	tell(0x60, 0);
	cr_assert_not(i8042_read_status(&k) & I8042_COMMAND);
	cr_assert(i8042_read_status(&k) & I8042_UNLOCKED);
}

Test(i8042, a20)
{
	cr_assert_eq(ask(0xd0) & 3, 3);
	i8042_write_command(&k, 0xdd);
	cr_assert_eq(ask(0xd0) & 2, 0);
	i8042_write_command(&k, 0xdf);
	cr_assert_eq(ask(0xd0) & 2, 2);
	cr_assert_not(tell(0xd1, 0xdd));
	cr_assert_eq(ask(0xd0) & 2, 0);
	cr_assert_not(tell(0xd1, 0xdf));
	cr_assert_eq(ask(0xd0) & 2, 2);
}

/* Output port bit 0 low, pulsed or held, resets the processor. */
Test(i8042, reset_line)
{
	for (unsigned command = 0xf0; command < 0x100; command++)
		cr_assert_eq(obey(i8042_write_command(&k, (uint8_t)command)), !(command & 1));
	cr_assert(tell(0xd1, 0xfe));
}

/* No device: FEh with the time-out bit, at once, from the right side. */
Test(i8042, nothing_connected)
{
	obey(i8042_write_data(&k, 0xff));
	cr_assert_eq(i8042_read_status(&k) & (I8042_OBF | I8042_AUX | I8042_TIMEOUT), I8042_OBF | I8042_TIMEOUT);
	cr_assert_eq(i8042_read_data(&k), 0xfe);
	cr_assert_eq(ask(0x20) & I8042_KBD_OFF, 0, "sending enables the interface");
	tell(0xd4, 0xf2);
	cr_assert_eq(i8042_read_status(&k) & (I8042_OBF | I8042_AUX | I8042_TIMEOUT), I8042_OBF | I8042_AUX | I8042_TIMEOUT);
	cr_assert_eq(i8042_read_data(&k), 0xfe);
}

/* A device is heard when its clock runs and the output buffer is empty; its byte comes with its name. */
Test(i8042, devices)
{
	struct i8042_effect effect;

	cr_assert(i8042_is_inhibited(&k, false) && i8042_is_inhibited(&k, true),
		  "both interfaces are off after the power-on test");
	effect = i8042_write_data(&k, 0xf4);
	cr_assert(effect.sends && !effect.aux && effect.byte == 0xf4 && !effect.reset);
	i8042_write_command(&k, 0xd4);
	effect = i8042_write_data(&k, 0xf2);
	cr_assert(effect.sends && effect.aux && effect.byte == 0xf2 && !effect.reset);
	cr_assert(i8042_is_ready(&k, false) && i8042_is_ready(&k, true), "sending to a device enables its interface");
	i8042_give(&k, true, 0xfa);
	cr_assert_not(i8042_is_ready(&k, false), "one byte at a time");
	cr_assert_eq(i8042_read_status(&k) & (I8042_OBF | I8042_AUX | I8042_TIMEOUT), I8042_OBF | I8042_AUX);
	cr_assert_eq(i8042_read_data(&k), 0xfa);
	i8042_write_command(&k, 0xad);
	cr_assert(i8042_is_inhibited(&k, false) && !i8042_is_inhibited(&k, true));
	cr_assert_not(i8042_translates(&k));
	tell(0x60, I8042_TRANSLATE);
	cr_assert(i8042_translates(&k));
}

Test(i8042, interrupts)
{
	tell(0xd2, 0x12);
	cr_assert_not(i8042_irq1(&k), "disabled");
	tell(0x60, I8042_KBD_INT);
	cr_assert(i8042_irq1(&k));
	cr_assert_eq(i8042_read_data(&k), 0x12);
	cr_assert_not(i8042_irq1(&k));
	tell(0xd3, 0x34);
	cr_assert_not(i8042_irq12(&k));
	tell(0x60, I8042_AUX_INT);
	cr_assert(i8042_irq12(&k));
	cr_assert_not(i8042_irq1(&k));
	cr_assert_eq(i8042_read_data(&k), 0x34);
	cr_assert_eq(i8042_read_data(&k), 0x34, "an empty buffer keeps its last byte");
}

/* More answers than anybody reads: the first eight, in order. */
Test(i8042, overflow)
{
	for (unsigned i = 0; i < 20; i++)
		tell(0xd2, (uint8_t)i);
	for (unsigned i = 0; i < I8042_QUEUE; i++)
		cr_assert_eq(i8042_read_data(&k), i);
	cr_assert_not(i8042_read_status(&k) & I8042_OBF);
}

Test(i8042, random_operations)
{
	uint32_t r = 5;

	for (unsigned i = 0; i < 200000; i++) {
		r = r * 1664525 + 1013904223;
		switch (r >> 30) {
		case 0:
			obey(i8042_write_data(&k, (uint8_t)(r >> 8)));
			break;
		case 1:
			i8042_write_command(&k, (uint8_t)(r >> 8));
			break;
		default:
			i8042_read_data(&k);
			break;
		}
		cr_assert_null(i8042_check(&k));
		cr_assert_not(i8042_irq1(&k) && i8042_irq12(&k));
		cr_assert_eq(i8042_read_status(&k) & 2, 0, "input buffer is never full");
	}
}

Test(i8042, check_rejects)
{
	const struct i8042 good = k;

#define REJECTS(change)                                             \
	do {                                                        \
		k = good;                                           \
		change;                                             \
		cr_assert_not_null(i8042_check(&k), "%s", #change); \
	} while (0)
	cr_assert_null(i8042_check(&k));
	REJECTS(k.head = I8042_QUEUE);
	REJECTS(k.count = I8042_QUEUE + 1);
	REJECTS(k.ram[0] = 0x80);
	REJECTS(k.pending = 0xaa);
	REJECTS(k.source[3] = 1);
	REJECTS(k.was_command = 2);
	REJECTS(k.output_port = 0x10);
}
