/* SPDX-License-Identifier: MIT */
/* 8259A pair against the data sheet (Intel 231468) and the 82371AB's ELCR. */
#include <criterion/criterion.h>

#include "devices/chips/pic.h"

static struct pic_pair p;

static void init_chip(unsigned chip, uint8_t base, uint8_t icw3, uint8_t icw4)
{
	pic_write(&p, chip, 0, 0x11);
	pic_write(&p, chip, 1, base);
	pic_write(&p, chip, 1, icw3);
	pic_write(&p, chip, 1, icw4);
}

static void init(void)
{
	memset(&p, 0, sizeof(p));
	pic_reset(&p);
	init_chip(0, 0x30, 0x04, 0x01);
	init_chip(1, 0x38, 0x02, 0x01);
}

static void pulse(unsigned irq)
{
	pic_set_line(&p, irq, true, true);
	pic_set_line(&p, irq, false, false);
}

static int inta(void)
{
	const struct pic_choice c = pic_choose(&p);
	const int v = pic_vector(&p, c);

	pic_ack(&p, c);
	return v;
}

static uint8_t read_status(unsigned chip, uint8_t ocw3)
{
	pic_write(&p, chip, 0, ocw3);
	return pic_read(&p, chip, 0);
}

#define IRR(chip) read_status(chip, 0x0a)
#define ISR(chip) read_status(chip, 0x0b)

TestSuite(pic, .init = init);

/* "Initialization Command Words": after ICW1 IMR is cleared, IR7 lowest, read status is IRR. */
Test(pic, icw1_effects)
{
	pic_write(&p, 0, 1, 0xa5);
	pulse(1);
	pic_write(&p, 0, 0, 0xc3); /* set priority: IR3 lowest */
	pic_write(&p, 0, 0, 0x6b); /* special mask, read ISR */
	pic_write(&p, 0, 0, 0x11);
	cr_assert_eq(pic_read(&p, 0, 1), 0, "IMR is cleared");
	cr_assert_eq(pic_read(&p, 0, 0), 0, "status read is IRR; the edge sense circuit is reset");
	cr_assert_not(pic_intr(&p), "no INT during initialization");
	pic_write(&p, 0, 1, 0x40);
	pic_write(&p, 0, 1, 0x04);
	pic_write(&p, 0, 1, 0x01);
	pulse(0);
	pulse(7);
	cr_assert_eq(inta(), 0x40, "IR0 is highest again");
	cr_assert_not(pic_intr(&p), "special mask mode is off");
}

/* "...following initialization, an IR input must make a low-to-high transition to generate an interrupt." */
Test(pic, icw1_resets_the_edge_sense)
{
	pic_set_line(&p, 4, true, true);
	init_chip(0, 0x30, 0x04, 0x01);
	cr_assert_not(pic_intr(&p), "IR4 is high but has made no transition");
	pic_set_line(&p, 4, false, false);
	pic_set_line(&p, 4, true, true);
	cr_assert_eq(inta(), 0x34);
}

/* SNGL: ICW3 is not expected. IC4 = 0: ICW4 neither, and its functions are zero. */
Test(pic, short_initializations)
{
	pic_write(&p, 0, 0, 0x13);
	pic_write(&p, 0, 1, 0x50);
	pic_write(&p, 0, 1, 0x03); /* ICW4: 8086, AEOI */
	pulse(3);
	cr_assert_eq(inta(), 0x53);
	cr_assert_eq(ISR(0), 0, "AEOI");
	pic_write(&p, 0, 1, 0xfe);
	cr_assert_eq(pic_read(&p, 0, 1), 0xfe, "the sequence is over: this is OCW1");

	pic_write(&p, 0, 0, 0x12 | 0x04 | 0x40); /* no ICW4, interval 4, A7..A5 = 010 */
	pic_write(&p, 0, 1, 0x12);
	pulse(3);
	cr_assert_eq(inta(), 0x40 | 3 << 2, "low byte of the CALL address, interval of 4");
	pic_write(&p, 0, 0, 0x12 | 0x40); /* interval 8: A7..A6 */
	pic_write(&p, 0, 1, 0x12);
	pulse(3);
	cr_assert_eq(inta(), 0x40 | 3 << 3);
}

