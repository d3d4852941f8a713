/* SPDX-License-Identifier: MIT */
/* Traces: rings, records, and what the tracer makes of them. */
#include "proto/control.pb-c.h"
#include "proto/layout.h"
#include "proto/trace.h"
#include "vmm/common/trace_filter.h"
#include "vmm/trace/disasm.h"
#include "vmm/trace/insn_text.h"
#include "vmm/trace/io_text.h"
#include "vmm/trace/last.h"
#include "vmm/trace/profile.h"
#include "vmm/vcpu/trace.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- rings ----------------------------------------------------------------------------------------------------- */

struct pair {
	struct trace_ring *ring;
	struct traced_object *traced;
	struct trace_writer w;
	struct trace_reader r;
	int bell[2];
};

static void open_pair(struct pair *p)
{
	p->ring = aligned_alloc(4096, sizeof(*p->ring));
	p->traced = aligned_alloc(64, sizeof(*p->traced));
	cr_assert(p->ring && p->traced && !pipe2(p->bell, O_NONBLOCK));
	memset(p->ring, 0, sizeof(*p->ring));
	memset(p->traced, 0, sizeof(*p->traced));
	trace_writer_init(&p->w, p->ring, p->traced, 0, p->bell[1]);
	p->r = (struct trace_reader){ p->ring, 0 };
}

static struct trace_io make_io(uint64_t n)
{
	return (struct trace_io){ .head = { .bytes = sizeof(struct trace_io), .kind = TRACE_IO }, .address = n };
}

static void acknowledge(struct pair *p)
{
	atomic_store(&p->traced->head[0], p->r.head);
	atomic_fetch_add(&p->traced->beat, 1);
}

Test(trace, all_records_come_in_order)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct pair p;

	open_pair(&p);
	cr_expect_eq(trace_read(&p.r, (struct trace_head *)record), -EAGAIN);
	for (uint64_t n = 0; n < 50000; n++) {
		struct trace_io io = make_io(n);

		cr_assert(trace_write(&p.w, &io));
		cr_assert_eq(trace_read(&p.r, (struct trace_head *)record), 0, "record %lu", n);
		cr_assert_eq(((struct trace_io *)record)->address, n);
		acknowledge(&p);
	}
}

static void *read_slowly(void *arg)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct pair *p = arg;
	uint64_t n = 0;

	while (n < 100000) {
		if (trace_read(&p->r, (struct trace_head *)record)) {
			acknowledge(p);
			continue;
		}
		if (((struct trace_io *)record)->address != n++)
			return "out of order";
		if (n % 5000 == 0)
			usleep(1000);
	}
	return NULL;
}

/* A full ring is waited for, and nothing is lost. */
Test(trace, slow_reader)
{
	pthread_t reader;
	struct pair p;
	void *why;

	open_pair(&p);
	cr_assert_eq(pthread_create(&reader, NULL, read_slowly, &p), 0);
	for (uint64_t n = 0; n < 100000; n++) {
		struct trace_io io = make_io(n);

		cr_assert(trace_write(&p.w, &io));
	}
	pthread_join(reader, &why);
	cr_expect_null(why, "%s", (char *)why);
}

/* A tracer that says that it has ended, or whose doorbell has no reader, is waited for no longer. */
Test(trace, reader_that_is_gone)
{
	struct trace_io io = make_io(0);

	for (unsigned how = 0; how < 2; how++) {
		unsigned n = 0;
		struct pair p;

		open_pair(&p);
		if (how)
			close(p.bell[0]);
		else
			atomic_store(&p.traced->ended, 1);
		signal(SIGPIPE, SIG_IGN);
		while (n < 1000000 && trace_write(&p.w, &io))
			n++;
		cr_expect_lt(n, TRACE_RING / sizeof(io) + 1);
		cr_expect_not(trace_write(&p.w, &io));
	}
}

