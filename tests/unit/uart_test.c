/* SPDX-License-Identifier: MIT */
/* 16550A against the PC16550D data sheet; names in quotes are its headings. */
#include <criterion/criterion.h>
#include <string.h>

#include "devices/chips/ticks.h"
#include "devices/chips/uart.h"

static struct uart u;
static uint64_t now;

static uint8_t in(unsigned offset)
{
	uint8_t value = uart_read(&u, offset, now);

	uart_advance(&u, now);
	return value;
}

static void out(unsigned offset, uint8_t value)
{
	uart_write(&u, offset, value, now);
	uart_advance(&u, now);
}

static void rx(const char *s)
{
	while (*s)
		uart_receive(&u, (uint8_t)*s++, 0, now);
}

static void rx_bad(uint8_t data, uint8_t errors)
{
	uart_receive(&u, data, errors, now);
}

static unsigned drain(void)
{
	uint8_t buf[UART_TX_SIZE];

	return (unsigned)uart_take(&u, buf, sizeof(buf));
}

static void init(void)
{
	now = 1000000;
	uart_reset(&u);
	out(UART_LCR, 0x03);
	out(UART_MCR, MCR_OUT2);
}

TestSuite(uart, .init = init);

/* Table II, "UART Reset Configuration". */
Test(uart, reset_values)
{
	uart_reset(&u);
	cr_assert_eq(in(UART_IER), 0x00);
	cr_assert_eq(in(UART_IIR), 0x01, "no interrupt pending, FIFO bits 0");
	cr_assert_eq(in(UART_LCR), 0x00);
	cr_assert_eq(in(UART_MCR), 0x00);
	cr_assert_eq(in(UART_LSR), 0x60);
	cr_assert_eq(in(UART_MSR)&0x0f, 0, "delta bits are 0, bits 4 to 7 are the inputs");
	cr_assert_not(uart_irq(&u));
}

/* Whatever the table calls readable and writable keeps exactly the bits of its mask. */
Test(uart, read_back_from_table)
{
	static const uint8_t patterns[] = { 0x00, 0xff, 0x55, 0xaa };

	for (unsigned i = 0; i < UART_REG_COUNT; i++) {
		const struct reg_desc *r = &uart_regs[i];
		bool divisor = r->name[0] == 'D';

		if (!r->readable)
			continue;
		uart_reset(&u);
		uart_write(&u, UART_LCR, divisor ? 0x80 : 0, now);
		if (strcmp(r->name, "RBR") != 0)
			cr_assert_eq(in(r->offset), r->reset, "%s", r->name);
		for (unsigned p = 0; p < sizeof(patterns) && r->writable; p++) {
			out(r->offset, patterns[p]);
			cr_assert_eq(in(r->offset), patterns[p] & r->write_mask, "%s", r->name);
			if (strcmp(r->name, "LCR") == 0)
				out(UART_LCR, 0);
		}
	}
}

/* "Line Status Register", "MODEM Status Register": intended for read operations only. */
Test(uart, status_registers_ignore_writes)
{
	uint8_t lsr = in(UART_LSR), msr = in(UART_MSR);

	out(UART_LSR, 0xff);
	out(UART_MSR, 0xff);
	cr_assert_eq(in(UART_LSR), lsr);
	cr_assert_eq(in(UART_MSR), msr);
}

/* Posting rule (design, section 2): what can mask an interrupt waits; where rows share an address the strictest. */
Test(uart, posting_classes)
{
	for (unsigned i = 0; i < UART_REG_COUNT; i++) {
		const struct reg_desc *r = &uart_regs[i];

		if (r->offset >= UART_IER && r->offset <= UART_MCR)
			cr_assert_eq(r->post, REG_SYNC, "%s", r->name);
		if (r->offset == UART_DATA && r->writable)
			cr_assert(r->post == REG_POSTED && r->class == CLASS_TXDATA, "%s", r->name);
		if (r->shadow != REG_ROUND_TRIP)
			cr_assert_not(r->depends & CLASS_TXDATA, "%s", r->name);
	}
}

