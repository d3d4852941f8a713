/* SPDX-License-Identifier: MIT */
/* The frame-port machine's kernel and the program that it runs (docs/guests.md). */
#include "elf.h"

#include "../proto/layout.h"

#include <errno.h>
#include <inttypes.h>

/* Kernel and page map are 64 bits wide, and so has the entry to be in what is mapped. */
static int load_kernel(struct loader *l, uint64_t *entry)
{
	const struct view v = boot_kernel_view(l);
	struct elf e;
	int err = boot_elf_open(l, &v, &e);

	if (err == 0 && !e.is64)
		err = boot_fail(l, -ENOEXEC, "%s: a 32-bit ELF file: a frame machine starts in 64-bit mode", v.label);
	if (err == 0)
		err = boot_elf_load(l, &e, 0);
	if (err != 0)
		return err;
	*entry = boot_elf_physical_entry(&e);
	return boot_elf_check_entry(l, &e, *entry);
}

/* Behind its length. A kernel that lies there as well would be overwritten. */
static int load_program(struct loader *l)
{
	const struct boot_image *p = &l->rq->initrd[0];
	const uint64_t at = LAYOUT_FRAME_PROGRAM, bytes = LAYOUT_FRAME_PROGRAM_BYTES + p->size, size = p->size;
	int err;

	if (p->size == 0)
		return 0;
	if (boot_ram_at(&l->rq->ram, at, bytes) == NULL)
		return boot_fail(l, -ENOMEM, "%s: %zu bytes of program do not fit between %#" PRIx64 " and the end of memory",
				 p->name, p->size, at);
	if (at < l->image_end && l->image_start < at + bytes)
		return boot_fail(l, -ENOEXEC, "%s: reaches to %#" PRIx64 ", and the program %s lies from %#" PRIx64 " on",
				 l->rq->kernel.name, l->image_end, p->name, at);
	l->initrd_gpa[0] = at + LAYOUT_FRAME_PROGRAM_BYTES;
	err = boot_put(l, at, &size, sizeof(size));
	return err ? err : boot_fetch_initrd(l, 0);
}

int boot_load_frame(struct loader *l)
{
	uint64_t entry = 0;
	int err = load_kernel(l, &entry);

	if (err == 0)
		err = load_program(l);
	return err ? err : boot_enter_frame(l, entry);
}
