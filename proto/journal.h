/* SPDX-License-Identifier: MIT */
/*
 * The JOURNAL object: the committed state of one daemon, double-buffered. The daemon is its only writer; the supervisor
 * reads it, and the next incarnation of the daemon loads it. It was then written by a process that crashed: everything
 * is validated.
 *
 * A commit costs what changed: states are compared with the spare buffer in blocks of 256 bytes, changed blocks are
 * copied and re-hashed, and the checksum of the record is a hash over the block hashes.
 */
#ifndef BULKHEAD_PROTO_JOURNAL_H
#define BULKHEAD_PROTO_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

enum {
	JOURNAL_BLOCK = 256,
	JOURNAL_STATE_MAX = 96 * 1024,
	JOURNAL_BLOCKS_MAX = JOURNAL_STATE_MAX / JOURNAL_BLOCK,
	JOURNAL_PARTS = 2, /* the model's state and the shell's own */
};
#define JOURNAL_MAGIC 0x4b4a4842u /* "BHJK" */
#define JOURNAL_FORMAT 2u /* 1 had another hash */

/* What is committed with a state. */
struct journal_mark {
	uint32_t head;	   /* ring slots applied */
	uint32_t reserved; /* 0 */
	uint64_t events;   /* time steps and input chunks applied */
	uint64_t time_ns;  /* the machine's clock at the commit */
	/* the answer to slot head - 1, published again by the next incarnation if its vCPU still waits */
	uint8_t reply_valid;
	uint8_t reply_vcpu;
	uint16_t reply_reserved;
	uint32_t reply_seq; /* slot seq + 1, as in the cell */
	struct ring_reply reply;
};
_Static_assert(sizeof(struct journal_mark) == 152, "journal mark");

/* Writer: daemon; one cache line aligned record per buffer, followed by its state. */
struct journal_record {
	uint64_t checksum; /* over the mark, the sizes, and all blocks */
	uint32_t part_size[JOURNAL_PARTS];
	struct journal_mark mark;
	uint8_t pad[24];
};
_Static_assert(sizeof(struct journal_record) == 192, "journal record");

struct journal_header {
	uint32_t magic;
	uint32_t format;
	uint32_t role;	  /* Role of control.proto */
	uint32_t version; /* of the model's state layout */
	uint32_t part_version; /* of the shell's */
	uint32_t part_size[JOURNAL_PARTS];
	uint32_t reserved;
	_Atomic uint32_t committed; /* 0: nothing yet; 1, 2: that buffer; stored (release) after the buffer's contents */
	uint32_t pad0[7];
	/* The request that is being applied, stored before it is: what kills a daemon twice is not tried a third time. It
	 * counts only while `head` of the committed mark is the same. */
	_Atomic uint32_t attempt_active;
	_Atomic uint32_t attempt_seq;
	uint32_t pad1[46];
};
_Static_assert(sizeof(struct journal_header) == 256 && offsetof(struct journal_header, committed) == 32, "JOURNAL");
_Static_assert(offsetof(struct journal_header, attempt_active) == 64, "JOURNAL");

struct journal_object {
	struct journal_header header;
	struct {
		struct journal_record record;
		uint8_t state[JOURNAL_STATE_MAX];
	} buffers[2];
};

struct journal {
	struct journal_object *object;
	size_t size; /* of both parts, each padded to whole blocks */
	uint32_t part_size[JOURNAL_PARTS];
	unsigned committed; /* 0, 1, 2 */
	uint64_t hashes[2][JOURNAL_BLOCKS_MAX];
	bool known[2]; /* hashes[i] describe what buffer i holds */
	uint64_t blocks_written; /* by all commits: unchanged ones are not (tests) */
};

struct journal_id {
	uint32_t role, version, part_version;
	uint32_t part_size[JOURNAL_PARTS];
};

/* 0, or -EINVAL: the parts do not fit. Does not touch the object. */
int journal_open(struct journal *j, struct journal_object *object, const struct journal_id *id);

/* Writes a fresh header; whatever was in it is gone. */
void journal_format(struct journal *j, const struct journal_id *id);

/*
 * Loads the committed half into `parts` (sizes as in `id`).
 *
 * 0        *mark tells how far it got
 * -ENOENT  nothing was ever committed
 * -EINVAL  another role, version or size; *why says which in words
 * -EBADMSG the contents are damaged; *why
 * The states' fields are then validated by their owners.
 */
int journal_load(struct journal *j, const struct journal_id *id, void *const parts[JOURNAL_PARTS],
		 struct journal_mark *mark, const char **why);

/* The request `seq` is about to be applied. */
static inline void journal_attempt(struct journal *j, uint32_t seq)
{
	atomic_store_explicit(&j->object->header.attempt_seq, seq, memory_order_relaxed);
	atomic_store_explicit(&j->object->header.attempt_active, 1, memory_order_release);
}

/*
 * For the supervisor, on a read-only mapping, when the daemon has died: was it applying a request, and which? All of it is
 * the dead daemon's word: at worst it names one of its own requests.
 */
bool journal_attempted(const struct journal_object *object, uint32_t *seq);
/* For the supervisor as well: how many steps beside requests were committed; 0 if nothing was. */
uint64_t journal_events(const struct journal_object *object);

/* State and mark into the spare buffer, then flip. After this the reply may be published. */
void journal_commit(struct journal *j, const void *const parts[JOURNAL_PARTS], const struct journal_mark *mark);

/*
 * The committed half of a journal whose daemon is away, for the state of a machine (journal_image.c). The parts follow it,
 * each padded to whole blocks.
 */
struct journal_image {
	uint32_t format, role, version, part_version;
	uint32_t part_size[JOURNAL_PARTS];
	struct journal_mark mark;
	uint64_t checksum; /* as in its record */
};
_Static_assert(sizeof(struct journal_image) == 184, "journal image");
enum { JOURNAL_IMAGE_MAX = sizeof(struct journal_image) + JOURNAL_STATE_MAX };

/*
 * Bytes that were written to `out`, which has room for JOURNAL_IMAGE_MAX, or
 *
 * -EINVAL  no journal of that role; *why says what is wrong
 * and the errors of journal_load().
 */
int64_t journal_save(const struct journal_object *object, uint32_t role, void *out, const char **why);
/*
 * Into a new object: the daemon that is given it goes on there (journal_load checks the rest, and its owners the states).
 * -EINVAL: no image of a journal of that role; *why.
 */
int journal_restore(struct journal_object *object, uint32_t role, const void *image, size_t bytes, const char **why);

/* XXH3: a fast 64-bit hash against damage, not against forgery. */
uint64_t journal_hash(const void *data, size_t len, uint64_t seed);

#endif
