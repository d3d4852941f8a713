/* SPDX-License-Identifier: MIT */
/* Firmware tables: structure by ACPI 6.4 and MP 1.4, and the opinion of ACPICA's own compiler and
 * disassembler. */
#include "boot_images.h"
#include "proto/layout.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VCPUS = 3 };

static struct guest boot_with(bool pci, bool ps2)
{
	struct guest g;

	guest_init(&g, image_new(16), 16 * MIB);
	g.rq.format = BOOT_FLAT64;
	g.rq.vcpus = VCPUS;
	g.rq.pci = pci;
	g.rq.ps2 = ps2;
	cr_assert_eq(guest_load(&g), 0, "%s", g.rs.error);
	return g;
}

static struct guest boot_pci(bool pci)
{
	return boot_with(pci, false);
}

static struct guest boot(void)
{
	return boot_pci(false);
}

static unsigned sum(const uint8_t *p, size_t len)
{
	unsigned s = 0;

	while (len--)
		s += *p++;
	return s & 0xff;
}

/* ACPI 6.4, 5.2.5.1: on a 16-byte boundary between 0xe0000 and 0xfffff. */
static const uint8_t *find(struct guest *g, const char *mark, size_t len, uint64_t from)
{
	for (uint64_t at = from; at < 0x100000; at += 16)
		if (memcmp(guest_at(g, at), mark, len) == 0)
			return guest_at(g, at);
	cr_assert_fail("%s not found", mark);
	return NULL;
}

static const uint8_t *table(struct guest *g, const char *signature)
{
	const uint8_t *rsdp = find(g, "RSD PTR ", 8, 0xe0000);
	const uint8_t *xsdt = guest_at(g, get64(rsdp + 24));

	for (unsigned i = 36; i < get32(xsdt + 4); i += 8) {
		const uint8_t *t = guest_at(g, get64(xsdt + i));

		if (memcmp(t, signature, 4) == 0)
			return t;
	}
	cr_assert_fail("no %s", signature);
	return NULL;
}

Test(acpi, checksums_and_placement)
{
	static const char *const names[] = { "FACP", "APIC", "HPET" };
	struct guest g = boot();
	const uint8_t *rsdp = find(&g, "RSD PTR ", 8, 0xe0000);
	const uint8_t *xsdt = guest_at(&g, get64(rsdp + 24));

	cr_expect_eq(rsdp[15], 2, "revision: ACPI 2.0 and later");
	cr_expect_eq(sum(rsdp, 20), 0);
	cr_expect_eq(sum(rsdp, 36), 0, "extended checksum");
	cr_expect_eq(sum(xsdt, get32(xsdt + 4)), 0);
	for (unsigned i = 0; i < 3; i++) {
		const uint8_t *t = table(&g, names[i]);

		cr_expect_eq(sum(t, get32(t + 4)), 0, "%s", names[i]);
		cr_expect_lt(t - g.rq.ram.low, 0x100000);
	}
}

/* 5.2.9, table 5.9 */
Test(acpi, fadt)
{
	struct guest g = boot();
	const uint8_t *t = table(&g, "FACP"), *dsdt, *facs;

	cr_expect_eq(get32(t + 4), 276);
	cr_expect_eq(t[8], 6);
	facs = guest_at(&g, get32(t + 36));
	cr_expect_eq(memcmp(facs, "FACS", 4), 0);
	cr_expect_eq((facs - g.rq.ram.low) % 64, 0, "5.2.10: aligned to 64 bytes");
	cr_expect_eq(get32(t + 40), get64(t + 140), "DSDT and X_DSDT");
	dsdt = guest_at(&g, get32(t + 40));
	cr_expect_eq(memcmp(dsdt, "DSDT", 4), 0);
	cr_expect_eq(sum(dsdt, get32(dsdt + 4)), 0);
	cr_expect_eq(get16(t + 46), LAYOUT_SCI_IRQ);
	cr_expect_eq(get32(t + 48), 0, "SMI_CMD 0: no transition, always in ACPI mode");
	cr_expect_eq(t[108], 0x32, "CENTURY, as the clock has it");
	cr_expect_eq(get32(t + 56), LAYOUT_PM1_EVT);
	cr_expect_eq(get64(t + 148 + 4), LAYOUT_PM1_EVT);
	cr_expect_eq(get64(t + 172 + 4), LAYOUT_PM1_CNT);
	cr_expect_eq(get64(t + 208 + 4), LAYOUT_PM_TIMER);
	cr_expect_eq(t[149], 8 * t[88], "X_PM1a_EVT_BLK: width in bits, PM1_EVT_LEN in bytes");
	cr_expect_eq(t[173], 8 * t[89]);
	cr_expect(get32(t + 112) & 1 << 10, "RESET_REG_SUP");
	cr_expect_eq(t[116], 1, "reset register in I/O space");
	cr_expect_eq(get64(t + 120), LAYOUT_RESET_PORT);
	cr_expect_eq(t[128], LAYOUT_RESET_VALUE);
	cr_expect_eq(get32(t + 112) & 1 << 4, 0, "power button: fixed feature");
	cr_expect_eq(get32(t + 112) & 1 << 8, 0, "PM timer: 24 bits");
	cr_expect_eq(get16(t + 109) & (1 << 1 | 1 << 2 | 1 << 3 | 1 << 5), 1 << 2, "no 8042, no VGA; MSI and CMOS clock present");
}

