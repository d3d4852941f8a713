/* SPDX-License-Identifier: MIT */
/* ELF with a XEN_ELFNOTE_PHYS32_ENTRY note: the PVH boot ABI (Xen, docs/misc/pvh.pandoc; start_info.h). */
#include "loader.h"

#include "elf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { START_MAGIC = 0x336ec578, START_VERSION = 1 };

/* Field for field what the ABI prescribes. */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t memmap_entries, reserved;
};

struct modlist_entry {
	uint64_t paddr, size, cmdline, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static unsigned fill_memmap(struct loader *l, struct memmap_entry out[E820_ENTRIES_MAX])
{
	struct e820_entry map[E820_ENTRIES_MAX];
	unsigned n = boot_e820(l->rq, map);

	for (unsigned i = 0; i < n; i++)
		out[i] = (struct memmap_entry){ map[i].addr, map[i].size, map[i].type, 0 };
	return n;
}

static int put_start_info(struct loader *l)
{
	struct memmap_entry map[E820_ENTRIES_MAX] = { 0 };
	struct modlist_entry modules[BOOT_INITRDS] = { 0 };
	struct start_info info = {
		.magic = START_MAGIC,
		.version = START_VERSION,
		.cmdline = BOOT_CMDLINE,
		.rsdp = l->rsdp_gpa,
		.memmap = BOOT_EXTRA,
		.memmap_entries = fill_memmap(l, map),
	};
	int err;

	for (unsigned n = 0; n < l->initrds; n++)
		modules[n] = (struct modlist_entry){ .paddr = l->initrd_gpa[n], .size = l->rq->initrd[n].size };
	if (l->initrds != 0) {
		info.nr_modules = l->initrds;
		info.modlist = BOOT_EXTRA + sizeof(map);
	}
	err = boot_put(l, BOOT_EXTRA, map, sizeof(map));
	if (err == 0)
		err = boot_put(l, BOOT_EXTRA + sizeof(map), modules, sizeof(modules));
	if (err == 0)
		err = boot_put(l, BOOT_INFO, &info, sizeof(info));
	return err;
}

static int find_entry(struct loader *l, const struct elf *e, uint32_t *entry)
{
	int err = boot_elf_pvh_entry(l, e, entry);

	if (err == -ENOENT)
		return boot_fail(l, -ENOEXEC, "%s: no XEN_ELFNOTE_PHYS32_ENTRY note: not a PVH kernel", e->v.label);
	if (err == 0)
		err = boot_elf_check_entry(l, e, *entry);
	return err;
}

int boot_load_pvh(struct loader *l)
{
	const struct view v = boot_kernel_view(l);
	struct elf e;
	uint32_t entry = 0;
	int err = boot_elf_open(l, &v, &e);

	if (err == 0)
		err = find_entry(l, &e, &entry);
	if (err == 0)
		err = boot_elf_load(l, &e, 0);
	if (err == 0)
		err = boot_put_initrd(l, l->image_end, UINT32_MAX);
	if (err == 0)
		err = boot_put_cmdline(l, SIZE_MAX);
	if (err == 0)
		err = put_start_info(l);
	if (err == 0)
		err = boot_enter_prot32(l, entry);
	if (err == 0)
		l->rs->cpu.gpr[RBX] = BOOT_INFO;
	return err;
}
