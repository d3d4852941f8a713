/* SPDX-License-Identifier: MIT */
/* ELF files, 32 and 64 bits, as far as loading a kernel needs them. Nothing in the file is trusted. */
#ifndef BULKHEAD_BOOT_ELF_H
#define BULKHEAD_BOOT_ELF_H

#include "loader.h"

struct elf_segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

struct elf {
	struct view v;
	bool is64;
	uint64_t entry;
	uint64_t phoff, shoff;
	unsigned phnum, phentsize, shnum, shentsize;
};

enum { ELF_PT_LOAD = 1, ELF_PT_INTERP = 3, ELF_PT_NOTE = 4 };

bool boot_is_elf32(const struct view *v);
bool boot_is_elf64(const struct view *v);
/* A XEN_ELFNOTE_PHYS32_ENTRY note; false for anything broken, which is reported when it is loaded. */
bool boot_elf_has_pvh_note(const struct view *v);

/* Checks the file header and that the program headers lie inside the file. -ENOEXEC with a message. */
int boot_elf_open(struct loader *l, const struct view *v, struct elf *e);
/* Program header `i` < phnum; checked against the file (offset + filesz) and against itself (filesz <=
 * memsz). */
int boot_elf_segment(struct loader *l, const struct elf *e, unsigned i, struct elf_segment *s);
/*
 * Copies all PT_LOAD segments to their physical addresses plus `delta`. Guest RAM is zero to begin with, so
 * that what lies between filesz and memsz is not touched.
 */
int boot_elf_load(struct loader *l, const struct elf *e, uint64_t delta);
/* 0 and *entry, or -ENOENT if there is no such note, or -ENOEXEC with a message. */
int boot_elf_pvh_entry(struct loader *l, const struct elf *e, uint32_t *entry);
/* The entry point as a physical address: some files give a virtual one. */
uint64_t boot_elf_physical_entry(const struct elf *e);
/* 0 if the entry point (physical, as linked) lies in a PT_LOAD segment, else -ENOEXEC with a message. */
int boot_elf_check_entry(struct loader *l, const struct elf *e, uint64_t entry);

#endif