/* 5.2.9.3: bit 1 of the boot architecture flags is 8042. Linux does not look for a keyboard without it. */
Test(acpi, keyboard_controller)
{
	struct guest g = boot_with(false, true);
	const uint8_t *fadt = table(&g, "FACP");

	cr_expect(get16(fadt + 109) & 1 << 1);
}

/* 5.2.12: what it lists must be what layout.h wires. */
Test(acpi, madt)
{
	struct guest g = boot();
	const uint8_t *t = table(&g, "APIC");
	unsigned lapics = 0, ioapics = 0, overrides = 0, nmis = 0;

	cr_expect_eq(get32(t + 36), LAYOUT_LAPIC_BASE);
	cr_expect_eq(get32(t + 40), 1, "PCAT_COMPAT");
	for (const uint8_t *e = t + 44; e < t + get32(t + 4); e += e[1]) {
		cr_assert_neq(e[1], 0);
		switch (e[0]) {
		case 0:
			cr_expect_eq(e[3], lapics++);
			cr_expect_eq(get32(e + 4), 1);
			break;
		case 1:
			ioapics++;
			cr_expect_eq(get32(e + 4), LAYOUT_IOAPIC_BASE);
			cr_expect_eq(get32(e + 8), 0, "GSI base");
			break;
		case 2:
			overrides++;
			cr_expect_eq(get32(e + 4), e[3] == 0 ? 2 : 9);
			/* table 5.26: polarity 1 = active high; trigger 1 = edge, 3 = level */
			cr_expect_eq(get16(e + 8), e[3] == 0 ? 0x5 : 0xd);
			break;
		case 4:
			nmis++;
			cr_expect_eq(e[2], 0xff);
			cr_expect_eq(e[5], 1, "LINT1");
			break;
		default:
			cr_expect_fail("entry type %u", e[0]);
		}
	}
	cr_expect_eq(lapics, VCPUS);
	cr_expect_eq(ioapics, 1);
	cr_expect_eq(overrides, 2);
	cr_expect_eq(nmis, 1);
}

/* MP 1.4, 4.1 and 4.2 */
Test(mp, consistent_with_the_madt)
{
	struct guest g = boot();
	const uint8_t *f = find(&g, "_MP_", 4, 0xf0000), *t = guest_at(&g, get32(f + 4)), *e = t + 44;
	unsigned count[5] = { 0 };

	cr_expect_eq(sum(f, 16), 0);
	cr_expect_eq(memcmp(t, "PCMP", 4), 0);
	cr_expect_eq(sum(t, get16(t + 4)), 0);
	cr_expect_eq(get32(t + 36), LAYOUT_LAPIC_BASE);
	for (unsigned i = 0; i < get16(t + 34); i++) {
		cr_assert_leq(e[0], 4);
		cr_expect_geq(e[0], i == 0 ? 0 : e[0] == 0 ? 0 : 1, "ordered by type");
		count[e[0]]++;
		if (e[0] == 3 && e[5] == 0)
			cr_expect_eq(e[7], LAYOUT_PIT_PIN);
		if (e[0] == 3 && e[5] == LAYOUT_SCI_IRQ)
			cr_expect_eq(get16(e + 2), 0xd, "level, active high");
		e += e[0] == 0 ? 20 : 8;
	}
	cr_expect_eq(e - t, get16(t + 4));
	cr_expect_eq(count[0], VCPUS);
	cr_expect_eq(count[1], 1);
	cr_expect_eq(count[2], 1);
	cr_expect_eq(count[3], 15);
	cr_expect_eq(count[4], 2);
}

