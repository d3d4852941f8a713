/* SPDX-License-Identifier: MIT */
/* Records for the tracer: trace.h. */
#include "trace.h"

_Static_assert((int)TRACE_FRAMES == (int)ENGINE_FRAMES && (int)TRACE_CODE == (int)ENGINE_CODE, "the same");

#include "proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void finish(struct vcpu_trace *t, unsigned vcpu, struct trace_head *h)
{
	h->vcpu = (uint8_t)vcpu;
	h->when_ns = machine_ns(&t->clock);
	trace_write(&t->writer[vcpu], h);
}

static bool is_in_range(const struct vcpu_trace *t, uint64_t linear)
{
	for (unsigned n = 0; n < t->range_count; n++)
		if (linear >= t->range[n].from && linear <= t->range[n].to)
			return true;
	return !t->range_count;
}

/* Recording begins with the instruction at `start`, and ends with the one at `stop`. */
static bool wants(void *ctx, unsigned vcpu, uint64_t linear, unsigned cpl)
{
	struct vcpu_trace *t = ctx;
	bool armed;

	if (t->has_start && linear == t->start)
		t->armed[vcpu] = true;
	armed = t->armed[vcpu];
	if (t->has_stop && linear == t->stop)
		t->armed[vcpu] = false;
	return armed && (t->privileges >> cpl & 1) && is_in_range(t, linear) && !t->writer[vcpu].off;
}

static void insn(void *ctx, unsigned vcpu, const struct engine_insn *i)
{
	static _Thread_local _Alignas(8) uint8_t record[TRACE_RECORD_MAX];

	trace_encode(i, (struct trace_insn *)record);
	finish(ctx, vcpu, (struct trace_head *)record);
}

static void interrupt(void *ctx, unsigned vcpu, uint8_t vector, uint64_t rip, bool by_8259)
{
	struct vcpu_trace *t = ctx;
	struct trace_insn i = { .head = { .bytes = sizeof(i), .kind = TRACE_INTERRUPT },
				.linear = rip,
				.rip = rip,
				.code_size = 8,
				.vector = vector };

	if (t->engine.wants && t->armed[vcpu])
		finish(t, vcpu, &i.head);
	if (t->io && !by_8259) /* the bus tells of the 8259's */
		vcpu_trace_vector(t, vcpu, vector, TRACE_POSTED, 0);
}

/* Not at a fixed distance, or a loop of that length would always be met at the same place. */
static uint32_t next_distance(struct vcpu_trace *t, unsigned vcpu)
{
	uint32_t *x = &t->jitter[vcpu];

	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return t->sample_every / 2 + *x % t->sample_every;
}

static uint32_t sample(void *ctx, unsigned vcpu, const struct engine_sample *from)
{
	struct vcpu_trace *t = ctx;
	struct trace_sample s = {
		.head = { .kind = TRACE_SAMPLE },
		.weight = from->retired,
		.linear = from->linear,
		.code_bytes = from->code_bytes,
		.code_size = from->code_size,
		.cpl = from->cpl,
		.frames = from->frames,
	};

	if (t->writer[vcpu].off)
		return 0;
	if (!from->retired)
		return next_distance(t, vcpu);
	memcpy(s.code, from->code, sizeof(s.code));
	memcpy(s.frame, from->frame, sizeof(s.frame));
	s.head.bytes = (uint16_t)(offsetof(struct trace_sample, frame) + s.frames * sizeof(s.frame[0]));
	finish(t, vcpu, &s.head);
	return next_distance(t, vcpu);
}

void vcpu_trace_io(struct vcpu_trace *t, unsigned vcpu, struct trace_io *io)
{
	if (!t->io)
		return;
	io->head = (struct trace_head){ .bytes = sizeof(*io), .kind = TRACE_IO };
	finish(t, vcpu, &io->head);
}

void vcpu_trace_vector(struct vcpu_trace *t, unsigned vcpu, uint8_t vector, enum trace_way way, uint16_t role)
{
	struct trace_io io = { .address = vector, .space = TRACE_LINE, .way = (uint8_t)way, .role = role, .count = 1 };

	vcpu_trace_io(t, vcpu, &io);
}

void vcpu_trace_crash(struct vcpu_trace *t, unsigned vcpu)
{
	struct trace_head h = { .bytes = sizeof(h), .kind = TRACE_CRASH };

	if (t->is_on)
		finish(t, vcpu, &h);
}

static int attach(struct vcpu_trace *t, unsigned vcpus, int trace_fd, int traced_fd, int bell_fd)
{
	const void *traced;
	void *rings;
	int err = shm_map_rw(trace_fd, trace_object_size(vcpus + 1), &rings);

	if (!err)
		err = shm_map_ro(traced_fd, sizeof(struct traced_object), &traced);
	if (err)
		return err;
	fcntl(bell_fd, F_SETFL, O_NONBLOCK);
	for (unsigned n = 0; n <= vcpus; n++)
		trace_writer_init(&t->writer[n], (struct trace_ring *)rings + n, traced, n, bell_fd);
	return 0;
}

static void set_filter(struct vcpu_trace *t, const Bulkhead__TraceSetup *m)
{
	t->has_start = m->has_start;
	t->has_stop = m->has_stop;
	t->start = m->start;
	t->stop = m->stop;
	t->privileges = m->has_privileges ? m->privileges : 15;
	for (size_t n = 0; n < m->n_from && n < m->n_to && n < TRACE_RANGES; n++) {
		t->range[n].from = m->from[n];
		t->range[n].to = m->to[n];
		t->range_count++;
	}
}

int vcpu_trace_init(struct vcpu_trace *t, const Bulkhead__TraceSetup *m, unsigned vcpus, int trace_fd, int traced_fd, int bell_fd,
		    const struct machine_clock *clock)
{
	int err = attach(t, vcpus, trace_fd, traced_fd, bell_fd);

	if (err)
		return err;
	set_filter(t, m);
	t->clock = *clock;
	t->vcpus = vcpus;
	t->io = m->io;
	t->sample_every = m->sample_every;
	t->engine = (struct engine_trace){ .ctx = t, .interrupt = interrupt };
	if (m->instructions) {
		t->engine.wants = wants;
		t->engine.insn = insn;
	}
	if (m->sample_every)
		t->engine.sample = sample;
	for (unsigned n = 0; n < vcpus; n++) {
		t->armed[n] = !m->has_start;
		t->jitter[n] = 0x9e3779b9u + n;
	}
	t->is_on = true;
	return 0;
}
