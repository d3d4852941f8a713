/* SPDX-License-Identifier: MIT */
/*
 * MP configuration table (Intel MultiProcessor Specification 1.4, chapter 4), for guests without ACPI. It
 * says the same as the MADT in acpi.c.
 */
#include "acpi.h"
#include "loader.h"

#include "../proto/layout.h"

#include <string.h>

enum { FLOATING_BYTES = 16, HEADER_BYTES = 44, PROCESSOR_BYTES = 20, ENTRY_BYTES = 8, ISA_IRQS = 16 };
enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum { INT_INT = 0, INT_NMI = 1, INT_EXTINT = 3 };
enum { ACTIVE_HIGH = 1, LEVEL = 3 << 2 };
enum { TABLE_MAX = HEADER_BYTES + TOPOLOGY_MAX_CPUS * PROCESSOR_BYTES + (3 + ISA_IRQS + ACPI_PCI_DEVICES + 2) * ENTRY_BYTES };

struct table {
	uint8_t buf[TABLE_MAX];
	size_t len;
	uint16_t entries;
	bool has_pci; /* its bus is number 0, as PCI calls it, and ISA is 1 */
};

static uint8_t checksum(const uint8_t *p, size_t len)
{
	unsigned sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += p[i];
	return (uint8_t)(0u - sum);
}

static uint8_t *add(struct table *t, uint8_t type)
{
	uint8_t *p = t->buf + t->len;

	p[0] = type;
	t->len += type == ENTRY_PROCESSOR ? PROCESSOR_BYTES : ENTRY_BYTES;
	t->entries++;
	return p;
}

/* 4.3.1. Signature and features: a Pentium-class part with FPU, CX8, APIC; guests ask CPUID for the truth. */
static void add_processors(struct table *t, const struct cpu_topology *topology)
{
	for (unsigned i = 0; i < topology_cpus(topology); i++) {
		uint8_t *p = add(t, ENTRY_PROCESSOR);

		p[1] = (uint8_t)topology_apic_id(topology, i);
		p[2] = 0x14;			     /* local APIC version */
		p[3] = (uint8_t)(1 | (i == 0) << 1); /* usable, boot processor */
		boot_set32(p + 4, 0x600);
		boot_set32(p + 8, 0x301);
	}
}

static void add_line(struct table *t, uint8_t entry, uint8_t kind, uint16_t flags, bool is_pci, uint8_t irq, uint8_t to,
		     uint8_t pin)
{
	uint8_t *p = add(t, entry);

	p[1] = kind;
	boot_set16(p + 2, flags);
	p[4] = t->has_pci && !is_pci;
	p[5] = irq;
	p[6] = to;
	p[7] = pin;
}

static void add_interrupt(struct table *t, uint8_t entry, uint8_t kind, uint16_t flags, uint8_t irq, uint8_t to, uint8_t pin)
{
	add_line(t, entry, kind, flags, false, irq, to, pin);
}

/* Appendix D.3: bits 6..2 of the interrupt are the device, bits 1..0 its pin. */
static void add_pci_interrupts(struct table *t)
{
	for (uint8_t device = 1; t->has_pci && device <= ACPI_PCI_DEVICES; device++)
		add_line(t, ENTRY_INTERRUPT, INT_INT, ACTIVE_HIGH | LEVEL, true, (uint8_t)(device << 2), LAYOUT_IOAPIC_ID,
			 LAYOUT_PCI_LINE_OF(device));
}

/* Pin 2 takes IRQ 0; IRQ 2 is the cascade and has no pin. "Conforms to the bus" (0) means edge, active high
 * on ISA. */
static void add_isa_interrupts(struct table *t)
{
	for (uint8_t irq = 0; irq < ISA_IRQS; irq++) {
		uint8_t pin = irq == LAYOUT_PIT_IRQ ? LAYOUT_PIT_PIN : irq;

		if (irq == 2)
			continue;
		add_interrupt(t, ENTRY_INTERRUPT, INT_INT, irq == LAYOUT_SCI_IRQ ? ACTIVE_HIGH | LEVEL : 0, irq, LAYOUT_IOAPIC_ID,
			      pin);
	}
}

static void add_bus_and_ioapic(struct table *t)
{
	uint8_t *p = add(t, ENTRY_BUS);

	memcpy(p + 2, t->has_pci ? "PCI   " : "ISA   ", 6);
	if (t->has_pci) {
		p = add(t, ENTRY_BUS);
		p[1] = 1;
		memcpy(p + 2, "ISA   ", 6);
	}
	p = add(t, ENTRY_IOAPIC);
	p[1] = LAYOUT_IOAPIC_ID;
	p[2] = 0x11; /* version register of an 82093AA */
	p[3] = 1;    /* usable */
	boot_set32(p + 4, LAYOUT_IOAPIC_BASE);
}

static void finish_header(struct table *t)
{
	uint8_t *h = t->buf;

	memcpy(h, "PCMP", 4);
	boot_set16(h + 4, (uint16_t)t->len);
	h[6] = 4; /* specification 1.4 */
	memcpy(h + 8, "BULKHEADMACHINE     ", 20);
	boot_set16(h + 34, t->entries);
	boot_set32(h + 36, LAYOUT_LAPIC_BASE);
	h[7] = checksum(h, t->len);
}

int boot_put_mptable(struct loader *l)
{
	uint8_t floating[FLOATING_BYTES] = "_MP_";
	struct table t = { .len = HEADER_BYTES, .has_pci = l->rq->pci };
	int err;

	add_processors(&t, &l->topology);
	add_bus_and_ioapic(&t);
	add_isa_interrupts(&t);
	add_pci_interrupts(&t);
	add_interrupt(&t, ENTRY_LOCAL, INT_EXTINT, 0, 0, 0xff, 0); /* 8259 at LINT0 of all */
	add_interrupt(&t, ENTRY_LOCAL, INT_NMI, 0, 0, 0xff, 1);
	finish_header(&t);
	boot_set32(floating + 4, BOOT_MP + FLOATING_BYTES);
	floating[8] = 1; /* length in 16-byte units */
	floating[9] = 4;
	floating[10] = checksum(floating, sizeof(floating));
	err = boot_put(l, BOOT_MP, floating, sizeof(floating));
	if (err == 0)
		err = boot_put(l, BOOT_MP + FLOATING_BYTES, t.buf, t.len);
	return err;
}
