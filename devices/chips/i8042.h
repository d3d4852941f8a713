/* SPDX-License-Identifier: MIT */
/* Intel 8042 keyboard and auxiliary controller of a PS/2. What is plugged into it, if anything, is its board's affair. */
#ifndef BULKHEAD_DEVICES_CHIPS_I8042_H
#define BULKHEAD_DEVICES_CHIPS_I8042_H

#include "proto/reg.h"

enum { I8042_DATA = 0x60, I8042_STATUS = 0x64, I8042_QUEUE = 8, I8042_RAM = 32 };

/* Status register. */
enum {
	I8042_OBF = 1 << 0,
	I8042_SYSTEM = 1 << 2,
	I8042_COMMAND = 1 << 3, /* the last write was to 64h */
	I8042_UNLOCKED = 1 << 4,
	I8042_AUX = 1 << 5, /* the byte in the output buffer is the auxiliary device's */
	I8042_TIMEOUT = 1 << 6,
};

/* Command byte. */
enum {
	I8042_KBD_INT = 1 << 0,
	I8042_AUX_INT = 1 << 1,
	I8042_SYS_FLAG = 1 << 2,
	I8042_KBD_OFF = 1 << 4,
	I8042_AUX_OFF = 1 << 5,
	I8042_TRANSLATE = 1 << 6,
};

struct i8042 {
	uint8_t ram[I8042_RAM];	     /* ram[0] is the command byte */
	uint8_t queue[I8042_QUEUE];  /* output buffer and what the controller holds back until it is read */
	uint8_t source[I8042_QUEUE]; /* I8042_AUX and I8042_TIMEOUT of each */
	uint8_t head, count;
	uint8_t last; /* what a read of an empty output buffer returns */
	uint8_t output_port;
	uint8_t pending;     /* command that waits for its data byte, or 0 */
	uint8_t was_command; /* 0 or 1 */
};

extern const struct reg_desc i8042_data_reg, i8042_status_reg;

void i8042_reset(struct i8042 *k);
uint8_t i8042_read_data(struct i8042 *k);
uint8_t i8042_read_status(const struct i8042 *k);

/* What a write asks of the board. */
struct i8042_effect {
	bool reset; /* the machine's reset line is pulled */
	bool sends; /* `byte` goes out to the keyboard, or to the auxiliary device */
	bool aux;
	uint8_t byte;
};
struct i8042_effect i8042_write_data(struct i8042 *k, uint8_t value);
struct i8042_effect i8042_write_command(struct i8042 *k, uint8_t value);
/* Nobody clocks in what was sent. */
void i8042_no_answer(struct i8042 *k, bool aux);

/* Is that device's clock held low? Then it keeps what it has to say. */
bool i8042_is_inhibited(const struct i8042 *k, bool aux);
/* Is there room for a byte of that device? It is given then, as the controller shall show it. */
bool i8042_is_ready(const struct i8042 *k, bool aux);
void i8042_give(struct i8042 *k, bool aux, uint8_t byte);
/* Are the keyboard's bytes translated into scan code set 1? */
bool i8042_translates(const struct i8042 *k);

bool i8042_irq1(const struct i8042 *k);
bool i8042_irq12(const struct i8042 *k);
const char *i8042_check(const struct i8042 *k);

#endif
