/* SPDX-License-Identifier: MIT */
/* ACPI tables (ACPI 6.4, chapter 5): what layout.h fixes, told to the guest. See acpi.h. */
#include "acpi.h"

#include "aml.h"
#include "bytes.h"
#include "../proto/layout.h"

#include <errno.h>
#include <string.h>

enum {
	HEADER_BYTES = 36,
	FACS_BYTES = 64,
	FADT_BYTES = 276,
	HPET_BYTES = 56,
	MCFG_BYTES = 60,
	DSDT_MAX = 2048,
	XSDT_TABLES = 4,
};
enum { MADT_FIXED = 44, MADT_LAPIC = 8, MADT_IOAPIC = 12, MADT_OVERRIDE = 10, MADT_NMI = 6 };
enum {
	MADT_MAX = MADT_FIXED + TOPOLOGY_MAX_CPUS * MADT_LAPIC + MADT_IOAPIC + (2 + LAYOUT_PCI_LINES) * MADT_OVERRIDE + MADT_NMI
};
enum { GAS_MEMORY = 0, GAS_IO = 1 };

/* Tables follow one another; `at` is the next free offset. */
struct area {
	const struct acpi_machine *m;
	struct acpi_tables *out;
	size_t at;
};

uint8_t acpi_checksum(const uint8_t *p, size_t len)
{
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	return (uint8_t)(0u - sum);
}

/* The first of `align` bytes that are free; room for `len` from there. *gpa = where. */
static int take_room(struct area *a, size_t len, size_t align, uint8_t **to, uint64_t *gpa)
{
	const size_t start = (a->at + align - 1) & ~(align - 1);

	if (start > sizeof(a->out->bytes) || len > sizeof(a->out->bytes) - start)
		return -ENOSPC;
	*to = a->out->bytes + start;
	*gpa = a->m->base + start;
	a->at = start + len;
	a->out->len = a->at;
	return 0;
}

/* There is an address at this place of the area. */
static int note_pointer(struct area *a, uint64_t gpa, size_t offset, uint8_t size)
{
	struct acpi_tables *out = a->out;

	if (out->pointers == ACPI_POINTERS)
		return -ENOSPC;
	out->pointer[out->pointers++] = (struct acpi_pointer){ (uint32_t)(gpa - a->m->base + offset), size };
	return 0;
}

/* Fills in the header (5.2.6), puts the table into the area; *gpa = where. */
static int put_table(struct area *a, uint8_t *table, size_t len, const char *signature, uint8_t revision,
		     uint64_t *gpa)
{
	uint8_t *to;
	int err;

	memcpy(table, signature, 4);
	boot_set32(table + 4, (uint32_t)len);
	table[8] = revision;
	memcpy(table + 10, "BLKHD ", 6);
	memcpy(table + 16, "BULKHEAD", 8);
	boot_set32(table + 24, 1);
	memcpy(table + 28, "BLKH", 4);
	boot_set32(table + 32, 1);
	table[9] = 0;
	table[9] = acpi_checksum(table, len);
	if (a->out->sums == ACPI_SUMS)
		return -ENOSPC;
	err = take_room(a, len, 16, &to, gpa);
	if (err)
		return err;
	memcpy(to, table, len);
	a->out->sum[a->out->sums++] = (struct acpi_sum){ (uint32_t)(*gpa - a->m->base), (uint32_t)len };
	return 0;
}

/* Generic address structure (5.2.3.2). */
static void set_gas(uint8_t *p, uint8_t space, uint8_t bits, uint8_t access, uint64_t address)
{
	p[0] = space;
	p[1] = bits;
	p[2] = 0;
	p[3] = access; /* 1 byte, 2 word, 3 dword */
	boot_set64(p + 4, address);
}

