/* SPDX-License-Identifier: MIT */
/*
 * A daemon's request ring (ring_consumer.c) with everything behind it (runtime_apply.c, the four models, journal, shadow,
 * lines) against a REQ page whose every byte is the input's. After each request: only a valid slot was applied, head has
 * moved by one, the reply stands in the cell of its vCPU, and the journal holds what the next incarnation needs.
 */
#include "devices/irq_model.h"
#include "devices/platform_model.h"
#include "devices/runtime.h"
#include "devices/serial_model.h"
#include "devices/timer_model.h"
#include "fuzz.h"

#include <errno.h>

enum { VCPUS = 4, OPS_MAX = 64 };

struct world {
	struct runtime rt;
	struct ring_req *req;
	struct ring_rsp *rsp;
	struct shadow_page *shadow;
	struct journal_object *journal;
	struct journal_id id;
	void *loaded;
	struct input in;
};

void runtime_ring_bell(int fd)
{
}

static uint64_t operate(struct runtime *rt, const struct io_slot *slot, uint64_t now_ns)
{
	if (rt->shell->kind != KIND_IRQD)
		return UINT64_MAX;
	if (slot->op == IO_INTA)
		return irq_model_intack(rt->state, (uint32_t)slot->data);
	irq_model_eoi(rt->state, (uint8_t)slot->data);
	return 0;
}

static const struct daemon_shell shells[KIND_COUNT] = {
#define DEVICE(NAME, name, model_, ...) { .kind = KIND_##NAME, .model = &model_##_model, .operate = operate },
#include "proto/devices.def"
};

static void start(struct world *w)
{
	const struct device_model *m;

	w->rt.shell = &shells[take_below(&w->in, KIND_COUNT)];
	m = w->rt.shell->model;
	w->rt.state = fuzz_alloc(m->state_size);
	w->rt.line = fuzz_alloc(sizeof(*w->rt.line));
	w->rt.config = (struct model_config){ .ram_low = 1 << 20, .vcpus = VCPUS };
	w->rt.irqd_doorbell_fd = -1;
	w->req = fuzz_alloc(sizeof(*w->req));
	w->rsp = fuzz_alloc(sizeof(*w->rsp));
	w->shadow = fuzz_alloc(sizeof(*w->shadow));
	w->journal = fuzz_alloc(sizeof(*w->journal));
	w->loaded = fuzz_alloc(m->state_size);
	w->id = (struct journal_id){ w->rt.shell->kind, m->version, 0, { (uint32_t)m->state_size, 0 } };
	CHECK(journal_open(&w->rt.journal, w->journal, &w->id) == 0);
	journal_format(&w->rt.journal, &w->id);
	shadow_writer_init(&w->rt.shadow, w->shadow);
	ring_consumer_init(&w->rt.ring, w->req, w->rsp, 0, VCPUS);
	runtime_reset(&w->rt, 1);
	runtime_publish(&w->rt);
	runtime_commit(&w->rt);
}

static void stop(struct world *w)
{
	free(w->rt.state), free(w->rt.line), free(w->req), free(w->rsp);
	free(w->shadow), free(w->journal), free(w->loaded);
}

static void check_slot(const struct io_slot *s)
{
	uint32_t bytes = s->op == IO_READ ? RING_REPLY_DATA : RING_PAYLOAD;

	CHECK(s->op > IO_INVALID && s->op < IO_OPS && s->vcpu < VCPUS);
	CHECK(s->size <= 8 && (s->size & (s->size - 1)) == 0);
	CHECK((uint64_t)s->count * s->size <= bytes);
}

