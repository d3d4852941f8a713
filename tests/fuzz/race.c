/* SPDX-License-Identifier: MIT */
/*
 * Every receiver of shared memory while a second thread rewrites its pages: the input is the program which that thread
 * repeats. Found by the sanitizers and by the checks: a field that is read again after it was checked.
 */
#include "fuzz.h"
#include "proto/journal.h"
#include "proto/msi.h"
#include "proto/ring.h"
#include "proto/shadow.h"

#include <errno.h>
#include <sched.h>

enum { STEPS_MAX = 32, ROUNDS = 1000, VCPUS = 4, STATE = 1000 };

enum hostile_kind { RAW, SLOT, SLOT_BYTE, TAIL, HEAD, REPLY, MESSAGE, KINDS };

struct step {
	uint8_t kind, page;
	uint16_t offset;
	uint32_t value;
};

struct world {
	struct ring_req req;
	struct ring_rsp rsp;
	struct msi_page msi;
	struct shadow_page shadow;
	struct journal_object journal;
	_Atomic bool running, done;
	struct step steps[STEPS_MAX];
	unsigned step_count;
	uint8_t expected[STATE];
};

static void store(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

static void store_raw(struct world *w, const struct step *s)
{
	const struct {
		void *base;
		size_t size;
	} pages[] = { { &w->req, sizeof(w->req) },
		      { &w->rsp, sizeof(w->rsp) },
		      { &w->msi, sizeof(w->msi) },
		      { &w->shadow, sizeof(w->shadow) },
		      { &w->journal, sizeof(w->journal.header) + 2 * STATE } };
	const unsigned page = s->page % 5;

	store((uint32_t *)pages[page].base + s->offset % (pages[page].size / 4), s->value);
}

/* Writes of someone who knows where the reader is: most of them pass its checks. */
static void hostile_step(struct world *w, const struct step *s)
{
	uint32_t head = atomic_load(&w->rsp.head), tail = atomic_load(&w->req.tail);
	struct io_slot *slot = &w->req.slots[head % RING_SLOTS];
	struct msi_slot *message = &w->msi.slots[atomic_load(&w->req.msi_head) % MSI_SLOTS];

	switch ((enum hostile_kind)(s->kind % KINDS)) {
	case SLOT:
		*slot = (struct io_slot){
			.seq = head, .op = IO_READ, .size = 8, .flags = IO_SYNC, .vcpu = s->page % VCPUS, .count = s->value % 16
		};
		atomic_store(&w->req.tail, head + 1);
		break;
	case SLOT_BYTE:
		__atomic_store_n((uint8_t *)slot + s->offset % sizeof(*slot), (uint8_t)s->value, __ATOMIC_RELAXED);
		break;
	case TAIL:
		atomic_store(&w->req.tail, head + s->value % 66);
		break;
	case HEAD:
		atomic_store(&w->rsp.head, tail - s->value % 66);
		break;
	case REPLY:
		atomic_store(&w->rsp.cells[s->page % VCPUS].seq, tail);
		break;
	case MESSAGE:
		*message = (struct msi_slot){
			.seq = atomic_load(&w->req.msi_head), .addr = 0xfee00000, .data = s->value, .pin = s->page
		};
		atomic_store(&w->msi.tail, message->seq + 1);
		break;
	case RAW:
	case KINDS:
		store_raw(w, s);
		break;
	}
}

static void *hostile_thread(void *arg)
{
	struct world *w = arg;

	while (!atomic_load_explicit(&w->done, memory_order_relaxed)) {
		for (unsigned i = 0; i < w->step_count; i++)
			hostile_step(w, &w->steps[i]);
		atomic_store_explicit(&w->running, true, memory_order_relaxed);
	}
	return NULL;
}

static void consume(struct world *w, struct ring_consumer *r)
{
	struct ring_reply reply = { .data = 1 };
	struct io_slot s, seen;

	for (unsigned n = 0; n < ROUNDS; n++) {
		int err = ring_peek(r, &s);

		CHECK(err == 0 || err == -EAGAIN || err == -EPROTO);
		if (err == -EPROTO)
			ring_consumer_init(r, &w->req, &w->rsp, r->head, VCPUS);
		if (err)
			continue;
		seen = s;
		CHECK(s.vcpu < VCPUS && s.op > IO_INVALID && s.op < IO_OPS && s.size <= 8);
		CHECK((uint64_t)s.count * s.size <= (s.op == IO_READ ? RING_REPLY_DATA : RING_PAYLOAD));
		ring_complete(r, &s, &reply);
		CHECK(memcmp(&seen, &s, sizeof(s)) == 0, "a private copy has changed");
	}
}

static bool once(void *ctx, uint64_t waited_ns, int odd)
{
	(void)ctx;
	(void)odd;
	return waited_ns < 500;
}

static void produce(struct world *w)
{
	struct io_slot s = { .op = IO_READ, .size = 1 };
	struct ring_producer p;
	uint8_t buf[300];

	if (ring_attach(&p, &w->req, &w->rsp, -1, 0) != 0)
		return;
	p.slice_ns = 1000;
	p.patience = once;
	for (unsigned n = 0; n < 8; n++) {
		struct ring_reply reply;

		ring_post(&p, &s, 1);
		ring_call(&p, &s, &reply);
		ring_is_applied(&p, 0xff);
	}
	ring_read_string(&p, &s, buf, sizeof(buf), 1);
	ring_detach(&p);
}

static void read_messages(struct world *w)
{
	struct msi_consumer c;
	struct irq_message m;

	msi_consumer_init(&c, &w->msi, &w->req);
	for (unsigned n = 0; n < ROUNDS; n++) {
		int err = msi_pop(&c, &m);

		if (err == 0)
			CHECK(msi_check(&m) == 0);
		else if (err == -EPROTO)
			msi_discard(&c);
	}
}

static const struct journal_id id = { .role = 4, .version = 1, .part_size = { STATE, 0 } };

/* Whatever happens to the object while it is read: what is believed is what was committed. */
static void load_journal(struct world *w)
{
	uint8_t state[STATE];
	void *const parts[JOURNAL_PARTS] = { state, NULL };
	struct journal_mark mark;
	struct journal j;
	const char *why;

	CHECK(journal_open(&j, &w->journal, &id) == 0);
	for (unsigned n = 0; n < 20; n++)
		if (journal_load(&j, &id, parts, &mark, &why) == 0)
			CHECK(memcmp(state, w->expected, STATE) == 0);
}

/* Before there is a second thread: a journal has one writer. */
static void commit(struct world *w)
{
	const void *const parts[JOURNAL_PARTS] = { w->expected, NULL };
	struct journal_mark mark = { .head = 1 };
	struct journal j;

	memset(w->expected, 0x5a, STATE);
	CHECK(journal_open(&j, &w->journal, &id) == 0);
	journal_format(&j, &id);
	journal_commit(&j, parts, &mark);
}

static void receive_all(struct world *w)
{
	static const struct machine_clock host;
	struct ring_consumer r;
	uint64_t value;

	ring_consumer_init(&r, &w->req, &w->rsp, 0, VCPUS);
	consume(w, &r);
	for (unsigned n = 0; n < ROUNDS; n++)
		shadow_read(&w->shadow, n % MODEL_MAX_SHADOW, &host, &value);
	read_messages(w);
	load_journal(w);
	produce(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = fuzz_alloc(sizeof(*w));
	struct input in = { data, size };
	pthread_t thread;

	for (; in.left > 0 && w->step_count < STEPS_MAX; w->step_count++) {
		struct step *s = &w->steps[w->step_count];

		s->kind = (uint8_t)take(&in, 1);
		s->page = (uint8_t)take(&in, 1);
		s->offset = (uint16_t)take(&in, 2);
		s->value = (uint32_t)take(&in, 4);
	}
	commit(w);
	if (w->step_count == 0 || pthread_create(&thread, NULL, hostile_thread, w) != 0) {
		free(w);
		return 0;
	}
	while (!atomic_load_explicit(&w->running, memory_order_relaxed))
		sched_yield();
	receive_all(w);
	atomic_store(&w->done, true);
	pthread_join(thread, NULL);
	free(w);
	return 0;
}
