/* SPDX-License-Identifier: MIT */
/* The serial daemon's model: ports, shared lines, transmit credit, flow control, shadow registers. */
#include "model_at.h"
#include "model_fuzz.h"

#include "devices/serial_model.h"
#include "proto/layout.h"

static struct serial_state s;
static const struct model_config config = { .ram_low = 1 << 20, .vcpus = 1 };
static uint64_t now;

static void out(uint64_t port, uint8_t value)
{
	model_write_at(&serial_model, &s, MODEL_PORT, port, value, 1, now);
}

static uint8_t in(uint64_t port)
{
	return (uint8_t)model_read_at(&serial_model, &s, MODEL_PORT, port, 1, now);
}

static uint32_t line(unsigned n)
{
	uint32_t words[MODEL_LINES] = { 0 };

	serial_model.get_lines(&s, words);
	return words[n];
}

static void init(void)
{
	now = 1000;
	serial_model.reset(&s, &config, now);
}

TestSuite(serial_model, .init = init);

/* COM1 and COM3 are on IRQ 4, COM2 and COM4 on IRQ 3, each pair wired-OR. */
Test(serial_model, shared_lines)
{
	static const struct {
		uint64_t port;
		unsigned irq;
	} com[] = {
		{ LAYOUT_COM1, 4 },
		{ LAYOUT_COM2, 3 },
		{ LAYOUT_COM3, 4 },
		{ LAYOUT_COM4, 3 },
	};

	cr_assert_eq(serial_model.lines, 1u << 4 | 1u << 3);
	for (unsigned i = 0; i < 4; i++) {
		out(com[i].port + UART_MCR, MCR_OUT2);
		out(com[i].port + UART_IER, IER_ETBEI);
		cr_assert(line(com[i].irq) & LINE_LEVEL);
		cr_assert_not(line(7 - com[i].irq) & LINE_LEVEL);
		out(com[i].port + UART_IER, 0);
		cr_assert_not(line(com[i].irq) & LINE_LEVEL);
	}
	out(LAYOUT_COM1 + UART_IER, IER_ETBEI);
	out(LAYOUT_COM3 + UART_IER, IER_ETBEI);
	out(LAYOUT_COM1 + UART_IER, 0);
	cr_assert(line(4) & LINE_LEVEL, "COM3 holds it");
	out(LAYOUT_COM3 + UART_IER, 0);
	cr_assert_not(line(4) & LINE_LEVEL);
}

/* A THR write ends one THRE interrupt and begins the next: an edge, for drivers that never read IIR. */
Test(serial_model, each_byte_is_an_edge)
{
	out(LAYOUT_COM1 + UART_MCR, MCR_OUT2);
	out(LAYOUT_COM1 + UART_IER, IER_ETBEI);
	for (unsigned i = 0; i < 10; i++) {
		uint32_t before = line(4);

		out(LAYOUT_COM1, 'x');
		cr_assert_eq(line(4), before + LINE_EDGE);
	}
}

Test(serial_model, ports_are_separate)
{
	uint8_t buf[8];

	for (unsigned i = 0; i < 4; i++)
		out(serial_model.ranges[i].base, (uint8_t)('1' + i));
	for (unsigned i = 0; i < 4; i++) {
		cr_assert_eq(serial_model_take(&s, i, buf, sizeof(buf)), 1);
		cr_assert_eq(buf[0], '1' + i);
	}
	cr_assert_eq(serial_model_take(&s, 4, buf, sizeof(buf)), 0, "no such unit");
	cr_assert_eq(serial_model_offer(&s, 9, buf, 1, now), 0);
	serial_model_set_credit(&s, 9, 0);
}

/* ISA: a wide access is one access per byte; beyond the chip the bus floats. */
Test(serial_model, wide_accesses)
{
	model_write_at(&serial_model, &s, MODEL_PORT, LAYOUT_COM1 + UART_LCR, 0x0b03, 2, now);
	cr_assert_eq(in(LAYOUT_COM1 + UART_LCR), 0x03);
	cr_assert_eq(in(LAYOUT_COM1 + UART_MCR), 0x0b);
	cr_assert_eq(model_read_at(&serial_model, &s, MODEL_PORT, LAYOUT_COM1 + UART_LCR, 2, now), 0x0b03);
	cr_assert_eq(model_read_at(&serial_model, &s, MODEL_PORT, LAYOUT_COM1 + UART_MSR, 8, now), 0xffffffffffff00b0);
	cr_assert_eq((uint32_t)serial_model.read(&s, SERIAL_UNITS, 0, 4, now), 0xffffffff, "no such range");
}