/* What a new incarnation would find. */
static void check_journal(struct world *w)
{
	void *const parts[JOURNAL_PARTS] = { w->loaded, NULL };
	struct journal_mark mark;
	struct journal next;
	const char *why;

	CHECK(journal_open(&next, w->journal, &w->id) == 0);
	CHECK(journal_load(&next, &w->id, parts, &mark, &why) == 0, "%s", why);
	CHECK(mark.head == w->rt.ring.head && mark.reply_vcpu < VCPUS);
	CHECK(memcmp(w->loaded, w->rt.state, w->rt.shell->model->state_size) == 0);
	CHECK(w->rt.shell->model->validate(w->loaded, &why) == 0, "%s", why);
}

static void apply_one(struct world *w, const struct io_slot *s)
{
	uint32_t head = w->rt.ring.head;

	check_slot(s);
	runtime_apply(&w->rt, s);
	CHECK(w->rt.ring.head == head + 1 && atomic_load(&w->rsp->head) == head + 1);
	if (s->flags & IO_SYNC)
		CHECK(atomic_load(&w->rsp->cells[s->vcpu].seq) == head + 1);
	CHECK(w->rt.model_ns > w->rt.now_ns);
}

static void consume(struct world *w)
{
	struct io_slot s;
	int err = 0;

	for (unsigned n = 0; err == 0 && n < RING_SLOTS; n++) {
		err = ring_peek(&w->rt.ring, &s);
		CHECK(err == 0 || err == -EAGAIN || err == -EPROTO);
		if (err == 0)
			apply_one(w, &s);
	}
	check_journal(w);
	if (err == -EPROTO) {
		CHECK(ring_peek(&w->rt.ring, &s) == -EPROTO);
		ring_consumer_init(&w->rt.ring, w->req, w->rsp, w->rt.ring.head, VCPUS);
	}
	if (ring_sleep(&w->rt.ring, RING_ASLEEP))
		ring_awake(&w->rt.ring);
}

/* A request as the vCPU process would write it, in its fields hostile enough. */
static void publish(struct world *w)
{
	static const uint8_t ops[] = { IO_READ, IO_WRITE, IO_WRITE, IO_EOI, IO_INTA, IO_FENCE, IO_RESET, IO_READ };
	const struct device_model *m = w->rt.shell->model;
	uint32_t tail = atomic_load(&w->req->tail);
	unsigned how = (unsigned)take(&w->in, 1);
	struct io_slot *s = &w->req->slots[tail % RING_SLOTS];
	unsigned range = take_below(&w->in, m->range_count);
	const unsigned length = m->range_count ? (unsigned)m->ranges[range].len : 1;
	bool is_access;

	*s = (struct io_slot){ .seq = tail, .op = ops[how & 7], .vcpu = how >> 6 & 3, .range = (uint8_t)range };
	is_access = s->op == IO_READ || s->op == IO_WRITE;
	s->size = is_access ? (uint8_t)(1 << (how >> 3 & 3)) : 0;
	s->flags = s->op != IO_WRITE || how & 0x20 ? IO_SYNC : 0;
	s->offset = take_below(&w->in, length);
	s->data = take(&w->in, 2);
	s->count = is_access && how & 0x20 ? (uint16_t)take_below(&w->in, 29) : 0;
	s->when = w->rt.now_ns + (take(&w->in, 1) << 12);
	if (s->count)
		for (unsigned i = 0; i < RING_PAYLOAD / 8; i++)
			s->payload[i] = take(&w->in, 8);
	atomic_store(&w->req->tail, tail + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = fuzz_alloc(sizeof(*w));

	w->in = (struct input){ data, size };
	start(w);
	for (unsigned i = 0; i < OPS_MAX && w->in.left > 0; i++) {
		switch (take(&w->in, 1) & 7) {
		case 0:
			take_poke(&w->in, w->req, sizeof(*w->req));
			break;
		case 1:
			atomic_store(&w->req->tail, w->rt.ring.head + (uint32_t)take(&w->in, 1));
			break;
		case 2:
			consume(w);
			break;
		default:
			publish(w);
			break;
		}
	}
	consume(w);
	stop(w);
	free(w);
	return 0;
}
