/* SPDX-License-Identifier: MIT */
/*
 * A device model is the pure middle layer between chip cores (uart.c, pit.c, ...) and a daemon's shell: it composes the
 * chips of one daemon into one flat state, hands accesses to its ranges on to them, and says what lines, deadlines and
 * shadow registers follow from that state. It does no I/O, has no clock, no globals, no malloc, no log: daemons, the
 * single-process test machine and the fuzzers all run the same models. State is one plain struct: the journal copies
 * it with memcpy, so it holds no pointers.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds, always passed in, never decreasing for one state (an earlier `now_ns` is
 * treated as the latest one seen).
 */
#ifndef BULKHEAD_DEVICES_MODEL_H
#define BULKHEAD_DEVICES_MODEL_H

#include "proto/display.h"
#include "proto/irq.h"
#include "proto/kind.h"
#include "proto/line.h"
#include "proto/range.h"
#include "proto/shadow.h"
#include "proto/topology.h"
#include "proto/virtio.h"

/* What the machine is; a model's power-on state depends on it. */
struct model_config {
	uint64_t ram_low;	/* bytes of RAM below 4 GiB, for CMOS */
	uint64_t ram_high;	/* bytes at and above 4 GiB */
	uint64_t rom;		/* of firmware's image, which ends at 4 GiB; 0: it starts without */
	uint64_t flash;		/* of what that keeps, in the flash below the image */
	struct cpu_topology topology; /* of `vcpus` */
	uint8_t boot_order[VIRTIO_DEVICES], boot_count; /* disks that firmware tries first */
	int64_t rtc_offset_s;	/* CMOS time = host UTC + offset */
	int64_t realtime_ns;	/* the host's CLOCK_REALTIME less the machine's clock, at start */
	uint8_t vcpus;
	uint8_t instance;	/* of the device's kind */
	uint8_t virtio_type;	/* of a virtio front-end: which device it is (virtio 1.2, 5) */
	bool pci;		/* there is a PCI bus */
	bool ps2;		/* there are a PS/2 keyboard and mouse */
	bool no_vga;		/* nobody answers at the display's ports */
	struct display_spec display;
	bool frame;		/* a frame machine: the byte written to F4h is the exit code itself */
};

struct device_model {
	const char *name;	/* "serial" */
	uint32_t version;	/* of the state layout, for the journal */
	size_t state_size;
	const struct model_range *ranges;
	unsigned range_count;
	uint32_t lines;		/* bit mask of the lines (ISA interrupt numbers) that it drives */

	void (*reset)(void *state, const struct model_config *config, uint64_t now_ns); /* power-on */
	/* `range` is an index of `ranges`; any size of 1, 2, 4, 8 at any offset. An access wider than a register covers the
	 * following ones or reads all-ones, as the chip on a PC would; what lies behind the range's end reads as all-ones.
	 * Never fails. */
	uint64_t (*read)(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns);
	void (*write)(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns);
	/* Brings the state to `now_ns`; returns the next time at which something changes by itself (UINT64_MAX: never).
	 * The result is always later than now_ns by at least MODEL_MIN_STEP_NS: no guest can cause a storm. */
	uint64_t (*advance)(void *state, uint64_t now_ns);
	/* Line words for every line in `lines`; the others are left alone. */
	void (*get_lines)(const void *state, uint32_t words[MODEL_LINES]);
	/* Shadowed registers, in the order in which REG_SHADOW_* registers appear in the ranges' tables (by range). */
	unsigned (*get_shadow)(const void *state, struct shadow_value out[MODEL_MAX_SHADOW]);
	/* A state that was read from a journal (written by a process that crashed): 0, or -EINVAL if any field is out of
	 * its range. *field names the first bad one. */
	int (*validate)(const void *state, const char **field);
};

#define MODEL_MIN_STEP_NS 1000ull

/* Each in devices/NAME_model.c; what its shell asks of it beside this, in devices/NAME_model.h. */
#define DEVICE(NAME, name, model, ...) extern const struct device_model model##_model;
#include "proto/devices.def"
extern const struct device_model *const device_models[KIND_COUNT];

#endif
