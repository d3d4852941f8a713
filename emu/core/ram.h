/* SPDX-License-Identifier: MIT */
/*
 * Accesses to guest RAM as other processors and devices see them.
 *
 * An access of 1, 2, 4 or 8 bytes is one access of the host's processor: nobody sees half of an aligned one (SDM vol. 3,
 * 8.1.1), and a store happens once, so that it cannot undo what somebody else wrote in between. Wider ones are made of
 * these, or of one vector access (16 to 64 bytes), from the lowest address on. x86 hosts keep the order of the guest's
 * loads and stores by themselves (8.2.2); elsewhere aligned loads acquire and aligned stores release.
 *
 * Nothing else touches guest RAM while the guest runs.
 */
#ifndef BULKHEAD_EMU_RAM_H
#define BULKHEAD_EMU_RAM_H

#include "host.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define RAM_SANITIZE_THREAD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RAM_SANITIZE_THREAD 1
#endif
#endif

/*
 * Is an unaligned access of a C type one instruction, and in the guest's order? Where it is not, aligned ones are atomic and keep the
 * order by themselves, and unaligned ones are made of pieces between fences: nobody promises that they are one (8.1.1), but the order
 * holds for them as well. ThreadSanitizer knows no fences, and on x86 its own atomic accesses may be unaligned.
 */
