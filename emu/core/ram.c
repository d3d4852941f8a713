/* SPDX-License-Identifier: MIT */
/* Accesses to guest RAM that are more than one instruction: ram.h. */
#include "ram.h"

#include <stdatomic.h>

/* The widest that fits and is aligned: the host makes one access of it, whichever it is. */
static unsigned piece_at(const uint8_t *p, unsigned size)
{
	const unsigned to_quadword = 8 - ((unsigned)(uintptr_t)p & 7), aligned = to_quadword & -to_quadword;

	return ram_piece(size < aligned ? size : aligned);
}

void ram_read_pieces(void *to, const uint8_t *from, unsigned size)
{
	uint8_t *out = to;

	while (size > 0) {
		const unsigned n = piece_at(from, size);
		const uint64_t v = ram_load(from, n);

		memcpy(out, &v, n);
		out += n;
		from += n;
		size -= n;
	}
}

void ram_write_pieces(uint8_t *to, const void *from, unsigned size)
{
	const uint8_t *in = from;

	while (size > 0) {
		const unsigned n = piece_at(to, size);
		uint64_t v = 0;

		memcpy(&v, in, n);
		ram_store(to, n, v);
		in += n;
		to += n;
		size -= n;
	}
}

/* ---- compare and swap ---- */

#define CAS(T)                                                                                                         \
	do {                                                                                                           \
		T expected_ = (T)*old;                                                                                 \
		bool done_ = __atomic_compare_exchange_n((T *)(void *)p, &expected_, (T)desired, false,                \
							 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                          \
		*old = expected_;                                                                                      \
		return done_;                                                                                          \
	} while (0)

/* Misaligned ones: x86 hosts split the lock as the guest's processor would. */
__attribute__((no_sanitize("alignment"))) static bool cas_host(uint8_t *p, unsigned size, uint64_t *old, uint64_t desired)
{
	switch (size) {
	case 1:
		CAS(uint8_t);
	case 2:
		CAS(uint16_t);
	case 4:
		CAS(uint32_t);
	default:
		CAS(uint64_t);
	}
}

#ifdef __x86_64__
bool ram_cas(uint8_t *p, unsigned size, uint64_t *old, uint64_t desired)
{
	return cas_host(p, size, old, desired);
}
#else
/* Other hosts have no misaligned atomic operations (they fault): these exclude one another, and nothing else. */
static bool cas_misaligned(uint8_t *p, unsigned size, uint64_t *old, uint64_t desired)
{
	static atomic_flag busy = ATOMIC_FLAG_INIT;
	const uint64_t expected = *old;
	bool equal;

	while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire))
		;
	*old = ram_load(p, size);
	equal = *old == (size == 8 ? expected : expected & ((1ull << 8 * size) - 1));
	if (equal)
		ram_store(p, size, desired);
	atomic_flag_clear_explicit(&busy, memory_order_release);
	return equal;
}

bool ram_cas(uint8_t *p, unsigned size, uint64_t *old, uint64_t desired)
{
	return (uintptr_t)p & (size - 1) ? cas_misaligned(p, size, old, desired) : cas_host(p, size, old, desired);
}
#endif

/* ---- values in two pages ---- */

/* The aligned quadword that has all of a half, since pages do; where in it the half begins, in bits. */
static uint64_t *word_of(const struct ram_halves *h, unsigned n, unsigned *shift)
{
	const uintptr_t at = (uintptr_t)h->half[n];

	*shift = 8 * (unsigned)(at & 7);
	return (uint64_t *)(at & ~(uintptr_t)7);
}

uint64_t ram_half_load(const struct ram_halves *h, unsigned n)
{
	unsigned shift;
	const uint64_t *word = word_of(h, n, &shift);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE) >> shift & ((1ull << 8 * h->bytes[n]) - 1);
}

bool ram_half_cas(const struct ram_halves *h, unsigned n, uint64_t *old, uint64_t desired)
{
	const uint64_t mask = (1ull << 8 * h->bytes[n]) - 1;
	unsigned shift;
	uint64_t *word = word_of(h, n, &shift), seen = __atomic_load_n(word, __ATOMIC_RELAXED);

	do {
		if ((seen >> shift & mask) != *old) {
			*old = seen >> shift & mask;
			return false;
		}
	} while (!__atomic_compare_exchange_n(word, &seen, (seen & ~(mask << shift)) | desired << shift, true, __ATOMIC_SEQ_CST,
					      __ATOMIC_SEQ_CST));
	return true;
}

/* ---- strings ---- */

/* Starting the host's own string instruction costs more than this many bytes of a loop. */
enum { FEW_BYTES = 64 };

static void move_items(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size)
{
	for (uint64_t k = 0; k < count; k++)
		ram_store(to + k * size, size, ram_load(from + k * size, size));
}

static void move_items_down(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size)
{
	for (uint64_t k = count; k-- > 0;)
		ram_store(to + k * size, size, ram_load(from + k * size, size));
}

static uint64_t repeat(uint64_t v, unsigned size)
{
	static const uint64_t ones[9] = { [1] = 0x0101010101010101, [2] = 0x0001000100010001, [4] = 0x0000000100000001, [8] = 1 };

	return (size == 8 ? v : v & ((1ull << 8 * size) - 1)) * ones[size];
}

#ifdef HOST_X86_64
static void move_quadwords(uint8_t *to, const uint8_t *from, uint64_t count)
{
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static void fill_quadwords(uint8_t *to, uint64_t count, uint64_t v)
{
	__asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(v) : "memory");
}
#else
static void move_quadwords(uint8_t *to, const uint8_t *from, uint64_t count)
{
	move_items(to, from, count, 8);
}

static void fill_quadwords(uint8_t *to, uint64_t count, uint64_t v)
{
	for (uint64_t k = 0; k < count; k++)
		ram_store_8(to + 8 * k, v);
}
#endif

/* Eight bytes at a time do the same from the top, unless an item is stored where one of the seven bytes below is still to be
 * read. */
static void move_down(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size)
{
	const uint64_t distance = (uintptr_t)from - (uintptr_t)to;
	const uint64_t quadwords = distance < 8 ? 0 : count * size / 8, rest = count - 8 * quadwords / size;

	move_items_down(to + rest * size, from + rest * size, quadwords, 8);
	move_items_down(to, from, rest, size);
}

/* Upwards eight bytes at a time do the same as smaller items, unless an item is stored where one of the next seven bytes
 * is still to be read. */
void ram_move(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size, bool down)
{
	const uint64_t bytes = count * size, distance = (uintptr_t)to - (uintptr_t)from;
	const uint64_t quadwords = bytes / 8;

	if (down) {
		move_down(to, from, count, size);
		return;
	}
	if (bytes < FEW_BYTES || distance < 8) {
		move_items(to, from, count, size);
		return;
	}
	move_quadwords(to, from, quadwords);
	move_items(to + 8 * quadwords, from + 8 * quadwords, count - 8 * quadwords / size, size);
}

void ram_fill(uint8_t *to, uint64_t count, unsigned size, uint64_t v)
{
	const uint64_t quadwords = count * size / 8;

	if (count * size >= FEW_BYTES) {
		fill_quadwords(to, quadwords, repeat(v, size));
		to += 8 * quadwords;
		count -= 8 * quadwords / size;
	}
	for (uint64_t k = 0; k < count; k++)
		ram_store(to + k * size, size, v);
}