/* How Linux tells a 16550A: FCR = E7 gives IIR bits 7 and 6 set and bit 5 (64-byte FIFO) clear. */
Test(uart, identification_as_16550a)
{
	out(UART_IIR, 0xe7);
	cr_assert_eq(in(UART_IIR)&0xe0, 0xc0);
	out(UART_IIR, 0x00);
	cr_assert_eq(in(UART_IIR)&0xc0, 0x00);
}

/* "FIFO Control Register", bit 0: must be 1 for the other bits to be programmed. */
Test(uart, fcr_needs_enable)
{
	out(UART_IIR, 0xc0);
	out(UART_IER, IER_ERBFI);
	rx("a");
	cr_assert_eq(in(UART_IIR), 0x04, "no FIFO: one character is data available");
}

/* The FIFO is cleared by FCR, not by LCR bits 1 and 2 (which are word length and stop bits). */
Test(uart, fifo_clear_is_fcr)
{
	out(UART_IIR, 0x01);
	rx("abc");
	out(UART_LCR, 0x06);
	cr_assert_eq(in(UART_LCR), 0x06);
	cr_assert(in(UART_LSR)&LSR_DR);
	out(UART_IIR, 0x03);
	cr_assert_not(in(UART_LSR)&LSR_DR, "bit 1 clears the receive FIFO");
	cr_assert_eq(in(UART_LCR), 0x06);
	rx("d");
	cr_assert_eq(in(UART_DATA), 'd', "the bit clears itself");
}

/* "FIFO Control Register", bit 0: changing it clears both FIFOs. */
Test(uart, fifo_mode_change_clears)
{
	out(UART_IIR, 0x01);
	rx("abc");
	out(UART_IIR, 0x00);
	cr_assert_not(in(UART_LSR)&LSR_DR);
	rx("x");
	out(UART_IIR, 0x01);
	cr_assert_not(in(UART_LSR)&LSR_DR);
}

/* "FIFO Control Register", bits 6 and 7: 1, 4, 8, 14; the interrupt clears when the FIFO drops below it. */
Test(uart, trigger_levels)
{
	static const unsigned level[] = { 1, 4, 8, 14 };

	for (unsigned i = 0; i < 4; i++) {
		out(UART_IIR, (uint8_t)(0x03 | i << 6));
		out(UART_IER, IER_ERBFI);
		for (unsigned n = 1; n <= level[i]; n++) {
			cr_assert_not(uart_irq(&u), "level %u, %u characters", level[i], n - 1);
			rx("x");
		}
		cr_assert(uart_irq(&u));
		cr_assert_eq(in(UART_IIR), 0xc4);
		in(UART_DATA);
		cr_assert_not(uart_irq(&u));
	}
}

/* "FIFO Interrupt Mode Operation": four character times without a character or a read; here 10 bits at 9600 baud. */
Test(uart, character_timeout)
{
	uint64_t four_chars = (4ull * 10 * 1000000000 + 9599) / 9600; /* the first nanosecond after them */

	out(UART_LCR, 0x83);
	out(UART_DATA, 12);
	out(UART_IER, 0);
	out(UART_LCR, 0x03);
	out(UART_IIR, 0xc1);
	out(UART_IER, IER_ERBFI);
	cr_assert_eq(uart_advance(&u, now), TIME_NEVER, "an empty FIFO does not time out");
	rx("ab");
	cr_assert_eq(uart_advance(&u, now), now + four_chars);
	now += four_chars - 1;
	uart_advance(&u, now);
	cr_assert_not(uart_irq(&u));
	rx("c"); /* a new character restarts the timer */
	cr_assert_eq(uart_advance(&u, now), now + four_chars);
	now += four_chars;
	uart_advance(&u, now);
	cr_assert(uart_irq(&u));
	cr_assert_eq(in(UART_IIR), 0xcc);
	cr_assert_eq(in(UART_IIR), 0xcc, "reading IIR does not clear it");
	rx("d");
	cr_assert_eq(in(UART_IIR), 0xcc, "nor does a new character");
	cr_assert_eq(in(UART_DATA), 'a');
	cr_assert_eq(in(UART_IIR), 0xc1, "reading one character does");
	cr_assert_eq(uart_advance(&u, now), now + four_chars, "and restarts the timer: there is more");
	in(UART_DATA), in(UART_DATA), in(UART_DATA);
	cr_assert_eq(uart_advance(&u, now), TIME_NEVER);
}

