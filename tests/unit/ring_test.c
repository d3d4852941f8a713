/* SPDX-License-Identifier: MIT */
/* design.md, section 2: slot layout, posting, waiting, nothing from a peer is trusted. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proto/reg.h"
#include "proto_harness.h"

static struct io_slot access_slot(uint8_t op, uint64_t addr, uint64_t data)
{
	return (struct io_slot){ .op = op, .size = 1, .addr = addr, .data = data };
}

/* A consumer that answers reads with addr + 1 and remembers the data of writes, until it sees IO_RESET. */
struct echo {
	struct test_channel *c;
	uint64_t writes, sum, resets;
	uint8_t text[4096];
	size_t text_len;
	bool sleeps;
	unsigned jitter; /* waits up to so many turns before it answers */
};

static void echo_string(struct echo *e, const struct io_slot *s, struct ring_reply *reply)
{
	if (s->op == IO_READ) {
		for (uint32_t i = 0; i < s->count * s->size; i++)
			reply->bytes[i] = (uint8_t)(s->addr + i);
	} else if (e->text_len + s->count * s->size <= sizeof(e->text)) {
		memcpy(e->text + e->text_len, s->payload, s->count * s->size);
		e->text_len += s->count * s->size;
	}
}

static void *run_echo(void *arg)
{
	struct echo *e = arg;
	struct io_slot s;
	unsigned seed = 1;

	for (;;) {
		struct ring_reply reply = { .data = 0 };
		int err = ring_peek(&e->c->consumer, &s);

		if (err == -EAGAIN) {
			char byte;

			if (e->sleeps && ring_sleep(&e->c->consumer, RING_ASLEEP)) {
				cr_assert_gt(read(e->c->bell[0], &byte, 1), 0);
				ring_awake(&e->c->consumer);
			}
			continue;
		}
		if (err)
			return NULL;
		for (volatile unsigned i = e->jitter ? (unsigned)rand_r(&seed) % e->jitter : 0; i > 0; i--)
			;
		if (s.count)
			echo_string(e, &s, &reply);
		else if (s.op == IO_READ)
			reply.data = s.addr + 1;
		else if (s.op == IO_WRITE) {
			e->writes++;
			e->sum += s.data;
		}
		ring_complete(&e->c->consumer, &s, &reply);
		if (s.op == IO_RESET)
			return NULL;
	}
}

static void stop_echo(struct test_channel *c, pthread_t thread)
{
	struct io_slot reset = { .op = IO_RESET };

	cr_assert_eq(ring_call(&c->producer, &reset, NULL), 0);
	pthread_join(thread, NULL);
}

Test(ring, posted_writes_are_applied_before_a_synchronous_read_returns)
{
	struct test_channel c;
	struct echo e = { .c = &c };
	struct io_slot w, r = access_slot(IO_READ, 100, 0);
	struct ring_reply reply;
	pthread_t thread;

	test_channel_make(&c);
	pthread_create(&thread, NULL, run_echo, &e);
	for (uint64_t i = 1; i <= 1000; i++) {
		w = access_slot(IO_WRITE, 0, i);
		cr_assert_eq(ring_post(&c.producer, &w, CLASS_CONFIG), 0);
	}
	cr_assert_eq(ring_call(&c.producer, &r, &reply), 0);
	cr_assert_eq(reply.data, 101);
	cr_assert_eq(e.writes, 1000, "nothing is dropped when the ring is full");
	cr_assert_eq(e.sum, 500500);
	stop_echo(&c, thread);
	test_channel_free(&c);
}

