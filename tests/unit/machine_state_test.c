/* SPDX-License-Identifier: MIT */
/* proto/state.h: a machine's state out and in, part by part; a reader believes none of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/backlog.h"
#include "proto/journal.h"
#include "proto/msi.h"
#include "proto/state.h"
#include "proto_harness.h"

enum { SIZE = 4096 };

struct fixture {
	_Alignas(8) uint8_t memory[SIZE];
	struct state_writer w;
	int64_t bytes;
};

static void add_text(struct fixture *f, enum state_kind kind, uint32_t role, uint32_t instance, const char *text)
{
	const struct state_part part = {
		.kind = (uint16_t)kind, .version = 1, .role = role, .instance = instance, .bytes = (uint32_t)strlen(text)
	};

	state_add(&f->w, &part, text);
}

static void make(struct fixture *f)
{
	memset(f, 0xa5, sizeof(*f));
	state_begin(&f->w, f->memory, SIZE);
	add_text(f, STATE_RING, 4, 0, "ring of four");
	add_text(f, STATE_RING, 4, 1, "ring of four, 1");
	add_text(f, STATE_CONSOLE, 0, 0, "");
	f->bytes = state_end(&f->w);
	cr_assert_gt(f->bytes, 0);
}

static const char *complaint(const struct fixture *f, size_t size)
{
	const char *why;
	int err = state_check(f->memory, size, &why);

	cr_assert_eq(err, why ? -EINVAL : 0);
	return why;
}

Test(machine_state, parts_are_found_by_kind_role_and_instance)
{
	struct state_part part;
	struct fixture f;
	const char *data;

	make(&f);
	cr_assert_null(complaint(&f, (size_t)f.bytes));
	cr_assert_null(complaint(&f, SIZE));
	data = state_find(f.memory, STATE_RING, 4, 1, &part);
	cr_assert(data && part.bytes == 15 && !memcmp(data, "ring of four, 1", 15));
	cr_assert_not_null(state_find(f.memory, STATE_CONSOLE, 0, 0, &part));
	cr_assert_null(state_find(f.memory, STATE_RING, 5, 0, &part));
	cr_assert_eq(state_count(f.memory, STATE_RING), 2);
}

/* Every byte counts: whichever is changed, it is no state any more. */
Test(machine_state, damage_is_seen)
{
	struct fixture f;

	make(&f);
	for (int64_t i = 0; i < f.bytes; i++) {
		f.memory[i] ^= 0x10;
		cr_assert_not_null(complaint(&f, (size_t)f.bytes), "byte %lld", (long long)i);
		f.memory[i] ^= 0x10;
	}
	for (int64_t n = 0; n < f.bytes; n++)
		cr_assert_not_null(complaint(&f, (size_t)n));
}

Test(machine_state, a_part_is_there_once)
{
	struct fixture f;

	make(&f);
	state_begin(&f.w, f.memory, SIZE);
	add_text(&f, STATE_RING, 4, 0, "one");
	add_text(&f, STATE_RING, 4, 0, "two");
	cr_assert_gt(state_end(&f.w), 0);
	cr_assert_str_eq(complaint(&f, SIZE), "a part that is there twice");
}

Test(machine_state, what_does_not_fit_is_an_error_that_stays)
{
	const struct state_part large = { .kind = STATE_JOURNAL, .bytes = SIZE };
	struct fixture f;

	make(&f);
	state_begin(&f.w, f.memory, SIZE);
	cr_assert_null(state_reserve(&f.w, &large));
	add_text(&f, STATE_RING, 4, 0, "small");
	cr_assert_eq(state_end(&f.w), -ENOSPC);
}

Test(machine_state, a_part_may_turn_out_shorter)
{
	const struct state_part reserved = { .kind = STATE_JOURNAL, .bytes = 100 };
	struct state_part part;
	struct fixture f;
	char *data;

	make(&f);
	state_begin(&f.w, f.memory, SIZE);
	data = state_reserve(&f.w, &reserved);
	cr_assert_not_null(data);
	memset(data, 7, 100);
	state_shorten(&f.w, data, 9);
	add_text(&f, STATE_RING, 4, 0, "next");
	cr_assert_gt(state_end(&f.w), 0);
	cr_assert_null(complaint(&f, SIZE));
	cr_assert(state_find(f.memory, STATE_JOURNAL, 0, 0, &part) && part.bytes == 9);
	cr_assert(state_find(f.memory, STATE_RING, 4, 0, &part) && part.bytes == 4);
}