/* Whatever stands in the object, the reader says that it is no record, and reads nowhere else. */
Test(trace, hostile_writer)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct trace_head *h = (struct trace_head *)record;
	struct pair p;
	unsigned seed = 1;

	open_pair(&p);
	for (unsigned n = 0; n < 20000; n++) {
		for (unsigned i = 0; i < 256; i++)
			p.ring->data[i] = (uint8_t)rand_r(&seed);
		p.ring->data[0] = (uint8_t)(rand_r(&seed) & 0xf8);
		p.ring->data[1] = (uint8_t)(rand_r(&seed) % 3);
		p.ring->data[2] = (uint8_t)(rand_r(&seed) % (TRACE_KINDS + 1));
		p.ring->data[3] = 0;
		atomic_store(&p.ring->tail, n % 2 ? 256u : (uint64_t)rand_r(&seed));
		p.r.head = 0;
		if (!trace_read(&p.r, h))
			cr_assert(trace_is_valid(h) && p.r.head <= 256 * 1024);
	}
}

/* ---- an instruction -------------------------------------------------------------------------------------------- */

static struct engine_insn *new_insn(void)
{
	struct engine_insn *i = aligned_alloc(64, (sizeof(*i) + 63) & ~63ul);

	memset(i, 0, sizeof(*i));
	i->linear = i->before.rip = i->after.rip = 0x1000;
	i->code_size = 8;
	i->before.rflags = i->after.rflags = 2;
	return i;
}

static const char *text_of(const struct trace_insn *record)
{
	static struct sink s;

	cr_assert(trace_is_valid(&record->head));
	cr_assert_eq(sink_open(&s, 1000, false), 0);
	insn_text(&s, record);
	s.text[s.used] = 0;
	return s.text;
}

/* push rax: the layout of Intel SDE's debugtrace, "Write *(UINT64*)ADDRESS = VALUE" behind the instruction. */
Test(trace, a_write)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct engine_insn *i = new_insn();

	i->bytes[0] = 0x50;
	i->count = 1;
	i->before.gpr[RSP] = 0x8008;
	i->after.gpr[RSP] = 0x8000;
	i->accesses = 1;
	i->access[0] = (struct engine_access){ .linear = 0x8000, .size = 8, .write = true, .has_value = true, .value = { 0x2a } };
	trace_encode(i, (struct trace_insn *)record);
	cr_expect_str_eq(
		text_of((struct trace_insn *)record),
		"TID0: INS 0x0000000000001000             BASE     push rax                                 | rsp = 0x8000\n"
		"TID0: Write *(UINT64*)0x0000000000008000 = 0x2a\n");
}

/* mov eax, [rdi]: what it read stands before it; a place without memory has no value. */
Test(trace, reads)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct engine_insn *i = new_insn();

	memcpy(i->bytes, "\x8b\x07", 2);
	i->count = 2;
	i->after.gpr[RAX] = 7;
	i->accesses = 2;
	i->access[0] = (struct engine_access){ .linear = 0xffff800000000000, .size = 4, .has_value = true, .value = { 7 } };
	i->access[1] = (struct engine_access){ .linear = 0xfee00000, .size = 4 };
	trace_encode(i, (struct trace_insn *)record);
	cr_expect_str_eq(
		text_of((struct trace_insn *)record),
		"TID0: Read 0x7 = *(UINT32*)0xffff800000000000\n"
		"TID0: Read ? = *(UINT32*)0x00000000fee00000\n"
		"TID0: INS 0x0000000000001000             BASE     mov eax, [rdi]                           | rax = 0x7\n");
}

/* Vector registers by as much as has changed: SDM vol. 1, 14.1.1. */
Test(trace, vectors)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct engine_insn *i = new_insn();
	const char *text;

	i->after.vec[0].u8[0] = 1;
	i->after.vec[1].u8[16] = 2;
	i->after.vec[31].u8[63] = 3;
	i->after.k[1] = 5;
	i->after.fpu.r[2].se = 0x3fff;
	i->after.mxcsr = 0x1fa0;
	trace_encode(i, (struct trace_insn *)record);
	text = text_of((struct trace_insn *)record);
	cr_expect(strstr(text, "(not there)") && strstr(text, "k1 = 0x5") && strstr(text, "mxcsr = 0x1fa0"), "%s", text);
	cr_expect(strstr(text, "fpr2 = 0x3fff0000000000000000"), "%s", text);
	cr_expect(strstr(text, "TID0: xmm0 := 0x00000000000000000000000000000001\n"), "%s", text);
	cr_expect(strstr(text, "TID0: ymm1 := 0x"), "%s", text);
	cr_expect(strstr(text, "TID0: zmm31 := 0x03"), "%s", text);
}