Test(ring, strings_of_any_length_and_width)
{
	struct test_channel c;
	struct echo e = { .c = &c };
	struct io_slot s = { .addr = 7 };
	uint8_t out[1003], in[1003];
	pthread_t thread;

	test_channel_make(&c);
	pthread_create(&thread, NULL, run_echo, &e);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7);
	cr_assert_eq(ring_write_string(&c.producer, &s, out, sizeof(out), 1), 0);
	cr_assert_eq(e.text_len, sizeof(out), "the string has been applied when the call returns");
	cr_assert_arr_eq(e.text, out, sizeof(out));
	e.text_len = 0;
	cr_assert_eq(ring_write_string(&c.producer, &s, out, 250, 4), 0);
	cr_assert_arr_eq(e.text, out, 1000);
	cr_assert_eq(ring_read_string(&c.producer, &s, in, 100, 1), 0);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(in[i], 7 + i);
	cr_assert_eq(ring_read_string(&c.producer, &s, in, 250, 4), 0);
	cr_assert_eq(in[RING_REPLY_DATA], 7, "the second slot's reply follows the first");
	stop_echo(&c, thread);
	test_channel_free(&c);
}

struct asked {
	unsigned times, limit; /* after so many questions it has had enough; 0: never */
	int odd;	       /* what was said last */
	struct ring_rsp *rsp;  /* the daemon moves its head there when it is asked first */
	uint32_t head;
};

static bool ask(void *ctx, uint64_t waited_ns, int odd)
{
	struct asked *a = ctx;

	(void)waited_ns;
	a->odd = odd;
	if (a->rsp)
		atomic_store(&a->rsp->head, a->head);
	return ++a->times != a->limit;
}

static void set_patience(struct test_channel *c, struct asked *a)
{
	c->producer.patience = ask;
	c->producer.patience_ctx = a;
}

struct helper {
	struct test_channel *c;
	struct asked *asked;
	struct io_slot seen;
	pthread_t thread;
};

static void wait_until_asked(const struct helper *h)
{
	while (((volatile struct asked *)h->asked)->times < 20)
		sched_yield();
}

/* design.md, Waiting: "posted writes for room". The ring is full, and stays so for many sleeps. */
static void *run_late_consumer(void *arg)
{
	struct helper *h = arg;
	struct io_slot s;

	wait_until_asked(h);
	for (uint64_t i = 0; i < RING_SLOTS; i++) {
		cr_assert_eq(ring_peek(&h->c->consumer, &s), 0);
		cr_assert_eq(s.data, i);
		ring_complete(&h->c->consumer, &s, NULL);
	}
	return NULL;
}

Test(ring, full_ring_waits_for_room)
{
	struct test_channel c;
	struct asked asked = { 0 };
	struct helper h = { .c = &c, .asked = &asked };
	struct io_slot w = access_slot(IO_WRITE, 0, 0);

	test_channel_make(&c);
	for (; w.data < RING_SLOTS; w.data++)
		cr_assert_eq(ring_post(&c.producer, &w, CLASS_CONFIG), 0);
	set_patience(&c, &asked);
	pthread_create(&h.thread, NULL, run_late_consumer, &h);
	cr_assert_eq(ring_post(&c.producer, &w, CLASS_CONFIG), 0);
	pthread_join(h.thread, NULL);
	cr_assert_eq(ring_peek(&c.consumer, &w), 0, "the one that waited is there");
	cr_assert_eq(w.data, RING_SLOTS);
	cr_assert_eq(asked.odd, 0);
	cr_assert_eq(c.producer.stats.full, 1);
	cr_assert_gt(c.producer.stats.waited_ns, 0);
	test_channel_free(&c);
}

/* "Reads for the answer": it comes from a daemon that was not there when the request was made. */
static void *run_late_answer(void *arg)
{
	struct helper *h = arg;
	struct ring_reply reply = { .data = 0x5a };

	wait_until_asked(h);
	ring_consumer_init(&h->c->consumer, h->c->req.ro, h->c->rsp.rw, 0, 1);
	cr_assert_eq(ring_peek(&h->c->consumer, &h->seen), 0);
	ring_complete(&h->c->consumer, &h->seen, &reply);
	return NULL;
}

