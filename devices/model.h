/* SPDX-License-Identifier: MIT */
/*
 * A device model is the pure middle layer between chip cores (uart.c, pit.c, ...) and a daemon's shell: it composes the
 * chips of one daemon into one flat state, routes port and MMIO accesses to them, and says what lines, deadlines and
 * shadow registers follow from that state. It does no I/O, has no clock, no globals, no malloc, no log: daemons, the
 * single-process test machine and the fuzzers all run the same models. State is one plain struct: the journal copies
 * it with memcpy, so it holds no pointers.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds, always passed in, never decreasing for one state (an earlier `now_ns` is
 * treated as the latest one seen).
 */
#ifndef BULKHEAD_DEVICES_MODEL_H
#define BULKHEAD_DEVICES_MODEL_H

#include "proto/kind.h"
#include "reg.h"

enum model_space { MODEL_PORT, MODEL_MMIO };

/* A range of addresses that the model answers. The vcpu process routes by these tables too (data only). */
struct model_range {
	enum model_space space;
	uint64_t base;
	uint32_t len;
	const struct reg_desc *regs; /* NULL: every access is synchronous */
	unsigned reg_count;
	uint8_t unit;		     /* chip instance within the daemon: COM1..COM4 = 0..3 */
};

/* ISA interrupts and IOAPIC pins. The PIT (ISA 0) is wired to IOAPIC pin 2, everything else to the pin of its number. */
enum { MODEL_LINES = 24 };

/*
 * One interrupt line as its device drives it: bit 0 is the level, bits 1..31 count rising edges (mod 2^31).
 * Absolute, so that publishing it twice changes nothing.
 */
#define LINE_LEVEL 1u
#define LINE_EDGE 2u

/* Lowers or raises a line word; counts the rising edge. */
static inline uint32_t line_set(uint32_t word, bool level)
{
	if (level && !(word & LINE_LEVEL))
		word += LINE_EDGE;
	return (word & ~LINE_LEVEL) | (level ? LINE_LEVEL : 0);
}

/* A read that can be answered from shared memory. `index` is a row of the model's shadow table. */
struct shadow_value {
	bool valid;
	uint64_t value;	  /* REG_SHADOW_VALUE; REG_SHADOW_TIME: see `hz` */
	uint64_t base_ns; /* REG_SHADOW_TIME: value + (now - base_ns) * hz / 1e9, masked by `mask` */
	uint64_t hz;
	uint64_t mask;
};

enum { MODEL_MAX_SHADOW = 16 };

/* What the machine is; a model's power-on state depends on it. */
struct model_config {
	uint64_t ram_low;	/* bytes of RAM below 4 GiB, for CMOS */
	uint64_t ram_high;	/* bytes at and above 4 GiB */
	int64_t rtc_offset_s;	/* CMOS time = host UTC + offset */
	int64_t realtime_ns;	/* host CLOCK_REALTIME - CLOCK_MONOTONIC, in ns, at start */
	uint8_t vcpus;
};

struct device_model {
	const char *name;	/* "serial", "timer", "irq", "platform" */
	uint32_t version;	/* of the state layout, for the journal */
	size_t state_size;
	const struct model_range *ranges;
	unsigned range_count;
	uint32_t lines;		/* bit mask of the lines (ISA interrupt numbers) that it drives */

	void (*reset)(void *state, const struct model_config *config, uint64_t now_ns); /* power-on */
	/* Any size of 1, 2, 4, 8 at any address inside its ranges; an access wider than a register covers the following
	 * ones or reads all-ones, as the chip on a PC would. Never fails. */
	uint64_t (*read)(void *state, enum model_space space, uint64_t addr, unsigned size, uint64_t now_ns);
	void (*write)(void *state, enum model_space space, uint64_t addr, uint64_t data, unsigned size,
		      uint64_t now_ns);
	/* Brings the state to `now_ns`; returns the next time at which something changes by itself (UINT64_MAX: never).
	 * The result is always later than now_ns by at least MODEL_MIN_STEP_NS: no guest can cause a storm. */
	uint64_t (*advance)(void *state, uint64_t now_ns);
	/* Line words for every line in `lines`; the others are left alone. */
	void (*get_lines)(const void *state, uint32_t words[MODEL_LINES]);
	/* Shadowed registers, in the order in which REG_SHADOW_* registers appear in the ranges' tables (by unit). */
	unsigned (*get_shadow)(const void *state, struct shadow_value out[MODEL_MAX_SHADOW]);
	/* A state that was read from a journal (written by a process that crashed): 0, or -EINVAL if any field is out of
	 * its range. *field names the first bad one. */
	int (*validate)(const void *state, const char **field);
};

