/* SPDX-License-Identifier: MIT */
/*
 * 8042 (IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
 *
 * The controller alone. A board without devices (platformd) answers a byte for one as the chip does when nobody clocks it in:
 * FEh with the time-out bit. A driver that probes learns within microseconds that there is nothing, instead of waiting out its
 * own time-outs (Linux: half a second for each of several commands). Linux does not even probe, as the loader declares a PS/2
 * controller in FADT's boot flags only if there are devices.
 */
#include "i8042.h"

enum {
	PORT_RUN = 1 << 0, /* output port bit 0: low holds the processor in reset */
	PORT_A20 = 1 << 1,
	PORT_KBD_IRQ = 1 << 4,
	PORT_AUX_IRQ = 1 << 5,
	RESEND = 0xfe,
};

const struct reg_desc i8042_data_reg = {
	.name = "KBC_DATA",
	.offset = 0,
	.size = 1,
	.readable = true,
	.writable = true,
	.post = REG_SYNC,
};
/* All writes are synchronous, so the status has nothing to wait for. */
const struct reg_desc i8042_status_reg = {
	.name = "KBC_STATUS",
	.offset = 0,
	.size = 1,
	.readable = true,
	.writable = true,
	.reset = I8042_UNLOCKED | I8042_COMMAND | I8042_SYSTEM,
	.post = REG_SYNC,
	.shadow = REG_SHADOW_VALUE,
};

/* The state that firmware leaves after its power-on test, since no firmware runs: passed, both interfaces
 * off. */
void i8042_reset(struct i8042 *k)
{
	*k = (struct i8042){
		.ram = { I8042_SYS_FLAG | I8042_KBD_OFF | I8042_AUX_OFF },
		.output_port = PORT_RUN | PORT_A20,
		.was_command = 1,
	};
}

/* Answers in excess are dropped: the guest has not read eight of them, and is not waiting for this one. */
static void put(struct i8042 *k, uint8_t value, uint8_t source)
{
	const unsigned at = (k->head + k->count) % I8042_QUEUE;

	if (k->count == I8042_QUEUE)
		return;
	k->queue[at] = value;
	k->source[at] = source;
	k->count++;
}

uint8_t i8042_read_data(struct i8042 *k)
{
	if (k->count == 0)
		return k->last;
	k->last = k->queue[k->head];
	k->head = (uint8_t)((k->head + 1) % I8042_QUEUE);
	k->count--;
	return k->last;
}

/* Input buffer full is never seen: a write has been taken by the time it completes. */
uint8_t i8042_read_status(const struct i8042 *k)
{
	uint8_t status = I8042_UNLOCKED;

	if (k->count)
		status |= I8042_OBF | k->source[k->head];
	if (k->ram[0] & I8042_SYS_FLAG)
		status |= I8042_SYSTEM;
	if (k->was_command)
		status |= I8042_COMMAND;
	return status;
}

bool i8042_irq1(const struct i8042 *k)
{
	return k->count && !(k->source[k->head] & I8042_AUX) && (k->ram[0] & I8042_KBD_INT);
}

bool i8042_irq12(const struct i8042 *k)
{
	return k->count && (k->source[k->head] & I8042_AUX) && (k->ram[0] & I8042_AUX_INT);
}

static uint8_t read_output_port(const struct i8042 *k)
{
	return k->output_port | (i8042_irq1(k) ? PORT_KBD_IRQ : 0) | (i8042_irq12(k) ? PORT_AUX_IRQ : 0);
}

void i8042_no_answer(struct i8042 *k, bool aux)
{
	put(k, RESEND, aux ? I8042_AUX | I8042_TIMEOUT : I8042_TIMEOUT);
}

bool i8042_is_inhibited(const struct i8042 *k, bool aux)
{
	return k->ram[0] & (aux ? I8042_AUX_OFF : I8042_KBD_OFF);
}

bool i8042_is_ready(const struct i8042 *k, bool aux)
{
	return k->count == 0 && !i8042_is_inhibited(k, aux);
}

void i8042_give(struct i8042 *k, bool aux, uint8_t byte)
{
	put(k, byte, aux ? I8042_AUX : 0);
}

bool i8042_translates(const struct i8042 *k)
{
	return k->ram[0] & I8042_TRANSLATE;
}