/* "Fully Nested Mode". */
Test(pic, fully_nested)
{
	pulse(3);
	cr_assert_eq(inta(), 0x33);
	pulse(3);
	pulse(5);
	cr_assert_not(pic_intr(&p), "same and lower levels are inhibited");
	pulse(1);
	cr_assert_eq(inta(), 0x31, "a higher one is not");
	cr_assert_eq(ISR(0), 0x0a);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(ISR(0), 0x08, "non-specific EOI: the highest");
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(inta(), 0x33, "the second IR3 had been latched meanwhile");
	pic_write(&p, 0, 0, 0x63);
	cr_assert_eq(ISR(0), 0, "specific EOI");
	cr_assert_eq(inta(), 0x35);
}

/* "The mask ... does not affect IRR": IMR blocks the output, not the latch. */
Test(pic, mask_keeps_the_request)
{
	pic_write(&p, 0, 1, 0x10);
	pulse(4);
	cr_assert_not(pic_intr(&p));
	cr_assert_eq(IRR(0), 0x10);
	pic_write(&p, 0, 1, 0);
	cr_assert_eq(inta(), 0x34);
}

/* Cascade: the slave's INT is the master's IR2; both IS bits are set, and both chips need an EOI. */
Test(pic, cascade)
{
	pulse(12);
	cr_assert_eq(IRR(0), 0x04);
	cr_assert_eq(inta(), 0x3c);
	cr_assert_eq(ISR(0), 0x04);
	cr_assert_eq(ISR(1), 0x10);
	pulse(8);
	cr_assert_not(pic_intr(&p), "the master locks the slave out in fully nested mode");
	pic_write(&p, 1, 0, 0x20);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(inta(), 0x38);
	pic_write(&p, 1, 0, 0x20);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(ISR(0) | ISR(1) | IRR(0) | IRR(1), 0, "the cascade leaves nothing behind");
}

/* Masking the slave's request takes its INT down, and IR2 with it. */
Test(pic, cascade_follows_the_wire)
{
	pulse(12);
	pic_write(&p, 1, 1, 0xff);
	cr_assert_not(pic_intr(&p));
	cr_assert_eq(IRR(0), 0);
	pic_write(&p, 1, 1, 0);
	cr_assert_eq(inta(), 0x3c);
}

/* "The Special Fully Nested Mode": higher requests of the same slave get through, lower levels of the master
 * do not. */
Test(pic, special_fully_nested)
{
	init_chip(0, 0x30, 0x04, 0x11);
	pulse(12);
	cr_assert_eq(inta(), 0x3c);
	pulse(5);
	cr_assert_not(pic_intr(&p), "IR5 is below the cascade");
	pulse(14);
	cr_assert_not(pic_intr(&p), "lower in the slave");
	pulse(9);
	cr_assert_eq(inta(), 0x39);
}

/* "Special Mask Mode": levels below a masked in-service one are enabled; a masked IS bit is safe from
 * non-specific EOI. */
Test(pic, special_mask)
{
	pulse(2 + 1);
	cr_assert_eq(inta(), 0x33);
	pulse(6);
	cr_assert_not(pic_intr(&p));
	pic_write(&p, 0, 1, 0x08);
	cr_assert_not(pic_intr(&p), "the mask alone does not help");
	pic_write(&p, 0, 0, 0x68);
	cr_assert_eq(inta(), 0x36);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(ISR(0), 0x08);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(ISR(0), 0x08, "IS3 is masked");
	pic_write(&p, 0, 0, 0x48);
	pulse(7);
	cr_assert_not(pic_intr(&p), "special mask mode is off: IS3 inhibits");
	pic_write(&p, 0, 0, 0x63);
	cr_assert_eq(inta(), 0x37);
}