Test(ring, read_waits_for_its_answer)
{
	struct test_channel c;
	struct asked asked = { 0 };
	struct helper h = { .c = &c, .asked = &asked };
	struct io_slot r = access_slot(IO_READ, 7, 0);
	struct ring_reply reply;

	test_channel_make(&c);
	set_patience(&c, &asked);
	pthread_create(&h.thread, NULL, run_late_answer, &h);
	cr_assert_eq(ring_call(&c.producer, &r, &reply), 0);
	pthread_join(h.thread, NULL);
	cr_assert_eq(reply.data, 0x5a);
	cr_assert_eq(ring_peek(&c.consumer, &r), -EAGAIN, "nothing is left to be applied later");
	test_channel_free(&c);
}

/* A daemon that moves its head past a request without an answer to it broke the protocol; so does a head out of range. */
Test(ring, patience_is_told_what_is_odd)
{
	struct test_channel c;
	struct asked asked = { .limit = 3 };
	struct io_slot r = access_slot(IO_READ, 7, 0);
	struct ring_rsp *rsp;

	test_channel_make(&c);
	rsp = c.rsp.rw;
	set_patience(&c, &asked);
	cr_assert_eq(ring_call(&c.producer, &r, NULL), -ENXIO);
	cr_assert_eq(asked.times, 3);
	cr_assert_eq(asked.odd, 0);
	asked = (struct asked){ .limit = 2, .rsp = rsp, .head = 2 };
	cr_assert_eq(ring_call(&c.producer, &r, NULL), -ENXIO);
	cr_assert_eq(asked.odd, -ENOMSG);
	atomic_store(&rsp->head, 9);
	asked = (struct asked){ .limit = 1 };
	cr_assert_eq(ring_post(&c.producer, &r, 0), -ENXIO);
	cr_assert_eq(asked.odd, -EPROTO);
	test_channel_free(&c);
}

static void *run_supervisor(void *arg)
{
	struct helper *h = arg;

	wait_until_asked(h);
	ring_give_up(&h->c->producer, true);
	return NULL;
}

/* The supervisor's word ends a wait, and there are no more of them: all-ones at once, nothing in the ring. */
Test(ring, given_up)
{
	struct test_channel c;
	struct asked asked = { 0 };
	struct helper h = { .c = &c, .asked = &asked };
	struct io_slot r = access_slot(IO_READ, 0, 0);
	uint8_t in[200];

	test_channel_make(&c);
	set_patience(&c, &asked);
	pthread_create(&h.thread, NULL, run_supervisor, &h);
	cr_assert_eq(ring_call(&c.producer, &r, NULL), -ENXIO);
	pthread_join(h.thread, NULL);
	asked.times = 0;
	cr_assert_eq(ring_read_string(&c.producer, &r, in, 200, 1), -ENXIO);
	cr_assert_eq(in[0], 0xff);
	cr_assert_eq(in[199], 0xff);
	cr_assert_eq(ring_post(&c.producer, &r, 0), -ENXIO);
	cr_assert_eq(asked.times, 0);
	cr_assert_eq(atomic_load(&c.producer.tail), 1);
	test_channel_free(&c);
}

/* The answer to a request of before (its vcpu process is gone, or the device was given up) must not answer the next. */
Test(ring, late_answer_is_not_taken_for_the_next)
{
	struct test_channel c;
	struct echo e = { .c = &c };
	struct asked asked = { .limit = 1 };
	struct io_slot r = access_slot(IO_READ, 1, 0);
	struct ring_reply reply;
	pthread_t thread;

	test_channel_make(&c);
	set_patience(&c, &asked);
	cr_assert_eq(ring_call(&c.producer, &r, &reply), -ENXIO);
	c.producer.patience = NULL;
	pthread_create(&thread, NULL, run_echo, &e);
	r.addr = 50;
	cr_assert_eq(ring_call(&c.producer, &r, &reply), 0);
	cr_assert_eq(reply.data, 51);
	stop_echo(&c, thread);
	test_channel_free(&c);
}

