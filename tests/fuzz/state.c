/* SPDX-License-Identifier: MIT */
/*
 * The state of a machine as another machine takes it (proto/state.h): the container, then each part into new objects. A good
 * one is changed in places, and given its checksum again, which is no secret. Input flag 1: it is the input alone.
 */
#include "devices/backlog.h"
#include "fuzz.h"
#include "proto/journal.h"
#include "proto/msi.h"
#include "proto/state.h"

#include <errno.h>

enum { SIZE = 16384, ROLE = 6, PART0 = 300, PART1 = 40 };

static struct journal_object journal;
static struct backlog history;
static uint8_t scratch[BACKLOG_IMAGE_MAX];

static void add(struct state_writer *w, enum state_kind kind, const void *data, size_t bytes)
{
	const struct state_part part = { .kind = (uint16_t)kind, .version = 1, .role = ROLE, .bytes = (uint32_t)bytes };

	state_add(w, &part, data);
}

static void add_ring(struct state_writer *w)
{
	struct ring_image r = { .head = 63, .tail = 66 };
	struct msi_image m = { .tail = 2 };

	for (uint32_t seq = r.head; seq < r.tail; seq++)
		r.slots[seq % RING_SLOTS] = (struct io_slot){ .seq = seq, .op = IO_WRITE, .size = 1, .addr = 0x3f8 };
	for (uint32_t seq = 0; seq < m.tail; seq++)
		m.slots[seq].seq = seq;
	add(w, STATE_RING, &r, sizeof(r));
	add(w, STATE_MESSAGES, &m, sizeof(m));
}

static void add_journal(struct state_writer *w)
{
	const struct journal_id id = { .role = ROLE, .version = 1, .part_version = 1, .part_size = { PART0, PART1 } };
	uint8_t a[PART0] = { 1 }, b[PART1] = { 2 };
	const void *const parts[JOURNAL_PARTS] = { a, b };
	const struct journal_mark mark = { .head = 63 };
	const char *why;
	struct journal j;
	int64_t bytes;

	CHECK(journal_open(&j, &journal, &id) == 0);
	journal_format(&j, &id);
	journal_commit(&j, parts, &mark);
	bytes = journal_save(&journal, ROLE, scratch, &why);
	CHECK(bytes > 0);
	add(w, STATE_JOURNAL, scratch, (size_t)bytes);
}

static int64_t make(uint8_t *memory)
{
	struct state_writer w;

	state_begin(&w, memory, SIZE);
	add_ring(&w);
	add_journal(&w);
	backlog_open(&history);
	atomic_store(&history.written, 0);
	backlog_append(&history, (const uint8_t *)"hello", 5);
	add(&w, STATE_CONSOLE, scratch, backlog_save(&history, scratch));
	return state_end(&w);
}

static void sign(uint8_t *memory)
{
	struct state_header h;

	memcpy(&h, memory, sizeof(h));
	if (h.bytes < sizeof(h) || h.bytes > SIZE)
		return;
	h.checksum = journal_hash(memory + 16, (size_t)h.bytes - 16, STATE_MAGIC);
	memcpy(memory, &h, sizeof(h));
}

static void restore_ring(const uint8_t *memory)
{
	struct ring_req *req = fuzz_alloc(sizeof(*req));
	struct ring_rsp *rsp = fuzz_alloc(sizeof(*rsp));
	struct ring_image r;
	struct state_part part;
	const void *data = state_find(memory, STATE_RING, ROLE, 0, &part);

	if (data && part.bytes == sizeof(r)) {
		memcpy(&r, data, sizeof(r));
		if (!ring_restore(req, rsp, &r, 2))
			CHECK(ring_backlog(req, rsp) >= 0);
	}
	free(req), free(rsp);
}

static void restore_messages(const uint8_t *memory)
{
	struct msi_page *page = fuzz_alloc(sizeof(*page));
	struct msi_image m;
	struct state_part part;
	const void *data = state_find(memory, STATE_MESSAGES, ROLE, 0, &part);

	if (data && part.bytes == sizeof(m)) {
		memcpy(&m, data, sizeof(m));
		msi_restore(page, 0, &m);
	}
	free(page);
}

static void restore_journal(const uint8_t *memory)
{
	const struct journal_id id = { .role = ROLE, .version = 1, .part_version = 1, .part_size = { PART0, PART1 } };
	uint8_t *a = fuzz_alloc(PART0), *b = fuzz_alloc(PART1);
	void *const parts[JOURNAL_PARTS] = { a, b };
	struct journal_mark mark;
	struct state_part part;
	struct journal j;
	const char *why;
	const void *data = state_find(memory, STATE_JOURNAL, ROLE, 0, &part);

	if (data && !journal_restore(&journal, ROLE, data, part.bytes, &why) && !journal_open(&j, &journal, &id))
		journal_load(&j, &id, parts, &mark, &why);
	free(a), free(b);
}

static void restore_history(const uint8_t *memory)
{
	struct state_part part;
	const void *data = state_find(memory, STATE_CONSOLE, ROLE, 0, &part);

	if (data && !backlog_restore(&history, data, part.bytes))
		CHECK(backlog_save(&history, scratch) == part.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *memory = fuzz_alloc(SIZE);
	struct input in = { data, size };
	const char *why = NULL;

	if (take(&in, 1) & 1) {
		memcpy(memory, in.data, in.left < SIZE ? in.left : SIZE);
	} else {
		CHECK(make(memory) > 0);
		CHECK(state_check(memory, SIZE, &why) == 0);
		while (in.left > 0)
			take_poke(&in, memory, SIZE);
	}
	sign(memory);
	if (state_check(memory, SIZE, &why) == 0) {
		restore_ring(memory);
		restore_messages(memory);
		restore_journal(memory);
		restore_history(memory);
	} else {
		CHECK(why);
	}
	free(memory);
	return 0;
}