/* ESMM = 0: the SMM bit is a don't care. */
Test(pic, smm_needs_esmm)
{
	pulse(3);
	inta();
	pic_write(&p, 0, 1, 0x08);
	pic_write(&p, 0, 0, 0x28);
	pulse(6);
	cr_assert_not(pic_intr(&p));
}

/* "Automatic Rotation", "Specific Rotation". */
Test(pic, rotation)
{
	pulse(4);
	inta();
	pic_write(&p, 0, 0, 0xa0); /* rotate on non-specific EOI: IR4 becomes lowest */
	pulse(4);
	pulse(5);
	cr_assert_eq(inta(), 0x35);
	pic_write(&p, 0, 0, 0xe5); /* rotate on specific EOI */
	pulse(5);
	pulse(6);
	cr_assert_eq(inta(), 0x36);
	pic_write(&p, 0, 0, 0x66);
	pic_write(&p, 0, 0, 0xc4); /* set priority: IR4 lowest */
	cr_assert_eq(inta(), 0x35);
	pic_write(&p, 0, 0, 0x40); /* no operation */
	cr_assert_eq(ISR(0), 0x20);
}

Test(pic, rotation_in_aeoi)
{
	init_chip(0, 0x30, 0x04, 0x03);
	pulse(0);
	pulse(1);
	pic_write(&p, 0, 0, 0x80);
	cr_assert_eq(inta(), 0x30);
	pulse(0);
	cr_assert_eq(inta(), 0x31, "IR0 went to the end of the queue");
	pic_write(&p, 0, 0, 0x00);
	pulse(1);
	cr_assert_eq(inta(), 0x30, "order is now 2..7, 0, 1");
	cr_assert_eq(ISR(0), 0);
}

/* "Edge and Level Triggered Modes": nothing there: IR7 and no IS bit. */
Test(pic, spurious)
{
	cr_assert_eq(inta(), 0x37);
	cr_assert_eq(ISR(0), 0);
	/* The slave's request went after the master had committed: IR15, only the master's IS bit. */
	pic_ack(&p, (struct pic_choice){ { 2, -1 } });
	cr_assert_eq(pic_vector(&p, (struct pic_choice){ { 2, -1 } }), 0x3f);
	cr_assert_eq(ISR(0), 0x04);
	cr_assert_eq(ISR(1), 0);
}

/* ICW3 of the slave is compared with the master's cascade lines. */
Test(pic, slave_with_wrong_number)
{
	init_chip(1, 0x38, 0x05, 0x01);
	pulse(9);
	cr_assert_eq(inta(), 0xff, "nobody answers the second INTA");
	cr_assert_eq(ISR(1), 0);
}

/* Level mode: IRR follows the pin; after EOI with the pin still high the request is back. */
Test(pic, level)
{
	pic_elcr_write(&p, 1, 0x02); /* IRQ9 */
	pic_set_line(&p, 9, true, true);
	cr_assert_eq(inta(), 0x39);
	pic_write(&p, 1, 0, 0x20);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_eq(inta(), 0x39);
	pic_set_line(&p, 9, false, false);
	pic_write(&p, 1, 0, 0x20);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_not(pic_intr(&p));
	pulse(9);
	cr_assert_not(pic_intr(&p), "a level that went away is no request");
}

/* An edge mode line that stays high interrupts once. */
Test(pic, edge_once)
{
	pic_set_line(&p, 5, true, true);
	cr_assert_eq(inta(), 0x35);
	pic_write(&p, 0, 0, 0x20);
	cr_assert_not(pic_intr(&p));
	pic_set_line(&p, 5, true, true); /* fell and rose between two samples */
	cr_assert_eq(inta(), 0x35);
}

