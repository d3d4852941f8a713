/* SPDX-License-Identifier: MIT */
/* The program's file: an ELF file of 64 bits (System V ABI, chapters 4 and 5), with nothing to be linked. */
#include "../frame.h"
#include "../guest.h"
#include "linux.h"

struct header {
	uint8_t ident[16];
	uint16_t type;
	uint16_t machine;
	uint32_t version;
	uint64_t entry;
	uint64_t program_headers;
	uint64_t section_headers;
	uint32_t flags;
	uint16_t header_size;
	uint16_t program_header_size;
	uint16_t program_header_count;
	uint16_t section_header_size;
	uint16_t section_header_count;
	uint16_t names;
};

struct program_header {
	uint32_t type;
	uint32_t flags;
	uint64_t offset;
	uint64_t address;
	uint64_t physical;
	uint64_t file_size;
	uint64_t memory_size;
	uint64_t align;
};

enum {
	TYPE_FIXED = 2,
	TYPE_ANYWHERE = 3,
	MACHINE_X86_64 = 62,
	SEGMENT_LOAD = 1,
	SEGMENT_INTERPRETER = 3,
	LOWEST = 0x400000,
	ANYWHERE = FRAME_SCRATCH_ADDRESS,
};

static const struct header *header(void)
{
	return (const struct header *)frame_program()->bytes;
}

static const struct program_header *segment(unsigned n)
{
	return (const struct program_header *)(frame_program()->bytes + header()->program_headers) + n;
}

/* Is [start, start + size) part of [low, high)? */
static bool is_within(uint64_t start, uint64_t size, uint64_t low, uint64_t high)
{
	return start >= low && start <= high && size <= high - start;
}

static const char *check_header(void)
{
	const struct header *h = header();
	uint64_t length = frame_program()->length;

	if (length < sizeof(*h) || length > FRAME_MEMORY_END - FRAME_PROGRAM_ADDRESS)
		return "no program";
	if (h->ident[0] != 0x7f || h->ident[1] != 'E' || h->ident[2] != 'L' || h->ident[3] != 'F' || h->ident[4] != 2)
		return "not an ELF file of 64 bits";
	if (h->machine != MACHINE_X86_64 || (h->type != TYPE_FIXED && h->type != TYPE_ANYWHERE))
		return "not a program for x86-64";
	if (h->program_header_size != sizeof(struct program_header) || h->program_headers % 8 ||
	    !is_within(h->program_headers, h->program_header_count * sizeof(struct program_header), 0, length))
		return "its program headers are not in the file";
	return NULL;
}

static const char *check_segment(const struct program_header *p, const struct image *image)
{
	if (p->type == SEGMENT_INTERPRETER)
		return "not static: it asks for a dynamic linker";
	if (p->type != SEGMENT_LOAD)
		return NULL;
	if (p->file_size > p->memory_size || !is_within(p->offset, p->file_size, 0, frame_program()->length))
		return "a segment is not in the file";
	if (!is_within(p->address, p->memory_size, LOWEST - image->bias, image->limit - image->bias) && image->bias == 0)
		return "a segment does not lie between 400000h and f00000h";
	if (image->bias && !is_within(p->address, p->memory_size, 0, image->limit - image->bias))
		return "a segment does not lie between 1800000h and 2000000h";
	return NULL;
}

static void load_segment(const struct program_header *p, struct image *image)
{
	uint8_t *to = (uint8_t *)(uintptr_t)(image->bias + p->address);
	uint64_t end = image->bias + p->address + p->memory_size;

	memcpy(to, frame_program()->bytes + p->offset, p->file_size);
	memset(to + p->file_size, 0, p->memory_size - p->file_size);
	if (end > image->end)
		image->end = end;
	if (is_within(header()->program_headers, 1, p->offset, p->offset + p->file_size))
		image->headers = image->bias + p->address + header()->program_headers - p->offset;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Where the file ends by its own account. */
static uint64_t size_of_file(void)
{
	const struct header *h = header();
	uint64_t sections = h->section_headers + (uint64_t)h->section_header_size * h->section_header_count;
	uint64_t end = h->program_headers + h->program_header_count * sizeof(struct program_header);

	for (unsigned i = 0; i < h->program_header_count; i++)
		end = larger(end, segment(i)->offset + segment(i)->file_size);
	if (is_within(h->section_headers, sections - h->section_headers, 0, frame_program()->length))
		end = larger(end, sections);
	return end < frame_program()->length ? end : frame_program()->length;
}

const char *elf_load(struct image *image)
{
	const char *wrong = check_header();

	if (wrong)
		return wrong;
	*image = (struct image){
		.bias = header()->type == TYPE_ANYWHERE ? ANYWHERE : 0,
		.limit = header()->type == TYPE_ANYWHERE ? FRAME_PROGRAM_ADDRESS : FRAME_MAILBOX_ADDRESS,
		.header_count = header()->program_header_count,
		.file_size = size_of_file(),
	};
	for (unsigned i = 0; i < header()->program_header_count && !wrong; i++)
		wrong = check_segment(segment(i), image);
	for (unsigned i = 0; i < header()->program_header_count && !wrong; i++)
		if (segment(i)->type == SEGMENT_LOAD)
			load_segment(segment(i), image);
	image->entry = image->bias + header()->entry;
	return wrong;
}