/* The time is never zero, whatever divisor and format (a rate that rounds to zero is a storm). */
Test(uart, timeout_is_never_short)
{
	for (unsigned lcr = 0; lcr < 0x40; lcr++)
		for (unsigned i = 0; i <= 16; i++) {
			unsigned divisor = (1u << i) - (i == 16);

			u.lcr = (uint8_t)lcr;
			u.dll = (uint8_t)(i == 0 ? 0 : divisor);
			u.dlm = (uint8_t)(i == 0 ? 0 : divisor >> 8);
			cr_assert_geq(uart_timeout_ns(&u), 4ull * 7 * 1000000000 / 115200);
			cr_assert_leq(uart_timeout_ns(&u), 28ull * 1000000000);
		}
}

/* Table IV, "Interrupt Control Functions": line status, data, (time-out), THRE, modem status. */
Test(uart, priorities)
{
	out(UART_IER, 0x0f);
	cr_assert_eq(in(UART_IIR), 0x02, "THRE as soon as it is enabled");
	out(UART_IER, 0x0d);
	out(UART_IER, 0x0f);
	uart_set_inputs(&u, MSR_DSR | MSR_DCD);
	rx_bad('x', LSR_PE);
	cr_assert_eq(in(UART_IIR), 0x06);
	cr_assert_eq(in(UART_LSR)&LSR_ERRORS, LSR_PE, "read LSR resets the first");
	cr_assert_eq(in(UART_IIR), 0x04);
	cr_assert_eq(in(UART_DATA), 'x', "read RBR resets the second");
	cr_assert_eq(in(UART_IIR), 0x02, "reading IIR resets the third, only now that it is the source shown");
	cr_assert_eq(in(UART_IIR), 0x00);
	cr_assert_eq(in(UART_MSR), MSR_DCTS | MSR_DSR | MSR_DCD, "read MSR resets the fourth");
	cr_assert_eq(in(UART_IIR), 0x01);
}

/* THRE is reset by a THR write, and comes again when the byte is gone. */
Test(uart, thre_by_thr_write)
{
	out(UART_IER, IER_ETBEI);
	cr_assert(uart_irq(&u));
	uart_write(&u, UART_DATA, 'a', now);
	cr_assert_not(uart_irq(&u), "the write resets it");
	cr_assert_not(uart_lsr(&u) & LSR_THRE);
	uart_advance(&u, now);
	cr_assert(uart_irq(&u), "and the next comes when THR is empty again");
	cr_assert_eq(uart_lsr(&u) & (LSR_THRE | LSR_TEMT), LSR_THRE | LSR_TEMT);
}

/* Enabling ETBEI while THR is empty raises the interrupt each time, also after IIR was read. */
Test(uart, thre_again_when_enabled_again)
{
	for (unsigned i = 0; i < 3; i++) {
		out(UART_IER, IER_ETBEI);
		cr_assert_eq(in(UART_IIR), 0x02);
		cr_assert_eq(in(UART_IIR), 0x01);
		cr_assert_not(uart_irq(&u));
		out(UART_IER, 0);
	}
	out(UART_IER, IER_ETBEI);
	in(UART_IIR);
	out(UART_IER, IER_ETBEI);
	cr_assert_eq(in(UART_IIR), 0x01, "no transition of the bit, no interrupt");
}

/* "Line Status Register", OE without FIFO: the character not yet read is destroyed. */
Test(uart, overrun_without_fifo)
{
	rx("ab");
	cr_assert_eq(in(UART_LSR), LSR_OE | LSR_DR | LSR_THRE | LSR_TEMT);
	cr_assert_eq(in(UART_LSR), LSR_DR | LSR_THRE | LSR_TEMT, "reset by reading LSR");
	cr_assert_eq(in(UART_DATA), 'b');
	cr_assert_not(in(UART_LSR)&LSR_DR);
}

