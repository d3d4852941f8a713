/* SPDX-License-Identifier: MIT */
/*
 * Memory for machine code that is made while the guest runs: one object mapped twice, to write and to run, at two
 * random addresses. No page is ever writable and executable at one address, and after it is created no system call
 * is needed, so that the sandbox of the running vCPU does without mmap and mprotect.
 */
#ifndef BULKHEAD_EMU_NATIVE_MEMORY_H
#define BULKHEAD_EMU_NATIVE_MEMORY_H

#include "emu/core/halves.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct native_memory {
	uint8_t *writable;	 /* NULL: there is none */
	const uint8_t *runnable; /* the same bytes */
	size_t bytes;
	struct halves at; /* of them */
	size_t touched; /* up to where it has been used since it was given back */
	size_t mapped;	/* 0: part of another one, which owns the mappings */
};

enum { NATIVE_ALIGN = 16 };

static inline size_t native_aligned(size_t bytes)
{
	return (bytes + NATIVE_ALIGN - 1) & ~(size_t)(NATIVE_ALIGN - 1);
}

/* `bytes` is rounded up to pages, which cost memory when they are first written, and is less if RLIMIT_FSIZE or RLIMIT_AS want it so. 0 or
 * -errno of the host (-EPERM, -EACCES where it permits no executable mappings); then m->writable is NULL. */
int native_memory_create(struct native_memory *m, size_t bytes);
void native_memory_destroy(struct native_memory *m);

/* The n-th of `count` equal parts of a whole that is created once, for one vCPU each; the whole must outlive it. */
struct native_memory native_memory_part(const struct native_memory *whole, unsigned n, unsigned count);

/* The upper half becomes a part of its own, which must not outlive the rest. */
struct native_memory native_memory_split(struct native_memory *m);

/* Copies code to the next free place, aligned. Its address in the executable view, or NULL: full. */
const uint8_t *native_memory_put(struct native_memory *m, const uint8_t *code, size_t length);
/* Bytes that can still be put; unlimited where there is no memory to fill. */
static inline size_t native_memory_room(const struct native_memory *m)
{
	return m->writable ? halves_room(&m->at) : SIZE_MAX;
}
static inline void native_memory_note(struct native_memory *m)
{
	if (m->touched < m->at.used)
		m->touched = m->at.used;
}
/* What is there stays for ever; the rest is filled in halves, if each has `least` bytes. */
static inline void native_memory_halve(struct native_memory *m, size_t least)
{
	m->at = halves_of(m->at.used, m->bytes, least, NATIVE_ALIGN);
}
/* The other half is filled from now on: nobody may run what is there. */
static inline void native_memory_turn(struct native_memory *m)
{
	native_memory_note(m);
	halves_turn(&m->at);
}
/* Everything in it is forgotten: nobody may run it any more. */
static inline void native_memory_reset(struct native_memory *m)
{
	native_memory_note(m);
	halves_empty(&m->at);
}
/* After native_memory_reset(): pages behind what stays cost no memory until they are written again. */
void native_memory_give_back(struct native_memory *m);

#endif
