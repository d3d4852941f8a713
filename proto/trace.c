/* SPDX-License-Identifier: MIT */
/* Rings of trace records: trace.h. */
#include "trace.h"

#include "clock.h"
#include "ring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_NS (20 * CLOCK_NS_PER_MS)

void trace_writer_init(struct trace_writer *w, struct trace_ring *ring, const struct traced_object *traced, unsigned number,
		       int bell_fd)
{
	/* An earlier vcpu process has left it like that. */
	*w = (struct trace_writer){ ring, traced, number, bell_fd, false, atomic_load(&ring->tail) };
}

/* A pipe whose reader is gone says so. */
static void ring_bell(struct trace_writer *w)
{
	if (write(w->bell_fd, "", 1) < 0 && errno == EPIPE)
		w->off = true;
}

static uint64_t room(const struct trace_writer *w)
{
	uint64_t used = w->tail - atomic_load_explicit(&w->traced->head[w->number], memory_order_acquire);

	return used > TRACE_RING ? 0 : TRACE_RING - used;
}

/* A tracer that stands still keeps the guest waiting; one that has ended does not. */
static void wait_for_room(struct trace_writer *w, size_t bytes)
{
	while (!w->off && room(w) < bytes) {
		uint32_t seen = atomic_load_explicit(&w->traced->beat, memory_order_acquire);

		if (atomic_load_explicit(&w->traced->ended, memory_order_relaxed))
			w->off = true;
		else if (room(w) < bytes) {
			ring_bell(w);
			futex_wait(&w->traced->beat, seen, WAIT_NS);
		}
	}
}

static void put(struct trace_writer *w, const void *from, size_t bytes)
{
	memcpy(w->ring->data + w->tail % TRACE_RING, from, bytes);
	w->tail += bytes;
}

/* Records do not wrap: what is left of the ring is passed over. */
static void pad(struct trace_writer *w, size_t bytes)
{
	size_t left = TRACE_RING - w->tail % TRACE_RING;
	const struct trace_head head = { .bytes = (uint16_t)left, .kind = TRACE_PAD };

	if (left >= bytes)
		return;
	if (left >= sizeof(head))
		memcpy(w->ring->data + w->tail % TRACE_RING, &head, sizeof(head));
	w->tail += left;
}

bool trace_write(struct trace_writer *w, const void *record)
{
	size_t bytes = ((const struct trace_head *)record)->bytes;

	if (w->off)
		return false;
	wait_for_room(w, bytes + TRACE_RECORD_MAX);
	if (w->off)
		return false;
	pad(w, bytes);
	put(w, record, bytes);
	atomic_store_explicit(&w->ring->tail, w->tail, memory_order_release);
	/* It looks by itself every now and then: only a ring that fills up is worth a call. */
	if (room(w) < TRACE_RING * 3 / 4 && atomic_load_explicit(&w->traced->sleeping, memory_order_relaxed))
		ring_bell(w);
	return true;
}

int trace_read(struct trace_reader *r, struct trace_head *out)
{
	uint64_t filled = atomic_load_explicit(&r->ring->tail, memory_order_acquire) - r->head;
	size_t at = r->head % TRACE_RING, left = TRACE_RING - at;

	if (!filled)
		return -EAGAIN;
	if (filled > TRACE_RING || (filled | at) % 8)
		return -EPROTO;
	if (left >= sizeof(*out))
		memcpy(out, r->ring->data + at, sizeof(*out));
	if (left < sizeof(*out) || out->kind == TRACE_PAD) {
		if (left >= TRACE_RECORD_MAX || left > filled)
			return -EPROTO;
		r->head += left;
		return trace_read(r, out); /* at the beginning of the ring there is no such rest */
	}
	if (out->bytes < sizeof(*out) || out->bytes > TRACE_RECORD_MAX || out->bytes % 8 || out->bytes > left ||
	    out->bytes > filled)
		return -EPROTO;
	memcpy(out + 1, r->ring->data + at + sizeof(*out), out->bytes - sizeof(*out));
	r->head += out->bytes;
	return trace_is_valid(out) ? 0 : -EPROTO;
}

const struct trace_item *trace_next_item(const struct trace_insn *i, const struct trace_item *at)
{
	const uint8_t *end = (const uint8_t *)i + i->head.bytes;
	const uint8_t *next = at ? (const uint8_t *)(at + 1) + trace_round(at->size) : (const uint8_t *)(i + 1);

	return next + sizeof(*at) <= end ? (const struct trace_item *)next : NULL;
}

static bool is_insn(const struct trace_insn *i)
{
	const struct trace_item *at = NULL;
	size_t used = sizeof(*i);
	unsigned n = 0;

	if (i->head.bytes < sizeof(*i) || i->count > sizeof(i->bytes))
		return false;
	if (i->code_size != 2 && i->code_size != 4 && i->code_size != 8)
		return false;
	while ((at = trace_next_item(i, at))) {
		if (at->size > TRACE_VALUE_MAX || at->what >= TRACE_WHATS)
			return false;
		used += sizeof(*at) + trace_round(at->size);
		n++;
	}
	return n == i->items && used == i->head.bytes;
}

static bool is_sample(const struct trace_sample *s)
{
	return s->head.bytes >= offsetof(struct trace_sample, frame) && s->frames <= TRACE_FRAMES &&
	       s->code_bytes <= TRACE_CODE && (s->code_size == 2 || s->code_size == 4 || s->code_size == 8) &&
	       s->head.bytes == offsetof(struct trace_sample, frame) + s->frames * sizeof(s->frame[0]);
}

static bool is_io(const struct trace_io *i)
{
	return i->head.bytes == sizeof(*i) && i->space < TRACE_SPACES && i->way < TRACE_WAYS;
}

bool trace_is_valid(const struct trace_head *h)
{
	if (h->vcpu >= TRACE_THREADS)
		return false;
	switch ((enum trace_kind)h->kind) {
	case TRACE_INSN:
	case TRACE_FAULT:
	case TRACE_INTERRUPT:
		return is_insn((const struct trace_insn *)h);
	case TRACE_IO:
		return is_io((const struct trace_io *)h);
	case TRACE_SAMPLE:
		return is_sample((const struct trace_sample *)h);
	case TRACE_CRASH:
		return h->bytes == sizeof(*h);
	case TRACE_PAD:
	case TRACE_KINDS:
		break;
	}
	return false;
}

static const char *numbered(char out[16], const char *name, unsigned n)
{
	snprintf(out, 16, "%s%u", name, n);
	return out;
}

const char *trace_register_name(unsigned id, unsigned size, char out[16])
{
	static const char *const names[TRACE_ST] = {
		"rax", "rcx",	 "rdx",	   "rbx", "rsp", "rbp",	   "rsi", "rdi",  "r8",	   "r9",    "r10",
		"r11", "r12",	 "r13",	   "r14", "r15", "rflags", "es",  "cs",	  "ss",	   "ds",    "fs",
		"gs",  "fsbase", "gsbase", "cr0", "cr2", "cr3",	   "cr4", "efer", "mxcsr", "fctrl", "fstat",
	};

	if (id < TRACE_ST)
		return names[id];
	if (id < TRACE_K)
		return numbered(out, "fpr", id - TRACE_ST);
	if (id < TRACE_VECTOR)
		return numbered(out, "k", id - TRACE_K);
	if (id < TRACE_REGISTERS)
		return numbered(out, size == 64 ? "zmm" : size == 32 ? "ymm" : "xmm", id - TRACE_VECTOR);
	return "?";
}