/* Reboot: a new vCPU process takes over REQ where the old one has left it, with requests in flight. */
Test(ring, new_producer_goes_on_where_the_old_one_died)
{
	struct test_channel c;
	struct ring_producer next;
	struct io_slot slot = access_slot(IO_WRITE, 0, 5), reset = { .op = IO_RESET };

	test_channel_make(&c);
	for (int i = 0; i < 10; i++)
		cr_assert_eq(ring_post(&c.producer, &slot, CLASS_CONFIG), 0);
	atomic_store(&((struct ring_req *)c.req.rw)->waiting[3], 1);
	cr_assert_eq(ring_attach(&next, c.req.rw, c.rsp.ro, c.bell[1], 0), 0);
	cr_assert_eq(atomic_load(&next.tail), 10);
	cr_assert_not(ring_is_applied(&next, 0), "what the old one has queued is not applied yet");
	cr_assert_eq(ring_post(&next, &reset, CLASS_CONFIG), 0);
	for (int i = 0; i < 11; i++) {
		cr_assert_eq(ring_peek(&c.consumer, &slot), 0);
		cr_assert_eq(slot.op, i < 10 ? IO_WRITE : IO_RESET);
		ring_complete(&c.consumer, &slot, NULL);
	}
	cr_assert_eq(ring_peek(&c.consumer, &slot), -EAGAIN);
	cr_assert(ring_is_applied(&next, 0xff));
	ring_detach(&next);
	atomic_store(&((struct ring_req *)c.req.rw)->tail, 11 + RING_SLOTS + 1);
	cr_assert_eq(ring_attach(&next, c.req.rw, c.rsp.ro, c.bell[1], 0), -EPROTO);
	test_channel_free(&c);
}

/* Indices are free-running 32-bit counters: nothing happens when they wrap. */
Test(ring, indices_wrap)
{
	struct test_channel c;
	struct io_slot slot = access_slot(IO_WRITE, 0, 0);

	test_channel_make(&c);
	ring_detach(&c.producer);
	atomic_store(&((struct ring_req *)c.req.rw)->tail, 0xfffffff0u);
	ring_consumer_init(&c.consumer, c.req.ro, c.rsp.rw, 0xfffffff0u, 1);
	cr_assert_eq(ring_attach(&c.producer, c.req.rw, c.rsp.ro, c.bell[1], 0), 0);
	for (int i = 0; i < 200; i++) {
		cr_assert_eq(ring_post(&c.producer, &slot, CLASS_TXDATA), 0);
		cr_assert_not(ring_is_applied(&c.producer, CLASS_TXDATA));
		cr_assert(ring_is_applied(&c.producer, CLASS_INDEX));
		cr_assert_eq(ring_peek(&c.consumer, &slot), 0);
		ring_complete(&c.consumer, &slot, NULL);
		cr_assert(ring_is_applied(&c.producer, CLASS_TXDATA));
	}
	test_channel_free(&c);
}

/* design.md, "Shadow registers": an entry counts only when everything it depends on has been applied. */
Test(ring, classes_are_independent)
{
	struct test_channel c;
	struct io_slot slot = access_slot(IO_WRITE, 0, 0);

	test_channel_make(&c);
	ring_post(&c.producer, &slot, CLASS_CONFIG);
	ring_post(&c.producer, &slot, CLASS_TXDATA);
	cr_assert_not(ring_is_applied(&c.producer, CLASS_CONFIG));
	cr_assert_eq(ring_peek(&c.consumer, &slot), 0);
	ring_complete(&c.consumer, &slot, NULL);
	cr_assert(ring_is_applied(&c.producer, CLASS_CONFIG), "THR is still under way, LSR may be read");
	cr_assert_not(ring_is_applied(&c.producer, CLASS_CONFIG | CLASS_TXDATA));
	test_channel_free(&c);
}

/* Lost wake-ups: both sides sleep without a time-out worth the name, so one that is lost fails the test. */
Test(ring, no_wake_up_is_lost, .timeout = 60)
{
	struct test_channel c;
	struct echo e = { .c = &c, .sleeps = true };
	struct io_slot r, w = access_slot(IO_WRITE, 0, 1);
	struct ring_reply reply;
	pthread_t thread;

	test_channel_make(&c);
	c.producer.slice_ns = 20000000000ull;
	pthread_create(&thread, NULL, run_echo, &e);
	for (uint64_t i = 0; i < 5000; i++) {
		r = access_slot(IO_READ, i, 0);
		for (uint64_t n = i % 150; n >= 100; n--)
			cr_assert_eq(ring_post(&c.producer, &w, 0), 0);
		cr_assert_eq(ring_call(&c.producer, &r, &reply), 0);
		cr_assert_eq(reply.data, i + 1);
	}
	stop_echo(&c, thread);
	test_channel_free(&c);
}

