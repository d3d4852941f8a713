/* SPDX-License-Identifier: MIT */
/* State of the serial model; the functions are in model.h. */
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

#endif
