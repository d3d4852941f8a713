/* SPDX-License-Identifier: MIT */
/*
 * journal_load() of what a crashed or hostile daemon has left. Two states are committed, then bytes of the object are
 * overwritten: whatever loads is one of the two, with its mark. Input flag 1: the object is the input alone.
 */
#include "fuzz.h"
#include "proto/journal.h"

#include <errno.h>

enum { PART0 = 700, PART1 = 64 };

static const struct journal_id id = { .role = 6, .version = 3, .part_version = 2, .part_size = { PART0, PART1 } };

static void commit(struct journal *j, unsigned fill)
{
	uint8_t a[PART0], b[PART1];
	const void *const parts[JOURNAL_PARTS] = { a, b };
	struct journal_mark mark = { .head = fill, .events = fill, .reply_valid = 1, .reply_vcpu = 1 };

	memset(a, (int)fill, sizeof(a));
	memset(b, (int)~fill, sizeof(b));
	journal_commit(j, parts, &mark);
}

static void check_loaded(const uint8_t *a, const uint8_t *b, const struct journal_mark *mark)
{
	CHECK(mark->head == 1 || mark->head == 2);
	CHECK(mark->events == mark->head && mark->reply_valid == 1 && mark->reply_vcpu == 1);
	for (unsigned i = 0; i < PART0; i++)
		CHECK(a[i] == mark->head);
	for (unsigned i = 0; i < PART1; i++)
		CHECK(b[i] == (uint8_t)~mark->head);
}

static void load(struct journal_object *o, bool ours)
{
	uint8_t *a = fuzz_alloc(PART0), *b = fuzz_alloc(PART1);
	void *const parts[JOURNAL_PARTS] = { a, b };
	struct journal_mark mark;
	struct journal j;
	const char *why = NULL;
	int err;

	CHECK(journal_open(&j, o, &id) == 0);
	err = journal_load(&j, &id, parts, &mark, &why);
	CHECK(err == 0 || err == -ENOENT || (why && (err == -EINVAL || err == -EBADMSG)));
	if (err == 0 && ours)
		check_loaded(a, b, &mark);
	if (err == 0) {
		CHECK(mark.reply_valid <= 1 && mark.reply_vcpu < RING_VCPUS);
		commit(&j, 2);
		CHECK(journal_load(&j, &id, parts, &mark, &why) == 0, "goes on after recovery");
		check_loaded(a, b, &mark);
	}
	free(a), free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct journal_object *o = fuzz_alloc(sizeof(*o));
	struct input in = { data, size };
	bool ours = !(take(&in, 1) & 1);
	struct journal j;

	CHECK(journal_open(&j, o, &id) == 0);
	if (ours) {
		journal_format(&j, &id);
		commit(&j, 1);
		commit(&j, 2);
		while (in.left > 0)
			take_poke(&in, o, sizeof(*o));
	} else {
		memcpy(o, in.data, in.left < sizeof(*o) ? in.left : sizeof(*o));
	}
	load(o, ours);
	free(o);
	return 0;
}