/* The other half: the answer comes just while the vCPU decides to sleep. */
Test(ring, no_answer_is_overslept, .timeout = 60)
{
	struct test_channel c;
	struct echo e = { .c = &c, .jitter = 150 };
	struct ring_reply reply;
	pthread_t thread;

	test_channel_make(&c);
	c.producer.slice_ns = 20000000000ull;
	pthread_create(&thread, NULL, run_echo, &e);
	for (uint64_t i = 0; i < 100000; i++) {
		struct io_slot r = access_slot(IO_READ, i, 0);

		cr_assert_eq(ring_call(&c.producer, &r, &reply), 0, "request %lu", i);
		cr_assert_eq(reply.data, i + 1);
	}
	stop_echo(&c, thread);
	test_channel_free(&c);
}

struct race {
	struct test_channel *c;
	_Atomic unsigned round, done;
	_Atomic bool slept;
	unsigned rounds;
};

static void meet(_Atomic unsigned *word, unsigned wanted, unsigned jitter)
{
	for (unsigned i = 0; atomic_load(word) != wanted; i++) {
		if (i > 1000)
			sched_yield();
	}
	for (volatile unsigned i = jitter; i > 0; i--)
		;
}

static void *run_sleeper(void *arg)
{
	struct race *race = arg;
	unsigned seed = 5;

	for (unsigned i = 1; i <= race->rounds; i++) {
		meet(&race->round, i, (unsigned)rand_r(&seed) % 100);
		atomic_store(&race->slept, ring_sleep(&race->c->consumer, RING_ASLEEP));
		atomic_store(&race->done, i);
	}
	return NULL;
}

/* A request is published just while the daemon decides to sleep: it stays awake, or it is rung. */
Test(ring, no_request_is_overslept, .timeout = 60)
{
	struct test_channel c;
	struct race race = { .c = &c, .rounds = 100000 };
	struct io_slot w = access_slot(IO_WRITE, 0, 1), s;
	unsigned seed = 7, slept = 0;
	pthread_t thread;

	test_channel_make(&c);
	pthread_create(&thread, NULL, run_sleeper, &race);
	for (unsigned i = 1; i <= race.rounds; i++) {
		uint64_t rung = c.producer.stats.doorbells;
		unsigned jitter = (unsigned)rand_r(&seed) % 300;

		atomic_store(&race.round, i);
		for (volatile unsigned k = jitter; k > 0; k--)
			;
		ring_post(&c.producer, &w, CLASS_CONFIG);
		rung = c.producer.stats.doorbells - rung;
		meet(&race.done, i, 0);
		cr_assert(rung || !atomic_load(&race.slept), "round %u", i);
		slept += atomic_load(&race.slept);
		ring_awake(&c.consumer);
		cr_assert_eq(ring_peek(&c.consumer, &s), 0);
		ring_complete(&c.consumer, &s, NULL);
	}
	pthread_join(thread, NULL);
	/* how often they meet depends on the host; not asserted */
	cr_log_info("the daemon slept in %u of %u rounds", slept, race.rounds);
	test_channel_free(&c);
}

