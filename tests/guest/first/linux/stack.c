/* SPDX-License-Identifier: MIT */
/*
 * What a program finds on its stack: how many words its command line has, pointers to them, pointers to its environment (of which there
 * is none), the auxiliary vector.
 *
 * The command line is what stands behind the program in its file: "#!", and words with spaces between them. Loaders of ELF files
 * do not look there, so `{ cat /bin/busybox; printf '#!sha256sum -'; } >program` makes a --program that still is one for Linux. Without it
 * the only word is "program".
 */
#include "../frame.h"
#include "../guest.h"
#include "linux.h"

enum {
	AT_NULL = 0,
	AT_PHDR = 3,
	AT_PHENT = 4,
	AT_PHNUM = 5,
	AT_PAGESZ = 6,
	AT_BASE = 7,
	AT_FLAGS = 8,
	AT_ENTRY = 9,
	AT_UID = 11,
	AT_EUID = 12,
	AT_GID = 13,
	AT_EGID = 14,
	AT_PLATFORM = 15,
	AT_HWCAP = 16,
	AT_CLKTCK = 17,
	AT_SECURE = 23,
	AT_RANDOM = 25,
	AT_EXECFN = 31,

	PROGRAM_HEADER_SIZE = 56,
	LINE_SIZE = 1024,
};

struct line {
	char text[LINE_SIZE];
	char *words[MAX_WORDS + 1];
	unsigned count;
};

/* These stay: they are the program's memory from now on. */
static struct line line;
static uint64_t random_bytes[2];
static char platform[] = "x86_64", path[] = "/program";

static bool is_space(char c)
{
	return c == ' ' || c == '\n';
}

/* Cuts the text at its spaces. */
static void split(void)
{
	char *at = line.text;

	while (line.count < MAX_WORDS) {
		while (is_space(*at))
			*at++ = 0;
		if (!*at)
			return;
		line.words[line.count++] = at;
		while (*at && !is_space(*at))
			at++;
	}
	*at = 0;
}

static void read_line(uint64_t file_size)
{
	const uint8_t *behind = frame_program()->bytes + file_size;
	uint64_t size = frame_program()->length - file_size;

	if (size > 2 && behind[0] == '#' && behind[1] == '!' && size - 2 < LINE_SIZE) {
		memcpy(line.text, behind + 2, size - 2);
		split();
	}
	if (!line.count)
		line.words[line.count++] = path + 1;
}

static uint64_t hardware(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d;
}

uint64_t stack_build(const struct image *image)
{
	const uint64_t auxiliary[] = {
		AT_PHDR,     image->headers,
		AT_PHENT,    PROGRAM_HEADER_SIZE,
		AT_PHNUM,    image->header_count,
		AT_PAGESZ,   PAGE,
		AT_BASE,     0,
		AT_FLAGS,    0,
		AT_ENTRY,    image->entry,
		AT_UID,	     0,
		AT_EUID,     0,
		AT_GID,	     0,
		AT_EGID,     0,
		AT_PLATFORM, (uintptr_t)platform,
		AT_HWCAP,    hardware(),
		AT_CLKTCK,   100,
		AT_SECURE,   0,
		AT_RANDOM,   (uintptr_t)random_bytes,
		AT_EXECFN,   (uintptr_t)path,
		AT_NULL,     0,
	};
	uint64_t *at;

	read_line(image->file_size);
	random_bytes[0] = random_word();
	random_bytes[1] = random_word();
	/* RSP is a multiple of 16, and points to the count: words, one NULL behind them, one for the environment. */
	at = (uint64_t *)(uintptr_t)((STACK_TOP - sizeof(auxiliary) - (line.count + 3) * 8) & ~15ull);
	at[0] = line.count;
	for (unsigned i = 0; i < line.count; i++)
		at[1 + i] = (uintptr_t)line.words[i];
	at[1 + line.count] = 0;
	at[2 + line.count] = 0;
	memcpy(at + 3 + line.count, auxiliary, sizeof(auxiliary));
	return (uintptr_t)at;
}
