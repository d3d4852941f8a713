/* SPDX-License-Identifier: MIT */
/*
 * The vCPU process's side of a ring (ring.c), its shadow reader and its MSI consumer against pages whose every byte is
 * the input's. Every call returns with one of its own errors, soon, and writes nothing but its results.
 */
#include "fuzz.h"
#include "proto/clock.h"
#include "proto/line.h"
#include "proto/msi.h"
#include "proto/ring.h"
#include "proto/shadow.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { OPS_MAX = 48, SLICE_NS = 5000, BYTES_MAX = 1000 };

struct world {
	struct ring_req *req;
	struct ring_rsp *rsp;
	struct msi_page *msi;
	struct shadow_page *shadow;
	struct line_page *line;
	struct ring_producer ring;
	struct msi_consumer messages;
	struct input in;
};

static int bell(void)
{
	static int fds[2] = { -1, -1 };

	if (fds[1] < 0 && pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		exit(1);
	return fds[1];
}

/* One sleep, at whose end the answer may be there; then the device counts as given up. */
static bool once(void *ctx, uint64_t waited_ns, int odd)
{
	(void)ctx;
	CHECK(odd == 0 || odd == -EPROTO || odd == -ENOMSG, "%d", odd);
	return waited_ns < SLICE_NS / 2;
}

static void attach(struct world *w)
{
	while (ring_attach(&w->ring, w->req, w->rsp, bell(), 0) == -EPROTO)
		atomic_store(&w->rsp->head, atomic_load(&w->req->tail));
	w->ring.slice_ns = SLICE_NS;
	w->ring.patience = once;
	msi_consumer_init(&w->messages, w->msi, w->req);
}

static void check_error(int err)
{
	CHECK(err == 0 || err == -ENXIO || err == -EINVAL, "%d", err);
}

static struct io_slot request(struct world *w)
{
	unsigned how = (unsigned)take(&w->in, 1);

	return (struct io_slot){ .op = how & 1 ? IO_READ : IO_WRITE, .size = 1, .vcpu = how >> 1 & 63, .addr = 0x3f8 };
}

/* The answer that an honest daemon would give to the next request, so that calls succeed as well. */
static void answer(struct world *w, unsigned vcpu)
{
	uint32_t next = (uint32_t)atomic_load(&w->ring.tail) + 1;

	atomic_store(&w->rsp->head, next - 1);
	atomic_store(&w->rsp->cells[vcpu % RING_VCPUS].seq, next);
}

static void call(struct world *w)
{
	struct io_slot s = request(w);
	struct ring_reply *reply = fuzz_alloc(sizeof(*reply));
	uint32_t tail = atomic_load(&w->req->tail);

	if (take(&w->in, 1) & 1)
		answer(w, s.vcpu);
	s.count = (uint16_t)take(&w->in, 1);
	check_error(ring_call(&w->ring, &s, reply));
	CHECK(atomic_load(&w->req->tail) - tail <= 1);
	free(reply);
}

static void string(struct world *w)
{
	struct io_slot s = request(w);
	unsigned size = 1u << take_below(&w->in, 3), count = take_below(&w->in, BYTES_MAX / size);
	uint8_t *buf = fuzz_alloc(count * size + 1);

	if (take(&w->in, 1) & 1)
		answer(w, s.vcpu);
	if (s.op == IO_READ)
		check_error(ring_read_string(&w->ring, &s, buf, count, size));
	else
		check_error(ring_write_string(&w->ring, &s, buf, count, size));
	CHECK(buf[count * size] == 0);
	free(buf);
}

/* SDM vol. 3, 10.11: what a local APIC could get from a machine without surprises. */
static void check_message(const struct irq_message *m)
{
	unsigned mode = m->data >> 8 & 7, vector = m->data & 0xff;

	CHECK(m->type == IRQ_MSG_MSI || (m->type == IRQ_MSG_ROUTE && m->pin < MODEL_LINES));
	if (m->type == IRQ_MSG_ROUTE && m->masked)
		return;
	CHECK(m->addr >> 20 == 0xfee);
	CHECK(mode == 4 || (mode <= 1 && vector >= 16), "mode %u, vector %u", mode, vector);
}

static void messages(struct world *w)
{
	struct irq_message m;
	int err;

	for (unsigned n = 0; n <= MSI_SLOTS; n++) {
		err = msi_pop(&w->messages, &m);
		CHECK(err == 0 || err == -EAGAIN || err == -EBADMSG || err == -EPROTO, "%d", err);
		if (err == 0)
			check_message(&m);
		if (err == -EAGAIN || err == -EPROTO)
			break;
	}
	if (err == -EPROTO)
		msi_discard(&w->messages);
	if (msi_sleep(&w->messages, msi_get_pic(w->msi)))
		msi_awake(&w->messages);
}

/* irqd's side: the reader's msi_head is foreign to it. */
static void push_message(struct world *w)
{
	struct irq_message m = { .type = IRQ_MSG_MSI, .addr = 0xfee00000, .data = (uint32_t)take(&w->in, 2) };
	struct msi_producer p;
	int err;

	msi_producer_init(&p, w->msi, w->req, bell());
	for (unsigned n = 0; n < 2; n++) {
		err = msi_push(&p, &m);
		CHECK(err == 0 || err == -EAGAIN);
	}
	msi_set_pic(&p, (struct pic_output){ .seq = m.data, .vector = (uint8_t)m.data, .intr = m.data & 1 });
	msi_notify(&p);
}

static void read_pages(struct world *w)
{
	uint32_t words[MODEL_LINES] = { 0 }, owned = (uint32_t)take(&w->in, 3);
	unsigned index = (unsigned)take(&w->in, 1);
	uint64_t value;
	int err = shadow_read(w->shadow, index, &w->ring.clock, &value);

	CHECK(err == 0 || err == -EAGAIN);
	CHECK(err != 0 || index < MODEL_MAX_SHADOW);
	line_sample(w->line, words, owned);
	for (unsigned i = 0; i < MODEL_LINES; i++)
		CHECK(words[i] == 0 || owned >> i & 1);
	err = ring_backlog(w->req, w->rsp);
	CHECK(err == -EPROTO || (err >= 0 && err <= RING_SLOTS));
	ring_is_applied(&w->ring, (uint8_t)index);
}

static void poke(struct world *w)
{
	switch (take(&w->in, 1) % 6) {
	case 0:
		take_poke(&w->in, w->rsp, sizeof(*w->rsp));
		break;
	case 1:
		take_poke(&w->in, w->msi, sizeof(*w->msi));
		break;
	case 2:
		take_poke(&w->in, w->shadow, sizeof(*w->shadow));
		break;
	case 3:
		take_poke(&w->in, w->line, sizeof(*w->line));
		break;
	case 4:
		atomic_store(&w->rsp->head, (uint32_t)(atomic_load(&w->ring.tail) - take(&w->in, 1)));
		break;
	case 5:
		atomic_store(&w->req->msi_head, (uint32_t)take(&w->in, 4)); /* irqd's view of a hostile vcpu process */
		break;
	}
}

static void operation(struct world *w)
{
	struct io_slot s;

	switch (take(&w->in, 1) & 15) {
	case 0:
		call(w);
		break;
	case 1:
		string(w);
		break;
	case 2 ... 4:
		s = request(w);
		check_error(ring_post(&w->ring, &s, (uint8_t)take(&w->in, 1)));
		break;
	case 5:
		messages(w);
		break;
	case 6 ... 7:
		push_message(w);
		break;
	case 8:
		read_pages(w);
		break;
	case 9:
		ring_detach(&w->ring);
		attach(w);
		break;
	default:
		poke(w);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = fuzz_alloc(sizeof(*w));

	w->in = (struct input){ data, size };
	w->req = fuzz_alloc(sizeof(*w->req));
	w->rsp = fuzz_alloc(sizeof(*w->rsp));
	w->msi = fuzz_alloc(sizeof(*w->msi));
	w->shadow = fuzz_alloc(sizeof(*w->shadow));
	w->line = fuzz_alloc(sizeof(*w->line));
	atomic_store(&w->req->tail, (uint32_t)take(&w->in, 4));
	atomic_store(&w->rsp->head, atomic_load(&w->req->tail));
	attach(w);
	for (unsigned i = 0; i < OPS_MAX && w->in.left > 0; i++) {
		operation(w);
		CHECK(atomic_load(&w->req->tail) == (uint32_t)atomic_load(&w->ring.tail));
	}
	ring_detach(&w->ring);
	free(w->req), free(w->rsp), free(w->msi), free(w->shadow), free(w->line), free(w);
	return 0;
}