/* Characters do not ring a napping daemon before the ring is half full; everything else does. */
Test(ring, naps)
{
	struct test_channel c;
	struct asked asked = { .limit = 1 };
	struct io_slot w = access_slot(IO_WRITE, 0, 1);

	test_channel_make(&c);
	set_patience(&c, &asked);
	cr_assert(ring_sleep(&c.consumer, RING_NAPPING));
	for (int i = 1; i < RING_SLOTS / 2; i++)
		ring_post(&c.producer, &w, CLASS_TXDATA);
	cr_assert_eq(c.producer.stats.doorbells, 0);
	ring_post(&c.producer, &w, CLASS_TXDATA);
	cr_assert_eq(c.producer.stats.doorbells, 1);
	ring_post(&c.producer, &w, CLASS_TXDATA);
	cr_assert_eq(c.producer.stats.doorbells, 1, "once is enough");
	ring_post(&c.producer, &w, CLASS_CONFIG);
	cr_assert_eq(c.producer.stats.doorbells, 2);
	ring_call(&c.producer, &w, NULL);
	cr_assert_eq(c.producer.stats.doorbells, 3);
	cr_assert_not(ring_sleep(&c.consumer, RING_NAPPING));
	ring_post(&c.producer, &w, CLASS_CONFIG);
	cr_assert_eq(c.producer.stats.doorbells, 3, "awake");
	test_channel_free(&c);
}

struct caller {
	struct test_channel *c;
	uint8_t vcpu;
	uint64_t wrong;
};

static void *run_caller(void *arg)
{
	struct caller *me = arg;

	for (uint64_t i = 0; i < 2000; i++) {
		struct io_slot r = { .op = IO_READ, .size = 8, .vcpu = me->vcpu, .addr = (uint64_t)me->vcpu << 32 | i };
		struct ring_reply reply;

		me->wrong += ring_call(&me->c->producer, &r, &reply) != 0 || reply.data != r.addr + 1;
	}
	return NULL;
}

