/* SPDX-License-Identifier: MIT */
/* Writing AML; opcodes by ACPI 6.4, table 20.2, "AML Byte Stream Byte Values". */
#include "aml.h"

#include <string.h>

enum { OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c, OP_STRING = 0x0d, OP_SCOPE = 0x10, OP_BUFFER = 0x11 };
enum { OP_PACKAGE = 0x12, OP_METHOD = 0x14, OP_ROOT = 0x5c, OP_EXT = 0x5b, OP_EXT_DEVICE = 0x82 };
enum { RES_IRQ = 0x22, RES_IO = 0x47, RES_END = 0x79 };
enum { RES_MEMORY32_FIXED = 0x86, RES_DWORD_SPACE = 0x87, RES_WORD_SPACE = 0x88, RES_EXTENDED_IRQ = 0x89 };
enum { PKG_LENGTH_BYTES = 2, BUFFER_SIZE_BYTES = 3 };

static void put(struct aml *a, unsigned byte)
{
	if (a->len == a->cap) {
		a->overflow = true;
		return;
	}
	a->buf[a->len++] = (uint8_t)byte;
}

static void put_text(struct aml *a, const char *text)
{
	for (; *text != 0; text++)
		put(a, (uint8_t)*text);
}

/* Always the two-byte form of PkgLength (20.2.4), so that it can be filled in when the term is closed: up to
 * 4095. */
static size_t open_length(struct aml *a)
{
	size_t mark = a->len;

	put(a, 0);
	put(a, 0);
	return mark;
}

void aml_close(struct aml *a, size_t mark)
{
	size_t len = a->len - mark;

	if (a->overflow || len > 0xfff) {
		a->overflow = true;
		return;
	}
	a->buf[mark] = (uint8_t)(0x40 | (len & 0xf)); /* one more byte follows; low four bits of the length */
	a->buf[mark + 1] = (uint8_t)(len >> 4);
}

size_t aml_open_scope(struct aml *a, const char *path)
{
	size_t mark;

	put(a, OP_SCOPE);
	mark = open_length(a);
	put(a, OP_ROOT);
	put_text(a, path);
	return mark;
}

size_t aml_open_device(struct aml *a, const char *name)
{
	size_t mark;

	put(a, OP_EXT);
	put(a, OP_EXT_DEVICE);
	mark = open_length(a);
	put_text(a, name);
	return mark;
}

size_t aml_open_package(struct aml *a, uint8_t elements)
{
	size_t mark;

	put(a, OP_PACKAGE);
	mark = open_length(a);
	put(a, elements);
	return mark;
}

/* A buffer carries its size twice: as PkgLength and as a term, here always a word constant. */
size_t aml_open_resources(struct aml *a)
{
	size_t mark;

	put(a, OP_BUFFER);
	mark = open_length(a);
	put(a, OP_WORD);
	put(a, 0);
	put(a, 0);
	return mark;
}

void aml_close_resources(struct aml *a, size_t mark)
{
	size_t size;

	put(a, RES_END);
	put(a, 0); /* checksum 0: not checked (6.4.2.9) */
	if (a->overflow)
		return;
	size = a->len - mark - PKG_LENGTH_BYTES - BUFFER_SIZE_BYTES;
	a->buf[mark + 3] = (uint8_t)size;
	a->buf[mark + 4] = (uint8_t)(size >> 8);
	aml_close(a, mark);
}

void aml_name(struct aml *a, const char *name)
{
	put(a, OP_NAME);
	put_text(a, name);
}

void aml_integer(struct aml *a, uint32_t value)
{
	if (value <= 1) {
		put(a, value); /* ZeroOp, OneOp */
	} else if (value <= 0xff) {
		put(a, OP_BYTE);
		put(a, value);
	} else {
		put(a, OP_DWORD);
		for (unsigned i = 0; i < 4; i++)
			put(a, value >> 8 * i & 0xff);
	}
}

static unsigned hex(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Three letters of five bits and four hex digits, most significant byte first (19.6.37, EISAID). */
void aml_eisa_id(struct aml *a, const char *id)
{
	unsigned letters = (unsigned)(id[0] - 0x40) << 10 | (unsigned)(id[1] - 0x40) << 5 | (unsigned)(id[2] - 0x40);

	put(a, OP_DWORD);
	put(a, letters >> 8);
	put(a, letters & 0xff);
	put(a, hex(id[3]) << 4 | hex(id[4]));
	put(a, hex(id[5]) << 4 | hex(id[6]));
}

void aml_io(struct aml *a, uint16_t port, uint8_t len)
{
	put(a, RES_IO);
	put(a, 1); /* 16 address bits decoded */
	for (unsigned i = 0; i < 2; i++) {
		put(a, port & 0xff);
		put(a, port >> 8);
	}
	put(a, 1); /* alignment: it cannot move */
	put(a, len);
}

/* ASCII, and its terminating zero (20.2.3). */
void aml_string(struct aml *a, const char *text)
{
	put(a, OP_STRING);
	do
		put(a, (uint8_t)*text);
	while (*text++);
}

static void put_little(struct aml *a, uint32_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		put(a, value >> 8 * i & 0xff);
}

/* 6.4.3.5: granularity, minimum, maximum, translation offset, length; all but the type-specific flags are alike. */
static void put_space(struct aml *a, unsigned type, unsigned flags, unsigned bytes, uint32_t first, uint32_t len)
{
	put_little(a, 3 + 5 * bytes, 2);
	put(a, type);
	put(a, 0x0c); /* minimum and maximum are fixed */
	put(a, flags);
	put_little(a, 0, bytes);
	put_little(a, first, bytes);
	put_little(a, first + len - 1, bytes);
	put_little(a, 0, bytes);
	put_little(a, len, bytes);
}

void aml_buses(struct aml *a, uint16_t first, uint16_t last)
{
	put(a, RES_WORD_SPACE);
	put_space(a, 2, 0, 2, first, (uint32_t)last - first + 1);
}

void aml_window(struct aml *a, uint32_t base, uint32_t len)
{
	put(a, RES_DWORD_SPACE);
	put_space(a, 0, 1 /* may be written, not cacheable */, 4, base, len);
}

/* 6.4.3.4 */
void aml_memory(struct aml *a, uint32_t base, uint32_t len)
{
	put(a, RES_MEMORY32_FIXED);
	put_little(a, 9, 2);
	put(a, 1); /* may be written */
	put_little(a, base, 4);
	put_little(a, len, 4);
}

/* 6.4.3.6: consumer, level (bit 1 clear), active high (bit 2 clear), shared */
void aml_pci_irq(struct aml *a, uint32_t gsi)
{
	put(a, RES_EXTENDED_IRQ);
	put_little(a, 6, 2);
	put(a, 1 << 0 | 1 << 3);
	put(a, 1);
	put_little(a, gsi, 4);
}

void aml_reference(struct aml *a, const char *name)
{
	put_text(a, name);
}

void aml_empty_method(struct aml *a, const char *name, uint8_t args)
{
	size_t mark;

	put(a, OP_METHOD);
	mark = open_length(a);
	put_text(a, name);
	put(a, args);
	aml_close(a, mark);
}

void aml_irq(struct aml *a, unsigned irq)
{
	unsigned mask = 1u << irq;

	put(a, RES_IRQ);
	put(a, mask & 0xff);
	put(a, mask >> 8);
}