#define MODEL_MIN_STEP_NS 1000ull

/* irq_model: 8259 pair, IOAPIC. timer_model: PIT, RTC, PM timer, HPET. serial_model: COM1..COM4. platform_model: ACPI,
 * i8042, debug and exit ports, PCI stub. Each in devices/NAME.c. */
#define DEVICE(NAME, name, model, ...) extern const struct device_model model##_model;
#include "proto/devices.def"
extern const struct device_model *const device_models[KIND_COUNT];

/*
 * What a model wants from the world outside, beside lines. The shell polls these after each access or advance.
 */

/* serial: characters to and from a line. */
/* Copies up to `len` transmitted bytes and removes them. Pure; the shell calls it before its buffers can fill. */
size_t serial_model_take(void *state, unsigned unit, uint8_t *buf, size_t len);
/* Offers received bytes; returns how many were accepted (flow control: FIFO room, RTS not needed). */
size_t serial_model_offer(void *state, unsigned unit, const uint8_t *buf, size_t len, uint64_t now_ns);
/* How many transmit bytes the shell can still take; 0 withdraws THRE (credit, design.md section 2). */
void serial_model_set_credit(void *state, unsigned unit, uint32_t bytes);

/* platform: what the guest asked the machine to do. */
enum platform_event_type {
	PLATFORM_NONE,
	PLATFORM_POWEROFF,   /* ACPI S5 */
	PLATFORM_RESET,	     /* reset register, i8042 pulse, port 92h */
	PLATFORM_EXIT,	     /* exit ports; `code` is the process exit code */
	PLATFORM_SLEEP,	     /* ACPI S1/S3 request that is not supported: reported, ignored */
};
struct platform_event {
	enum platform_event_type type;
	uint8_t code;
};
/* Takes the oldest event; type PLATFORM_NONE when there is none. */
struct platform_event platform_model_take_event(void *state);
bool platform_model_has_event(const void *state);
/* Debug-console bytes (ports E9h, 402h, 10h). */
size_t platform_model_take_debug(void *state, uint8_t *buf, size_t len);
void platform_model_power_button(void *state);
/* Key scan codes for the i8042 are a later issue. */

/* irq: wires in, messages out. */
struct irq_message {
	enum { IRQ_MSG_MSI, IRQ_MSG_ROUTE } type;
	uint8_t pin;
	bool masked;	 /* IRQ_MSG_ROUTE */
	uint64_t addr;
	uint32_t data;
};
/* New words for all lines (as the devices' LINE pages show them, already filtered by owner). */
void irq_model_set_lines(void *state, const uint32_t words[MODEL_LINES]);
/* Takes the oldest message to the vcpu process; false when there is none. Bounded queue: level state is never lost,
 * because a pin that could not send stays pending. */
bool irq_model_take_message(void *state, struct irq_message *out);
/* The 8259's INT output and the vector an acknowledge would get now; `seq` changes whenever either changes. */
struct pic_output {
	uint32_t seq;
	uint8_t vector;
	bool intr;
};
struct pic_output irq_model_pic_output(const void *state);
/* Interrupt acknowledge cycle of the output with that seq; a stale seq is the hardware's spurious case. Returns the
 * vector that the CPU gets (always one: IR7 of the master if spurious). */
uint8_t irq_model_intack(void *state, uint32_t seq);
/* EOI broadcast from a local APIC. */
void irq_model_eoi(void *state, uint8_t vector);

#endif