Test(ring, each_vcpu_gets_its_own_answers, .timeout = 60)
{
	struct test_channel c;
	struct echo e = { .c = &c, .sleeps = true };
	struct caller callers[4];
	pthread_t thread, threads[4];

	test_channel_make(&c);
	c.producer.slice_ns = 20000000000ull;
	pthread_create(&thread, NULL, run_echo, &e);
	for (uint8_t i = 0; i < 4; i++) {
		callers[i] = (struct caller){ &c, i, 0 };
		pthread_create(&threads[i], NULL, run_caller, &callers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		cr_assert_eq(callers[i].wrong, 0);
	}
	stop_echo(&c, thread);
	test_channel_free(&c);
}

/*
 * Hostile peers
 */

static int pop_forged(const struct io_slot *forged, uint32_t tail)
{
	struct test_channel c;
	struct ring_req *req;
	struct io_slot slot;
	int err;

	test_channel_make(&c);
	c.consumer.vcpus = 2;
	req = c.req.rw;
	req->slots[0] = *forged;
	atomic_store(&req->tail, tail);
	err = ring_peek(&c.consumer, &slot);
	if (err == -EPROTO) {
		req->slots[0] = access_slot(IO_READ, 0, 0);
		req->slots[0].flags = IO_SYNC;
		cr_assert_eq(ring_peek(&c.consumer, &slot), -EPROTO, "a broken ring is not read again");
	}
	test_channel_free(&c);
	return err;
}

Test(ring, consumer_checks_every_field)
{
	const struct io_slot good = { .op = IO_READ, .size = 4, .flags = IO_SYNC };
	struct io_slot s = good;

	cr_assert_eq(pop_forged(&good, 1), 0);
	cr_assert_eq(pop_forged(&good, RING_SLOTS), 0);
	cr_assert_eq(pop_forged(&good, RING_SLOTS + 1), -EPROTO);
	cr_assert_eq(pop_forged(&good, 0xffffffff), -EPROTO);
#define BAD(field, value)                                                    \
	do {                                                                 \
		s = good;                                                    \
		s.field = (value);                                           \
		cr_assert_eq(pop_forged(&s, 1), -EPROTO, #field " " #value); \
	} while (0)
	BAD(seq, 1);
	BAD(op, IO_INVALID);
	BAD(op, IO_OPS);
	BAD(op, 255);
	BAD(op, IO_FENCE); /* with a size */
	BAD(size, 0);
	BAD(size, 3);
	BAD(size, 16);
	BAD(flags, 0); /* a read that nobody waits for */
	BAD(flags, 2 | IO_SYNC);
	BAD(vcpu, 2);
	BAD(vcpu, 255);
	BAD(space, 2);
	BAD(count, RING_REPLY_DATA / 4 + 1);
	BAD(count, 0x4001); /* times 4 is 4 again in 16 bits */
	BAD(addr, UINT64_MAX - 1);
#undef BAD
	s = good;
	s.op = IO_WRITE;
	s.count = RING_PAYLOAD / 4 + 1;
	cr_assert_eq(pop_forged(&s, 1), -EPROTO);
}

Test(ring, producer_survives_any_head)
{
	static const uint32_t heads[] = { 2, 0x80000000, 0xffffffff - RING_SLOTS };
	struct test_channel c;
	struct asked asked = { .limit = 2 };
	struct ring_rsp *rsp;
	struct io_slot w = access_slot(IO_WRITE, 0, 0);

	test_channel_make(&c);
	rsp = c.rsp.rw;
	set_patience(&c, &asked);
	ring_post(&c.producer, &w, CLASS_CONFIG);
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		atomic_store(&rsp->head, heads[i]);
		asked.times = 0;
		cr_assert_eq(ring_post(&c.producer, &w, CLASS_CONFIG), -ENXIO, "it waits for a daemon that repairs it");
		cr_assert_eq(asked.odd, -EPROTO);
		cr_assert_not(ring_is_applied(&c.producer, CLASS_CONFIG));
		cr_assert_eq(ring_backlog(c.req.ro, c.rsp.ro), -EPROTO);
	}
	cr_assert_eq(atomic_load(&c.producer.tail), 1);
	atomic_store(&rsp->head, 1);
	cr_assert_eq(ring_post(&c.producer, &w, CLASS_CONFIG), 0, "a new incarnation makes it good again");
	test_channel_free(&c);
}

static atomic_bool vandal_stop;

/* Requests that are almost right, and change all the time. */
static void *run_vandal(void *arg)
{
	struct ring_req *req = arg;
	unsigned seed = 1;

	while (!atomic_load_explicit(&vandal_stop, memory_order_relaxed)) {
		unsigned r = (unsigned)rand_r(&seed);
		volatile struct io_slot *s = &req->slots[r % 4];

		s->seq = r % 4;
		s->op = (uint8_t)(rand_r(&seed) % (IO_OPS + 1));
		s->size = (uint8_t)(1u << rand_r(&seed) % 5);
		s->flags = (uint8_t)(rand_r(&seed) % 8 ? IO_SYNC : 3);
		s->vcpu = (uint8_t)(rand_r(&seed) % (RING_VCPUS + 8));
		s->count = (uint16_t)(rand_r(&seed) % 200);
		s->addr = r % 16 ? r : UINT64_MAX;
		atomic_store_explicit(&req->tail, (uint32_t)rand_r(&seed) % (RING_SLOTS + 4), memory_order_relaxed);
	}
	return NULL;
}

/* A slot that changes while it is being checked: what comes out was checked, whatever goes in. */
Test(ring, consumer_beside_a_vandal, .timeout = 60)
{
	struct test_channel c;
	pthread_t thread;
	unsigned taken = 0;

	test_channel_make(&c);
	atomic_store(&vandal_stop, false);
	pthread_create(&thread, NULL, run_vandal, c.req.rw);
	for (int i = 0; i < 300000 || (taken < 1000 && i < 100000000); i++) {
		struct ring_reply reply = { .data = 1 };
		struct io_slot s;

		if (ring_peek(&c.consumer, &s) == 0) {
			cr_assert(s.vcpu < RING_VCPUS && s.op > IO_INVALID && s.op < IO_OPS);
			cr_assert((uint64_t)s.count * s.size <= RING_REPLY_DATA);
			ring_complete(&c.consumer, &s, &reply);
			taken++;
		} else {
			ring_consumer_init(&c.consumer, c.req.ro, c.rsp.rw, (uint32_t)i % 4, RING_VCPUS);
		}
	}
	atomic_store(&vandal_stop, true);
	pthread_join(thread, NULL);
	cr_assert_gt(taken, 0, "some are harmless");
	test_channel_free(&c);
}
