/* SPDX-License-Identifier: MIT */
/* State of the platform model; the functions are in model.h. */
#ifndef BULKHEAD_DEVICES_PLATFORM_MODEL_H
#define BULKHEAD_DEVICES_PLATFORM_MODEL_H

#include "devices/chips/acpi_pm1.h"
#include "devices/chips/debugcon.h"
#include "devices/chips/i8042.h"
#include "devices/chips/pci_stub.h"
#include "devices/chips/port92.h"
#include "devices/model.h"

enum { PLATFORM_EVENTS = 4 };

struct platform_state {
	struct acpi_pm1 pm1;
	struct pci_stub pci;
	struct i8042 kbc;
	struct port92 port92;
	uint8_t event_count;
	struct {
		uint8_t type; /* enum platform_event_type */
		uint8_t code;
	} events[PLATFORM_EVENTS];
	uint32_t kbd_line, sci_line, aux_line; /* line words */
	struct debugcon debug;
};

#endif