/* 82371AB: "IRQ0, 1, 2, 8#, 13 are always edge": those bits read 0, all others as written. */
Test(pic, elcr)
{
	for (unsigned v = 0; v < 256; v++) {
		pic_elcr_write(&p, 0, (uint8_t)v);
		pic_elcr_write(&p, 1, (uint8_t)v);
		cr_assert_eq(pic_elcr_read(&p, 0), v & 0xf8);
		cr_assert_eq(pic_elcr_read(&p, 1), v & 0xde);
	}
}

/* "Poll Command". */
Test(pic, poll)
{
	pic_write(&p, 0, 0, 0x0c);
	cr_assert_eq(pic_read(&p, 0, 0) & 0x80, 0, "nothing requested");
	pulse(6);
	pulse(4);
	pic_write(&p, 0, 0, 0x0c);
	cr_assert_not(pic_imr_is_shadowable(&p.chip[0]));
	cr_assert_eq(pic_read(&p, 0, 1), 0x84, "the next read, whichever address, acknowledges");
	cr_assert_eq(ISR(0), 0x10);
	cr_assert_eq(IRR(0), 0x40);
	pulse(11);
	pic_write(&p, 0, 0, 0x64);
	pic_write(&p, 0, 0, 0x0c);
	cr_assert_eq(pic_read(&p, 0, 0), 0x82);
	pic_write(&p, 1, 0, 0x0c);
	cr_assert_eq(pic_read(&p, 1, 0), 0x83);
	cr_assert_eq(ISR(1), 0x08);
}

/* Random operations: the state is always one that check() accepts, and INT is a function of IRR, IMR and ISR.
 */
Test(pic, random_operations)
{
	uint32_t r = 1;

	for (unsigned i = 0; i < 300000; i++) {
		r = r * 1664525 + 1013904223;
		switch (r >> 28) {
		case 0 ... 3:
			pic_write(&p, r >> 27 & 1, r >> 26 & 1, (uint8_t)(r >> 12));
			break;
		case 4:
			init_chip(r >> 27 & 1, (uint8_t)(r >> 12), r & 0x08000000 ? 2 : 4, (uint8_t)(r >> 14 & 0x1f));
			break;
		case 5:
			pic_elcr_write(&p, r >> 27 & 1, (uint8_t)(r >> 12));
			break;
		case 6 ... 9:
			pic_set_line(&p, r >> 12 & 15, r >> 16 & 1, r >> 17 & 1);
			break;
		case 10:
			pic_read(&p, r >> 27 & 1, r >> 26 & 1);
			break;
		case 11:
			pic_write(&p, r >> 27 & 1, 0, 0x20);
			break;
		default:
			inta();
			break;
		}
		cr_assert_null(pic_check(&p), "%s after %u operations", pic_check(&p), i);
		if (pic_intr(&p))
			cr_assert_neq(p.chip[0].irr & ~p.chip[0].imr, 0);
		else if (p.chip[0].step == PIC_READY && !p.chip[0].isr)
			cr_assert_eq(p.chip[0].irr & ~p.chip[0].imr, 0);
	}
}

Test(pic, check_rejects)
{
	const struct pic_pair good = p;

#define REJECTS(change)                                           \
	do {                                                      \
		p = good;                                         \
		change;                                           \
		cr_assert_not_null(pic_check(&p), "%s", #change); \
	} while (0)
	cr_assert_null(pic_check(&p));
	REJECTS(p.chip[0].slave = 1);
	REJECTS(p.chip[1].lowest = 8);
	REJECTS(p.chip[0].step = PIC_STEPS);
	REJECTS(p.chip[0].elcr = 1);
	REJECTS(p.chip[1].elcr = 0x20);
	REJECTS(p.chip[0].poll = 2);
	REJECTS(p.chip[0].icw4 = 0x20);
	REJECTS(p.chip[0].icw1 = 0);
	REJECTS(p.chip[1].icw3 = 8);
	REJECTS(p.chip[0].irr = 4);
	REJECTS(p.chip[0].level = 4);
	REJECTS(p.chip[0].elcr = p.chip[0].irr = 8);
}
