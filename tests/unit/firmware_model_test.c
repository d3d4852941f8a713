/* SPDX-License-Identifier: MIT */
/*
 * What firmware asks: fw_cfg as QEMU's docs/specs/fw_cfg.rst says, read through the ports as firmware does; the script that places the
 * ACPI tables is carried out here, and its result checked by ACPI 6.4, chapter 5. Q35 and ICH9 by their data sheets.
 */
#include "model_at.h"
#include "model_fuzz.h"

#include <errno.h>

#include "boot/bytes.h"
#include "devices/firmware_model.h"
#include "proto/layout.h"
#include "proto/memory_map.h"

static struct firmware_state s;
static struct model_config config = {
	.ram_low = 1ull << 31, .rom = 1 << 18, .ram_high = 1ull << 30, .vcpus = 6, .topology = { 1, 3, 2 }, .pci = true,
	.boot_order = { 2 }, .boot_count = 1,
};

static void init(void)
{
	firmware_model.reset(&s, &config, 0);
}

TestSuite(firmware_model, .init = init);

static void select_item(uint16_t key)
{
	model_write_at(&firmware_model, &s, MODEL_PORT, 0x510, key, 2, 0);
}

static uint64_t take_bytes(unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= model_read_at(&firmware_model, &s, MODEL_PORT, 0x511, 1, 0) << 8 * i;
	return value;
}

static uint64_t item(uint16_t key, unsigned bytes)
{
	select_item(key);
	return take_bytes(bytes);
}

static uint32_t big32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Looked up in the directory, as firmware does. Its length; 0: there is none. */
static size_t read_file(const char *name, uint8_t *to, size_t room)
{
	uint8_t entry[64];
	uint32_t count = __builtin_bswap32((uint32_t)item(0x19, 4));

	for (uint32_t n = 0; n < count; n++) {
		select_item(0x19);
		take_bytes(4);
		for (uint32_t i = 0; i < 64 * (n + 1); i++)
			entry[i % 64] = (uint8_t)take_bytes(1);
		if (strcmp((const char *)entry + 8, name))
			continue;
		cr_assert_leq(big32(entry), room);
		select_item((uint16_t)(entry[4] << 8 | entry[5]));
		for (uint32_t i = 0; i < big32(entry); i++)
			to[i] = (uint8_t)take_bytes(1);
		cr_assert_eq(take_bytes(4), 0, "behind the end of an item reads are 0");
		return big32(entry);
	}
	return 0;
}

Test(firmware_model, numbers)
{
	cr_assert_eq(item(0x00, 4), 'Q' | 'E' << 8 | 'M' << 16 | 'U' << 24);
	cr_assert_eq(item(0x01, 4), 1, "the traditional interface, and no DMA");
	cr_assert_eq(item(0x03, 8), config.ram_low + config.ram_high);
	cr_assert_eq(item(0x05, 2), 6);
	cr_assert_eq(item(0x0f, 2), 6);
	cr_assert_eq(item(0x0f | 1 << 14, 2), 6, "bit 14 asks to write, which nobody can");
	cr_assert_eq(item(0x7fff, 8), 0, "there is no such item");
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_PORT, 0x510, 1, 0), 0xff, "the selector is written only");
	model_write_at(&firmware_model, &s, MODEL_PORT, 0x511, 5, 1, 0);
	cr_assert_eq(item(0x00, 1), 'Q', "data is read only");
}

Test(firmware_model, nothing_listens_to_debug_text)
{
	cr_assert_neq(model_read_at(&firmware_model, &s, MODEL_PORT, 0x402, 1, 0), 0xe9);
}

/* ACPI 6.4, 15.2: base, length, type. */
Test(firmware_model, memory)
{
	uint8_t map[256];
	size_t len = read_file("etc/e820", map, sizeof(map));

	cr_assert(len >= 40 && len % 20 == 0);
	cr_assert_eq(boot_le64(map), 0);
	cr_assert_eq(boot_le64(map + 8), config.ram_low);
	cr_assert_eq(boot_le32(map + 16), 1);
	cr_assert_eq(boot_le64(map + 20), 1ull << 32);
	cr_assert_eq(boot_le64(map + 28), config.ram_high);
	cr_assert_eq(boot_le32(map + 36), 1);
}