/* ---- rings ----------------------------------------------------------------------------------------------------- */

/* proto/ring.h: requests on their way arrive on the other side, in order, and none twice. */
Test(machine_state, requests_in_flight_go_along)
{
	const struct io_slot write = { .op = IO_WRITE, .size = 1, .addr = 0x3f8, .data = 1 };
	struct test_channel from, to;
	struct ring_image image;
	struct io_slot slot;

	test_channel_make(&from);
	test_channel_make(&to);
	for (unsigned i = 0; i < 100; i++) {
		cr_assert_eq(ring_post(&from.producer, &write, 0), 0);
		if (i < 90) {
			cr_assert_eq(ring_peek(&from.consumer, &slot), 0);
			ring_complete(&from.consumer, &slot, NULL);
		}
	}
	cr_assert_eq(ring_save(from.req.ro, from.rsp.ro, &image), 0);
	cr_assert(image.head == 90 && image.tail == 100);
	cr_assert_eq(ring_restore(to.req.rw, to.rsp.rw, &image, 1), 0);
	ring_consumer_init(&to.consumer, to.req.ro, to.rsp.rw, image.head, 1);
	cr_assert_eq(ring_attach(&to.producer, to.req.rw, to.rsp.ro, to.bell[1], 0), 0);
	cr_assert_eq(ring_post(&to.producer, &write, 0), 0);
	for (uint32_t i = 90; i < 101; i++) {
		cr_assert_eq(ring_peek(&to.consumer, &slot), 0);
		cr_assert_eq(slot.seq, i);
		ring_complete(&to.consumer, &slot, NULL);
	}
	cr_assert_eq(ring_peek(&to.consumer, &slot), -EAGAIN);
	test_channel_free(&from);
	test_channel_free(&to);
}

Test(machine_state, a_ring_that_cannot_be_is_refused)
{
	const struct io_slot good = { .seq = 5, .op = IO_WRITE, .size = 1, .addr = 0x3f8 };
	struct ring_image image = { .head = 5, .tail = 6 };
	struct test_channel to;

	test_channel_make(&to);
	cr_assert_eq(ring_restore(to.req.rw, to.rsp.rw, &image, 1), -EINVAL, "a slot of zeroes is no request");
	image.slots[5] = good;
	image.slots[5].seq = 69;
	cr_assert_eq(ring_restore(to.req.rw, to.rsp.rw, &image, 1), -EINVAL, "of another round");
	image.slots[5] = good;
	image.slots[5].vcpu = 1;
	cr_assert_eq(ring_restore(to.req.rw, to.rsp.rw, &image, 1), -EINVAL, "of a processor that is not there");
	image.tail = 5 + RING_SLOTS + 1;
	cr_assert_eq(ring_restore(to.req.rw, to.rsp.rw, &image, 1), -EINVAL, "more than fit");
	cr_assert_eq(atomic_load(&((struct ring_req *)to.req.rw)->tail), 0);
	test_channel_free(&to);
}

/* ---- messages of irqd ------------------------------------------------------------------------------------------ */

Test(machine_state, interrupt_messages_go_along)
{
	static struct msi_page from, to;
	static struct ring_req req, req2;
	struct msi_producer producer;
	struct msi_consumer consumer;
	struct irq_message m = { .type = IRQ_MSG_MSI, .addr = 0xfee00000, .data = 0x40 };
	struct msi_image image;

	msi_producer_init(&producer, &from, &req, -1);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(msi_push(&producer, &m), 0);
	msi_set_pic(&producer, (struct pic_output){ .seq = 9, .vector = 0x30, .intr = true });
	atomic_store(&req.msi_head, 1);
	cr_assert_eq(msi_save(&from, 1, &image), 0);
	cr_assert_eq(msi_restore(&to, 1, &image), 0);
	atomic_store(&req2.msi_head, 1);
	msi_consumer_init(&consumer, &to, &req2);
	cr_assert(msi_pop(&consumer, &m) == 0 && m.data == 0x40);
	cr_assert_eq(msi_pop(&consumer, &m), 0);
	cr_assert_eq(msi_pop(&consumer, &m), -EAGAIN);
	cr_assert(msi_get_pic(&to).seq == 9 && msi_get_pic(&to).vector == 0x30 && msi_get_pic(&to).intr);
	image.tail = 1 + MSI_SLOTS + 1;
	cr_assert_eq(msi_restore(&to, 1, &image), -EINVAL);
	image.tail = 3;
	image.slots[2].seq = 7;
	cr_assert_eq(msi_restore(&to, 1, &image), -EINVAL);
}