/* Everything at once: what has no room is left out, and the record is one. */
Test(trace, too_much)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct engine_insn *i = new_insn();

	memset(&i->after, 0x5a, sizeof(i->after));
	i->accesses = ENGINE_ACCESSES;
	for (unsigned n = 0; n < ENGINE_ACCESSES; n++)
		i->access[n] = (struct engine_access){ .linear = n, .size = n % 2 ? 64 : 500, .has_value = n % 2 };
	trace_encode(i, (struct trace_insn *)record);
	cr_expect(trace_is_valid((struct trace_head *)record));
	cr_expect_leq(((struct trace_head *)record)->bytes, TRACE_RECORD_MAX);
}

Test(trace, exceptions_and_interrupts)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct trace_insn irq = { .head = { .bytes = sizeof(irq), .kind = TRACE_INTERRUPT, .vcpu = 3 },
				  .code_size = 8,
				  .vector = 0xec,
				  .linear = 0x1234 };
	struct engine_insn *i = new_insn();

	memcpy(i->bytes, "\x0f\x0b", 2);
	i->count = 2;
	i->faulted = true;
	i->vector = 6;
	trace_encode(i, (struct trace_insn *)record);
	cr_expect(strstr(text_of((struct trace_insn *)record), "ud2") &&
		  strstr(text_of((struct trace_insn *)record), "\nTID0: # exception 6, error code 0x0\n"));
	cr_expect_str_eq(text_of(&irq), "TID3: # interrupt 0xec before 0x0000000000001234\n");
}

/* ---- what is made of records ----------------------------------------------------------------------------------- */

Test(trace, the_last_ones)
{
	_Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct last l;
	uint64_t n;

	cr_assert_eq(last_init(&l, 10), 0);
	for (n = 0; n < 12345; n++) {
		struct trace_io io = make_io(n);

		last_add(&l, &io.head);
	}
	for (n = 12335; last_take(&l, (struct trace_head *)record); n++)
		cr_assert_eq(((struct trace_io *)record)->address, n);
	cr_expect_eq(n, 12345);
}

/* Names as in the chips' tables: 16550D, "Registers"; DLL lies where THR does. */
Test(trace, names_of_registers)
{
	struct trace_io io = make_io(LAYOUT_COM1);
	char name[64];

	io.role = BULKHEAD__ROLE__ROLE_SERIALD;
	io.write = 1;
	io_register_name(&io, name, sizeof(name));
	cr_expect(!strncmp(name, "COM1.", 5) && strstr(name, "THR"), "%s", name);
	io.write = 0;
	io.offset = 5;
	io_register_name(&io, name, sizeof(name));
	cr_expect_str_eq(name, "COM1.LSR");
	io.range = 200;
	io_register_name(&io, name, sizeof(name));
	cr_expect_str_eq(name, "");
	io.role = 9999;
	io_register_name(&io, name, sizeof(name));
	cr_expect_str_eq(name, "");
}

Test(trace, symbols)
{
	char text[] = "ffffffff81000200 T second\nffffffff81000100 t first\nnonsense\nffffffff81000300 D data\n0 T \"odd\"\n",
	     name[64];
	struct symbols s;

	cr_assert_eq(symbols_read(&s, text, strlen(text)), 0);
	cr_expect_eq(s.count, 2);
	cr_expect_str_eq(symbols_name(&s, 0xffffffff81000100, 1, name, sizeof(name)), "first+0x0");
	cr_expect_str_eq(symbols_name(&s, 0xffffffff810001ff, 0, name, sizeof(name)), "first");
	cr_expect_str_eq(symbols_name(&s, 0xffffffff81000210, 1, name, sizeof(name)), "second+0x10");
	cr_expect_str_eq(symbols_name(&s, 0x1000, 1, name, sizeof(name)), "0x1000");
	cr_expect_str_eq(symbols_name(&s, UINT64_MAX, 0, name, sizeof(name)), "0xffffffffffffffff", "too far from any");
}

