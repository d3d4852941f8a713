/* SPDX-License-Identifier: MIT */
/* COM1..COM4: registers, time, a line that gives, takes and stops, characters with errors. */
#include "devices/serial_model.h"
#include "model.h"

static void line(void *state, struct input *in, uint64_t now)
{
	struct serial_state *s = state;
	unsigned what = (unsigned)take(in, 1), unit = what & 3;
	size_t len = take_below(in, 65);
	uint8_t buf[64] = { 0 };

	switch (what >> 2 & 7) {
	case 0:
		CHECK(serial_model_take(state, unit, buf, len) <= len);
		break;
	case 1:
		CHECK(serial_model_offer(state, unit, buf, len, now) <= len);
		break;
	case 2:
		serial_model_set_credit(state, unit, len == 64 ? UART_CREDIT_UNLIMITED : (uint32_t)len * 2);
		break;
	case 3:
		uart_receive(&s->uart[unit], (uint8_t)len, (uint8_t)take(in, 1) & LSR_CHAR_ERRORS, now);
		serial_model.advance(state, now);
		break;
	case 4:
		uart_set_inputs(&s->uart[unit], (uint8_t)take(in, 1) & MSR_LINES);
		serial_model.advance(state, now);
		break;
	default:
		CHECK(uart_rx_room(&s->uart[unit]) <= UART_FIFO_SIZE);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct model_target target = { &serial_model, line, 0, 8 };

	return model_input(&target, data, size);
}