static void describe_device(struct aml *a, const char *name, const char *id, uint32_t uid, uint16_t port,
			    uint8_t ports, unsigned irq)
{
	size_t device = aml_open_device(a, name), crs;

	aml_name(a, "_HID");
	aml_eisa_id(a, id);
	aml_name(a, "_UID");
	aml_integer(a, uid);
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_io(a, port, ports);
	aml_irq(a, irq);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* The keyboard has the controller's ports, the mouse only an interrupt: so Linux's i8042 driver and others look for them. */
static void describe_ps2(struct aml *a)
{
	size_t device = aml_open_device(a, "KBD_"), crs;

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0303");
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_io(a, 0x60, 1);
	aml_io(a, 0x64, 1);
	aml_irq(a, LAYOUT_KBD_IRQ);
	aml_close_resources(a, crs);
	aml_close(a, device);
	device = aml_open_device(a, "MOU_");
	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0F13");
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_irq(a, LAYOUT_AUX_IRQ);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* By this name Linux's driver finds it (QEMU, docs/specs/pvpanic.rst). */
static void describe_pvpanic(struct aml *a)
{
	size_t device = aml_open_device(a, "PEVT"), crs;

	aml_name(a, "_HID");
	aml_string(a, "QEMU0001");
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_io(a, LAYOUT_PVPANIC_PORT, 1);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* The line of a device's INTA# as a link whose interrupt cannot be moved: it says that the line is active high. */
static void describe_link(struct aml *a, unsigned line)
{
	const char name[] = { 'L', 'N', 'K', (char)('A' + line), 0 };
	size_t device = aml_open_device(a, name), resources;

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0C0F");
	aml_name(a, "_UID");
	aml_integer(a, line);
	aml_name(a, "_STA");
	aml_integer(a, 0xb); /* present, enabled, works (6.3.7) */
	for (unsigned i = 0; i < 2; i++) {
		aml_name(a, i ? "_CRS" : "_PRS");
		resources = aml_open_resources(a);
		aml_pci_irq(a, LAYOUT_PCI_LINE + line);
		aml_close_resources(a, resources);
	}
	aml_empty_method(a, "_DIS", 0);
	aml_empty_method(a, "_SRS", 1);
	aml_close(a, device);
}

/* _PRT (6.2.13): the first pin of every device that there may be. */
static void describe_routing(struct aml *a)
{
	size_t table, row;

	aml_name(a, "_PRT");
	table = aml_open_package(a, ACPI_PCI_DEVICES);
	for (unsigned device = 1; device <= ACPI_PCI_DEVICES; device++) {
		const char link[] = { 'L', 'N', 'K', (char)('A' + device % LAYOUT_PCI_LINES), 0 };

		row = aml_open_package(a, 4);
		aml_integer(a, device << 16 | 0xffff);
		aml_integer(a, 0);
		aml_reference(a, link);
		aml_integer(a, 0);
		aml_close(a, row);
	}
	aml_close(a, table);
}

/* Where BARs may be; firmware assigns them by rules of its own. */
static void describe_windows(struct aml *a, const struct acpi_machine *m)
{
	const uint32_t behind = (uint32_t)(LAYOUT_ECAM_BASE + LAYOUT_ECAM_BUSES);

	if (!m->low_window) {
		aml_window(a, LAYOUT_PCI_BASE, LAYOUT_PCI_SIZE);
		return;
	}
	aml_window(a, m->low_window, (uint32_t)(LAYOUT_ECAM_OTHER - m->low_window));
	aml_window(a, LAYOUT_ECAM_OTHER + LAYOUT_ECAM_BUSES,
		   (uint32_t)(LAYOUT_ECAM_BASE - LAYOUT_ECAM_OTHER - LAYOUT_ECAM_BUSES));
	aml_window(a, behind, (uint32_t)LAYOUT_IOAPIC_BASE - behind);
}

static void describe_bridge(struct aml *a, const struct acpi_machine *m)
{
	size_t device = aml_open_device(a, "PCI0"), crs;

	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0A03");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_buses(a, 0, 0);
	aml_io(a, 0xcf8, 8);
	describe_windows(a, m);
	aml_close_resources(a, crs);
	describe_routing(a);
	aml_close(a, device);
}

/* Links come before who names them. ECAM is nobody's window: PCI Firmware 3.2, 4.1.2, has it reserved by the board. */
static void describe_pci(struct aml *a, const struct acpi_machine *m)
{
	size_t device, crs;

	for (unsigned line = 0; line < LAYOUT_PCI_LINES; line++)
		describe_link(a, line);
	describe_bridge(a, m);
	device = aml_open_device(a, "ECAM");
	aml_name(a, "_HID");
	aml_eisa_id(a, "PNP0C02");
	aml_name(a, "_UID");
	aml_integer(a, 0);
	aml_name(a, "_CRS");
	crs = aml_open_resources(a);
	aml_memory(a, LAYOUT_ECAM_BASE, LAYOUT_ECAM_SIZE);
	aml_close_resources(a, crs);
	aml_close(a, device);
}

/* \_S5: what to write into SLP_TYP to power off. The devices that Linux's PNP layer looks for. */
static int put_dsdt(struct area *area, uint64_t *gpa)
{
	uint8_t table[DSDT_MAX] = { 0 };
	struct aml a = { .buf = table, .cap = sizeof(table), .len = HEADER_BYTES };
	size_t term;

	aml_name(&a, "_S5_");
	term = aml_open_package(&a, 4);
	aml_integer(&a, LAYOUT_SLP_TYP_S5);
	aml_integer(&a, LAYOUT_SLP_TYP_S5);
	aml_integer(&a, 0);
	aml_integer(&a, 0);
	aml_close(&a, term);
	term = aml_open_scope(&a, "_SB_");
	describe_device(&a, "COM1", "PNP0501", 1, LAYOUT_COM1, 8, LAYOUT_COM1_IRQ);
	describe_device(&a, "COM2", "PNP0501", 2, LAYOUT_COM2, 8, LAYOUT_COM2_IRQ);
	describe_device(&a, "COM3", "PNP0501", 3, LAYOUT_COM3, 8, LAYOUT_COM1_IRQ);
	describe_device(&a, "COM4", "PNP0501", 4, LAYOUT_COM4, 8, LAYOUT_COM2_IRQ);
	describe_device(&a, "RTC_", "PNP0B00", 0, 0x70, 2, LAYOUT_RTC_IRQ);
	describe_pvpanic(&a);
	if (area->m->ps2)
		describe_ps2(&a);
	if (area->m->pci)
		describe_pci(&a, area->m);
	aml_close(&a, term);
	if (a.overflow)
		return -ENOSPC;
	return put_table(area, table, a.len, "DSDT", 2, gpa);
}

/* Firmware ACPI control structure (5.2.10): aligned to 64 bytes, no checksum. */
static int put_facs(struct area *a, uint64_t *gpa)
{
	uint8_t table[FACS_BYTES] = { 'F', 'A', 'C', 'S', FACS_BYTES }, *to;
	int err = take_room(a, sizeof(table), 64, &to, gpa);

	table[32] = 2; /* version */
	if (!err)
		memcpy(to, table, sizeof(table));
	return err;
}

enum fadt_flags {
	FADT_WBINVD = 1 << 0,
	FADT_PROC_C1 = 1 << 2,
	/* PWR_BUTTON (bit 4) is clear: the power button is a fixed feature, in PM1 */
	FADT_SLP_BUTTON = 1 << 5, /* no sleep button in PM1 */
	FADT_FIX_RTC = 1 << 6,	  /* no RTC wake-up in PM1 */
	/* TMR_VAL_EXT (bit 8) is clear: the PM timer has 24 bits */
	FADT_RESET_REG_SUP = 1 << 10,
	FADT_HEADLESS = 1 << 12,
};

/*
 * IA-PC boot architecture flags (5.2.9.3). An 8042 without a keyboard behind it is not announced
 * although it answers: looking for one means polling loops with time-outs in every guest.
 */
enum boot_arch { ARCH_LEGACY_DEVICES = 1 << 0, ARCH_8042 = 1 << 1, ARCH_NO_VGA = 1 << 2, ARCH_NO_ASPM = 1 << 4 };

static void fill_fadt_registers(uint8_t *t)
{
	boot_set32(t + 56, LAYOUT_PM1_EVT);
	boot_set32(t + 64, LAYOUT_PM1_CNT);
	boot_set32(t + 76, LAYOUT_PM_TIMER);
	t[88] = 4; /* PM1_EVT_LEN */
	t[89] = 2; /* PM1_CNT_LEN */
	t[91] = 4; /* PM_TMR_LEN */
	set_gas(t + 116, GAS_IO, 8, 1, LAYOUT_RESET_PORT);
	t[128] = LAYOUT_RESET_VALUE;
	set_gas(t + 148, GAS_IO, 32, 2, LAYOUT_PM1_EVT);
	set_gas(t + 172, GAS_IO, 16, 2, LAYOUT_PM1_CNT);
	set_gas(t + 208, GAS_IO, 32, 3, LAYOUT_PM_TIMER);
}

/*
 * Fixed ACPI description table (5.2.9), revision 6.4. SMI_CMD is 0: there is no system management mode, the
 * machine is in ACPI mode from the start, and SCI_EN reads 1. The clock keeps the
 * century where PCs do.
 */
static int put_fadt(struct area *a, uint64_t facs, uint64_t dsdt, uint64_t *gpa)
{
	uint8_t t[FADT_BYTES] = { 0 };
	int err;

	boot_set32(t + 36, (uint32_t)facs);
	boot_set32(t + 40, (uint32_t)dsdt);
	boot_set16(t + 46, LAYOUT_SCI_IRQ);
	fill_fadt_registers(t);
	boot_set16(t + 96, 101);  /* P_LVL2_LAT: above 100 us = no C2 */
	boot_set16(t + 98, 1001); /* P_LVL3_LAT: above 1000 us = no C3 */
	boot_set16(t + 109, ARCH_LEGACY_DEVICES | (a->m->ps2 ? ARCH_8042 : 0) | ARCH_NO_VGA | ARCH_NO_ASPM);
	boot_set32(t + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_SLP_BUTTON | FADT_FIX_RTC | FADT_RESET_REG_SUP | FADT_HEADLESS);
	t[108] = 0x32; /* CENTURY: index in the clock's memory */
	t[131] = 4;    /* minor version */
	/* The 32-bit FIRMWARE_CTRL is set, so X_FIRMWARE_CTRL must be 0 (5.2.9); X_DSDT takes precedence over
	 * DSDT. */
	boot_set64(t + 140, dsdt);
	memcpy(t + 268, "BULKHEAD", 8);
	err = put_table(a, t, sizeof(t), "FACP", 6, gpa);
	if (!err)
		err = note_pointer(a, *gpa, 36, 4);
	if (!err)
		err = note_pointer(a, *gpa, 40, 4);
	return err ? err : note_pointer(a, *gpa, 140, 8);
}

enum { INTI_ACTIVE_HIGH = 1, INTI_EDGE = 1 << 2, INTI_LEVEL = 3 << 2 };

static uint8_t *add_override(uint8_t *p, uint8_t irq, uint32_t gsi, uint16_t flags)
{
	p[0] = 2;
	p[1] = MADT_OVERRIDE;
	p[3] = irq;
	boot_set32(p + 4, gsi);
	boot_set16(p + 8, flags);
	return p + MADT_OVERRIDE;
}

/* Multiple APIC description table (5.2.12): IRQs are wired to the pin of the same number but for the two
 * overrides. */
static int put_madt(struct area *a, uint64_t *gpa)
{
	uint8_t t[MADT_MAX] = { 0 };
	uint8_t *p = t + MADT_FIXED;

	boot_set32(t + 36, LAYOUT_LAPIC_BASE);
	boot_set32(t + 40, 1); /* PCAT_COMPAT: there is a pair of 8259s, too */
	for (unsigned i = 0; i < a->m->vcpus; i++, p += MADT_LAPIC) {
		p[1] = MADT_LAPIC;
		p[2] = (uint8_t)i;
		p[3] = (uint8_t)topology_apic_id(&a->m->topology, i);
		p[4] = 1; /* enabled */
	}
	p[0] = 1;
	p[1] = MADT_IOAPIC;
	p[2] = LAYOUT_IOAPIC_ID;
	boot_set32(p + 4, LAYOUT_IOAPIC_BASE);
	p = add_override(p + MADT_IOAPIC, LAYOUT_PIT_IRQ, LAYOUT_PIT_PIN, INTI_ACTIVE_HIGH | INTI_EDGE);
	p = add_override(p, LAYOUT_SCI_IRQ, LAYOUT_SCI_IRQ, INTI_ACTIVE_HIGH | INTI_LEVEL);
	for (uint8_t i = 0; a->m->pci && i < LAYOUT_PCI_LINES; i++)
		p = add_override(p, LAYOUT_PCI_LINE + i, LAYOUT_PCI_LINE + i, INTI_ACTIVE_HIGH | INTI_LEVEL);
	p[0] = 4;
	p[1] = MADT_NMI;
	p[2] = 0xff; /* all processors */
	p[5] = 1;    /* LINT1 */
	p += MADT_NMI;
	return put_table(a, t, (size_t)(p - t), "APIC", 5, gpa);
}

/*
 * IA-PC HPET 1.0a, 3.2.4: the block id is the low half of the capability register: Intel's vendor id, legacy
 * replacement, 64-bit counter, three comparators, revision 1.
 */
static int put_hpet(struct area *a, uint64_t *gpa)
{
	uint8_t t[HPET_BYTES] = { 0 };

	boot_set32(t + 36, 0x8086a201);
	set_gas(t + 40, GAS_MEMORY, 64, 0, LAYOUT_HPET_BASE);
	boot_set16(t + 53, 0x80); /* shortest period that loses no tick, in counter ticks */
	return put_table(a, t, sizeof(t), "HPET", 1, gpa);
}

/* PCI Firmware 3.2, table 4-2 and 4-3: ECAM of segment 0, bus 0. */
static int put_mcfg(struct area *a, uint64_t *gpa)
{
	uint8_t t[MCFG_BYTES] = { 0 };

	boot_set64(t + 44, LAYOUT_ECAM_BASE);
	return put_table(a, t, sizeof(t), "MCFG", 1, gpa);
}

static void make_rsdp(uint64_t xsdt, uint8_t p[ACPI_RSDP_BYTES])
{
	memset(p, 0, ACPI_RSDP_BYTES);
	memcpy(p, "RSD PTR ", 8);
	memcpy(p + 9, "BLKHD ", 6);
	p[15] = 2;
	boot_set32(p + 20, ACPI_RSDP_BYTES);
	boot_set64(p + 24, xsdt);
	p[8] = acpi_checksum(p, ACPI_RSDP_SUM1);
	p[32] = acpi_checksum(p, ACPI_RSDP_BYTES);
}

static int put_xsdt(struct area *a, const uint64_t *tables, unsigned count)
{
	uint8_t xsdt[HEADER_BYTES + XSDT_TABLES * 8] = { 0 };
	uint64_t gpa;
	int err;

	for (unsigned i = 0; i < count; i++)
		boot_set64(xsdt + HEADER_BYTES + 8 * i, tables[i]);
	err = put_table(a, xsdt, HEADER_BYTES + 8 * count, "XSDT", 1, &gpa);
	for (unsigned i = 0; i < count && !err; i++)
		err = note_pointer(a, gpa, HEADER_BYTES + 8 * i, 8);
	if (!err)
		make_rsdp(gpa, a->out->rsdp);
	return err;
}

int acpi_make(const struct acpi_machine *m, struct acpi_tables *out)
{
	struct area a = { .m = m, .out = out };
	uint64_t facs = 0, dsdt = 0, tables[XSDT_TABLES] = { 0 };
	unsigned count = 0;
	int err;

	memset(out, 0, sizeof(*out));
	err = put_facs(&a, &facs);
	if (!err)
		err = put_dsdt(&a, &dsdt);
	if (!err)
		err = put_fadt(&a, facs, dsdt, &tables[count++]);
	if (!err)
		err = put_madt(&a, &tables[count++]);
	if (!err)
		err = put_hpet(&a, &tables[count++]);
	if (!err && m->pci)
		err = put_mcfg(&a, &tables[count++]);
	return err ? err : put_xsdt(&a, tables, count);
}
