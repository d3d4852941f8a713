/* SPDX-License-Identifier: MIT */
/* Writing AML; opcodes by ACPI 6.4, table 20.2, "AML Byte Stream Byte Values". */
#include "aml.h"

#include <string.h>

enum { OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c, OP_STRING = 0x0d, OP_SCOPE = 0x10, OP_BUFFER = 0x11 };
enum { OP_PACKAGE = 0x12, OP_ROOT = 0x5c, OP_EXT = 0x5b, OP_EXT_DEVICE = 0x82 };
enum { RES_IRQ = 0x22, RES_IO = 0x47, RES_END = 0x79 };
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

void aml_irq(struct aml *a, unsigned irq)
{
	unsigned mask = 1u << irq;

	put(a, RES_IRQ);
	put(a, mask & 0xff);
	put(a, mask >> 8);
}
