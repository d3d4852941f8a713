/* SPDX-License-Identifier: MIT */
/* State of the platform model, and what its shell asks of it; the rest is in model.h. */
#ifndef BULKHEAD_DEVICES_PLATFORM_MODEL_H
#define BULKHEAD_DEVICES_PLATFORM_MODEL_H

#include "devices/chips/acpi_pm1.h"
#include "devices/chips/crtc.h"
#include "devices/chips/debugcon.h"
#include "devices/chips/i8042.h"
#include "devices/chips/pci_stub.h"
#include "devices/chips/port92.h"
#include "devices/model.h"

enum { PLATFORM_EVENTS = 4 };

/* What the guest asked the machine to do. */
enum platform_event_type {
	PLATFORM_NONE,
	PLATFORM_POWEROFF,   /* ACPI S5 */
	PLATFORM_RESET,	     /* reset register, i8042 pulse, port 92h */
	PLATFORM_EXIT,	     /* exit ports; `code` is the process exit code */
	PLATFORM_SLEEP,	     /* ACPI S1/S3 request that is not supported: reported, ignored */
	PLATFORM_PANIC,	     /* pvpanic */
	PLATFORM_READY,	     /* the guest says that it is */
	PLATFORM_EVENT_TYPES
};
struct platform_event {
	enum platform_event_type type;
	uint8_t code;
};

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
	struct crtc crtc;
	uint8_t plain_exit; /* 0, or 1: what is written to F4h is the exit code itself; states of old have a 0 here */
};

/* The shell polls these after each access or advance. */
/* Takes the oldest event; type PLATFORM_NONE when there is none. */
struct platform_event platform_model_take_event(void *state);
bool platform_model_has_event(const void *state);
/* Debug-console bytes (ports E9h, 402h, 10h). */
size_t platform_model_take_debug(void *state, uint8_t *buf, size_t len);
void platform_model_power_button(void *state);

#endif
