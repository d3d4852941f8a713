/* SPDX-License-Identifier: MIT */
/* design.md, section 4: double-buffered, validated on load because a process that crashed wrote it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/journal.h"
#include "proto_harness.h"

enum { STATE = 1000, SHELL = 40 };

static const struct journal_id id = { .role = 6, .version = 3, .part_version = 1, .part_size = { STATE, SHELL } };

struct fixture {
	struct test_object o;
	struct journal j;
	uint8_t state[STATE], shell[SHELL];
	struct journal_mark mark;
};

static void make(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	test_object_make(&f->o, "journal", sizeof(struct journal_object));
	cr_assert_eq(journal_open(&f->j, f->o.rw, &id), 0);
	journal_format(&f->j, &id);
}

static void commit(struct fixture *f)
{
	const void *const parts[] = { f->state, f->shell };

	journal_commit(&f->j, parts, &f->mark);
}

static int load(struct fixture *f, const struct journal_id *as, const char **why)
{
	void *const parts[] = { f->state, f->shell };
	struct journal j;

	cr_assert_eq(journal_open(&j, f->o.rw, &id), 0);
	return journal_load(&j, as, parts, &f->mark, why);
}

Test(journal, what_was_committed_last_is_loaded)
{
	struct fixture f;
	const char *why;

	make(&f);
	cr_assert_eq(load(&f, &id, &why), -ENOENT);
	for (uint32_t i = 1; i <= 100; i++) {
		f.state[i * 7 % STATE] = (uint8_t)i;
		f.state[STATE - 1] = (uint8_t)i;
		f.shell[i % SHELL] = (uint8_t)i;
		f.mark.head = i;
		commit(&f);
		uint8_t state[STATE], shell[SHELL];

		memcpy(state, f.state, STATE);
		memcpy(shell, f.shell, SHELL);
		memset(f.state, 0xee, STATE);
		memset(f.shell, 0xee, SHELL);
		memset(&f.mark, 0, sizeof(f.mark));
		cr_assert_eq(load(&f, &id, &why), 0, "%s", why);
		cr_assert_arr_eq(f.state, state, STATE);
		cr_assert_arr_eq(f.shell, shell, SHELL);
		cr_assert_eq(f.mark.head, i);
	}
	test_object_free(&f.o);
}

/* Death between any two stores of a commit: the half that was committed before stays whole. */
Test(journal, torn_commit_leaves_the_other_half)
{
	struct fixture f;
	struct journal_object *object;
	const char *why;

	make(&f);
	object = f.o.rw;
	memset(f.state, 1, STATE);
	commit(&f);
	memset(object->buffers[1].state, 0x77, STATE / 2); /* the next one got as far as this */
	object->buffers[1].record.checksum = 1;
	cr_assert_eq(load(&f, &id, &why), 0);
	cr_assert_eq(f.state[0], 1);
	cr_assert_eq(f.state[STATE - 1], 1);
	test_object_free(&f.o);
}

/* A successor must not trust hashes of the spare half that it has not computed. */
Test(journal, successor_commits_over_garbage)
{
	struct fixture f;
	struct journal_object *object;
	void *parts[] = { f.state, f.shell };
	const char *why;

	make(&f);
	object = f.o.rw;
	commit(&f);
	memset(object->buffers[1].state, 0x77, STATE);
	cr_assert_eq(journal_open(&f.j, object, &id), 0);
	cr_assert_eq(journal_load(&f.j, &id, parts, &f.mark, &why), 0);
	f.state[3] = 3;
	commit(&f);
	f.state[4] = 4;
	commit(&f);
	memset(f.state, 0, STATE);
	cr_assert_eq(load(&f, &id, &why), 0, "%s", why);
	cr_assert_eq(f.state[3], 3);
	cr_assert_eq(f.state[4], 4);
	test_object_free(&f.o);
}

Test(journal, every_flipped_bit_is_noticed)
{
	struct fixture f;
	struct journal_object *object;
	const char *why;
	unsigned seed = 1;

	make(&f);
	object = f.o.rw;
	for (size_t i = 0; i < STATE; i++)
		f.state[i] = (uint8_t)rand_r(&seed);
	f.mark.head = 17;
	commit(&f);
	for (size_t bit = 0; bit < 8 * STATE; bit++) {
		object->buffers[0].state[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(load(&f, &id, &why), -EBADMSG, "bit %zu", bit);
		object->buffers[0].state[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(f.mark); bit++) {
		uint8_t *mark = (uint8_t *)&object->buffers[0].record.mark;

		mark[bit / 8] ^= (uint8_t)(1 << bit % 8);
		cr_assert_eq(load(&f, &id, &why), -EBADMSG, "mark bit %zu", bit);
		mark[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	cr_assert_eq(load(&f, &id, &why), 0);
	test_object_free(&f.o);
}

Test(journal, other_layouts_are_refused_with_words)
{
	struct fixture f;
	struct journal_object *object;
	struct journal_id other;
	const char *why;

	make(&f);
	object = f.o.rw;
	commit(&f);
#define REFUSED(field, words)                                  \
	do {                                                   \
		other = id;                                    \
		other.field++;                                 \
		cr_assert_eq(load(&f, &other, &why), -EINVAL); \
		cr_assert(strstr(why, words), "%s", why);      \
	} while (0)
	REFUSED(role, "another device");
	REFUSED(version, "device state of another version");
	REFUSED(part_version, "daemon state of another version");
	REFUSED(part_size[0], "size");
#undef REFUSED
	atomic_store(&object->header.committed, 3);
	cr_assert_eq(load(&f, &id, &why), -EBADMSG);
	object->header.magic = 1;
	cr_assert_eq(load(&f, &id, &why), -EINVAL);
	cr_assert(strstr(why, "not a journal"));
	other = id;
	other.part_size[0] = JOURNAL_STATE_MAX + 1;
	cr_assert_eq(journal_open(&f.j, object, &other), -EINVAL);
	other.part_size[0] = UINT32_MAX;
	cr_assert_eq(journal_open(&f.j, object, &other), -EINVAL);
	test_object_free(&f.o);
}

Test(journal, only_changed_blocks_are_written)
{
	struct fixture f;
	uint64_t before;

	make(&f);
	commit(&f);
	commit(&f);
	before = f.j.blocks_written;
	commit(&f);
	cr_assert_eq(f.j.blocks_written, before);
	f.state[600] ^= 1;
	commit(&f);
	cr_assert_eq(f.j.blocks_written, before + 1);
	test_object_free(&f.o);
}

Test(journal, garbage_is_never_loaded)
{
	struct fixture f;
	const char *why;
	unsigned seed = 5;

	make(&f);
	commit(&f);
	for (int round = 0; round < 200; round++) {
		struct journal_object *object = f.o.rw;

		for (size_t i = 0; i < sizeof(object->buffers[0].record) + 1024; i++)
			((uint8_t *)&object->buffers[0])[i] = (uint8_t)rand_r(&seed);
		cr_assert_eq(load(&f, &id, &why), -EBADMSG);
	}
	test_object_free(&f.o);
}
