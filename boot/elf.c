/* SPDX-License-Identifier: MIT */
/* ELF files, 32 and 64 bits: headers, notes and loading (System V ABI, "Object Files", "Program Loading"). */
#include "elf.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { EHDR32 = 52, EHDR64 = 64, PHDR32 = 32, PHDR64 = 56, SHDR64 = 64, EM_386 = 3, EM_X86_64 = 62 };
enum { NOTE_PHYS32_ENTRY = 18 };

static bool is_elf(const struct view *v, uint8_t class)
{
	return v->size >= EHDR32 && memcmp(v->data, "\177ELF", 4) == 0 && v->data[4] == class;
}

bool boot_is_elf32(const struct view *v)
{
	return is_elf(v, 1);
}

bool boot_is_elf64(const struct view *v)
{
	return is_elf(v, 2);
}

static void read_header(struct elf *e)
{
	const uint8_t *p = e->v.data;

	if (e->is64) {
		e->entry = boot_le64(p + 24);
		e->phoff = boot_le64(p + 32);
		e->shoff = boot_le64(p + 40);
		p += 52;
	} else {
		e->entry = boot_le32(p + 24);
		e->phoff = boot_le32(p + 28);
		e->shoff = boot_le32(p + 32);
		p += 40;
	}
	e->phentsize = boot_le16(p + 2);
	e->phnum = boot_le16(p + 4);
	e->shentsize = boot_le16(p + 6);
	e->shnum = boot_le16(p + 8);
}

int boot_elf_open(struct loader *l, const struct view *v, struct elf *e)
{
	unsigned machine;

	*e = (struct elf){ .v = *v, .is64 = boot_is_elf64(v) };
	if (!boot_is_elf64(v) && !boot_is_elf32(v))
		return boot_fail(l, -ENOEXEC, "%s: not an ELF file", v->label);
	if (e->is64 && v->size < EHDR64)
		return boot_fail(l, -ENOEXEC, "%s: the ELF header is cut off: the image is truncated", v->label);
	machine = boot_le16(v->data + 18);
	if (v->data[5] != 1 || (machine != EM_X86_64 && machine != EM_386))
		return boot_fail(l, -ENOEXEC, "%s: e_machine %u: an ELF file for another processor", v->label, machine);
	read_header(e);
	if (e->phentsize != (e->is64 ? PHDR64 : PHDR32))
		return boot_fail(l, -ENOEXEC, "%s: e_phentsize %u is not that of a program header: the image is broken", v->label,
				 e->phentsize);
	if (!boot_range_is_inside(e->phoff, (uint64_t)e->phnum * e->phentsize, v->size))
		return boot_fail(l, -ENOEXEC,
				 "%s: e_phoff %#" PRIx64 " with %u program headers reaches past the end of the file "
				 "(%zu bytes): the image is truncated; fetch it again",
				 v->label, e->phoff, e->phnum, v->size);
	return 0;
}

static void read_segment(const struct elf *e, unsigned i, struct elf_segment *s)
{
	const uint8_t *p = e->v.data + e->phoff + (uint64_t)i * e->phentsize;

	s->type = boot_le32(p);
	if (e->is64) {
		s->offset = boot_le64(p + 8);
		s->vaddr = boot_le64(p + 16);
		s->paddr = boot_le64(p + 24);
		s->filesz = boot_le64(p + 32);
		s->memsz = boot_le64(p + 40);
		s->align = boot_le64(p + 48);
	} else {
		s->offset = boot_le32(p + 4);
		s->vaddr = boot_le32(p + 8);
		s->paddr = boot_le32(p + 12);
		s->filesz = boot_le32(p + 16);
		s->memsz = boot_le32(p + 20);
		s->align = boot_le32(p + 28);
	}
}

int boot_elf_segment(struct loader *l, const struct elf *e, unsigned i, struct elf_segment *s)
{
	read_segment(e, i, s);
	if (s->type != ELF_PT_LOAD && s->type != ELF_PT_NOTE)
		return 0;
	if (!boot_range_is_inside(s->offset, s->filesz, e->v.size))
		return boot_fail(l, -ENOEXEC,
				 "%s: program header %u: p_offset %#" PRIx64 " + p_filesz %#" PRIx64
				 " reaches past the end of the file (%zu bytes): the image is truncated; "
				 "fetch it again",
				 e->v.label, i, s->offset, s->filesz, e->v.size);
	if (s->type == ELF_PT_LOAD && s->filesz > s->memsz)
		return boot_fail(l, -ENOEXEC,
				 "%s: program header %u: p_filesz %#" PRIx64 " is larger than p_memsz %#" PRIx64
				 ": the image is broken; fetch it again",
				 e->v.label, i, s->filesz, s->memsz);
	return 0;
}

