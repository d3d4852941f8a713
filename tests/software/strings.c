/* SPDX-License-Identifier: MIT */
/*
 * The C library's memory and string functions, which it chooses by CPUID (and GLIBC_TUNABLES): each over many lengths and
 * alignments, and up to the last byte before a page that cannot be touched. The digests are those of any correct
 * implementation; only signs of comparisons count.
 */
#include "digest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <wchar.h>

enum { PAGE = 4096, AREA = 8 * PAGE };

static unsigned char *left, *right; /* AREA bytes each, an unmapped page on either side */

static unsigned char *guarded(void)
{
	unsigned char *p = mmap(NULL, AREA + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, AREA, PROT_READ | PROT_WRITE))
		exit(2);
	return p + PAGE;
}

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

/* A text of `len` letters without zero byte, at `at`. */
static void write_text(unsigned char *at, size_t len, uint64_t *state)
{
	for (size_t n = 0; n < len; n++)
		at[n] = (unsigned char)('a' + random_next(state) % 26);
	at[len] = 0;
}

static void note(struct digest *d, long value)
{
	digest_add(d, &value, sizeof(value));
}

static long distance(const void *found, const void *from)
{
	return found ? (const char *)found - (const char *)from : -1;
}

static void copies(struct digest *d, size_t len, size_t to, size_t from, uint64_t *state)
{
	random_fill(state, left, 64);
	memcpy(right + to, left + AREA - len - from % 64, len);
	memmove(right + to + 3, right + to, len);
	memmove(right + to, right + to + 5, len);
	memset(left + from, (int)(len & 0xff), len);
	note(d, distance(mempcpy(left + from, right + to, len / 2), left));
	digest_add(d, right, len + 128);
	digest_add(d, left, 256);
}

/* At the end of the area: reading one byte too many is a fault. */
static void searches(struct digest *d, size_t len, uint64_t *state)
{
	char *a = (char *)left + AREA - len - 1, *b = (char *)right + AREA - len - 1;
	size_t where = len ? random_next(state) % len : 0;

	write_text((unsigned char *)a, len, state);
	memcpy(b, a, len + 1);
	note(d, (long)strlen(a));
	note(d, (long)strnlen(a, len / 2));
	note(d, sign(strcmp(a, b)));
	note(d, sign(memcmp(a, b, len)));
	if (len)
		b[where] ^= 2;
	note(d, sign(strcmp(a, b)));
	note(d, sign(strncmp(a, b, where)));
	note(d, sign(memcmp(a, b, len)));
	note(d, sign(strcasecmp(a, b)));
	note(d, distance(memchr(a, a[where], len), a));
	note(d, distance(memrchr(a, a[where], len), a));
	note(d, distance(rawmemchr(a, 0), a));
	note(d, distance(strchr(a, 'q'), a));
	note(d, distance(strrchr(a, 'q'), a));
	note(d, distance(strchrnul(a, '!'), a));
	note(d, (long)strspn(a, "abcdefghijklm"));
	note(d, (long)strcspn(a, "xyz"));
	note(d, distance(strpbrk(a, "kq"), a));
	note(d, distance(strstr(a, "ab"), a));
	note(d, distance(memmem(a, len, "xy", 2), a));
	note(d, distance(stpcpy((char *)right, a), right));
	note(d, distance(strncpy((char *)right + 7, a, len / 2 + 1), right));
	digest_add(d, right, len + 8);
}

static void wide(struct digest *d, size_t len, uint64_t *state)
{
	wchar_t *a = (wchar_t *)(void *)(left + AREA) - len - 1, *b = (wchar_t *)(void *)(right + AREA) - len - 1;

	for (size_t n = 0; n < len; n++)
		a[n] = (wchar_t)(1 + random_next(state) % 1000);
	a[len] = 0;
	wmemcpy(b, a, len + 1);
	note(d, (long)wcslen(a));
	note(d, sign(wmemcmp(a, b, len)));
	if (len)
		b[len / 3]++;
	note(d, sign(wcscmp(a, b)));
	note(d, distance(wmemchr(a, len ? a[len / 2] : 1, len), a));
	note(d, distance(wcschr(a, 77), a));
	wmemset(b, 5, len);
	digest_add(d, b, len * sizeof(*b));
}

int main(int argc, char **argv)
{
	static const size_t lengths[] = { 200,	255,  256,  257,  300,	400,  511,  512,  513,	700,  1000, 1023, 1024,
					  1025, 1500, 2047, 2048, 2049, 3000, 4095, 4096, 4097, 5000, 8191, 8192, 10000 };
	uint64_t state = argc > 1 ? strtoull(argv[1], NULL, 10) : 7;
	struct digest d[3];

	left = guarded();
	right = guarded();
	for (unsigned n = 0; n < 3; n++)
		digest_begin(&d[n]);
	for (size_t n = 0; n < 136 + sizeof(lengths) / sizeof(lengths[0]); n++) {
		size_t len = n < 136 ? n : lengths[n - 136];

		for (unsigned k = 0; k < (n < 136 ? 4 : 2); k++) {
			copies(&d[0], len, random_next(&state) % 64, random_next(&state) % 64, &state);
			searches(&d[1], len, &state);
			wide(&d[2], len / 4, &state);
		}
	}
	digest_print(&d[0], "copies");
	digest_print(&d[1], "searches");
	digest_print(&d[2], "wide");
	return 0;
}