/* OE with FIFO: only when it is full and one more came; the FIFO keeps what it holds. */
Test(uart, overrun_with_fifo)
{
	out(UART_IIR, 0x01);
	cr_assert_eq(uart_rx_room(&u), 16);
	rx("0123456789abcdef");
	cr_assert_eq(uart_rx_room(&u), 0);
	cr_assert_not(in(UART_LSR)&LSR_OE);
	rx("X");
	cr_assert_eq(in(UART_LSR) & (LSR_OE | LSR_FIFO_ERROR), LSR_OE, "OE is not a FIFO data error");
	for (const char *s = "0123456789abcdef"; *s; s++)
		cr_assert_eq(in(UART_DATA), *s);
	cr_assert_not(in(UART_LSR)&LSR_DR);
}

/* PE, FE, BI belong to a character and are revealed when it is at the top; bit 7 says that one is in the FIFO. */
Test(uart, errors_travel_with_their_character)
{
	out(UART_IIR, 0x01);
	out(UART_IER, IER_ELSI);
	rx("a");
	rx_bad('b', LSR_FE);
	rx_bad(0, LSR_BI);
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), LSR_FIFO_ERROR);
	cr_assert_not(uart_irq(&u));
	in(UART_DATA);
	cr_assert(uart_irq(&u));
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), LSR_FE | LSR_FIFO_ERROR);
	cr_assert_not(uart_irq(&u), "reset by reading LSR");
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), LSR_FIFO_ERROR, "there is a subsequent error");
	cr_assert_eq(in(UART_DATA), 'b');
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), LSR_BI | LSR_FIFO_ERROR);
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), 0, "no subsequent errors in the FIFO");
	cr_assert_eq(in(UART_DATA), 0, "a break is one zero character");
}

/* Bit 7 is 0 in 16450 mode. */
Test(uart, no_fifo_error_bit_without_fifo)
{
	rx_bad('x', LSR_PE);
	cr_assert_eq(in(UART_LSR) & (LSR_ERRORS | LSR_FIFO_ERROR), LSR_PE);
}

/* "MODEM Control Register", bit 4: DTR, RTS, OUT1, OUT2 appear as DSR, CTS, RI, DCD; Linux expects 90h for 1Ah. */
Test(uart, loop_back_modem_lines)
{
	out(UART_MCR, 0x1a);
	cr_assert_eq(in(UART_MSR)&0xf0, 0x90);
	out(UART_MCR, MCR_LOOP | MCR_DTR | MCR_OUT1);
	cr_assert_eq(in(UART_MSR)&0xf0, MSR_DSR | MSR_RI);
	uart_set_inputs(&u, MSR_LINES);
	cr_assert_eq(in(UART_MSR)&0xf0, MSR_DSR | MSR_RI, "the inputs are disconnected");
	out(UART_MCR, 0);
	cr_assert_eq(in(UART_MSR)&0xf0, MSR_LINES);
}

/* TERI: only the trailing edge of RI; the other deltas on any change; all cleared by reading MSR, which is not LSR. */
Test(uart, modem_deltas)
{
	uart_set_inputs(&u, 0);
	cr_assert_eq(in(UART_MSR), MSR_DCTS | MSR_DDSR | MSR_DDCD);
	cr_assert_eq(in(UART_MSR), 0);
	uart_set_inputs(&u, MSR_RI);
	cr_assert_eq(in(UART_MSR), MSR_RI, "RI begins: no delta");
	uart_set_inputs(&u, 0);
	cr_assert_eq(in(UART_MSR), MSR_TERI);
	uart_set_inputs(&u, MSR_CTS);
	uart_set_inputs(&u, 0);
	cr_assert_eq(in(UART_MSR), MSR_DCTS, "a change and back is a change");
}

