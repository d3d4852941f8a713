/* SPDX-License-Identifier: MIT */
/* Breakpoints and watchpoints: points.h. */
#include "points.h"

#include <errno.h>
#include <stddef.h>

enum { KVM_HARD_MAX = 4, DATA_MAX = 64 };

static bool is_code(unsigned kind)
{
	return kind == ENGINE_POINT_SOFT || kind == ENGINE_POINT_HARD;
}

/* The largest piece that begins at `address`, is aligned, and not longer than `left`. */
static uint8_t piece(uint64_t address, uint64_t left)
{
	uint8_t n = 8;

	while (n > 1 && ((address & (n - 1u)) || n > left))
		n /= 2;
	return n;
}

/* Into `out`, unless that is NULL; how many pieces. */
static unsigned split(unsigned kind, uint64_t address, uint64_t size, struct engine_point *out)
{
	unsigned n = 0;

	for (uint64_t left = is_code(kind) ? 1 : size; left;) {
		uint8_t bytes = is_code(kind) ? 1 : piece(address, left);

		if (out)
			out[n] = (struct engine_point){ (uint8_t)kind, bytes, address };
		n++;
		address += bytes;
		left -= bytes;
	}
	return n;
}

unsigned points_list(const struct points *p, struct engine_point out[ENGINE_MAX_POINTS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->count; i++)
		n += split(p->at[i].kind, p->at[i].address, p->at[i].size, out + n);
	return n;
}

static unsigned find(const struct points *p, unsigned kind, uint64_t address, uint64_t size)
{
	unsigned i = 0;

	while (i < p->count &&
	       (p->at[i].kind != kind || p->at[i].address != address || (!is_code(kind) && p->at[i].size != size)))
		i++;
	return i;
}

static bool fits(const struct points *p, bool kvm)
{
	unsigned all = 0, hard = 0;

	for (unsigned i = 0; i < p->count; i++) {
		unsigned n = split(p->at[i].kind, p->at[i].address, p->at[i].size, NULL);

		all += n;
		hard += p->at[i].kind == ENGINE_POINT_SOFT ? 0 : n;
	}
	return all <= ENGINE_MAX_POINTS && (!kvm || hard <= KVM_HARD_MAX);
}

int points_add(struct points *p, unsigned kind, uint64_t address, uint64_t size, bool kvm)
{
	if (kind >= ENGINE_POINT_KINDS || (!is_code(kind) && (!size || size > DATA_MAX)))
		return -EINVAL;
	if (find(p, kind, address, size) < p->count)
		return 0;
	if (p->count == ENGINE_MAX_POINTS)
		return -ENOSPC;
	p->at[p->count].kind = (uint8_t)kind;
	p->at[p->count].address = address;
	p->at[p->count].size = is_code(kind) ? 1 : (uint32_t)size;
	p->count++;
	if (fits(p, kvm))
		return 0;
	p->count--;
	return -ENOSPC;
}

void points_remove(struct points *p, unsigned kind, uint64_t address, uint64_t size)
{
	unsigned i = find(p, kind, address, size);

	if (i < p->count)
		p->at[i] = p->at[--p->count];
}
