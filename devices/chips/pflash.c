/* SPDX-License-Identifier: MIT */
/* NOR flash: pflash.h. */
#include "pflash.h"

#include <string.h>

/* Data sheet, "Command definitions". */
enum command {
	PROGRAM_OTHER = 0x10,
	ERASE = 0x20,
	PROGRAM = 0x40,
	CLEAR_STATUS = 0x50,
	READ_STATUS = 0x70,
	READ_ID = 0x90,
	CONFIRM = 0xd0,
	WRITE_BUFFER = 0xe8,
	READ_ARRAY = 0xff,
};
enum { MAKER_INTEL = 0x89, DEVICE = 0x18 };
enum { BUFFER_COUNT = 1, BUFFER_DATA, BUFFER_CONFIRM }; /* steps of WRITE_BUFFER */

static const struct pflash_change nothing = { 0, 0 };

void pflash_reset(struct pflash *f)
{
	memset(f, 0, sizeof(*f));
	f->command = READ_ARRAY;
	f->status = PFLASH_READY;
}

bool pflash_reads_array(const struct pflash *f)
{
	return f->command == READ_ARRAY;
}

uint8_t pflash_read(const struct pflash *f, const uint8_t *content, uint32_t at)
{
	if (f->command == READ_ARRAY)
		return content[at];
	if (f->command == READ_ID)
		return at % PFLASH_BLOCK == 0 ? MAKER_INTEL : at % PFLASH_BLOCK == 1 ? DEVICE : 0;
	return f->status;
}

/* What is under way is over, and reads are of the status. */
static void finish(struct pflash *f, uint8_t errors)
{
	f->command = READ_STATUS;
	f->step = 0;
	f->status |= PFLASH_READY | errors;
}

static void begin(struct pflash *f, uint8_t command)
{
	f->step = 0;
	switch (command) {
	case PROGRAM_OTHER:
	case PROGRAM:
	case ERASE:
	case WRITE_BUFFER:
		f->status |= PFLASH_READY;
		f->step = 1;
		f->command = command;
		break;
	case READ_STATUS:
	case READ_ID:
		f->command = command;
		break;
	case CLEAR_STATUS:
		f->status = 0;
		f->command = READ_ARRAY;
		break;
	default:
		f->command = READ_ARRAY;
	}
}

static struct pflash_change program(uint8_t *content, uint32_t at, const uint8_t *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		content[at + i] &= data[i];
	return (struct pflash_change){ at, bytes };
}

static struct pflash_change erase(struct pflash *f, uint8_t *content, uint32_t at, uint8_t value)
{
	const uint32_t block = at / PFLASH_BLOCK * PFLASH_BLOCK;

	finish(f, value == CONFIRM ? 0 : PFLASH_ERASE_FAILED | PFLASH_PROGRAM_FAILED);
	if (value != CONFIRM)
		return nothing;
	memset(content + block, 0xff, PFLASH_BLOCK);
	return (struct pflash_change){ block, PFLASH_BLOCK };
}

/* The first datum says where the buffer begins; one that lies outside of it, or behind the chip's end, is an error. */
static void take_datum(struct pflash *f, uint32_t size, uint32_t at, uint8_t value)
{
	if (!f->taken) {
		f->start = at;
		memset(f->buffer, 0xff, sizeof(f->buffer));
	}
	if (at < f->start || at - f->start > f->last || f->start + f->last >= size) {
		finish(f, PFLASH_ERASE_FAILED | PFLASH_PROGRAM_FAILED);
		return;
	}
	f->buffer[at - f->start] = value;
	if (f->taken++ == f->last)
		f->step = BUFFER_CONFIRM;
}

static struct pflash_change fill_buffer(struct pflash *f, uint8_t *content, uint32_t size, uint32_t at, uint8_t value)
{
	if (f->step == BUFFER_COUNT) {
		f->last = value;
		f->taken = 0;
		f->step = BUFFER_DATA;
		return nothing;
	}
	if (f->step == BUFFER_DATA) {
		take_datum(f, size, at, value);
		return nothing;
	}
	finish(f, value == CONFIRM ? 0 : PFLASH_ERASE_FAILED | PFLASH_PROGRAM_FAILED);
	return value == CONFIRM ? program(content, f->start, f->buffer, f->last + 1u) : nothing;
}

struct pflash_change pflash_write(struct pflash *f, uint8_t *content, uint32_t size, uint32_t at, uint8_t value)
{
	if (!f->step) {
		begin(f, value);
		return nothing;
	}
	if (f->command == ERASE)
		return erase(f, content, at, value);
	if (f->command == WRITE_BUFFER)
		return fill_buffer(f, content, size, at, value);
	finish(f, 0);
	return program(content, at, &value, 1);
}

void pflash_failed(struct pflash *f)
{
	f->status |= PFLASH_PROGRAM_FAILED;
}

static bool is_under_way(const struct pflash *f)
{
	switch (f->command) {
	case PROGRAM_OTHER:
	case PROGRAM:
	case ERASE:
		return f->step == 1;
	case WRITE_BUFFER:
		return f->step == BUFFER_COUNT || (f->step == BUFFER_DATA && f->taken <= f->last) ||
		       (f->step == BUFFER_CONFIRM && f->taken == f->last + 1);
	default:
		return false;
	}
}

bool pflash_is_possible(const struct pflash *f)
{
	const bool reads = f->command == READ_ARRAY || f->command == READ_STATUS || f->command == READ_ID;

	return (reads && !f->step) || is_under_way(f);
}
