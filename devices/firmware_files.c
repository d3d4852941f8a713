/* SPDX-License-Identifier: MIT */
/*
 * The files behind fw_cfg that SeaBIOS and OVMF read: memory, ACPI tables with instructions how to place them, what to boot, where
 * to print. Their layouts: QEMU, docs/specs/fw_cfg.rst, hw/acpi/bios-linker-loader; SeaBIOS, docs/Runtime_config.md.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "boot/acpi.h"
#include "boot/bytes.h"
#include "devices/firmware_model.h"
#include "proto/layout.h"

enum { E820_RAM = 1, E820_RESERVED = 2, E820_BYTES = 20 };

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static unsigned add_range(uint8_t *map, unsigned at, uint64_t start, uint64_t len, uint32_t type)
{
	if (!len)
		return at;
	boot_set64(map + at, start);
	boot_set64(map + at + 8, len);
	boot_set32(map + at + 16, type);
	return at + E820_BYTES;
}

/* RAM, and our second ECAM: what else is taken firmware knows by itself. */
static int add_memory(struct fw_cfg *f, const struct model_config *c)
{
	uint8_t map[3 * E820_BYTES];
	unsigned len = add_range(map, 0, 0, c->ram_low, E820_RAM);

	len = add_range(map, len, LAYOUT_RAM_HIGH_BASE, c->ram_high, E820_RAM);
	len = add_range(map, len, LAYOUT_ECAM_BASE, LAYOUT_ECAM_SIZE, E820_RESERVED);
	return fw_cfg_add(f, "etc/e820", map, len);
}

/* ---- ACPI ------------------------------------------------------------------------------------------------------ */

static const char rsdp_file[] = "etc/acpi/rsdp", tables_file[] = "etc/acpi/tables";

enum { COMMAND_BYTES = 128, COMMAND_NAME = 56, COMMANDS = 2 + ACPI_POINTERS + 1 + ACPI_SUMS + 2 };
enum { ALLOCATE = 1, ADD_POINTER = 2, ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_FSEG = 2 };
enum { TABLE_SUM_AT = 9, RSDP_XSDT_AT = 24, RSDP_SUM1_AT = 8, RSDP_SUM2_AT = 32 };

/* A script for whoever loads the tables: 128 bytes each, the command first. */
struct script {
	unsigned count;
	uint8_t command[COMMANDS][COMMAND_BYTES];
};

static uint8_t *command(struct script *s, uint32_t what, const char *file)
{
	uint8_t *c = s->command[s->count++];

	boot_set32(c, what);
	memcpy(c + 4, file, strlen(file));
	return c + 4 + COMMAND_NAME;
}

static void allocate(struct script *s, const char *file, uint32_t align, uint8_t zone)
{
	uint8_t *c = command(s, ALLOCATE, file);

	boot_set32(c, align);
	c[4] = zone;
}

/* To what is at `offset` in the one file, the address of the other is added. */
static void add_pointer(struct script *s, const char *in, const char *to, uint32_t offset, uint8_t size)
{
	uint8_t *c = command(s, ADD_POINTER, in);

	memcpy(c, to, strlen(to));
	boot_set32(c + COMMAND_NAME, offset);
	c[COMMAND_NAME + 4] = size;
}

static void add_checksum(struct script *s, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
	uint8_t *c = command(s, ADD_CHECKSUM, file);

	boot_set32(c, at);
	boot_set32(c + 4, start);
	boot_set32(c + 8, len);
}

/* Sums are made anew by the loader, over a zero. */
static void write_script(struct script *s, struct acpi_tables *t)
{
	allocate(s, rsdp_file, 16, ZONE_FSEG);
	allocate(s, tables_file, 64, ZONE_HIGH);
	for (unsigned i = 0; i < t->pointers; i++)
		add_pointer(s, tables_file, tables_file, t->pointer[i].offset, t->pointer[i].size);
	add_pointer(s, rsdp_file, tables_file, RSDP_XSDT_AT, 8);
	for (unsigned i = 0; i < t->sums; i++) {
		t->bytes[t->sum[i].offset + TABLE_SUM_AT] = 0;
		add_checksum(s, tables_file, t->sum[i].offset + TABLE_SUM_AT, t->sum[i].offset, t->sum[i].len);
	}
	t->rsdp[RSDP_SUM1_AT] = t->rsdp[RSDP_SUM2_AT] = 0;
	add_checksum(s, rsdp_file, RSDP_SUM1_AT, 0, ACPI_RSDP_SUM1);
	add_checksum(s, rsdp_file, RSDP_SUM2_AT, 0, ACPI_RSDP_BYTES);
}

static int add_acpi(struct fw_cfg *f, const struct model_config *c)
{
	const struct acpi_machine m = { .topology = c->topology.sockets ? c->topology : topology_flat(c->vcpus),
					.vcpus = c->vcpus,
					.pci = true,
					.ps2 = c->ps2,
					.low_window = (uint32_t)LAYOUT_RAM_LOW_FIRMWARE };
	struct acpi_tables tables;
	struct script script = { 0 };
	int err = acpi_make(&m, &tables);

	if (err)
		return err;
	write_script(&script, &tables);
	err = fw_cfg_add(f, tables_file, tables.bytes, tables.len);
	if (!err)
		err = fw_cfg_add(f, rsdp_file, tables.rsdp, sizeof(tables.rsdp));
	return err ? err : fw_cfg_add(f, "etc/table-loader", script.command, (size_t)script.count * COMMAND_BYTES);
}

/* ---- what to do ------------------------------------------------------------------------------------------------ */

/* OpenFirmware's paths of disks: they are devices 1 to 4 of bus 0, in the order of --disk. Those that nobody named follow. */
static int add_boot_order(struct fw_cfg *f, const struct model_config *c)
{
	char text[VIRTIO_DEVICES * 2 * 40] = "";
	size_t len = 0;

	for (unsigned i = 0; i < c->boot_count + (unsigned)VIRTIO_DEVICES; i++) {
		const unsigned disk = i < c->boot_count ? c->boot_order[i] : i - c->boot_count;

		len += (size_t)snprintf(text + len, sizeof(text) - len, "/pci@i0cf8/scsi@%x/disk@0,0\n", (disk + 1) & 0x1f);
	}
	return fw_cfg_add(f, "bootorder", text, len + 1);
}

static int add_number(struct fw_cfg *f, const char *name, uint64_t value)
{
	uint8_t bytes[8];

	boot_set64(bytes, value);
	return fw_cfg_add(f, name, bytes, sizeof(bytes));
}

int firmware_describe(struct fw_cfg *f, const struct model_config *config)
{
	int err = add_memory(f, config);

	if (!err)
		err = add_acpi(f, config);
	if (!err)
		err = add_boot_order(f, config);
	if (!err)
		err = add_number(f, "etc/sercon-port", LAYOUT_COM1);
	if (!err)
		err = add_number(f, "etc/show-boot-menu", 0);
	return err;
}
