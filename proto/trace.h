/* SPDX-License-Identifier: MIT */
/*
 * Records of what a vcpu process does (--trace, --trace-io, --profile): from each of its threads, through a ring of its own
 * in the object TRACE, to the tracer (vmm/trace), which makes text of them. The tracer says in TRACED how far it has read. A
 * full ring is waited for: nothing is lost, and the guest stands still meanwhile. A tracer that has ended, or says so, turns
 * recording off. Of the other side nobody believes anything: records are copied out once and checked.
 *
 * | object | writer | reader |
 * | TRACE  | vcpu   | tracer |
 * | TRACED | tracer | vcpu   |
 */
#ifndef BULKHEAD_PROTO_TRACE_H
#define BULKHEAD_PROTO_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "counters.h"

enum { TRACE_RING = 1 << 20, TRACE_RECORD_MAX = 4096, TRACE_THREADS = COUNTERS_THREADS };

enum trace_kind {
	TRACE_PAD,	 /* the rest of the ring: the next record is at its beginning */
	TRACE_INSN,	 /* struct trace_insn: an instruction has retired */
	TRACE_FAULT,	 /* the same: it has raised exception `vector` instead */
	TRACE_INTERRUPT, /* the same, without an instruction: `vector` is delivered before the one at rip */
	TRACE_IO,	 /* struct trace_io */
	TRACE_SAMPLE,	 /* struct trace_sample */
	TRACE_CRASH,	 /* struct trace_head: the processor has shut down, or the engine cannot go on */
	TRACE_KINDS,
};

struct trace_head {
	uint16_t bytes; /* of all of it: a multiple of 8 */
	uint8_t kind;	/* enum trace_kind */
	uint8_t vcpu;
	uint32_t reserved; /* 0 */
	uint64_t when_ns;  /* the machine's clock */
};
_Static_assert(sizeof(struct trace_head) == 16, "trace head");

/* What an instruction has changed or touched; behind it `size` bytes, rounded up to 8. */
enum trace_what { TRACE_REGISTER, TRACE_READ, TRACE_WRITE, TRACE_WHATS };
struct trace_item {
	uint64_t address; /* linear; of a register its number (enum trace_register) */
	uint16_t size;	  /* at most 64 */
	uint8_t what;	  /* enum trace_what */
	uint8_t has_value; /* 0: nobody can look there without disturbing it */
	uint32_t reserved;
};
enum { TRACE_VALUE_MAX = 64 };

struct trace_insn {
	struct trace_head head;
	uint64_t linear, rip;
	uint8_t bytes[15];
	uint8_t count; /* of these; 0: they could not be fetched */
	uint8_t code_size; /* 2, 4 or 8: 16-bit, 32-bit or 64-bit code */
	uint8_t cpl;
	uint8_t vector;
	uint8_t items; /* struct trace_item, one behind the other */
	uint32_t error; /* code of an exception */
};

enum trace_register {
	TRACE_GPR,
	TRACE_RFLAGS = TRACE_GPR + 16,
	TRACE_SEGMENT, /* ES CS SS DS FS GS */
	TRACE_BASE = TRACE_SEGMENT + 6, /* of FS, GS */
	TRACE_CR0 = TRACE_BASE + 2,
	TRACE_CR2,
	TRACE_CR3,
	TRACE_CR4,
	TRACE_EFER,
	TRACE_MXCSR,
	TRACE_X87_CW,
	TRACE_X87_SW,
	TRACE_ST, /* physical registers */
	TRACE_K = TRACE_ST + 8,
	TRACE_VECTOR = TRACE_K + 8, /* 16, 32 or 64 bytes: XMM, YMM or ZMM */
	TRACE_REGISTERS = TRACE_VECTOR + 32,
};

/* "rax", "rflags", "xmm3"; `size` tells what a vector register is called. "?" of a number that there is not. */
const char *trace_register_name(unsigned id, unsigned size, char out[16]);

enum trace_way { TRACE_POSTED, TRACE_WAITED, TRACE_SHADOWED, TRACE_DROPPED, TRACE_UNCLAIMED, TRACE_WAYS };
enum trace_space { TRACE_PORT, TRACE_MMIO, TRACE_LINE /* an interrupt: `address` is its vector */, TRACE_SPACES };

struct trace_io {
	struct trace_head head;
	uint64_t address, data;
	uint64_t took_ns; /* until there was an answer */
	uint32_t count;	  /* of items; above 1 the access was a string's, and `data` its first item */
	uint32_t offset;  /* in the device's range */
	uint16_t role;	  /* control.proto; 0: no device */
	uint8_t instance, range, size, write, space, way;
};

enum { TRACE_FRAMES = 32, TRACE_CODE = 64 };
struct trace_sample {
	struct trace_head head;
	uint64_t weight; /* instructions since the one before */
	uint64_t linear;
	uint8_t code[TRACE_CODE];
	uint8_t code_bytes, code_size, cpl, frames;
	uint32_t reserved;
	uint64_t frame[TRACE_FRAMES]; /* return addresses, the innermost first; only `frames` of them are sent */
};

struct trace_ring {
	_Alignas(4096) _Atomic uint64_t tail; /* bytes ever written */
	_Alignas(4096) uint8_t data[TRACE_RING];
};
/* One ring for each vCPU, and a last one for the helper thread. */
static inline size_t trace_object_size(unsigned threads)
{
	return threads * sizeof(struct trace_ring);
}

struct traced_object {
	_Atomic uint32_t beat;	   /* moves whenever `head` does: futex */
	_Atomic uint32_t sleeping; /* it waits for the doorbell, for some milliseconds */
	_Atomic uint32_t ended;	   /* it reads no more */
	_Alignas(64) _Atomic uint64_t head[TRACE_THREADS]; /* bytes ever read */
};

/* A thread's end. */
struct trace_writer {
	struct trace_ring *ring;
	const struct traced_object *traced;
	unsigned number; /* of its ring */
	int bell_fd;
	bool off;
	uint64_t tail;
};
void trace_writer_init(struct trace_writer *w, struct trace_ring *ring, const struct traced_object *traced, unsigned number,
		       int bell_fd);
/* Appends a record, whose head says how long it is. Waits while the ring is full. False: nobody reads any more. */
bool trace_write(struct trace_writer *w, const void *record);

/* The tracer's end of a ring. `out` is aligned and has TRACE_RECORD_MAX bytes. 0; -EAGAIN: it is empty; -EPROTO: no
 * producer of ours writes that. */
struct trace_reader {
	const struct trace_ring *ring;
	uint64_t head;
};
int trace_read(struct trace_reader *r, struct trace_head *out);

/* Walks the items of an instruction: the first for `at` NULL; NULL behind the last. All of it lies in the record. */
const struct trace_item *trace_next_item(const struct trace_insn *i, const struct trace_item *at);
/* Is a record of that kind long enough, and what it counts within it? */
bool trace_is_valid(const struct trace_head *h);

static inline size_t trace_round(size_t bytes)
{
	return (bytes + 7) & ~(size_t)7;
}

#endif
