/* SPDX-License-Identifier: MIT */
/* Kernel images built by hand; see boot_images.h. */
#include "boot_images.h"

#include <bzlib.h>
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

/* Images live as long as the test that made them: not what AddressSanitizer should look for. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

struct image image_new(size_t size)
{
	return (struct image){ calloc(1, size), size };
}

static void put(struct image *i, size_t at, uint64_t v, unsigned bytes)
{
	for (unsigned n = 0; n < bytes && at + n < i->size; n++)
		i->data[at + n] = (uint8_t)(v >> 8 * n);
}

void put16(struct image *i, size_t at, uint16_t v)
{
	put(i, at, v, 2);
}

void put32(struct image *i, size_t at, uint32_t v)
{
	put(i, at, v, 4);
}

void put64(struct image *i, size_t at, uint64_t v)
{
	put(i, at, v, 8);
}

static uint64_t get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned n = 0; n < bytes; n++)
		v |= (uint64_t)p[n] << 8 * n;
	return v;
}

uint16_t get16(const uint8_t *p)
{
	return (uint16_t)get(p, 2);
}

uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get(p, 4);
}

uint64_t get64(const uint8_t *p)
{
	return get(p, 8);
}

enum {
	NOTE_AT = ELF_TEXT + ELF_TEXT_BYTES,
	NOTE_BYTES = 20,
	SECTIONS_AT = NOTE_AT + 64,
	ELF_BYTES = SECTIONS_AT + 64
};

static void put_phdr(struct image *i, int bits, unsigned n, uint32_t type, const uint64_t v[5])
{
	size_t at = bits == 64 ? 64 + 56 * n : 52 + 32 * n;

	put32(i, at, type);
	for (unsigned f = 0; f < 5; f++) { /* offset, vaddr, paddr, filesz, memsz */
		if (bits == 64)
			put64(i, at + 8 + 8 * f, v[f]);
		else
			put32(i, at + 4 + 4 * f, (uint32_t)v[f]);
	}
}

static void put_ehdr(struct image *i, int bits, uint64_t entry, unsigned phnum)
{
	size_t tail = bits == 64 ? 52 : 40;

	memcpy(i->data, "\177ELF", 4);
	i->data[4] = bits == 64 ? 2 : 1;
	i->data[5] = i->data[6] = 1;
	put16(i, 16, 2); /* ET_EXEC */
	put16(i, 18, bits == 64 ? 62 : 3);
	put32(i, 20, 1);
	put(i, 24, entry, bits / 8);
	put(i, bits == 64 ? 32 : 28, bits == 64 ? 64 : 52, bits / 8);
	put(i, bits == 64 ? 40 : 32, SECTIONS_AT, bits / 8);
	put16(i, tail, bits == 64 ? 64 : 52);
	put16(i, tail + 2, bits == 64 ? 56 : 32);
	put16(i, tail + 4, (uint16_t)phnum);
	put16(i, tail + 6, bits == 64 ? 64 : 40);
	put16(i, tail + 8, 1);
}

struct image make_elf(int bits, uint64_t paddr, uint64_t vaddr, uint64_t entry, int note, uint32_t note_entry)
{
	struct image i = image_new(ELF_BYTES);

	put_ehdr(&i, bits, entry, note ? 2 : 1);
	put_phdr(&i, bits, 0, 1, (uint64_t[]){ ELF_TEXT, vaddr, paddr, ELF_TEXT_BYTES, ELF_MEM_BYTES });
	memset(i.data + ELF_TEXT, 0x90, ELF_TEXT_BYTES);
	if (note) {
		put_phdr(&i, bits, 1, 4, (uint64_t[]){ NOTE_AT, 0, 0, NOTE_BYTES, NOTE_BYTES });
		put32(&i, NOTE_AT, 4);
		put32(&i, NOTE_AT + 4, 4);
		put32(&i, NOTE_AT + 8, 18);
		memcpy(i.data + NOTE_AT + 12, "Xen", 4);
		put32(&i, NOTE_AT + 16, note_entry);
	}
	return i;
}

struct image make_vmlinux(int relocs, int inverse)
{
	struct image elf = make_elf(64, VMLINUX_BASE, 0xffffffff81000000ull, VMLINUX_BASE + 0x40, 0, 0);
	size_t at = elf.size;
	struct image i = image_new(elf.size + (relocs ? inverse ? 24 : 16 : 0));

	memcpy(i.data, elf.data, elf.size);
	put64(&i, ELF_TEXT + VMLINUX_AT_64, VMLINUX_VALUE_64);
	put32(&i, ELF_TEXT + VMLINUX_AT_32, VMLINUX_VALUE_32);
	put32(&i, ELF_TEXT + VMLINUX_AT_INVERSE, VMLINUX_VALUE_INVERSE);
	if (!relocs)
		return i;
	put32(&i, at + 4, 0x81000000 + VMLINUX_AT_64);
	if (inverse)
		put32(&i, at + 12, 0x81000000 + VMLINUX_AT_INVERSE);
	put32(&i, i.size - 4, 0x81000000 + VMLINUX_AT_32);
	return i;
}

struct image make_vmlinux32(int relocs)
{
	struct image elf = make_elf(32, VMLINUX_BASE, 0xc1000000u, VMLINUX_BASE + 0x40, 0, 0);
	size_t end = SECTIONS_AT + 40; /* section headers are shorter than those of 64 bits */
	struct image i = image_new(end + (relocs ? 8 : 0));