/* OpenFirmware's paths; a NUL ends the text. */
Test(firmware_model, boot_order)
{
	uint8_t text[512];
	size_t len = read_file("bootorder", text, sizeof(text));
	static const char first[] = "/pci@i0cf8/scsi@3/disk@0,0\n/pci@i0cf8/scsi@1/disk@0,0\n/pci@i0cf8/scsi@2/disk@0,0\n";

	cr_assert_gt(len, sizeof(first));
	cr_assert_eq(text[len - 1], 0);
	cr_assert_eq(memcmp(text, first, sizeof(first) - 1), 0, "%s", text);
}

Test(firmware_model, console)
{
	uint8_t port[8];

	cr_assert_eq(read_file("etc/sercon-port", port, sizeof(port)), 8);
	cr_assert_eq(boot_le64(port), 0x3f8);
}

/* ---- the loader's script: QEMU, hw/acpi/bios-linker-loader.c ---------------------------------------------------- */

enum { WHERE_TABLES = 0x7ff00000, WHERE_RSDP = 0xf5000 };
static uint8_t tables[65536], rsdp[64];
static size_t tables_len, rsdp_len;

static uint8_t *file_of(const uint8_t *name, size_t *len, uint64_t *where)
{
	bool is_tables = !strcmp((const char *)name, "etc/acpi/tables");

	cr_assert(is_tables || !strcmp((const char *)name, "etc/acpi/rsdp"), "%s", name);
	*len = is_tables ? tables_len : rsdp_len;
	*where = is_tables ? WHERE_TABLES : WHERE_RSDP;
	return is_tables ? tables : rsdp;
}

static void add_pointer(const uint8_t *c)
{
	size_t len, to_len;
	uint64_t where, to;
	uint8_t *in = file_of(c + 4, &len, &where);
	uint32_t offset = boot_le32(c + 116);
	uint64_t value = 0;

	file_of(c + 60, &to_len, &to);
	cr_assert(c[120] == 4 || c[120] == 8);
	cr_assert_leq(offset + c[120], len);
	memcpy(&value, in + offset, c[120]);
	cr_assert_lt(value, to_len, "it is an offset in the file until then");
	value += to;
	memcpy(in + offset, &value, c[120]);
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t total = 0;

	while (len--)
		total = (uint8_t)(total + *p++);
	return total;
}

static void add_checksum(const uint8_t *c)
{
	size_t len;
	uint64_t where;
	uint8_t *in = file_of(c + 4, &len, &where);
	uint32_t at = boot_le32(c + 60), start = boot_le32(c + 64), bytes = boot_le32(c + 68);

	cr_assert(at < len && start + bytes <= len && at >= start && at < start + bytes);
	in[at] = (uint8_t)(in[at] - sum(in + start, bytes));
}

static unsigned carry_out(void)
{
	static uint8_t script[65536];
	size_t len = read_file("etc/table-loader", script, sizeof(script));
	unsigned allocated = 0;

	cr_assert(len && len % 128 == 0);
	tables_len = read_file("etc/acpi/tables", tables, sizeof(tables));
	rsdp_len = read_file("etc/acpi/rsdp", rsdp, sizeof(rsdp));
	for (const uint8_t *c = script; c < script + len; c += 128) {
		switch (boot_le32(c)) {
		case 1:
			allocated++;
			cr_assert_eq(boot_le32(c + 60) & (boot_le32(c + 60) - 1), 0, "alignment");
			cr_assert(c[64] == 1 || c[64] == 2, "zone");
			break;
		case 2:
			add_pointer(c);
			break;
		case 3:
			add_checksum(c);
			break;
		default:
			cr_assert_fail("command %u", boot_le32(c));
		}
	}
	return allocated;
}

static const uint8_t *table_at(uint64_t address, const char *signature)
{
	const uint8_t *t = tables + (address - WHERE_TABLES);

	cr_assert(address >= WHERE_TABLES && address < WHERE_TABLES + tables_len, "%s at %lx", signature, address);
	cr_assert_eq(memcmp(t, signature, 4), 0, "%s", signature);
	return t;
}