static int load_segment(struct loader *l, const struct elf *e, unsigned i, uint64_t delta)
{
	struct elf_segment s;
	uint8_t *to;
	int err = boot_elf_segment(l, e, i, &s);

	if (err != 0 || s.type != ELF_PT_LOAD || s.memsz == 0)
		return err;
	err = boot_place(l, s.paddr + delta, s.memsz, e->v.label, &to);
	if (err == 0)
		boot_copy(to, e->v.data + s.offset, s.filesz);
	return err;
}

int boot_elf_load(struct loader *l, const struct elf *e, uint64_t delta)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		int err = load_segment(l, e, i, delta);

		if (err != 0)
			return err;
	}
	if (l->image_end == 0)
		return boot_fail(l, -ENOEXEC, "%s: no PT_LOAD program header: nothing to load", e->v.label);
	return 0;
}

/*
 * One pass over a note segment. Name and descriptor are padded to 4 bytes, or to 8 where the segment says so
 * (System V ABI, "Note Section"). A note that reaches past the segment ends the pass.
 */
static bool find_pvh_note(const uint8_t *p, uint64_t size, uint64_t align, uint32_t *entry)
{
	const uint64_t mask = align == 8 ? 7 : 3;
	uint64_t at = 0;

	while (boot_range_is_inside(at, 12, size)) {
		uint64_t name_size = boot_le32(p + at), desc_size = boot_le32(p + at + 4);
		uint32_t type = boot_le32(p + at + 8);
		uint64_t name = at + 12;
		uint64_t desc = (name + name_size + mask) & ~mask;

		if (!boot_range_is_inside(name, name_size, size) || !boot_range_is_inside(desc, desc_size, size))
			return false;
		if (type == NOTE_PHYS32_ENTRY && name_size == 4 && memcmp(p + name, "Xen", 4) == 0 && desc_size >= 4) {
			*entry = boot_le32(p + desc);
			return true;
		}
		at = (desc + desc_size + mask) & ~mask;
	}
	return false;
}

int boot_elf_pvh_entry(struct loader *l, const struct elf *e, uint32_t *entry)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment s;
		int err = boot_elf_segment(l, e, i, &s);

		if (err != 0)
			return err;
		if (s.type == ELF_PT_NOTE && find_pvh_note(e->v.data + s.offset, s.filesz, s.align, entry))
			return 0;
	}
	return -ENOENT;
}

bool boot_elf_has_pvh_note(const struct view *v)
{
	struct boot_result scratch;
	struct loader l = { .rs = &scratch };
	struct elf e;
	uint32_t entry;

	return (boot_is_elf32(v) || boot_is_elf64(v)) && boot_elf_open(&l, v, &e) == 0 && boot_elf_pvh_entry(&l, &e, &entry) == 0;
}

/* Physical wins where a number could be either; only an address that lies in a segment's virtual range alone
 * moves. */
uint64_t boot_elf_physical_entry(const struct elf *e)
{
	uint64_t moved = e->entry;

	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment s;

		read_segment(e, i, &s);
		if (s.type != ELF_PT_LOAD)
			continue;
		if (e->entry >= s.paddr && e->entry - s.paddr < s.memsz)
			return e->entry;
		if (e->entry >= s.vaddr && e->entry - s.vaddr < s.memsz)
			moved = e->entry - s.vaddr + s.paddr;
	}
	return moved;
}

int boot_elf_check_entry(struct loader *l, const struct elf *e, uint64_t entry)
{
	for (unsigned i = 0; i < e->phnum; i++) {
		struct elf_segment s;

		read_segment(e, i, &s);
		if (s.type == ELF_PT_LOAD && entry >= s.paddr && entry - s.paddr < s.memsz)
			return 0;
	}
	return boot_fail(l, -ENOEXEC, "%s: the entry point %#" PRIx64 " lies in no loaded segment: the image is broken",
			 e->v.label, entry);
}
