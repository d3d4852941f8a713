/* SPDX-License-Identifier: MIT */
/* Registers that are read in place: see shadow.h. */
#include "shadow.h"

#include <errno.h>

enum { READ_TRIES = 4 };

static void write_entry(struct shadow_entry *e, const struct shadow_value *v)
{
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_relaxed) | 1u;

	atomic_store_explicit(&e->seq, seq, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&e->valid, v->valid, memory_order_relaxed);
	atomic_store_explicit(&e->value, v->value, memory_order_relaxed);
	atomic_store_explicit(&e->base_ns, v->base_ns, memory_order_relaxed);
	atomic_store_explicit(&e->hz, v->hz, memory_order_relaxed);
	atomic_store_explicit(&e->mask, v->mask, memory_order_relaxed);
	atomic_store_explicit(&e->seq, seq + 1, memory_order_release);
}

static bool is_same(const struct shadow_value *a, const struct shadow_value *b)
{
	if (!a->valid && !b->valid)
		return true;
	return a->valid == b->valid && a->value == b->value && a->base_ns == b->base_ns && a->hz == b->hz && a->mask == b->mask;
}

void shadow_writer_init(struct shadow_writer *w, struct shadow_page *page)
{
	w->page = page;
	for (unsigned i = 0; i < MODEL_MAX_SHADOW; i++) {
		w->last[i] = (struct shadow_value){ .valid = false };
		write_entry(&page->entries[i], &w->last[i]);
	}
}

void shadow_publish(struct shadow_writer *w, const struct shadow_value *values, unsigned count)
{
	for (unsigned i = 0; i < count && i < MODEL_MAX_SHADOW; i++) {
		if (is_same(&w->last[i], &values[i]))
			continue;
		w->last[i] = values[i];
		write_entry(&w->page->entries[i], &values[i]);
	}
}

/* One try; false if the writer was at it. */
static bool copy_entry(const struct shadow_entry *e, struct shadow_value *v)
{
	uint32_t seq = atomic_load_explicit(&e->seq, memory_order_acquire);

	v->valid = atomic_load_explicit(&e->valid, memory_order_relaxed);
	v->value = atomic_load_explicit(&e->value, memory_order_relaxed);
	v->base_ns = atomic_load_explicit(&e->base_ns, memory_order_relaxed);
	v->hz = atomic_load_explicit(&e->hz, memory_order_relaxed);
	v->mask = atomic_load_explicit(&e->mask, memory_order_relaxed);
	atomic_thread_fence(memory_order_acquire);
	return !(seq & 1u) && atomic_load_explicit(&e->seq, memory_order_relaxed) == seq;
}

static uint64_t value_at(const struct shadow_value *v, uint64_t now_ns)
{
	uint64_t ns = now_ns > v->base_ns ? now_ns - v->base_ns : 0;

	return (v->value + (uint64_t)((unsigned __int128)ns * v->hz / CLOCK_NS_PER_S)) & v->mask;
}

int shadow_read(const struct shadow_page *page, unsigned index, const struct machine_clock *clock, uint64_t *value)
{
	struct shadow_value v;

	if (index >= MODEL_MAX_SHADOW)
		return -EAGAIN;
	for (unsigned i = 0; i < READ_TRIES; i++) {
		if (!copy_entry(&page->entries[index], &v))
			continue;
		if (!v.valid)
			return -EAGAIN;
		*value = v.hz ? value_at(&v, machine_ns(clock)) : v.value;
		return 0;
	}
	return -EAGAIN;
}