/* A host peer is held back, never overrun; a read makes room. */
Test(serial_model, flow_control)
{
	static const uint8_t text[] = "0123456789abcdefghij";

	cr_assert_eq(serial_model_offer(&s, 0, text, 20, now), 1, "no FIFO: one character");
	in(LAYOUT_COM1);
	out(LAYOUT_COM1 + UART_IIR, 0x01);
	cr_assert_eq(serial_model_offer(&s, 0, text, 20, now), 16);
	cr_assert_eq(serial_model_offer(&s, 0, text + 16, 4, now), 0);
	cr_assert_eq(in(LAYOUT_COM1), '0');
	cr_assert_eq(serial_model_offer(&s, 0, text + 16, 4, now), 1);
	cr_assert_not(in(LAYOUT_COM1 + UART_LSR) & LSR_OE);
	out(LAYOUT_COM1 + UART_IIR, 0x03);
	out(LAYOUT_COM1 + UART_MCR, MCR_LOOP);
	cr_assert_eq(serial_model_offer(&s, 0, text, 4, now), 0, "loop-back: kept for later");
}

/* The time-out is a deadline and an interrupt. */
Test(serial_model, timeout_interrupt)
{
	uint64_t next;

	out(LAYOUT_COM1 + UART_IIR, 0xc1);
	out(LAYOUT_COM1 + UART_IER, IER_ERBFI);
	out(LAYOUT_COM1 + UART_MCR, MCR_OUT2);
	serial_model_offer(&s, 0, (const uint8_t *)"k", 1, now);
	cr_assert_not(line(4) & LINE_LEVEL);
	next = serial_model.advance(&s, now);
	cr_assert_eq(next, now + uart_timeout_ns(&s.uart[0]));
	now = next;
	cr_assert_eq(serial_model.advance(&s, now), UINT64_MAX);
	cr_assert(line(4) & LINE_LEVEL);
	cr_assert_eq(in(LAYOUT_COM1 + UART_IIR), 0xcc);
}

/* Credit reaches THRE, the line and the shadow entry. */
Test(serial_model, credit)
{
	struct shadow_value values[MODEL_MAX_SHADOW];

	out(LAYOUT_COM1 + UART_MCR, MCR_OUT2);
	out(LAYOUT_COM1 + UART_IER, IER_ETBEI);
	serial_model_set_credit(&s, 0, 79);
	cr_assert_eq(serial_model.get_shadow(&s, values), 8);
	cr_assert_not(values[0].valid);
	cr_assert(values[2].valid, "COM2 has its own");
	cr_assert(line(4) & LINE_LEVEL);
	serial_model_set_credit(&s, 0, 0);
	cr_assert_not(line(4) & LINE_LEVEL);
	cr_assert_eq(in(LAYOUT_COM1 + UART_LSR), 0);
	serial_model_set_credit(&s, 0, 80);
	cr_assert(line(4) & LINE_LEVEL);
	serial_model.get_shadow(&s, values);
	cr_assert(values[0].valid);
	cr_assert_eq(values[0].value, 0x60);
}

Test(serial_model, validation)
{
	const char *field;
	struct serial_state good = s;

	s.wires[0] ^= LINE_LEVEL;
	cr_assert_neq(serial_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "serial.wires");
	s = good;
	s.now_ns = UINT64_MAX;
	cr_assert_neq(serial_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "serial.now_ns");
	s = good;
	s.uart[3].mcr = 0xff;
	cr_assert_neq(serial_model.validate(&s, &field), 0);
	cr_assert_str_eq(field, "mcr");
}

Test(serial_model, random_operations)
{
	fuzz_seed = 1;
	fuzz_run(&serial_model, &config, 20000, 0);
}

/* The same with a line that gives, takes and stops. */
Test(serial_model, random_line)
{
	uint8_t buf[64] = { 0 };

	fuzz_seed = 2;
	for (unsigned i = 0; i < 50000; i++) {
		unsigned unit = fuzz_below(4), room = uart_rx_room(&s.uart[unit]);
		size_t len = fuzz_below(sizeof(buf));

		now += fuzz_time() >> 16;
		fuzz_access(&serial_model, &s, now);
		cr_assert_leq(serial_model_take(&s, unit, buf, len), len);
		cr_assert_leq(serial_model_offer(&s, unit, buf, len, now), len);
		room = uart_rx_room(&s.uart[unit]);
		if (room < 16)
			uart_receive(&s.uart[unit], 0, (uint8_t)fuzz_below(32), now);
		serial_model_set_credit(&s, unit, fuzz_below(200));
		fuzz_check_valid(&serial_model, &s);
	}
}

Test(serial_model, corrupted_state)
{
	fuzz_seed = 3;
	fuzz_corrupt(&serial_model, &config, 20000, 8);
}
