/* SPDX-License-Identifier: MIT */
/*
 * The state of a machine beside its memory, in one piece: a header, then parts, each with a kind, a version and a length.
 * The supervisor of a machine that stands still makes it; that of another machine takes it, and believes none of it: it may
 * have been anywhere meanwhile. What the container says is checked here, what is in a part by whoever knows that kind.
 *
 * Numbers are little-endian, as on every host that Bulkhead runs on; a part begins at a multiple of 8.
 */
#ifndef BULKHEAD_PROTO_STATE_H
#define BULKHEAD_PROTO_STATE_H

#include <stddef.h>
#include <stdint.h>

enum { STATE_VERSION = 2, STATE_MAX = 4 << 20, STATE_PARTS_MAX = 256 };
#define STATE_MAGIC 0x54534842u /* "BHST" */

enum state_kind {
	STATE_MACHINE = 1, /* struct state_machine: what the other machine must be like */
	STATE_PROCESSOR,   /* of the vCPU `instance`: struct engine_state, the vcpu process's own business */
	STATE_BUS,	   /* what the vcpu process has beside its processors; its own business, too */
	STATE_RING,	   /* struct ring_image, of the device `role`, `instance`; so have the next two */
	STATE_LINES,	   /* the words of its interrupt lines: struct line_page */
	STATE_JOURNAL,	   /* its committed state: struct journal_image, and what follows that */
	STATE_MESSAGES,	   /* struct msi_image */
	STATE_CONSOLE,	   /* the console's history: struct backlog_image, and what follows that */
	STATE_DEBUG_TEXT,  /* text of the debug ports on its way to the console */
	STATE_CAPTURE,	   /* struct capture_info: it is of one device only, which is this one (capture.h) */
	STATE_KINDS
};

struct state_header {
	uint32_t magic, version;
	uint64_t checksum; /* of everything behind this field, up to `bytes` */
	uint64_t bytes;	   /* from this header's beginning to the last part's end */
	uint32_t parts;
	uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct state_header) == 32, "state header");

struct state_part {
	uint16_t kind;
	uint16_t version;
	uint32_t role;
	uint32_t instance;
	uint32_t bytes; /* of what follows; the next part begins at the next multiple of 8 */
};
_Static_assert(sizeof(struct state_part) == 16, "state part");

enum { STATE_CPU_TEXT = 1032 };
struct state_machine {
	uint64_t ram_bytes;
	uint64_t time_ns; /* the machine's clock when it was taken */
	uint32_t vcpus; /* topology_word() */
	uint32_t devices;
	char cpu[STATE_CPU_TEXT]; /* its processor model, terminated */
};
_Static_assert(sizeof(struct state_machine) == 1056, "state of the machine");

/* Makes one, in memory that begins at a multiple of 8. The first error stays: what follows it does nothing. */
struct state_writer {
	uint8_t *memory;
	size_t size, used;
	uint32_t parts;
	int error; /* -ENOSPC: it does not fit */
};

void state_begin(struct state_writer *w, void *memory, size_t size);
/* A part of `bytes` bytes, to be filled in by the caller before the next one is begun. NULL: it does not fit. */
void *state_reserve(struct state_writer *w, const struct state_part *part);
void state_add(struct state_writer *w, const struct state_part *part, const void *data);
/* The last part turned out shorter than it was reserved. */
void state_shorten(struct state_writer *w, const void *part, uint32_t bytes);
/* Its length, or the error. */
int64_t state_end(struct state_writer *w);

/*
 * Is it whole? To be asked of a private copy, before anything else. 0, or -EINVAL with *why: no state, another version,
 * damaged, a part of no kind, one that is there twice, or one that does not end where it should.
 */
int state_check(const void *memory, size_t size, const char **why);

/* The part of that kind, role and instance, in a state that was checked. NULL: it has none. */
const void *state_find(const void *memory, enum state_kind kind, uint32_t role, uint32_t instance, struct state_part *part);
unsigned state_count(const void *memory, enum state_kind kind);

#endif