	memcpy(i.data, elf.data, end);
	put32(&i, ELF_TEXT + VMLINUX_AT_32, VMLINUX_VALUE_NARROW);
	if (relocs)
		put32(&i, end + 4, 0xc1000000u + VMLINUX_AT_32);
	return i;
}

static size_t pack_gzip(struct image in, uint8_t *out, size_t room)
{
	z_stream z = { .next_in = in.data, .avail_in = (uInt)in.size, .next_out = out, .avail_out = (uInt)room };

	deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	deflate(&z, Z_FINISH);
	deflateEnd(&z);
	return z.total_out;
}

/* As scripts/xz_wrap.sh: x86 filter, LZMA2, CRC32. */
static size_t pack_xz(struct image in, uint8_t *out, size_t room)
{
	lzma_options_lzma options;
	lzma_filter filters[] = { { LZMA_FILTER_X86, NULL }, { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	size_t len = 0;

	lzma_lzma_preset(&options, 6);
	if (lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, in.data, in.size, out, &len, room) != LZMA_OK)
		abort();
	return len;
}

static size_t pack_lzma(struct image in, uint8_t *out, size_t room)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma options;
	size_t len;

	lzma_lzma_preset(&options, 6);
	if (lzma_alone_encoder(&s, &options) != LZMA_OK)
		abort();
	s.next_in = in.data;
	s.avail_in = in.size;
	s.next_out = out;
	s.avail_out = room;
	if (lzma_code(&s, LZMA_FINISH) != LZMA_STREAM_END)
		abort();
	len = s.total_out;
	lzma_end(&s);
	return len;
}

static size_t pack_lz4(struct image in, uint8_t *out, size_t room)
{
	struct image o = { out, room };
	int n = LZ4_compress_default((char *)in.data, (char *)out + 8, (int)in.size, (int)(room - 8));

	put32(&o, 0, 0x184c2102);
	put32(&o, 4, (uint32_t)n);
	return 8 + (size_t)n;
}

static size_t pack_bzip2(struct image in, uint8_t *out, size_t room)
{
	unsigned len = (unsigned)room;

	BZ2_bzBuffToBuffCompress((char *)out, &len, (char *)in.data, (unsigned)in.size, 9, 0, 0);
	return len;
}

struct image pack(struct image in, enum packing how)
{
	struct image out = image_new(in.size * 2 + 4096);
	size_t len = 0;

	switch (how) {
	case PACK_GZIP:
		out.size = pack_gzip(in, out.data, out.size);
		return out;
	case PACK_XZ:
		len = pack_xz(in, out.data, out.size);
		break;
	case PACK_LZMA:
		len = pack_lzma(in, out.data, out.size);
		break;
	case PACK_LZ4:
		len = pack_lz4(in, out.data, out.size);
		break;
	case PACK_ZSTD:
		len = ZSTD_compress(out.data, out.size, in.data, in.size, 3);
		break;
	case PACK_BZIP2:
		len = pack_bzip2(in, out.data, out.size);
		break;
	case PACK_UNKNOWN: /* the magic of lzop, which nothing here unpacks */
		memcpy(out.data, "\x89LZO\0\r\n\x1a\n", 9);
		len = 64;
		break;
	case PACKINGS:
		break;
	}
	put32(&out, len, (uint32_t)in.size);
	out.size = len + 4;
	return out;
}

/* Offsets by Documentation/x86/boot.rst, "The Real-Mode Kernel Header". */
struct image make_bzimage(struct image payload)
{
	struct image i = image_new(BZ_PROTECTED_MODE + BZ_PAYLOAD + payload.size);

	i.data[0x1f1] = 1;
	put32(&i, 0x1f4, (uint32_t)((BZ_PAYLOAD + payload.size + 15) / 16));
	put16(&i, 0x1fe, 0xaa55);
	i.data[0x200] = 0xeb;
	i.data[0x201] = 0x6a;
	memcpy(i.data + 0x202, "HdrS", 4);
	put16(&i, 0x206, 0x20f);
	i.data[0x211] = 1; /* LOADED_HIGH */
	put32(&i, 0x22c, 0x7fffffff);
	put32(&i, 0x230, 2 << 20);
	i.data[0x234] = 1;
	put16(&i, 0x236, 1); /* XLF_KERNEL_64 */
	put32(&i, 0x238, 2047);
	put32(&i, 0x248, BZ_PAYLOAD);
	put32(&i, 0x24c, (uint32_t)payload.size);
	put64(&i, 0x258, VMLINUX_BASE);
	put32(&i, 0x260, (uint32_t)VMLINUX_INIT_SIZE);
	memcpy(i.data + BZ_PROTECTED_MODE + BZ_PAYLOAD, payload.data, payload.size);
	return i;
}

void guest_init(struct guest *g, struct image image, uint64_t ram)
{
	uint64_t low = ram < 3072 * MIB ? ram : 3072 * MIB;
	void *p = mmap(NULL, ram, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*g = (struct guest){ .rq = { .kernel = { .data = image.data, .size = image.size, .name = "vmlinuz" },
				     .cmdline = "console=ttyS0",
				     .vcpus = 1 } };
	g->rq.ram = (struct boot_ram){ .low = p, .low_size = low, .high_size = ram - low };
	if (ram > low)
		g->rq.ram.high = g->rq.ram.low + low;
}

int guest_load(struct guest *g)
{
	return boot_load(&g->rq, &g->rs);
}

uint8_t *guest_at(struct guest *g, uint64_t gpa)
{
	return gpa >= 1ull << 32 ? g->rq.ram.high + (gpa - (1ull << 32)) : g->rq.ram.low + gpa;
}