/* Loop-back data: THR to RBR, word length applied, nothing on the line, the line not received. */
Test(uart, loop_back_data)
{
	out(UART_MCR, MCR_LOOP | MCR_OUT2);
	uart_set_credit(&u, 0);
	uart_advance(&u, now);
	out(UART_DATA, 'L');
	cr_assert_eq(in(UART_LSR), LSR_DR | LSR_THRE | LSR_TEMT, "needs nobody's credit");
	rx("x");
	cr_assert_eq(in(UART_DATA), 'L');
	cr_assert_not(in(UART_LSR)&LSR_DR);
	out(UART_LCR, 0x00);
	out(UART_DATA, 0xff);
	cr_assert_eq(in(UART_DATA), 0x1f, "five bits");
	cr_assert_eq(drain(), 0);
	cr_assert_eq(uart_rx_room(&u), 0);
	out(UART_IER, IER_ETBEI);
	cr_assert_not(uart_irq(&u), "OUT2 is inactive in loop-back: the PC's gate is closed");
	cr_assert_eq(in(UART_IIR), 0x02, "though the chip's interrupt works");
}

/* The PC gates INTR with OUT2. */
/* "Modem Control Register", bits 0 and 1. A driver that uses neither, as firmware does, is sent to at once. */
Test(uart, request_to_send_holds_the_peer)
{
	cr_assert_eq(uart_rx_room(&u), 1, "without DTR nobody shakes hands");
	out(UART_MCR, MCR_OUT2 | MCR_DTR);
	cr_assert_eq(uart_rx_room(&u), 0);
	out(UART_MCR, MCR_OUT2 | MCR_DTR | MCR_RTS);
	cr_assert_eq(uart_rx_room(&u), 1);
	out(UART_MCR, MCR_OUT2 | MCR_RTS);
	cr_assert_eq(uart_rx_room(&u), 1);
}

Test(uart, out2_gates_interrupt)
{
	out(UART_MCR, 0);
	out(UART_IER, IER_ETBEI);
	cr_assert_not(uart_irq(&u));
	out(UART_MCR, MCR_OUT2);
	cr_assert(uart_irq(&u));
}

/* DLAB switches offsets 0 and 1 and no others; the divisor does not disturb IER or data. */
Test(uart, divisor_latch)
{
	out(UART_IER, 0x05);
	rx("r");
	out(UART_LCR, 0x83);
	out(0, 0x34);
	out(1, 0x12);
	cr_assert_eq(in(0), 0x34);
	cr_assert_eq(in(1), 0x12);
	cr_assert(in(UART_LSR)&LSR_DR);
	out(UART_LCR, 0x03);
	cr_assert_eq(in(UART_IER), 0x05);
	cr_assert_eq(in(UART_DATA), 'r');
	cr_assert_eq(drain(), 0, "DLL is not transmitted");
}

/* Set break acts on SOUT only. */
Test(uart, break_control)
{
	out(UART_LCR, 0x43);
	cr_assert_eq(in(UART_LCR), 0x43);
	out(UART_DATA, 'b');
	cr_assert_eq(in(UART_LSR), LSR_THRE | LSR_TEMT);
}

/* Credit: THRE and TEMT are clear without room for a FIFO load; what was written before is kept, in order. */
Test(uart, credit_withdraws_thre)
{
	uint8_t buf[64];

	out(UART_IIR, 0x01);
	uart_set_credit(&u, 20);
	uart_advance(&u, now);
	for (unsigned i = 0; i < 5; i++) {
		cr_assert(uart_lsr(&u) & LSR_THRE, "byte %u", i);
		out(UART_DATA, (uint8_t)i);
	}
	cr_assert_not(uart_lsr(&u) & (LSR_THRE | LSR_TEMT), "15 are left");
	for (unsigned i = 5; i < 21; i++)
		out(UART_DATA, (uint8_t)i); /* a driver that saw THRE before the last one */
	cr_assert_eq(uart_take(&u, buf, sizeof(buf)), 21);
	for (unsigned i = 0; i < 21; i++)
		cr_assert_eq(buf[i], i);
	uart_advance(&u, now);
	cr_assert_not(uart_lsr(&u) & LSR_THRE, "taking bytes is not credit");
	out(UART_IER, IER_ETBEI);
	cr_assert_not(uart_irq(&u));
	uart_set_credit(&u, 16);
	uart_advance(&u, now);
	cr_assert(uart_lsr(&u) & LSR_THRE);
	cr_assert(uart_irq(&u), "THR became empty");
}

