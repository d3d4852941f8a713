/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables (ACPI 6.4, chapter 5) of a machine, as bytes: a pure function of what the machine is. Who starts a kernel itself
 * puts them where they say that they are; firmware is told which places hold addresses and moves them.
 */
#ifndef BULKHEAD_BOOT_ACPI_H
#define BULKHEAD_BOOT_ACPI_H

#include "../proto/topology.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ACPI_BYTES_MAX = 8192, ACPI_POINTERS = 12, ACPI_SUMS = 8 };
enum { ACPI_RSDP_BYTES = 36, ACPI_RSDP_SUM1 = 20 };
/* Device numbers of the PCI bus for whose interrupts there are routes; 0 is the host bridge. */
enum { ACPI_PCI_DEVICES = 8 };

struct acpi_machine {
	struct cpu_topology topology;
	unsigned vcpus;
	bool pci, ps2;
	uint32_t low_window; /* firmware assigns BARs: they may be from here on; 0: they are where layout.h has them */
	uint64_t base;	     /* guest-physical address of the first table, a multiple of 64 */
};

/* At `offset` there are `size` bytes of an address within the tables. */
struct acpi_pointer {
	uint32_t offset;
	uint8_t size;
};
/* A table, whose checksum is at its byte 9. */
struct acpi_sum {
	uint32_t offset, len;
};

struct acpi_tables {
	uint8_t bytes[ACPI_BYTES_MAX];
	size_t len;
	uint8_t rsdp[ACPI_RSDP_BYTES]; /* names the XSDT, at its byte 24 */
	unsigned pointers, sums;
	struct acpi_pointer pointer[ACPI_POINTERS];
	struct acpi_sum sum[ACPI_SUMS];
};

/* 0, or -ENOSPC: they are too large. */
int acpi_make(const struct acpi_machine *m, struct acpi_tables *out);

/* What makes the sum of these bytes zero, where there is a zero now. */
uint8_t acpi_checksum(const uint8_t *p, size_t len);

#endif