static struct trace_sample make_sample(uint64_t linear, uint64_t weight)
{
	/* add eax, 1; jmp . */
	return (struct trace_sample){ .linear = linear,
				      .weight = weight,
				      .code = { 0x83, 0xc0, 0x01, 0xeb, 0xfe, 0x90 },
				      .code_bytes = 6,
				      .code_size = 8,
				      .frames = 1,
				      .frame = { 0x5000 } };
}

static const char *written(void (*write)(const struct profile *, const struct symbols *, struct sink *), const struct profile *p)
{
	static struct sink s;
	const struct symbols none = { 0 };

	sink_open(&s, 1000, false);
	write(p, &none, &s);
	s.text[s.used] = 0;
	return s.text;
}

Test(trace, profile)
{
	static struct profile p;
	struct trace_sample a = make_sample(0x1000, 300), b = make_sample(0x2000, 100);

	cr_assert_eq(profile_init(&p), 0);
	profile_add(&p, &b);
	profile_add(&p, &a);
	profile_add(&p, &a);
	profile_finish(&p);
	cr_expect_eq(p.block[0].linear, 0x1000);
	cr_expect_eq(p.block[0].weight, 600);
	cr_expect_eq(p.block[1].linear, 0x2000);
	cr_expect_eq(p.mnemonics, 2, "add and jmp; what lies behind the jump is not run");
	cr_expect_eq(p.mnemonic[0].weight, 350);
	cr_expect(strstr(written(profile_text, &p), " 85.71%        2  0x0000000000001000"), "%s", written(profile_text, &p));
	cr_expect(strstr(written(profile_folded, &p), "kernel;0x5000;0x1000 600\n"), "%s", written(profile_folded, &p));
	cr_expect(strstr(written(profile_json, &p), "\"address\":4096,"), "%s", written(profile_json, &p));
}

/* More places than there is room for: what is over is counted. */
Test(trace, profile_is_bounded)
{
	static struct profile p;

	cr_assert_eq(profile_init(&p), 0);
	for (uint64_t n = 0; n < 2 * PROFILE_BLOCKS; n++) {
		struct trace_sample s = make_sample(n << 12, 1);

		profile_add(&p, &s);
	}
	profile_finish(&p);
	cr_expect_gt(p.lost, 0);
	cr_expect_eq(p.samples, 2 * PROFILE_BLOCKS);
}

/* ---- options --------------------------------------------------------------------------------------------------- */

Test(trace, filters)
{
	uint64_t from[TRACE_RANGES_MAX], to[TRACE_RANGES_MAX], address;
	char error[VALUE_ERROR_MAX];
	unsigned count;

	cr_assert_eq(trace_parse_ranges("0x1000-0x1fff,0xffffffff81000000-0xffffffffffffffff", from, to, &count, error), 0);
	cr_expect_eq(count, 2);
	cr_expect_eq(from[1], 0xffffffff81000000);
	cr_expect_eq(to[1], UINT64_MAX);
	for (const char *const *bad =
		     (const char *const[]){ "x", "1", "1-", "2-1", "1-2-3", "-1-2", "1-2;3-4", "1-0x1ffffffffffffffff", NULL };
	     *bad; bad++)
		cr_expect_eq(trace_parse_ranges(*bad, from, to, &count, error), -EINVAL, "%s", *bad);
	cr_expect_eq(trace_parse_ranges("1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1,1-1", from, to, &count,
					error),
		     -EINVAL);
	cr_expect_eq(trace_parse_ranges(NULL, from, to, &count, error), 0);
	cr_expect_eq(count, 0);
	cr_expect_eq(trace_parse_address("0x10", &address), 0);
	cr_expect_eq(address, 16);
	cr_expect_eq(trace_parse_address(NULL, &address), -ENOENT);
	cr_expect_eq(trace_parse_address("here", &address), -EINVAL);
	cr_expect_eq(trace_privileges("user"), 8);
	cr_expect_eq(trace_privileges("kernel"), 7);
	cr_expect_eq(trace_privileges(NULL), 15);
}
