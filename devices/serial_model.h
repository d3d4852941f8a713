/* SPDX-License-Identifier: MIT */
/* State of the serial model, and what its shell asks of it; the rest is in model.h. */
#ifndef BULKHEAD_DEVICES_SERIAL_MODEL_H
#define BULKHEAD_DEVICES_SERIAL_MODEL_H

#include "devices/chips/uart.h"
#include "devices/model.h"

enum { SERIAL_UNITS = 4, SERIAL_WIRES = 2 };

struct serial_state {
	uint64_t now_ns;
	uint32_t wires[SERIAL_WIRES]; /* line words: COM1 and COM3 share the first, COM2 and COM4 the second */
	struct uart uart[SERIAL_UNITS];
};

/* Characters to and from a line; the shell polls this after each access or advance. */
/* Copies up to `len` transmitted bytes and removes them. Pure; the shell calls it before its buffers can fill. */
size_t serial_model_take(void *state, unsigned unit, uint8_t *buf, size_t len);
/* Offers received bytes; returns how many were accepted (flow control: FIFO room, RTS not needed). */
size_t serial_model_offer(void *state, unsigned unit, const uint8_t *buf, size_t len, uint64_t now_ns);
/* How many transmit bytes the shell can still take; 0 withdraws THRE (credit, design.md section 2). */
void serial_model_set_credit(void *state, unsigned unit, uint32_t bytes);

#endif
