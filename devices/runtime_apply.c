/* SPDX-License-Identifier: MIT */
/*
 * One request, or one step of time, from the ring to the committed journal. The order is the protocol: apply, commit,
 * publish shadow and lines, and only then let anyone see head and reply (proto/ring.h). What is published follows from
 * what is committed: whoever takes over from the journal publishes the same again, and nothing ever goes back.
 */
#include <string.h>

#include "proto/clock.h"
#include "proto/reg.h"
#include "runtime.h"

uint64_t runtime_now(struct runtime *rt)
{
	uint64_t now = machine_ns(&rt->clock);

	if (now > rt->now_ns)
		rt->now_ns = now;
	return rt->now_ns;
}

/*
 * A write takes effect at the time at which the guest made it, which no guest can move into the future, nor before anything
 * that has been applied. A read shows what is when it is answered: the guest goes on then, and a counter of before its wait
 * would set it deadlines that have passed. Unless something lies behind it, which another processor did before that.
 */
static uint64_t slot_time(struct runtime *rt, const struct io_slot *slot)
{
	uint64_t now = machine_ns(&rt->clock);
	bool late = slot->op == IO_READ && ring_is_last(&rt->ring, slot);
	uint64_t when = slot->when < now && !late ? slot->when : now;

	if (when > rt->now_ns)
		rt->now_ns = when;
	return rt->now_ns;
}

static bool is_ours(const struct device_model *model, const struct io_slot *s)
{
	uint32_t len = s->range < model->range_count ? model->ranges[s->range].len : 0;

	return s->offset < len && s->size <= len - s->offset;
}

static void read_items(struct runtime *rt, const struct io_slot *s, uint64_t now, struct ring_reply *reply)
{
	const struct device_model *m = rt->shell->model;

	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t v = m->read(rt->state, s->range, s->offset, s->size, now);

		memcpy(reply->bytes + (size_t)i * s->size, &v, s->size);
	}
}

static void apply_read(struct runtime *rt, const struct io_slot *s, uint64_t now, struct ring_reply *reply)
{
	if (!is_ours(rt->shell->model, s)) {
		rt->unclaimed++;
		memset(reply, 0xff, sizeof(*reply));
		reply->data = reg_all_ones(s->size);
	} else if (s->count) {
		read_items(rt, s, now, reply);
	} else {
		reply->data = rt->shell->model->read(rt->state, s->range, s->offset, s->size, now) & reg_all_ones(s->size);
	}
}

/* After each item of a string the model runs: a FIFO may have to move on. */
static void apply_write(struct runtime *rt, const struct io_slot *s, uint64_t now)
{
	const struct device_model *m = rt->shell->model;

	if (!is_ours(m, s)) {
		rt->unclaimed++;
		return;
	}
	if (s->count == 0)
		m->write(rt->state, s->range, s->offset, s->data & reg_all_ones(s->size), s->size, now);
	for (uint32_t i = 0; i < s->count; i++) {
		uint64_t v = 0;

		memcpy(&v, (const uint8_t *)s->payload + (size_t)i * s->size, s->size);
		m->write(rt->state, s->range, s->offset, v, s->size, now);
		rt->model_ns = m->advance(rt->state, now);
	}
}

void runtime_reset(struct runtime *rt, uint64_t now_ns)
{
	rt->shell->model->reset(rt->state, &rt->config, now_ns);
	if (rt->shell->reset)
		rt->shell->reset(rt, now_ns);
}

static void dispatch(struct runtime *rt, const struct io_slot *s, uint64_t now, struct ring_reply *reply)
{
	switch ((enum io_op)s->op) {
	case IO_READ:
		apply_read(rt, s, now, reply);
		break;
	case IO_WRITE:
		apply_write(rt, s, now);
		break;
	case IO_EOI:
	case IO_INTA:
		reply->data = rt->shell->operate ? rt->shell->operate(rt, s, now) : UINT64_MAX;
		break;
	case IO_RESET:
		runtime_reset(rt, now);
		break;
	case IO_FENCE:
	case IO_INVALID:
	case IO_OPS:
		break;
	}
}

void runtime_publish(struct runtime *rt)
{
	const struct device_model *m = rt->shell->model;
	struct shadow_value values[MODEL_MAX_SHADOW];
	uint32_t words[MODEL_LINES];

	/* Shadow before lines: the interrupt travels through irqd, and its handler reads the status register at once. If it
	 * still found the old one, it would take the interrupt for spurious, and an edge does not come twice. */
	if (m->get_shadow)
		shadow_publish(&rt->shadow, values, m->get_shadow(rt->state, values));
	if (m->lines) {
		m->get_lines(rt->state, words);
		if (line_publish(rt->line, rt->line_last, words, m->lines))
			runtime_ring_bell(rt->irqd_doorbell_fd);
	}
	if (rt->shell->committed)
		rt->shell->committed(rt, rt->now_ns);
}

void runtime_commit(struct runtime *rt)
{
	const void *const parts[JOURNAL_PARTS] = { rt->state, rt->shell->shell_state };

	rt->mark.time_ns = rt->now_ns;
	journal_commit(&rt->journal, parts, &rt->mark);
	rt->dirty = false;
}

static void mark_reply(struct journal_mark *mark, const struct io_slot *slot, const struct ring_reply *reply)
{
	mark->head = slot->seq + 1;
	mark->reply_valid = (slot->flags & IO_SYNC) != 0;
	if (!mark->reply_valid)
		return;
	mark->reply_vcpu = slot->vcpu;
	mark->reply_seq = slot->seq + 1;
	mark->reply.data = reply->data;
	if (slot->op == IO_READ && slot->count)
		memcpy(mark->reply.bytes, reply->bytes, (size_t)slot->count * slot->size);
}

/* The answer is in the journal before anyone can see it. */
static void finish(struct runtime *rt, const struct io_slot *slot, const struct ring_reply *reply)
{
	mark_reply(&rt->mark, slot, reply);
	runtime_commit(rt);
	runtime_publish(rt);
	ring_complete(&rt->ring, slot, reply);
	if (rt->requests++ == 0)
		atomic_store_explicit(&rt->ring.rsp->first_ns, clock_ns(), memory_order_relaxed);
	rt->synchronous += slot->flags & IO_SYNC;
}

void runtime_apply(struct runtime *rt, const struct io_slot *slot)
{
	const struct daemon_shell *shell = rt->shell;
	uint64_t now = slot_time(rt, slot);
	struct ring_reply reply;

	reply.data = 0;
	journal_attempt(&rt->journal, slot->seq);
	if (shell->prepare)
		shell->prepare(rt);
	dispatch(rt, slot, now, &reply);
	rt->model_ns = shell->model->advance(rt->state, now);
	if (shell->applied)
		shell->applied(rt, now);
	finish(rt, slot, &reply);
}

void runtime_skip(struct runtime *rt, const struct io_slot *slot)
{
	struct ring_reply reply;

	memset(&reply, 0xff, sizeof(reply));
	finish(rt, slot, &reply);
}

void runtime_step(struct runtime *rt)
{
	const struct daemon_shell *shell = rt->shell;
	uint64_t now = runtime_now(rt);
	bool due = now >= rt->model_ns;

	if (shell->prepare)
		shell->prepare(rt);
	rt->shell_ns = shell->settle ? shell->settle(rt, now) : UINT64_MAX;
	if (!due && !rt->dirty)
		return;
	rt->model_ns = shell->model->advance(rt->state, now);
	if (shell->applied)
		shell->applied(rt, now);
	rt->mark.events++;
	runtime_commit(rt);
	runtime_publish(rt);
}
