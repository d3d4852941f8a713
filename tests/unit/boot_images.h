/* SPDX-License-Identifier: MIT */
/* Kernel images built by hand for the loader's tests, and a guest's memory to load them into. */
#ifndef BULKHEAD_TESTS_BOOT_IMAGES_H
#define BULKHEAD_TESTS_BOOT_IMAGES_H

#include "boot/boot.h"

#include <stddef.h>
#include <stdint.h>

#define MIB (1ull << 20)

struct image {
	uint8_t *data;
	size_t size;
};

/* Kept for the process's life. */
struct image image_new(size_t size);
void put16(struct image *i, size_t at, uint16_t v);
void put32(struct image *i, size_t at, uint32_t v);
void put64(struct image *i, size_t at, uint64_t v);
uint16_t get16(const uint8_t *p);
uint32_t get32(const uint8_t *p);
uint64_t get64(const uint8_t *p);

/*
 * An ELF file with one PT_LOAD of 4 KiB (file offset 0x1000, memory 0x3000) at `paddr`, a note segment if
 * `note` (Xen, type 18, `note_entry`), and a section header at the end. Every byte of the text that nothing
 * else claims is 0x90.
 */
enum { ELF_TEXT = 0x1000, ELF_TEXT_BYTES = 0x1000, ELF_MEM_BYTES = 0x3000 };
struct image make_elf(int bits, uint64_t paddr, uint64_t vaddr, uint64_t entry, int note,
		      uint32_t note_entry);

/*
 * What a kernel build makes of vmlinux before it packs it: linked for 16 MiB, with three places to relocate
 * and their lists behind the ELF file (`inverse`: with the list of inverse relocations that builds up to 6.14
 * have).
 */
enum { VMLINUX_AT_64 = 0x100, VMLINUX_AT_32 = 0x108, VMLINUX_AT_INVERSE = 0x10c };
#define VMLINUX_VALUE_64 0xffffffff81000123ull
#define VMLINUX_VALUE_32 0x81000456u
#define VMLINUX_VALUE_INVERSE 0x00abc000u
#define VMLINUX_BASE 0x1000000ull
#define VMLINUX_INIT_SIZE 0x800000ull
struct image make_vmlinux(int relocs, int inverse);
/* The same of a 32-bit kernel: one place to relocate (VMLINUX_AT_32, VMLINUX_VALUE_NARROW), mapped at 3 GiB. */
#define VMLINUX_VALUE_NARROW 0xc1000456u
struct image make_vmlinux32(int relocs);

enum packing { PACK_GZIP, PACK_XZ, PACK_LZMA, PACK_LZ4, PACK_ZSTD, PACK_BZIP2, PACK_UNKNOWN, PACKINGS };
/* Packed as the build does: with the unpacked size appended where the format does not end with it. */
struct image pack(struct image in, enum packing how);

enum { BZ_PROTECTED_MODE = 1024, BZ_PAYLOAD = 0x400 };
struct image make_bzimage(struct image payload);

struct guest {
	struct boot_request rq;
	struct boot_result rs;
};
/* Fresh, zeroed memory of `ram` bytes, `image` as kernel "vmlinuz". */
void guest_init(struct guest *g, struct image image, uint64_t ram);
int guest_load(struct guest *g);
uint8_t *guest_at(struct guest *g, uint64_t gpa);

#endif
