/* SPDX-License-Identifier: MIT */
/*
 * What the format loaders share: the request at work, guest memory with every access checked, and the places
 *that the loader keeps for its own structures.
 *
 * Guest-physical map as the loader leaves it (all in RAM; the guest may reuse it once it has read what it
 *wants):
 *
 *	0x00000 - 0x00fff  BIOS data area: equipment, EBDA segment, serial ports (not for flat16: the image
 *lies there) 0x01000 - 0x7ffff  free; images that want low memory go here 0x80000 - 0x9fbff  boot
 *information, descriptor tables, command line, page tables (below) 0x9fc00 - 0x9ffff  EBDA 0xe0000 - 0xeffff
 *ACPI: RSDP, XSDT, FACS, DSDT, FADT, MADT, HPET 0xf0000 - 0xfffff  MP floating pointer and configuration
 *table 1 MiB   - ...      kernel; initrd as high as the format allows
 */
#ifndef BULKHEAD_BOOT_LOADER_H
#define BULKHEAD_BOOT_LOADER_H

#include "boot.h"
#include "bytes.h"

enum {
	BOOT_SCRATCH = 0x80000,
	BOOT_INFO = 0x80000,	/* zero page, hvm_start_info or Multiboot information */
	BOOT_TABLES = 0x81000,	/* GDT, TSS */
	BOOT_EXTRA = 0x82000,	/* what the boot information points to: memory maps, modules, setup_data */
	BOOT_CMDLINE = 0x83000, /* two pages */
	BOOT_CMDLINE_MAX = 0x2000,
	BOOT_PML4 = 0x85000,
	BOOT_PDPT = 0x86000,
	BOOT_PD = 0x87000, /* one page for each GiB mapped */
	BOOT_PD_MAX = 24,
	BOOT_EBDA = 0x9fc00,
	BOOT_BIOS = 0xe0000,
	BOOT_ACPI_OFFSET = 64, /* of the tables, from there */
	BOOT_MP = 0xf0000,
	BOOT_BIOS_CODE = 0xfff00, /* to the end of the first MiB */
	BOOT_1MIB = 0x100000,
	BOOT_RAM_MIN = 0x100000,
	BOOT_PAGE = 0x1000,
};

struct loader {
	const struct boot_request *rq;
	struct cpu_topology topology; /* of rq, where it says any */
	struct boot_result *rs;
	size_t cmdline_len;
	uint64_t image_start,
		image_end;   /* lowest and highest guest-physical address that the kernel was given */
	unsigned initrds;
	uint64_t initrd_gpa[BOOT_INITRDS]; /* page-aligned, ascending */
	uint64_t rsdp_gpa;
};

/* Bytes of a file, or of what was unpacked from it. `label` opens every message about them. */
struct view {
	const uint8_t *data;
	size_t size;
	const char *label;
};

/* Keeps the sentence for the user and returns `err`. */
int boot_fail(struct loader *l, int err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* boot.c: true if the range ends inside `size` bytes, without overflow. */
bool boot_range_is_inside(uint64_t offset, uint64_t len, uint64_t size);

/* mem.c */
void *boot_ram_at(const struct boot_ram *ram, uint64_t gpa, uint64_t len); /* NULL unless all of it is RAM */
/*
 * Whether the kernel may have these bytes: -ENOMEM where there is no RAM, -ENOEXEC where it would overwrite what the loader
 * puts there and run with a zero page or page tables made of its own text.
 */
int boot_check_place(struct loader *l, uint64_t gpa, uint64_t len, const char *label);
/* The same, and takes them into account as part of the image. */
int boot_place(struct loader *l, uint64_t gpa, uint64_t len, const char *label, uint8_t **out);
void boot_copy(uint8_t *to, const uint8_t *from,
	       size_t len); /* a kernel's bytes to where boot_place() said */
int boot_put(struct loader *l, uint64_t gpa, const void *data, size_t len); /* loader's own structures */
int boot_put_cmdline(struct loader *l, size_t max);
/* Says that it is longer than `max`. -E2BIG. */
int boot_refuse_cmdline(struct loader *l, size_t max);
int boot_put_initrd(struct loader *l, uint64_t floor, uint64_t last_addr);
/* Of one whose place, initrd_gpa[n], has been chosen. */
int boot_fetch_initrd(struct loader *l, unsigned n);
/* The first byte of the initrds in memory, 0 if there are none, and the bytes from there to the end of the last. */
uint64_t boot_initrd_start(const struct loader *l);
uint64_t boot_initrd_bytes(const struct loader *l);
void boot_put_bios_data(struct loader *l);
/* bios.c: what answers at the interrupts of real mode and at the reset vector. `low`: the vector table, too. */
int boot_put_bios(struct loader *l, bool low);

enum e820_type { E820_RAM = 1, E820_RESERVED = 2 };

struct e820_entry {
	uint64_t addr, size;
	uint32_t type;
} __attribute__((packed));

enum { E820_ENTRIES_MAX = 10 };
unsigned boot_e820(const struct boot_request *rq, struct e820_entry map[E820_ENTRIES_MAX]);

/* entry.c: the state of vCPU 0. The tables that it refers to are written to guest memory. */
int boot_enter_real(struct loader *l, uint16_t ss, uint16_t sp);
int boot_enter_prot32(struct loader *l, uint32_t eip);
/* The same with the selectors that Multiboot kernels have come to expect from their loaders: CS 08, data 10. */
int boot_enter_multiboot(struct loader *l, uint32_t eip);
int boot_enter_long64(struct loader *l, uint64_t rip, uint64_t mapped_bytes);
/* As after a reset (SDM vol. 3, table 9-1): at FFFFFFF0, where the image of firmware has its first jump. */
void boot_enter_reset(struct loader *l);
/* The frame-port machine: 1 GiB mapped, SSE on, nothing of the loader's beside page tables and GDT. */
int boot_enter_frame(struct loader *l, uint64_t rip);

/* One file for each family of formats. */
bool boot_is_bzimage(const struct view *v);
int boot_load_bzimage(struct loader *l);
int boot_load_elf_linux(struct loader *l);
int boot_load_pvh(struct loader *l);
bool boot_is_multiboot(const struct view *v);
int boot_load_multiboot(struct loader *l);
int boot_load_flat16(struct loader *l);
int boot_load_flat64(struct loader *l);
int boot_load_frame(struct loader *l);
int boot_load_firmware(struct loader *l);

/*
 * linux.c: zero page, command line and entry state, once kernel and initrd are in place. `zero_page` comes
 * with the setup header in it and nothing else. `wide`: the entry is that of 64-bit code, else of 32-bit code.
 */
int boot_linux_finish(struct loader *l, uint8_t zero_page[BOOT_PAGE], uint64_t entry, bool wide);
bool boot_cmdline_has_word(const char *cmdline, const char *word);
bool boot_cmdline_has_prefix(const char *cmdline, const char *prefix);

/* mptable.c */
int boot_put_mptable(struct loader *l);

static inline struct view boot_kernel_view(const struct loader *l)
{
	return (struct view){ l->rq->kernel.data, l->rq->kernel.size, l->rq->kernel.name };
}

#endif