/* A full queue drops what a guest writes without looking at THRE, and nothing else. */
Test(uart, transmit_queue_is_bounded)
{
	for (unsigned i = 0; i < 1000; i++)
		out(UART_DATA, (uint8_t)i);
	cr_assert_eq(drain(), UART_TX_SIZE);
	uart_advance(&u, now);
	cr_assert(uart_lsr(&u) & LSR_THRE);
}

/* FCR bit 2 clears what waits for credit; what had credit counts as sent. */
Test(uart, transmit_fifo_reset)
{
	out(UART_IIR, 0x01);
	out(UART_DATA, 'a');
	out(UART_IIR, 0x05);
	cr_assert_eq(drain(), 1);
	uart_set_credit(&u, 0);
	uart_advance(&u, now);
	out(UART_DATA, 'b');
	out(UART_IIR, 0x05);
	cr_assert_eq(drain(), 0);
}

/*
 * LSR in shared memory: as long as it is shadowable, a full ring of posted THR writes and one FIFO load more must not
 * make the published value wrong.
 */
Test(uart, lsr_shadow_survives_a_full_ring)
{
	out(UART_IIR, 0x01);
	for (uint32_t credit = 0; credit < 300; credit++) {
		uint8_t shown;

		uart_set_credit(&u, credit);
		uart_advance(&u, now);
		if (!uart_lsr_is_shadowable(&u))
			continue;
		cr_assert_geq(credit, 80);
		shown = uart_lsr(&u);
		for (unsigned i = 0; i < 64; i++) {
			cr_assert_eq(uart_lsr(&u), shown, "credit %u, byte %u", credit, i);
			out(UART_DATA, 'x');
		}
		cr_assert_eq(uart_lsr(&u), shown);
		for (unsigned i = 0; i < 16; i++)
			out(UART_DATA, 'y');
		cr_assert_eq(drain(), 80, "and nothing is lost");
	}
}

/* A read of LSR with error bits has side effects: no shadow. In loop-back THR changes it: no shadow. */
Test(uart, shadow_conditions)
{
	out(UART_IIR, 0x01);
	cr_assert(uart_lsr_is_shadowable(&u));
	rx("a");
	cr_assert(uart_lsr_is_shadowable(&u));
	rx_bad('b', LSR_PE);
	cr_assert_not(uart_lsr_is_shadowable(&u), "bit 7 is cleared by a read");
	in(UART_DATA);
	cr_assert_not(uart_lsr_is_shadowable(&u));
	in(UART_LSR);
	cr_assert(uart_lsr_is_shadowable(&u));
	cr_assert(uart_msr_is_shadowable(&u));
	out(UART_MCR, MCR_LOOP);
	cr_assert_not(uart_lsr_is_shadowable(&u));
	cr_assert_not(uart_msr_is_shadowable(&u), "the lines changed: deltas");
}

Test(uart, validation_names_the_field)
{
	struct uart good = u;

#define BAD(change, field)                                        \
	do {                                                      \
		u = good;                                         \
		change;                                           \
		cr_assert_str_eq(uart_bad_field(&u, now), field); \
	} while (0)
	cr_assert_null(uart_bad_field(&u, now));
	BAD(u.ier = 0x10, "ier");
	BAD(u.fcr = 0x02, "fcr");
	BAD(u.fcr = 0xc0, "fcr");
	BAD(u.mcr = 0x28, "mcr");
	BAD(u.errors = 0x01, "errors");
	BAD(u.lines = 0, "lines");
	BAD(u.deltas = 0x10, "deltas");
	BAD(u.rx_head = 16, "rx");
	BAD(u.rx_count = 2, "rx");
	BAD(u.rx[3].errors = 0x80, "rx");
	BAD(u.tx_head = 128, "tx");
	BAD(u.tx_count = 129, "tx");
	BAD(u.thre = 2, "thre");
	BAD(u.thre = 0, "thre");
	BAD(u.thri = 2, "thri");
	BAD(u.timeout_ns = now + 5, "timeout");
	BAD(u.timed_out = 1, "timeout");
#undef BAD
}
