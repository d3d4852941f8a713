/* SPDX-License-Identifier: MIT */
/* The firmware configuration device: see fw_cfg.h. */
#include "fw_cfg.h"

#include <errno.h>
#include <string.h>

enum { ID_TRADITIONAL = 1 << 0 }; /* bit 1, DMA, is clear */
enum { KEY_WRITE = 1 << 14 };	  /* asked to be written, an item is still only read */
enum { ENTRY_BYTES = 64, COUNT_BYTES = 4, NUMBER_MAX = 8 };

const struct reg_desc fw_cfg_regs[FW_CFG_REGS] = {
	{ .name = "FW_CFG_SELECTOR", .offset = 0, .size = 2, .writable = true },
	{ .name = "FW_CFG_DATA", .offset = 1, .size = 1, .readable = true },
};

void fw_cfg_reset(struct fw_cfg *f, uint64_t ram_bytes, uint16_t vcpus)
{
	memset(f, 0, sizeof(*f));
	f->ram_bytes = ram_bytes;
	f->vcpus = vcpus;
}

int fw_cfg_add(struct fw_cfg *f, const char *name, const void *data, size_t len)
{
	if (strlen(name) >= FW_CFG_NAME)
		return -EINVAL;
	if (f->files == FW_CFG_FILES || len > sizeof(f->bytes) - f->used)
		return -ENOSPC;
	memcpy(f->file[f->files].name, name, strlen(name));
	f->file[f->files].offset = f->used;
	f->file[f->files++].len = (uint32_t)len;
	memcpy(f->bytes + f->used, data, len);
	f->used += (uint32_t)len;
	return 0;
}

void fw_cfg_select(struct fw_cfg *f, uint16_t key)
{
	f->key = key & (uint16_t)~KEY_WRITE;
	f->at = 0;
}

static uint8_t big_endian(uint32_t value, uint32_t byte, unsigned bytes)
{
	return (uint8_t)(value >> 8 * (bytes - 1 - byte));
}

/* The directory is big-endian: how many files; of each its size, its number, nothing, its name. */
static uint8_t directory(const struct fw_cfg *f, uint32_t at)
{
	const uint32_t n = at < COUNT_BYTES ? 0 : (at - COUNT_BYTES) / ENTRY_BYTES, byte = (at - COUNT_BYTES) % ENTRY_BYTES;

	if (at < COUNT_BYTES)
		return big_endian(f->files, at, COUNT_BYTES);
	if (n >= f->files)
		return 0;
	if (byte < 4)
		return big_endian(f->file[n].len, byte, 4);
	if (byte < 6)
		return big_endian(FW_CFG_FILE_FIRST + n, byte - 4, 2);
	return byte < 8 ? 0 : (uint8_t)f->file[n].name[byte - 8];
}

static uint8_t file(const struct fw_cfg *f, uint32_t n, uint32_t at)
{
	return n < f->files && at < f->file[n].len ? f->bytes[f->file[n].offset + at] : 0;
}

static uint64_t number(const struct fw_cfg *f, uint16_t key)
{
	static const uint8_t signature[4] = { 'Q', 'E', 'M', 'U' };

	switch (key) {
	case FW_CFG_SIGNATURE:
		return signature[0] | (uint32_t)signature[1] << 8 | (uint32_t)signature[2] << 16 | (uint32_t)signature[3] << 24;
	case FW_CFG_ID:
		return ID_TRADITIONAL;
	case FW_CFG_RAM_SIZE:
		return f->ram_bytes;
	case FW_CFG_NOGRAPHIC:
	case FW_CFG_IRQ0_OVERRIDE: /* the timer is at pin 2 of the IOAPIC */
		return 1;
	case FW_CFG_NB_CPUS:
	case FW_CFG_MAX_CPUS:
		return f->vcpus;
	default:
		return 0;
	}
}

/* Numbers are little-endian, and end in zeroes as everything else does. */
static uint8_t item(const struct fw_cfg *f)
{
	if (f->key == FW_CFG_FILE_DIR)
		return directory(f, f->at);
	if (f->key >= FW_CFG_FILE_FIRST && f->key < FW_CFG_FILE_FIRST + FW_CFG_FILES)
		return file(f, f->key - (uint32_t)FW_CFG_FILE_FIRST, f->at);
	return f->at < NUMBER_MAX ? (uint8_t)(number(f, f->key) >> 8 * f->at) : 0;
}

uint8_t fw_cfg_read(struct fw_cfg *f)
{
	const uint8_t value = item(f);

	f->at += f->at != UINT32_MAX;
	return value;
}

const char *fw_cfg_check(const struct fw_cfg *f)
{
	if (f->files > FW_CFG_FILES)
		return "fw_cfg.files";
	if (f->used > sizeof(f->bytes))
		return "fw_cfg.used";
	if (f->key & KEY_WRITE)
		return "fw_cfg.key";
	for (uint32_t n = 0; n < f->files; n++)
		if (f->file[n].offset > f->used || f->file[n].len > f->used - f->file[n].offset ||
		    memchr(f->file[n].name, 0, FW_CFG_NAME) == NULL)
			return "fw_cfg.file";
	return NULL;
}