/* MP 1.4, 4.3.2 and D.3: PCI's bus id is its bus number; an interrupt's source is device << 2 | pin. */
Test(mp, pci)
{
	struct guest g = boot_pci(true);
	const uint8_t *f = find(&g, "_MP_", 4, 0xf0000), *t = guest_at(&g, get32(f + 4)), *e = t + 44;
	unsigned isa = 0, pci = 0, buses = 0;

	cr_expect_eq(sum(t, get16(t + 4)), 0);
	for (unsigned i = 0; i < get16(t + 34); i++, e += e[0] == 0 ? 20 : 8) {
		if (e[0] == 1)
			cr_expect_eq(memcmp(e + 2, e[1] == 0 ? "PCI   " : "ISA   ", 6), 0, "bus %u", e[1]);
		buses += e[0] == 1;
		isa += e[0] == 3 && e[4] == 1;
		if (e[0] != 3 || e[4] != 0)
			continue;
		pci++;
		cr_expect_eq(get16(e + 2), 0xd, "level, active high");
		cr_expect_eq(e[5] & 3, 0, "INTA#");
		cr_expect_eq(e[7], LAYOUT_PCI_LINE_OF(e[5] >> 2));
	}
	cr_expect_eq(e - t, get16(t + 4));
	cr_expect_eq(buses, 2);
	cr_expect_eq(isa, 15);
	cr_expect_gt(pci, 0);
}

/* PCI Firmware 3.2, 4.1.2: one segment, bus 0, and the memory reserved in E820. */
Test(acpi, mcfg)
{
	struct guest g = boot_pci(true);
	const uint8_t *t = table(&g, "MCFG");

	cr_expect_eq(sum(t, get32(t + 4)), 0);
	cr_expect_eq(get32(t + 4), 44 + 16);
	cr_expect_eq(get64(t + 44), LAYOUT_ECAM_BASE);
	cr_expect_eq(get16(t + 52), 0, "segment");
	cr_expect_eq(t[54], 0, "first bus");
	cr_expect_eq(t[55], 0, "last bus");
}

static void save(const char *dir, const char *name, const uint8_t *t)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "wb");
	cr_assert_not_null(f);
	fwrite(t, 1, get32(t + 4), f);
	fclose(f);
}

/* iasl reports through its exit status and in words; both must be silent. */
static void run_iasl(const char *dir, const char *args)
{
	char command[256], line[512];
	FILE *p;

	snprintf(command, sizeof(command), "cd %s && iasl %s 2>&1", dir, args);
	p = popen(command, "r");
	cr_assert_not_null(p);
	while (fgets(line, sizeof(line), p) != NULL) {
		cr_expect(strstr(line, "rror") == NULL || strstr(line, "0 Errors, 0 Warnings") != NULL, "iasl %s: %s", args,
			  line);
		cr_expect(strstr(line, "arning") == NULL || strstr(line, "0 Warnings") != NULL, "iasl %s: %s", args, line);
	}
	cr_expect_eq(pclose(p), 0, "iasl %s", args);
}

static void expect_in_file(const char *dir, const char *name, const char *text)
{
	static char all[65536];
	char path[128];
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	n = fread(all, 1, sizeof(all) - 1, f);
	all[n] = 0;
	fclose(f);
	cr_expect(strstr(all, text) != NULL, "'%s' in %s", text, name);
}

Test(acpi, iasl_agrees)
{
	char dir[] = "/tmp/bulkhead-acpi-XXXXXX", command[64];
	static const char *const names[] = { "FACP", "APIC", "HPET", "MCFG" };
	struct guest g = boot_with(true, true);
	const uint8_t *fadt = table(&g, "FACP"), *rsdp = find(&g, "RSD PTR ", 8, 0xe0000);

	if (system("iasl -v >/dev/null 2>&1") != 0)
		cr_skip_test("iasl is not installed (acpica-tools)");
	cr_assert_not_null(mkdtemp(dir));
	for (unsigned i = 0; i < 4; i++)
		save(dir, names[i], table(&g, names[i]));
	save(dir, "DSDT", guest_at(&g, get64(fadt + 140)));
	save(dir, "FACS", guest_at(&g, get32(fadt + 36)));
	save(dir, "XSDT", guest_at(&g, get64(rsdp + 24)));
	run_iasl(dir, "-d *.aml");
	run_iasl(dir, "-p again DSDT.dsl");
	expect_in_file(dir, "DSDT.dsl", "EisaId (\"PNP0501\")");
	expect_in_file(dir, "DSDT.dsl", "0x03F8,             // Range Minimum");
	expect_in_file(dir, "DSDT.dsl", "EisaId (\"PNP0A03\")");
	expect_in_file(dir, "DSDT.dsl", "EisaId (\"PNP0303\")");
	expect_in_file(dir, "DSDT.dsl", "0x0064,             // Range Minimum");
	expect_in_file(dir, "DSDT.dsl", "EisaId (\"PNP0F13\")");
	expect_in_file(dir, "DSDT.dsl", "Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, ,, )");
	expect_in_file(dir, "DSDT.dsl", "0xC0000000,         // Range Minimum");
	expect_in_file(dir, "DSDT.dsl", "0xDFFFFFFF,         // Range Maximum");
	expect_in_file(dir, "DSDT.dsl", "Name (_S5, Package (0x04)");
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_expect_eq(system(command), 0);
}
