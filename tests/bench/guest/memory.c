/* SPDX-License-Identifier: MIT */
/* Memory workloads: a chain of pointers through 2 MiB, and the repeated string instructions. */
#include "bench.h"

#include <stddef.h>

enum { NODES = 1 << 15, STRING_BYTES = 1 << 16 };

struct node {
	struct node *next;
	uint64_t pad[7];
};

static struct node nodes[NODES];
static uint8_t from[STRING_BYTES], to[STRING_BYTES];

/* One cycle through all nodes: an odd multiplier and increment walk every residue (Hull and Dobell). */
static struct node *make_chain(void)
{
	uint32_t at = 0;

	if (nodes[0].next)
		return nodes;
	for (unsigned k = 0; k < NODES; k++) {
		uint32_t next = (at * 4 * 1021 + at + 12347) & (NODES - 1);

		nodes[at].next = &nodes[next];
		at = next;
	}
	return nodes;
}

/* 1000 steps a round. */
static uint64_t pointer_chase(uint64_t n)
{
	const struct node *p = make_chain();

	for (uint64_t k = 0; k < n * 1000; k++)
		p = p->next;
	return (uint64_t)(uintptr_t)p;
}

static void rep_movsb(void *d, const void *s, size_t bytes)
{
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(bytes) : : "memory");
}

static void rep_stosb(void *d, uint8_t v, size_t bytes)
{
	__asm__ volatile("rep stosb" : "+D"(d), "+c"(bytes) : "a"(v) : "memory");
}

static uint64_t movsb(uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		rep_movsb(to, from, STRING_BYTES);
	return to[5];
}

static uint64_t movsb_short(uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		rep_movsb(to + (k & 63), from, 64);
	return to[5];
}

static uint64_t stosb(uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		rep_stosb(to, (uint8_t)k, STRING_BYTES);
	return to[5];
}

const struct workload memory_workloads[] = {
	{ "pointer-chase", "ns", pointer_chase, 0, NULL },
	{ "rep-movsb-64k", "MB/s", movsb, STRING_BYTES, NULL },
	{ "rep-movsb-64", "MB/s", movsb_short, 64, NULL },
	{ "rep-stosb-64k", "MB/s", stosb, STRING_BYTES, NULL },
	{ NULL, NULL, NULL, 0, NULL },
};