/* Sending to a device enables its interface. */
static struct i8042_effect send(struct i8042 *k, bool aux, uint8_t byte)
{
	k->ram[0] &= (uint8_t) ~(aux ? I8042_AUX_OFF : I8042_KBD_OFF);
	return (struct i8042_effect){ .sends = true, .aux = aux, .byte = byte };
}

/* The data byte of a command that was written to 64h. */
static struct i8042_effect write_argument(struct i8042 *k, uint8_t command, uint8_t value)
{
	struct i8042_effect effect = { .reset = false };

	switch (command) {
	case 0xd1: /* write output port */
		k->output_port = value & (uint8_t) ~(PORT_KBD_IRQ | PORT_AUX_IRQ);
		effect.reset = !(value & PORT_RUN);
		break;
	case 0xd2: /* echo as if from the keyboard */
		put(k, value, 0);
		break;
	case 0xd3: /* as if from the auxiliary device */
		put(k, value, I8042_AUX);
		break;
	case 0xd4: /* to the auxiliary device */
		return send(k, true, value);
	default: /* 60h..7Fh: write RAM; bit 7 of the command byte is reserved */
		k->ram[command & 0x1f] = command == 0x60 ? value & 0x7f : value;
		break;
	}
	return effect;
}

struct i8042_effect i8042_write_data(struct i8042 *k, uint8_t value)
{
	const uint8_t command = k->pending;

	k->pending = 0;
	k->was_command = 0;
	return command ? write_argument(k, command, value) : send(k, false, value);
}

/* Commands that need no data byte and are single. */
static void simple_command(struct i8042 *k, uint8_t command)
{
	switch (command) {
	case 0xa4: /* is a password installed? no */
		put(k, 0xf1, 0);
		break;
	case 0xa7:
		k->ram[0] |= I8042_AUX_OFF;
		break;
	case 0xa8:
		k->ram[0] &= (uint8_t)~I8042_AUX_OFF;
		break;
	case 0xa9: /* auxiliary interface test: no error */
	case 0xab: /* keyboard interface test: no error */
		put(k, 0x00, 0);
		break;
	case 0xaa: /* self-test passed; interfaces off, system flag set */
		k->ram[0] |= I8042_SYS_FLAG | I8042_KBD_OFF | I8042_AUX_OFF;
		put(k, 0x55, 0);
		break;
	case 0xad:
		k->ram[0] |= I8042_KBD_OFF;
		break;
	case 0xae:
		k->ram[0] &= (uint8_t)~I8042_KBD_OFF;
		break;
	case 0xc0: /* input port: bit 7 keyboard not locked */
		put(k, 0x80, 0);
		break;
	case 0xd0:
		put(k, read_output_port(k), 0);
		break;
	case 0xdd:
		k->output_port &= (uint8_t)~PORT_A20;
		break;
	case 0xdf:
		k->output_port |= PORT_A20;
		break;
	case 0xe0: /* test inputs: clock lines low */
		put(k, 0x00, 0);
		break;
	}
}

struct i8042_effect i8042_write_command(struct i8042 *k, uint8_t value)
{
	struct i8042_effect effect = { .reset = false };

	k->was_command = 1;
	k->pending = 0;
	if (value >= 0x20 && value <= 0x3f)
		put(k, k->ram[value & 0x1f], 0);
	else if ((value >= 0x60 && value <= 0x7f) || (value >= 0xd1 && value <= 0xd4))
		k->pending = value;
	else if (value >= 0xf0)
		effect.reset = !(value & PORT_RUN); /* pulse the output port bits that are 0, for 6 us */
	else
		simple_command(k, value);
	return effect;
}

const char *i8042_check(const struct i8042 *k)
{
	if (k->ram[0] & 0x80)
		return "i8042.ram";
	if (k->head >= I8042_QUEUE)
		return "i8042.head";
	if (k->count > I8042_QUEUE)
		return "i8042.count";
	if (k->was_command > 1)
		return "i8042.was_command";
	if (k->output_port & (PORT_KBD_IRQ | PORT_AUX_IRQ))
		return "i8042.output_port";
	if (k->pending && (k->pending < 0x60 || k->pending > 0x7f) && (k->pending < 0xd1 || k->pending > 0xd4))
		return "i8042.pending";
	for (unsigned i = 0; i < I8042_QUEUE; i++) {
		if (k->source[i] & ~(I8042_AUX | I8042_TIMEOUT))
			return "i8042.source";
	}
	return NULL;
}
