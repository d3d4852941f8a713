/* SPDX-License-Identifier: MIT */
/* Writing AML, the byte code of ACPI (ACPI 6.4, chapter 20), as far as a table of fixed devices needs it. */
#ifndef BULKHEAD_BOOT_AML_H
#define BULKHEAD_BOOT_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes go to `buf`; past its end nothing is written and `overflow` is set. */
struct aml {
	uint8_t *buf;
	size_t cap, len;
	bool overflow;
};

/* Terms with a length: everything between open and close belongs to them. `open` returns the mark for
 * `close`. */
size_t aml_open_scope(struct aml *a, const char *path); /* root-relative, four characters: "_SB_" */
size_t aml_open_device(struct aml *a, const char *name);
size_t aml_open_package(struct aml *a, uint8_t elements);
size_t aml_open_resources(struct aml *a); /* Buffer for a _CRS */
void aml_close(struct aml *a, size_t mark);
void aml_close_resources(struct aml *a, size_t mark);

void aml_name(struct aml *a, const char *name); /* Name (XXXX, <the next term>) */
void aml_integer(struct aml *a, uint32_t value);
void aml_eisa_id(struct aml *a, const char *id); /* "PNP0501" */
void aml_string(struct aml *a, const char *text);
/* Resource descriptors (ACPI 6.4, 6.4.2): fixed I/O ports, ISA interrupt lines. */
void aml_io(struct aml *a, uint16_t port, uint8_t len);
void aml_irq(struct aml *a, unsigned irq);
/* Those of 6.4.3, large: what a host bridge passes on (bus numbers and memory), memory that is taken, a shared interrupt that is
 * level-triggered and active high. */
void aml_buses(struct aml *a, uint16_t first, uint16_t last);
void aml_window(struct aml *a, uint32_t base, uint32_t len);
void aml_memory(struct aml *a, uint32_t base, uint32_t len);
void aml_pci_irq(struct aml *a, uint32_t gsi);
/* The name of an object, as a term. */
void aml_reference(struct aml *a, const char *name);
/* A method with so many arguments that does nothing. */
void aml_empty_method(struct aml *a, const char *name, uint8_t args);

#endif