static const uint8_t *find_table(const uint8_t *xsdt, const char *signature)
{
	for (uint32_t at = 36; at < boot_le32(xsdt + 4); at += 8) {
		const uint8_t *t = tables + (boot_le64(xsdt + at) - WHERE_TABLES);

		cr_assert_lt(boot_le64(xsdt + at) - WHERE_TABLES, tables_len);
		cr_assert_eq(sum(t, boot_le32(t + 4)), 0, "%.4s", t);
		if (!memcmp(t, signature, 4))
			return t;
	}
	return NULL;
}

Test(firmware_model, acpi)
{
	const uint8_t *xsdt, *fadt, *madt, *dsdt;

	cr_assert_eq(carry_out(), 2);
	cr_assert_eq(memcmp(rsdp, "RSD PTR ", 8), 0);
	cr_assert_eq(sum(rsdp, 20), 0);
	cr_assert_eq(sum(rsdp, 36), 0);
	xsdt = table_at(boot_le64(rsdp + 24), "XSDT");
	cr_assert_eq(sum(xsdt, boot_le32(xsdt + 4)), 0);
	fadt = find_table(xsdt, "FACP");
	madt = find_table(xsdt, "APIC");
	cr_assert(fadt && madt && find_table(xsdt, "MCFG") && find_table(xsdt, "HPET"));
	dsdt = table_at(boot_le64(fadt + 140), "DSDT");
	cr_assert_eq(boot_le32(fadt + 40), boot_le64(fadt + 140), "DSDT and X_DSDT");
	cr_assert_eq(sum(dsdt, boot_le32(dsdt + 4)), 0);
	table_at(boot_le32(fadt + 36), "FACS");
	cr_assert_eq((boot_le32(fadt + 36) & 63), 0, "5.2.10: aligned to 64 bytes");
	cr_assert_eq(boot_le32(fadt + 76), LAYOUT_PM_TIMER);
}

/* The most processors, and the room that the description has. */
Test(firmware_model, everything_has_room)
{
	static struct fw_cfg f;
	struct model_config most = config;

	most.vcpus = 64;
	most.topology = (struct cpu_topology){ 1, 64, 1 };
	most.boot_count = VIRTIO_DEVICES;
	for (uint8_t i = 0; i < VIRTIO_DEVICES; i++)
		most.boot_order[i] = (uint8_t)(VIRTIO_DEVICES - 1 - i);
	fw_cfg_reset(&f, 1, 64);
	cr_assert_eq(firmware_describe(&f, &most), 0);
	cr_assert_eq(fw_cfg_add(&f, "etc/too-long", f.bytes, sizeof(f.bytes)), -ENOSPC);
}

/* ---- the chipset ------------------------------------------------------------------------------------------------ */

static uint32_t pci_read(unsigned device, unsigned reg)
{
	return (uint32_t)model_read_at(&firmware_model, &s, MODEL_MMIO, LAYOUT_ECAM_BASE + device * 0x8000 + reg, 4, 0);
}

static void pci_write(unsigned device, unsigned reg, uint32_t value, unsigned size)
{
	model_write_at(&firmware_model, &s, MODEL_MMIO, LAYOUT_ECAM_BASE + device * 0x8000 + reg, value, size, 0);
}

/* Q35 (316966), 5.1.1, 5.1.2; ICH9 (316972), 13.1: identities, and where power management is. */
Test(firmware_model, chipset)
{
	cr_assert_eq(pci_read(0, 0), 0x29c08086);
	cr_assert_eq(pci_read(31, 0), 0x29188086);
	cr_assert_eq(pci_read(0, 8) >> 16, 0x0600, "host bridge");
	cr_assert_eq(pci_read(31, 8) >> 16, 0x0601, "ISA bridge");
	cr_assert_eq(pci_read(31, 4) & 0xffff, 7, "PCICMD: I/O, memory, master");
	pci_write(31, 0x40, 0xb001, 4);
	cr_assert_eq(pci_read(31, 0x40), LAYOUT_PM_BASE | 1, "PMBASE is wired");
	cr_assert_eq(pci_read(31, 0x44) & 0x80, 0x80, "ACPI_EN");
	pci_write(0, 0x90, 0x30, 1);
	pci_write(0, 0x91, 0xff, 1);
	cr_assert_eq(pci_read(0, 0x90) & 0xffff, 0x3330, "PAM0, PAM1: two bits for each half");
	pci_write(0, 0x60, 0xb0000001, 4);
	cr_assert_eq(pci_read(0, 0x60), 0xb0000001, "PCIEXBAR");
	pci_write(0, 0, 0, 4);
	cr_assert_eq(pci_read(0, 0), 0x29c08086, "read only");
}

