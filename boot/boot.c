/* SPDX-License-Identifier: MIT */
/*
 * The loader's front: checks the request, finds out what the image is, prepares the tables that every guest
 * gets, and hands over to the format.
 */
#include "loader.h"

#include "acpi.h"
#include "elf.h"
#include "../proto/layout.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct format {
	const char *name;
	int (*load)(struct loader *l);
} formats[] = {
	[BOOT_AUTO] = {"auto", NULL},
	[BOOT_BZIMAGE] = {"bzimage", boot_load_bzimage},
	[BOOT_ELF_LINUX] = {"elf", boot_load_elf_linux},
	[BOOT_ELF_PVH] = {"pvh", boot_load_pvh},
	[BOOT_MULTIBOOT] = {"multiboot", boot_load_multiboot},
	[BOOT_FLAT16] = {"flat16", boot_load_flat16},
	[BOOT_FLAT64] = {"flat64", boot_load_flat64},
	[BOOT_FRAME] = {"frame", boot_load_frame},
	[BOOT_FIRMWARE] = {"firmware", boot_load_firmware},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

const char *boot_format_name(enum boot_format format)
{
	return (unsigned)format < FORMATS ? formats[format].name : "unknown";
}

int boot_format_parse(const char *name, enum boot_format *out)
{
	for (unsigned i = 0; i < FORMATS; i++) {
		if (strcmp(name, formats[i].name) == 0) {
			*out = (enum boot_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

int boot_fail(struct loader *l, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(l->rs->error, sizeof(l->rs->error), format, ap);
	va_end(ap);
	return err;
}

bool boot_range_is_inside(uint64_t offset, uint64_t len, uint64_t size)
{
	return offset <= size && len <= size - offset;
}

/*
 * An ELF file with the PVH note says itself how it wants to be entered, a Multiboot header likewise; a 64-bit
 * ELF without either can only be Linux. Flat images have no mark, and guessing would turn every mistaken file
 * name into a guest that crashes, so they have to be asked for.
 */
static int detect(struct loader *l, enum boot_format *out)
{
	const struct view v = boot_kernel_view(l);

	if (boot_is_bzimage(&v)) {
		*out = BOOT_BZIMAGE;
	} else if (boot_elf_has_pvh_note(&v)) {
		*out = BOOT_ELF_PVH;
	} else if (boot_is_multiboot(&v)) {
		*out = BOOT_MULTIBOOT;
	} else if (boot_is_elf64(&v)) {
		*out = BOOT_ELF_LINUX;
	} else if (boot_is_elf32(&v)) {
		return boot_fail(l, -ENOEXEC,
				 "%s: a 32-bit ELF file with neither a Multiboot header nor a PVH note: nothing says "
				 "how to enter it; --format elf if it is a Linux kernel",
				 v.label);
	} else {
		return boot_fail(l, -ENOEXEC,
				 "%s: not a kernel: no bzImage, ELF or Multiboot mark in it; a raw image needs "
				 "--format flat16 or --format flat64",
				 v.label);
	}
	return 0;
}

static int check_request(struct loader *l)
{
	const struct boot_request *rq = l->rq;

	if (rq->ram.low_size < BOOT_RAM_MIN)
		return boot_fail(l, -EINVAL, "memory: a guest needs at least 1 MiB");
	if (rq->ram.low_size > LAYOUT_RAM_LOW_MAX || rq->ram.high_size > LAYOUT_RAM_MAX)
		return boot_fail(l, -EINVAL, "memory: more than the machine's map has room for");
	if (rq->vcpus == 0 || rq->vcpus > TOPOLOGY_MAX_CPUS)
		return boot_fail(l, -EINVAL, "vcpus: %u, must be 1 to %d", rq->vcpus, TOPOLOGY_MAX_CPUS);
	l->topology = rq->topology.sockets ? rq->topology : topology_flat(rq->vcpus);
	if (!topology_is_valid(&l->topology) || topology_cpus(&l->topology) != rq->vcpus)
		return boot_fail(l, -EINVAL, "vcpus: %u, which sockets, cores and threads do not make", rq->vcpus);
	if ((unsigned)rq->format >= FORMATS)
		return boot_fail(l, -EINVAL, "format: %d is unknown", (int)rq->format);
	if (rq->kernel.size == 0)
		return boot_fail(l, -ENOEXEC, "%s: the file is empty", rq->kernel.name);
	return 0;
}

/* Where a guest that is not handed the RSDP's address looks for it, in memory that E820 reserves. */
static int put_acpi(struct loader *l)
{
	const struct acpi_machine m = { .topology = l->topology,
					.vcpus = l->rq->vcpus,
					.pci = l->rq->pci,
					.ps2 = l->rq->ps2,
					.base = BOOT_BIOS + BOOT_ACPI_OFFSET };
	static struct acpi_tables tables;
	int err = acpi_make(&m, &tables);

	_Static_assert(BOOT_ACPI_OFFSET + (int)ACPI_BYTES_MAX <= BOOT_MP - BOOT_BIOS, "they end before what comes next");
	if (err)
		return boot_fail(l, -ENOMEM, "ACPI tables: too large for their area");
	l->rsdp_gpa = BOOT_BIOS;
	err = boot_put(l, BOOT_BIOS, tables.rsdp, sizeof(tables.rsdp));
	return err ? err : boot_put(l, m.base, tables.bytes, tables.len);
}

/* Firmware tables come first: flat images and BIOS data share the first page, and the image must win. */
static int put_firmware(struct loader *l, enum boot_format format)
{
	int err;

	if (format != BOOT_FLAT16)
		boot_put_bios_data(l);
	err = put_acpi(l);
	if (err == 0)
		err = boot_put_mptable(l);
	return err ? err : boot_put_bios(l, format != BOOT_FLAT16);
}

static int load(struct loader *l)
{
	enum boot_format format = l->rq->format;
	int err = check_request(l);

	if (err == 0 && format == BOOT_AUTO)
		err = detect(l, &format);
	if (err != 0)
		return err;
	l->rs->format = format;
	if (l->rq->only_linux && format != BOOT_BZIMAGE && format != BOOT_ELF_LINUX)
		return boot_fail(l, -EINVAL, "%s: not a Linux kernel: --exec is for those", l->rq->kernel.name);
	if (format != BOOT_FRAME && format != BOOT_FIRMWARE)
		err = put_firmware(l, format);
	return err ? err : formats[format].load(l);
}

int boot_load(const struct boot_request *request, struct boot_result *result)
{
	struct boot_request rq = *request;
	struct loader l = { .rq = &rq, .rs = result, .image_start = UINT64_MAX };

	memset(result, 0, sizeof(*result));
	if (rq.kernel.name == NULL)
		rq.kernel.name = "kernel";
	for (unsigned n = 0; n < BOOT_INITRDS; n++)
		if (rq.initrd[n].name == NULL)
			rq.initrd[n].name = "initrd";
	if (rq.cmdline == NULL)
		rq.cmdline = "";
	l.cmdline_len = strlen(rq.cmdline);
	result->loaded_bytes = rq.kernel.size;
	return load(&l);
}