#if defined(RAM_SANITIZE_THREAD) && defined(__x86_64__)
#define RAM_IS_ONE(p, n) true
#else
#define RAM_IS_ONE(p, n) (!((uintptr_t)(p) & ((n) - 1)))
#endif
#if defined(RAM_SANITIZE_THREAD) || defined(__x86_64__)
#define RAM_FENCE(order) ((void)0)
#else
#define RAM_FENCE(order) __atomic_thread_fence(order)
#endif
#if defined(__x86_64__) && !defined(RAM_SANITIZE_THREAD)
#define RAM_SIZED(n, T)                                                                                                \
	typedef T ram_##n __attribute__((may_alias, aligned(1)));                                                      \
	static inline T ram_load_##n(const uint8_t *p)                                                                 \
	{                                                                                                              \
		return *(const volatile ram_##n *)(const volatile void *)p;                                            \
	}                                                                                                              \
	static inline void ram_store_##n(uint8_t *p, T v)                                                              \
	{                                                                                                              \
		*(volatile ram_##n *)(volatile void *)p = v;                                                           \
	}
#else
#define RAM_SIZED(n, T)                                                                                                \
	static inline T ram_load_##n(const uint8_t *p)                                                                 \
	{                                                                                                              \
		T v;                                                                                                   \
                                                                                                                       \
		if (RAM_IS_ONE(p, n))                                                                                  \
			return __atomic_load_n((const T *)(const void *)p, __ATOMIC_ACQUIRE);                          \
		memcpy(&v, p, n);                                                                                      \
		RAM_FENCE(__ATOMIC_ACQUIRE);                                                                           \
		return v;                                                                                              \
	}                                                                                                              \
	static inline void ram_store_##n(uint8_t *p, T v)                                                              \
	{                                                                                                              \
		if (RAM_IS_ONE(p, n)) {                                                                                \
			__atomic_store_n((T *)(void *)p, v, __ATOMIC_RELEASE);                                         \
			return;                                                                                        \
		}                                                                                                      \
		RAM_FENCE(__ATOMIC_RELEASE);                                                                           \
		memcpy(p, &v, n);                                                                                      \
	}
#endif
RAM_SIZED(1, uint8_t)
RAM_SIZED(2, uint16_t)
RAM_SIZED(4, uint32_t)
RAM_SIZED(8, uint64_t)
#undef RAM_SIZED
#undef RAM_IS_ONE

/* `size` is 1, 2, 4 or 8. */
static inline uint64_t ram_load(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1:
		return ram_load_1(p);
	case 2:
		return ram_load_2(p);
	case 4:
		return ram_load_4(p);
	default:
		return ram_load_8(p);
	}
}

static inline void ram_store(uint8_t *p, unsigned size, uint64_t v)
{
	switch (size) {
	case 1:
		ram_store_1(p, (uint8_t)v);
		break;
	case 2:
		ram_store_2(p, (uint16_t)v);
		break;
	case 4:
		ram_store_4(p, (uint32_t)v);
		break;
	default:
		ram_store_8(p, v);
		break;
	}
}

/* Accesses of other sizes are made of the widest that fit. */
static inline unsigned ram_piece(unsigned size)
{
	return size >= 8 ? 8 : size >= 4 ? 4 : size >= 2 ? 2 : 1;
}

/* Of any size, in pieces: state images, page-crossing parts, code. */
void ram_read_pieces(void *to, const uint8_t *from, unsigned size);
void ram_write_pieces(uint8_t *to, const void *from, unsigned size);

/* 16, 32 or 64 bytes, a constant. */
static inline void ram_read_wide(void *to, const uint8_t *from, unsigned size)
{
	memcpy(to, from, size);
	RAM_FENCE(__ATOMIC_ACQUIRE);
}

static inline void ram_write_wide(uint8_t *to, const void *from, unsigned size)
{
	RAM_FENCE(__ATOMIC_RELEASE);
	memcpy(to, from, size);
}

/* Of any size: what is an access of one instruction is one. */
static inline void ram_read(void *to, const uint8_t *from, unsigned size)
{
	uint64_t v;

	switch (size) {
	case 1:
	case 2:
	case 4:
	case 8:
		v = ram_load(from, size);
		memcpy(to, &v, size);
		break;
	case 16:
		ram_read_wide(to, from, 16);
		break;
	case 32:
		ram_read_wide(to, from, 32);
		break;
	case 64:
		ram_read_wide(to, from, 64);
		break;
	default:
		ram_read_pieces(to, from, size);
		break;
	}
}

static inline void ram_write(uint8_t *to, const void *from, unsigned size)
{
	uint64_t v = 0;

	switch (size) {
	case 1:
	case 2:
	case 4:
	case 8:
		memcpy(&v, from, size);
		ram_store(to, size, v);
		break;
	case 16:
		ram_write_wide(to, from, 16);
		break;
	case 32:
		ram_write_wide(to, from, 32);
		break;
	case 64:
		ram_write_wide(to, from, 64);
		break;
	default:
		ram_write_pieces(to, from, size);
		break;
	}
}

/* Compare and swap of 1, 2, 4 or 8 bytes, aligned or not: *old is what was expected, and becomes what was there. True:
 * `desired` has been stored. */
bool ram_cas(uint8_t *p, unsigned size, uint64_t *old, uint64_t desired);

/* A value of 2 to 8 bytes, the first of which lie at the end of one page and the others at the beginning of another: where there
 * is no single operation of the host's for it. */
struct ram_halves {
	uint8_t *half[2];
	unsigned bytes[2];
};
/* One half of it, zero-extended. */
uint64_t ram_half_load(const struct ram_halves *h, unsigned n);
/* ram_cas() of one half; its neighbours in memory keep what others write to them meanwhile. */
bool ram_half_cas(const struct ram_halves *h, unsigned n, uint64_t *old, uint64_t desired);
/* The part of a value that is half `n`'s. */
static inline uint64_t ram_half_of(const struct ram_halves *h, unsigned n, uint64_t v)
{
	return (n ? v >> 8 * h->bytes[0] : v) & ((1ull << 8 * h->bytes[n]) - 1);
}

/*
 * `count` items of 1, 2, 4 or 8 bytes, as REP MOVS and REP STOS do them: one after the other, upwards or downwards, so that
 * an overlapping move repeats a pattern. `to` and `from` are the lowest addresses. No byte is stored twice.
 */
void ram_move(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size, bool down);
void ram_fill(uint8_t *to, uint64_t count, unsigned size, uint64_t v);

#endif