/* ---- journals -------------------------------------------------------------------------------------------------- */

static const struct journal_id id = { .role = 6, .version = 3, .part_version = 2, .part_size = { 700, 64 } };
static struct journal_object from_object, to_object;
static uint8_t image[JOURNAL_IMAGE_MAX];

static int64_t commit_and_save(const uint8_t a[700], const uint8_t b[64])
{
	const void *const parts[] = { a, b };
	const struct journal_mark mark = { .head = 17, .events = 4 };
	struct journal j;
	const char *why;

	cr_assert_eq(journal_open(&j, &from_object, &id), 0);
	journal_format(&j, &id);
	journal_commit(&j, parts, &mark);
	journal_commit(&j, parts, &mark);
	return journal_save(&from_object, id.role, image, &why);
}

Test(machine_state, a_journal_goes_along)
{
	uint8_t a[700], b[64], a2[700], b2[64];
	void *const parts[] = { a2, b2 };
	struct journal_mark mark;
	struct journal j;
	const char *why;
	int64_t bytes;

	memset(a, 1, sizeof(a));
	memset(b, 2, sizeof(b));
	bytes = commit_and_save(a, b);
	cr_assert_gt(bytes, 0);
	cr_assert_eq(journal_restore(&to_object, id.role, image, (size_t)bytes, &why), 0);
	cr_assert_eq(journal_open(&j, &to_object, &id), 0);
	cr_assert_eq(journal_load(&j, &id, parts, &mark, &why), 0);
	cr_assert(!memcmp(a, a2, sizeof(a)) && !memcmp(b, b2, sizeof(b)) && mark.head == 17);
	cr_assert_eq(journal_restore(&to_object, 5, image, (size_t)bytes, &why), -EINVAL);
	cr_assert_eq(journal_restore(&to_object, id.role, image, (size_t)bytes - 1, &why), -EINVAL);
	image[sizeof(struct journal_image) + 3] ^= 1;
	cr_assert_eq(journal_restore(&to_object, id.role, image, (size_t)bytes, &why), 0);
	cr_assert_eq(journal_load(&j, &id, parts, &mark, &why), -EBADMSG, "the daemon sees what was changed on the way");
}

/* A machine whose device has spoilt its journal is not copied with it. */
Test(machine_state, a_damaged_journal_is_not_given_out)
{
	uint8_t a[700] = { 0 }, b[64] = { 0 };
	const char *why;

	cr_assert_gt(commit_and_save(a, b), 0);
	from_object.buffers[1].state[5] ^= 1;
	cr_assert_eq(journal_save(&from_object, id.role, image, &why), -EBADMSG);
	from_object.header.part_size[0] = UINT32_MAX;
	cr_assert_lt(journal_save(&from_object, id.role, image, &why), 0);
}

/* ---- console history ------------------------------------------------------------------------------------------- */

static struct backlog log_from, log_to;
static uint8_t log_image[BACKLOG_IMAGE_MAX];

static void check_history(size_t written)
{
	uint64_t cursor, skipped;
	const uint8_t *chunk;
	size_t bytes, n;

	memset(&log_from, 0, sizeof(log_from));
	memset(&log_to, 0, sizeof(log_to));
	backlog_open(&log_from);
	for (size_t i = 0; i < written; i++)
		backlog_append(&log_from, &(uint8_t){ (uint8_t)(i * 31 >> 3) }, 1);
	bytes = backlog_save(&log_from, log_image);
	cr_assert_eq(backlog_restore(&log_to, log_image, bytes), 0);
	cr_assert_eq(backlog_start(&log_to), backlog_start(&log_from));
	for (cursor = backlog_start(&log_to); (n = backlog_peek(&log_to, &cursor, &chunk, &skipped)); cursor += n)
		for (size_t i = 0; i < n; i++)
			cr_assert_eq(chunk[i], (uint8_t)((cursor + i) * 31 >> 3));
	cr_assert_eq(cursor, written);
	cr_assert_eq(backlog_restore(&log_to, log_image, bytes - 1), -EINVAL);
}

Test(machine_state, console_history_goes_along)
{
	check_history(0);
	check_history(1000);
	check_history(BACKLOG_BYTES);
	check_history(BACKLOG_BYTES + 12345);
}
