/* SPDX-License-Identifier: MIT */
/*
 * Intel 8254 programmable interval timer and the PC's port 61h, pure.
 *
 * Counters are not ticked: a channel remembers at which tick of the 1.193182 MHz clock its counting element was loaded
 * and with what; count, output and the next edge are functions of the time passed since. The clock's base is absolute,
 * so nothing drifts, and a jump of time costs no loop.
 *
 * Edges that passed while nobody looked: OUT0's rising edges are counted, at most MISSED_EDGES_S (ticks.h) of them at once.
 * What becomes of them is the interrupt controllers' business (irq_model.c). Count 1 in modes 2 and 3 is illegal on the 8254: the output stays low (mode 2) or high (mode 3), no edges.
 */
#ifndef BULKHEAD_DEVICES_CHIPS_PIT_H
#define BULKHEAD_DEVICES_CHIPS_PIT_H

#include "proto/reg.h"

enum { PIT_HZ = 1193182, PIT_CHANNELS = 3 };
enum { PIT_PORT_CONTROL = 3 }; /* offsets 0..2: the counters */

enum {
	PORT61_GATE2 = 0x01,
	PORT61_SPEAKER = 0x02,
	PORT61_WRITABLE = 0x0f, /* and the two check enables of the AT */
	PORT61_REFRESH = 0x10,	/* toggles with each refresh request (channel 1) */
	PORT61_OUT2 = 0x20,
};
/* Refresh toggles 66288 times a second (1193182 Hz / 18); bit 4 of a counter at 16 times that rate. */
enum { PIT_REFRESH_HZ = 1060606 };

struct pit_channel {
	int64_t start;	     /* tick at which the counting element got `n`; may lie one tick ahead */
	int64_t switch_tick; /* modes 2 and 3: when a count written meanwhile takes over; INT64_MAX: never */
	int64_t frozen_at;   /* elapsed ticks at which a low gate stopped the count */
	uint32_t n;	     /* 1..65536 */
	uint32_t cr;	     /* count register, 1..65536; what is loaded next */
	uint16_t idle;	     /* what the count reads while not armed */
	uint16_t latch;
	uint8_t mode;	     /* 0..5 */
	uint8_t access;	     /* 1: LSB, 2: MSB, 3: both */
	uint8_t bcd;
	uint8_t gate;
	uint8_t armed;	     /* the counting element was loaded since the control word */
	uint8_t cr_valid;    /* a count was written since the control word */
	uint8_t null;	     /* status: the count register has not gone to the counting element */
	uint8_t frozen;
	uint8_t write_msb, read_msb; /* byte flip-flops of access 3 */
	uint8_t lsb;	     /* first byte of a count being written */
	uint8_t count_latched, status_latched;
	uint8_t status;
};

struct pit {
	uint64_t epoch_ns;
	uint64_t now_ns, tick; /* as of the latest pit_advance() */
	uint64_t out0_rises;   /* rising edges of OUT0 so far */
	struct pit_channel ch[PIT_CHANNELS];
	uint8_t port61;	       /* writable bits */
};

enum { PIT_REG_COUNT = 4 };
extern const struct reg_desc pit_regs[PIT_REG_COUNT];
enum { PORT61_REG_COUNT = 1 };
extern const struct reg_desc port61_regs[PORT61_REG_COUNT];

/* The 8254 has no reset; this is how firmware leaves it: channel 0 at 18.2 Hz, channel 1 refresh, channel 2 silent. */
void pit_reset(struct pit *p, uint64_t now_ns);
/* Brings the state to `now_ns`; returns when OUT0 next rises, or TIME_NEVER. Call it before a read or write. */
uint64_t pit_advance(struct pit *p, uint64_t now_ns);
uint8_t pit_read(struct pit *p, unsigned offset);
void pit_write(struct pit *p, unsigned offset, uint8_t value);
bool pit_out(const struct pit *p, unsigned channel);

uint8_t port61_read(const struct pit *p);
void port61_write(struct pit *p, uint8_t value);

const char *pit_bad_field(const struct pit *p);

#endif