/* It ends where the image begins, which ends at 4 GiB; its content is a file's, and so stays over a reset. */
Test(firmware_model, flash)
{
	static uint8_t content[8192];
	struct model_config with_flash = config;
	const uint64_t base = (1ull << 32) - config.rom - sizeof(content);

	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base, 8, 0), UINT64_MAX, "there is none");
	with_flash.flash = sizeof(content);
	firmware_model.reset(&s, &with_flash, 0);
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base, 4, 0), UINT64_MAX, "nobody has its content");
	firmware_flash = content;
	content[0] = 0x34;
	content[sizeof(content) - 1] = 0x12;
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base, 2, 0), 0x34);
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base + 8188, 4, 0), 0x12000000);
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base + 8188, 8, 0), UINT64_MAX, "across its end");
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base - 1, 1, 0), UINT64_MAX);
	model_write_at(&firmware_model, &s, MODEL_MMIO, base + 4100, 0x20, 1, 0);
	model_write_at(&firmware_model, &s, MODEL_MMIO, base + 4100, 0xd0, 1, 0);
	cr_assert(s.changed.at == 4096 && s.changed.bytes == 4096, "for the file");
	cr_assert_eq(content[sizeof(content) - 1], 0xff);
	firmware_model.reset(&s, &with_flash, 0);
	cr_assert_eq(model_read_at(&firmware_model, &s, MODEL_MMIO, base, 1, 0), 0x34);
	firmware_flash = NULL;
}

Test(firmware_model, validation)
{
	const char *field;

	cr_assert_eq(firmware_model.validate(&s, &field), 0);
#define BAD(change)                                                                        \
	do {                                                                               \
		init();                                                                    \
		change;                                                                    \
		cr_assert_eq(firmware_model.validate(&s, &field), -EINVAL, "%s", #change); \
	} while (0)
	BAD(s.fw_cfg.files = FW_CFG_FILES + 1);
	BAD(s.fw_cfg.used = FW_CFG_BYTES + 1);
	BAD(s.fw_cfg.file[0].offset = s.fw_cfg.used + 1);
	BAD(s.fw_cfg.file[0].len = UINT32_MAX);
	BAD(memset(s.fw_cfg.file[0].name, 'x', FW_CFG_NAME));
	BAD(s.fw_cfg.key = 1 << 14);
	BAD(s.bridge.bytes[0] ^= 1);
	BAD(s.lpc.bytes[0x40] ^= 2);
	BAD(s.flash_bytes = 100);
	BAD(s.flash_bytes = LAYOUT_FLASH_BYTES);
	BAD(s.changed.bytes = 1);
	BAD(s.flash.command = 0x12);
}

Test(firmware_model, random_operations)
{
	fuzz_run(&firmware_model, &config, 2000, 0);
}

/* ---- the map of memory ------------------------------------------------------------------------------------------ */

Test(memory_map, pieces)
{
	const uint64_t gib = 1ull << 30;
	struct memory_map m = memory_map(gib, 0);

	cr_assert(m.low == gib && m.rom == 0 && m.high == 0);
	m = memory_map(4 * gib, 0);
	cr_assert(m.low == 3 * gib && m.rom == 0 && m.high == gib);
	m = memory_map(gib, 1 << 18);
	cr_assert(m.low == gib - (1 << 18) && m.rom == 1 << 18 && m.high == 0);
	cr_assert_eq(memory_map_rom(&m), 0xfffc0000);
	m = memory_map(4 * gib, 1 << 22);
	cr_assert(m.low == 2 * gib && m.rom == 1 << 22 && m.high == 2 * gib - (1 << 22));
	cr_assert_lt(m.low, LAYOUT_ECAM_OTHER + 1, "SeaBIOS has ECAM there");
}
