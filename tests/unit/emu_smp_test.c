/* SPDX-License-Identifier: MIT */
/*
 * Two virtual processors of the emulator, each on a thread of its own: code that one decodes and the other, or a device,
 * changes (SDM vol. 3, 8.1.3, "Handling Self- and Cross-Modifying Code"), locked operations, and the code map.
 */
#include "emu/core/engine.h"
#include "emu/core/ram.h"
#include "proto/code_map.h"
#include "proto/code_notice.h"
#include "proto/shm.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum {
	RAM = 1 << 20,
	READER = 0x1000, WRITER = 0x2000, OTHER_READER = 0x3000, /* code */
	STACKS = 0x8000,
	DATA = 0x10000,	     /* struct words, one for each pair */
	OPERAND = 0x20040,   /* of the instruction that is changed, MOV EAX, imm32; its opcode lies before a line, too */
	OPERAND_2 = 0x21104,
	ROUNDS = 40,
	DONE_PORT = 0x80,
};

/* What a pair of processors tells each other. */
struct words {
	uint32_t flag, ack, wrong, counter;
};

struct smp {
	struct engine *engine;
	struct engine_bus bus;
	uint8_t *ram;
	void *map; /* the code map, as its writer sees it */
	size_t map_bytes;
	int map_fd;
	struct code_notices notices; /* of a device */
};

/* ---- a machine --------------------------------------------------------------------------------------------------- */

static uint64_t bus_read(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	sched_yield();
	return UINT64_MAX;
}

/* A program is done when it says so. */
static void bus_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
	struct smp *s = ctx;

	engine_emu.kick(s->engine, vcpu);
}

static void create(struct smp *s, bool single_step)
{
	struct engine_config config = { .vcpus = 2, .kvm_fd = -1, .ram_count = 1, .single_step = single_step };

	*s = (struct smp){ .bus = { .ctx = s, .read = bus_read, .write = bus_write } };
	s->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(s->ram, MAP_FAILED);
	s->map_bytes = code_map_bytes(RAM >> 12, 2);
	cr_assert_eq(shm_create("code-map", s->map_bytes, &s->map_fd), 0);
	cr_assert_eq(shm_map_rw(s->map_fd, s->map_bytes, &s->map), 0);
	config.bus = &s->bus;
	config.ram[0] = (struct engine_ram){ .gpa = 0, .size = RAM, .host = s->ram };
	config.code_map = s->map;
	config.code_map_bytes = s->map_bytes;
	config.writers[0] = &s->notices;
	config.writer_count = 1;
	cr_assert_eq(engine_emu.create(&config, &s->engine), 0);
}

static void destroy(struct smp *s)
{
	engine_emu.destroy(s->engine);
	shm_unmap(s->map, s->map_bytes);
	close(s->map_fd);
	munmap(s->ram, RAM);
}

/* 32-bit code, flat, no paging. */
static void start_at(struct smp *s, unsigned vcpu, uint32_t eip)
{
	static struct cpu c;

	cr_assert_eq(engine_emu.get_state(s->engine, vcpu, &c), 0);
	c.cr0 = CR0_PE | CR0_ET;
	for (unsigned n = 0; n < SEG_COUNT; n++)
		c.seg[n] = (struct segment){ .limit = UINT32_MAX, .attr = n == SEG_CS ? 0xc09b : 0xc093, .selector = 8 };
	c.rip = eip;
	c.gpr[RSP] = STACKS + 0x400 * (vcpu + 1);
	c.activity = CPU_RUNNING;
	cr_assert_eq(engine_emu.set_state(s->engine, vcpu, &c), 0);
}

struct runner {
	struct smp *s;
	unsigned vcpu;
	pthread_t thread;
	enum engine_stop why;
};

static void *run(void *ctx)
{
	struct runner *r = ctx;

	r->why = engine_emu.run(r->s->engine, r->vcpu);
	return NULL;
}

static void run_both(struct smp *s, uint32_t eip0, uint32_t eip1)
{
	struct runner r[2] = { { .s = s, .vcpu = 0 }, { .s = s, .vcpu = 1 } };

	start_at(s, 0, eip0);
	start_at(s, 1, eip1);
	for (unsigned n = 0; n < 2; n++)
		cr_assert_eq(pthread_create(&r[n].thread, NULL, run, &r[n]), 0);
	for (unsigned n = 0; n < 2; n++) {
		pthread_join(r[n].thread, NULL);
		cr_expect_eq(r[n].why, ENGINE_KICKED, "vcpu %u: %d", n, r[n].why);
	}
}

/* ---- programs -------------------------------------------------------------------------------------------------------- */

struct program {
	uint8_t *at;
	uint32_t eip;
};

static void emit(struct program *p, const void *bytes, size_t count)
{
	memcpy(p->at, bytes, count);
	p->at += count;
	p->eip += (uint32_t)count;
}
#define EMIT(p, bytes) emit((p), (bytes), sizeof(bytes) - 1)

static void emit32(struct program *p, uint32_t v)
{
	emit(p, &v, 4);
}

/* A conditional or other short jump back to an address. */
static void jump_back(struct program *p, uint8_t opcode, uint32_t to)
{
	const uint8_t bytes[2] = { opcode, (uint8_t)(to - (p->eip + 2)) };

	emit(p, bytes, 2);
}

static struct program begin(struct smp *s, uint32_t at)
{
	struct program p = { s->ram + at, at };

	EMIT(&p, "\xbe\x01\x00\x00\x00"); /* mov esi, 1 */
	return p;
}

/* inc esi; cmp esi, ROUNDS + 1; jne loop; out DONE_PORT, al; hlt */
static void end(struct program *p, uint32_t loop)
{
	EMIT(p, "\x46\x81\xfe");
	emit32(p, ROUNDS + 1);
	jump_back(p, 0x75, loop);
	EMIT(p, "\xe6\x80\xf4");
}

/* Spins for a while, then gives the host's processor to the other one. */
static void wait_for(struct program *p, uint32_t word)
{
	const uint32_t again = p->eip;
	uint32_t spin;

	EMIT(p, "\xb9\x00\x08\x00\x00"); /* mov ecx, 2048 */
	spin = p->eip;
	EMIT(p, "\xf3\x90\x39\x35"); /* pause; cmp [word], esi */
	emit32(p, word);
	EMIT(p, "\x74\x07\x49"); /* je done; dec ecx */
	jump_back(p, 0x75, spin);
	EMIT(p, "\xe4\x80"); /* in al, 80h */
	jump_back(p, 0xeb, again);
}

static void store(struct program *p, uint32_t word)
{
	EMIT(p, "\x89\x35"); /* mov [word], esi */
	emit32(p, word);
}

static void call(struct program *p, uint32_t function)
{
	EMIT(p, "\xe8");
	emit32(p, function - (p->eip + 4));
}

static const struct serialising {
	const char *name, *bytes;
	unsigned length;
} serialising[] = { /* SDM vol. 3, 8.3 */
	{ "cpuid", "\x31\xc0\x0f\xa2", 4 },
	{ "mov cr2", "\x0f\x22\xd0", 3 },
	{ "wbinvd", "\x0f\x09", 2 },
	{ "serialize", "\x0f\x01\xe8", 3 },
	{ "iretd", "\x9c\x0e\xe8\x00\x00\x00\x00\x83\x04\x24\x05\xcf", 12 }, /* pushf; push cs; call +0; add [esp], 5; iretd */
};

/* A serialising instruction if any, MOV EAX with the operand at this place, RET. Returns where it begins. */
static uint32_t put_function(struct smp *s, uint32_t operand, const struct serialising *serial)
{
	const unsigned length = serial ? serial->length : 0;
	uint8_t *mov = s->ram + operand - 1;

	memcpy(mov, "\xb8\x00\x00\x00\x00\xc3", 6);
	if (serial)
		memcpy(mov - length, serial->bytes, length);
	return operand - 1 - length;
}

static uint32_t word(unsigned pair, size_t offset)
{
	return (uint32_t)(DATA + pair * 0x1000 + offset);
}
#define WORD(pair, field) word((pair), offsetof(struct words, field))

static struct words *words(struct smp *s, unsigned pair)
{
	return (struct words *)(void *)(s->ram + word(pair, 0));
}

/* Changes the operand, says so, waits until the other has executed it. */
static void put_writer(struct smp *s, uint32_t at, uint32_t operand, unsigned pair)
{
	struct program p = begin(s, at);
	const uint32_t loop = p.eip;

	store(&p, operand);
	store(&p, WORD(pair, flag));
	wait_for(&p, WORD(pair, ack));
	end(&p, loop);
}

/* Waits for news, executes a serialising instruction and what was changed, in one block, which has to give the new value. */
static void put_reader(struct smp *s, uint32_t at, uint32_t function, unsigned pair)
{
	struct program p = begin(s, at);
	const uint32_t loop = p.eip;

	wait_for(&p, WORD(pair, flag));
	call(&p, function);
	EMIT(&p, "\x39\xf0\x74\x05\xa3"); /* cmp eax, esi; je +5; mov [wrong], eax */
	emit32(&p, WORD(pair, wrong));
	store(&p, WORD(pair, ack));
	end(&p, loop);
}

/* ---- cross-modifying code ---------------------------------------------------------------------------------------------- */

static void flat_gdt(struct smp *s)
{
	static const uint64_t gdt[2] = { 0, 0x00cf9b000000ffff };

	memcpy(s->ram + 0x500, gdt, sizeof(gdt));
	for (unsigned n = 0; n < 2; n++) {
		static struct cpu c;

		engine_emu.get_state(s->engine, n, &c);
		c.gdtr = (struct dtable){ .base = 0x500, .limit = 15 };
		engine_emu.set_state(s->engine, n, &c);
	}
}

static void modify_and_run(bool single_step, bool swapped, uint32_t operand, const struct serialising *serial)
{
	struct smp s;

	create(&s, single_step);
	flat_gdt(&s);
	put_writer(&s, WRITER, operand, 0);
	put_reader(&s, READER, put_function(&s, operand, serial), 0);
	run_both(&s, swapped ? WRITER : READER, swapped ? READER : WRITER);
	cr_expect_eq(words(&s, 0)->wrong, 0, "%s, %s: old code ran: %u", single_step ? "step" : "block", serial->name,
		     words(&s, 0)->wrong);
	cr_expect_eq(words(&s, 0)->ack, ROUNDS);
	destroy(&s);
}

/* 8.1.3: (processor 1) store the code, then the flag; (processor 2) wait for the flag, execute a serialising instruction,
 * execute the new code. In both directions and tiers; with the code on a page of its own, and beside the words that both store to. */
Test(emu_smp, serialised_code_is_the_new_one)
{
	for (unsigned n = 0; n < sizeof(serialising) / sizeof(serialising[0]); n++) {
		for (unsigned k = 0; k < 4; k++)
			modify_and_run(k & 1, k & 2, OPERAND, &serialising[n]);
		modify_and_run(false, n & 1, DATA + 0x804, &serialising[n]);
	}
}

/* Without one the old code may run for a while, but not for ever: here until the value has come. */
Test(emu_smp, code_is_seen_to_change)
{
	for (unsigned step = 0; step < 2; step++) {
		struct program p;
		struct smp s;
		uint32_t loop, again, function;

		create(&s, step);
		function = put_function(&s, OPERAND, NULL);
		put_writer(&s, WRITER, OPERAND, 0);
		p = begin(&s, READER);
		loop = p.eip;
		wait_for(&p, WORD(0, flag));
		again = p.eip;
		call(&p, function);
		EMIT(&p, "\x39\xf0"); /* cmp eax, esi */
		jump_back(&p, 0x75, again);
		store(&p, WORD(0, ack));
		end(&p, loop);
		run_both(&s, READER, WRITER);
		cr_expect_eq(words(&s, 0)->ack, ROUNDS);
		destroy(&s);
	}
}

/* Both at once: each processor runs what the other changes, function by function. */
Test(emu_smp, both_directions_at_once)
{
	for (unsigned step = 0; step < 2; step++) {
		struct smp s;

		create(&s, step);
		for (unsigned n = 0; n < 2; n++) {
			const uint32_t mine = n ? OPERAND : OPERAND_2, others = n ? OPERAND_2 : OPERAND;
			struct program p = begin(&s, n ? OTHER_READER : READER);
			const uint32_t loop = p.eip;

			store(&p, others);
			store(&p, WORD(n, flag));
			wait_for(&p, WORD(!n, flag));
			call(&p, put_function(&s, mine, &serialising[0]));
			EMIT(&p, "\x39\xf0\x74\x05\xa3");
			emit32(&p, WORD(n, wrong));
			store(&p, WORD(n, ack));
			wait_for(&p, WORD(!n, ack));
			end(&p, loop);
		}
		run_both(&s, READER, OTHER_READER);
		for (unsigned n = 0; n < 2; n++)
			cr_expect(words(&s, n)->wrong == 0 && words(&s, n)->ack == ROUNDS, "vcpu %u: old code ran", n);
		destroy(&s);
	}
}

/* ---- devices -------------------------------------------------------------------------------------------------------------- */

/* What a device process has: the map read-only, checked. */
static void attach(struct smp *s, const void **map, struct code_map_view *view)
{
	int ro;

	cr_assert_eq(shm_reopen_readonly(s->map_fd, &ro), 0);
	cr_assert_eq(shm_map_ro(ro, s->map_bytes, map), 0);
	close(ro);
	cr_assert_eq(code_map_attach(*map, s->map_bytes, view), 0);
}

enum teller { BY_CALL, BY_NOTICE, BY_MANY_NOTICES, TELLERS };

/* A transfer: the bytes, the question to the map, the word to the engine if need be, and only then the completion. */
static void transfer(struct smp *s, const struct code_map_view *view, uint32_t value, enum teller teller, unsigned *told)
{
	ram_store_4(s->ram + OPERAND, value);
	if (code_map_hit(view, OPERAND, 4)) {
		if (teller == BY_CALL)
			engine_emu.ram_written(s->engine, OPERAND, 4);
		for (unsigned n = 0; n <= CODE_NOTICES && teller == BY_MANY_NOTICES; n++)
			code_notice_give(&s->notices, n ? 64 * n : OPERAND,
					 64); /* so many that the first, the right one, is lost */
		if (teller != BY_CALL)
			code_notice_give(&s->notices, teller == BY_NOTICE ? OPERAND : 0, 4);
		++*told;
	}
	ram_store_4(s->ram + WORD(0, flag), value);
}

static void transfers(enum teller teller)
{
	struct timespec nap = { .tv_nsec = 20000 };
	struct code_map_view view;
	struct runner r;
	struct smp s;
	const void *map;
	unsigned told = 0;

	create(&s, false);
	attach(&s, &map, &view);
	put_reader(&s, READER, put_function(&s, OPERAND, &serialising[0]), 0);
	start_at(&s, 0, READER);
	r = (struct runner){ .s = &s, .vcpu = 0 };
	cr_assert_eq(pthread_create(&r.thread, NULL, run, &r), 0);
	for (uint32_t n = 1; n <= ROUNDS; n++) {
		transfer(&s, &view, n, teller, &told);
		while (ram_load_4(s.ram + WORD(0, ack)) != n)
			nanosleep(&nap, NULL);
	}
	pthread_join(r.thread, NULL);
	cr_expect_eq(words(&s, 0)->wrong, 0);
	cr_expect(told >= ROUNDS - 1, "told %u times", told); /* at the first nothing was decoded yet */
	shm_unmap(map, s.map_bytes);
	destroy(&s);
}

Test(emu_smp, a_transfer_into_code)
{
	for (enum teller t = BY_CALL; t < TELLERS; t++)
		transfers(t);
}

/* Its writer is not believed: proto/code_notice.h. */
Test(emu_smp, notices)
{
	struct code_notices c = { .count = 100 };
	uint64_t seen = c.count, gpa = 0, size = 0;

	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -EAGAIN);
	for (uint64_t n = 0; n < CODE_NOTICES - 1; n++)
		code_notice_give(&c, n << 12, n + 1);
	for (uint64_t n = 0; n < CODE_NOTICES - 1; n++) {
		cr_assert_eq(code_notice_take(&c, &seen, &gpa, &size), 0);
		cr_expect(gpa == n << 12 && size == n + 1);
	}
	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -EAGAIN);
	for (unsigned n = 0; n < CODE_NOTICES; n++)
		code_notice_give(&c, 0, 1);
	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -ENOMSG, "the next one may be half overwritten");
	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -EAGAIN);
	atomic_store(&c.count, seen - 1);
	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -ENOMSG, "a count that goes back");
	cr_expect_eq(code_notice_take(&c, &seen, &gpa, &size), -EAGAIN);
}

/* The map tells of what is decoded, to the 64 bytes, and of nothing else. */
Test(emu_smp, the_map)
{
	struct code_map_view view;
	struct smp s;
	struct runner r;
	const void *map;

	create(&s, false);
	attach(&s, &map, &view);
	cr_expect(view.vcpus == 2 && view.pages == RAM >> 12);
	memcpy(s.ram + READER, "\xe6\x80\xf4", 3); /* out DONE_PORT, al; hlt */
	cr_expect_not(code_map_hit(&view, 0, RAM));
	start_at(&s, 1, READER);
	r = (struct runner){ .s = &s, .vcpu = 1 };
	run(&r);
	cr_expect(code_map_hit(&view, READER, 1));
	cr_expect(code_map_hit(&view, READER - 1, 2));
	cr_expect(code_map_hit(&view, 0, RAM));
	cr_expect_not(code_map_hit(&view, READER + 64, RAM));
	cr_expect_not(code_map_hit(&view, 0, READER));
	cr_expect_eq(atomic_load(code_map_word(&view, READER >> 12, 0)), 0);
	cr_expect_eq(atomic_load(code_map_word(&view, READER >> 12, 1)), 1);
	engine_emu.ram_written(s.engine, READER, 1);
	memcpy(s.ram + READER + 0x80, "\xe6\x80\xf4", 3);
	start_at(&s, 1, READER + 0x80);
	run(&r);
	cr_expect_eq(atomic_load(code_map_word(&view, READER >> 12, 1)), 4);
	shm_unmap(map, s.map_bytes);
	destroy(&s);
}

/* A reader believes nothing: proto/code_map.h. */
Test(emu_smp, a_map_that_lies)
{
	enum { PAGES = 16 };
	const size_t bytes = code_map_bytes(PAGES, 2);
	const struct code_map_region region = { .gpa = 0x100000, .size = PAGES << 12 };
	struct code_map *m = aligned_alloc(4096, (bytes + 4095) & ~4095ul), good;
	struct code_map_view v;

	memset(m, 0, bytes);
	cr_expect_eq(code_map_attach(m, 100, &v), -EPROTO);
	cr_expect_eq(code_map_attach(m, bytes, &v), -EAGAIN);
	cr_expect_eq(code_map_init(m, bytes - 1, &region, 1, 2, &v), -EINVAL);
	cr_expect_eq(code_map_init(m, bytes, &region, 1, 0, &v), -EINVAL);
	cr_expect_eq(code_map_init(m, bytes, &region, 1, CODE_MAP_VCPUS + 1, &v), -EINVAL);
	cr_assert_eq(code_map_init(m, bytes, &region, 1, 2, &v), 0);
	cr_assert_eq(code_map_attach(m, bytes, &v), 0);
	cr_expect_not(code_map_hit(&v, 0, UINT64_MAX));
	cr_expect_not(code_map_hit(&v, 0x100000 + (PAGES << 12), UINT64_MAX));
	memcpy(&good, m, sizeof(good));
#define LIE(field, value)                                             \
	do {                                                          \
		m->field = (value);                                   \
		cr_expect_eq(code_map_attach(m, bytes, &v), -EPROTO); \
		memcpy(m, &good, sizeof(good));                       \
	} while (0)
	LIE(magic, 1);
	LIE(version, 2);
	LIE(vcpus, 0);
	LIE(vcpus, 3);
	LIE(vcpus, UINT32_MAX);
	LIE(region_count, CODE_MAP_REGIONS + 1);
	LIE(region_count, 2);
	LIE(region[0].size, (PAGES + 1) << 12);
	LIE(region[0].size, UINT64_MAX);
	LIE(region[0].first_page, 1);
	free(m);
}

/* ---- locked operations, counters ------------------------------------------------------------------------------------------- */

/* Neither a page with code nor the neighbour's breaks the lock (SDM vol. 3, 8.1.2.2). */
Test(emu_smp, locked_increments)
{
	enum { EACH = 20000 };

	for (unsigned beside_code = 0; beside_code < 2; beside_code++) {
		const uint32_t counter = beside_code ? READER + 0x800 : WORD(0, counter);
		uint64_t seen = 0;
		struct smp s;

		create(&s, false);
		for (unsigned n = 0; n < 2; n++) {
			struct program p = { s.ram + READER + n * 0x100, READER + n * 0x100 };
			uint32_t loop;

			EMIT(&p, "\xbe"); /* mov esi, EACH */
			emit32(&p, EACH);
			loop = p.eip;
			EMIT(&p, "\xf0\xff\x05"); /* lock inc dword [counter] */
			emit32(&p, counter);
			EMIT(&p, "\x4e"); /* dec esi */
			jump_back(&p, 0x75, loop);
			EMIT(&p, "\xe6\x80\xf4");
		}
		run_both(&s, READER, READER + 0x100);
		cr_expect_eq(ram_load_4(s.ram + counter), 2 * EACH);
		for (unsigned n = 0; n < 2; n++)
			seen += engine_emu.instructions(s.engine, n);
		cr_expect_eq(seen, 2 * (3 * EACH + 2)); /* mov, three in the loop, out */
		destroy(&s);
	}
}

/* EACH times on one processor, when the other is there, while that does its own: an instruction, or several, that end with a 32-bit address. */
enum { EACH = 100000 };

static void emit_loop(struct smp *s, unsigned vcpu, const char *insn, unsigned bytes, uint32_t address, const char *rest)
{
	struct program p = { s->ram + READER + vcpu * 0x100, READER + vcpu * 0x100 };
	uint32_t loop;

	EMIT(&p, "\xf0\xff\x05"); /* lock inc dword [flag] */
	emit32(&p, WORD(0, flag));
	loop = p.eip;
	EMIT(&p, "\x83\x3d"); /* cmp dword [flag], 2 */
	emit32(&p, WORD(0, flag));
	EMIT(&p, "\x02");
	jump_back(&p, 0x75, loop);
	EMIT(&p, "\xbe"); /* mov esi, EACH */
	emit32(&p, EACH);
	loop = p.eip;
	emit(&p, insn, bytes);
	emit32(&p, address);
	emit(&p, rest, strlen(rest));
	EMIT(&p, "\x4e"); /* dec esi */
	jump_back(&p, 0x75, loop);
	EMIT(&p, "\xe6\x80\xf4");
}
#define LOOP(s, vcpu, insn, address, rest) emit_loop((s), (vcpu), (insn), sizeof(insn) - 1, (address), (rest))

/* "Locked operations ... identical addresses and operand lengths" (SDM vol. 3, 8.1.2.2), in two pages, at each place that a page
 * boundary can have in the operand; the second page has code, or not. */
Test(emu_smp, locked_increments_in_two_pages)
{
	for (unsigned n = 0; n < 6; n++) {
		const uint32_t counter = (n < 3 ? DATA : READER) + 0x1000 - 1 - n % 3;
		struct smp s;

		create(&s, false);
		LOOP(&s, 0, "\xf0\xff\x05", counter, "");			  /* lock inc dword [counter] */
		LOOP(&s, 1, "\xba\x01\x00\x00\x00\xf0\x0f\xc1\x15", counter, ""); /* mov edx, 1; lock xadd [counter], edx */
		run_both(&s, READER, READER + 0x100);
		cr_expect_eq(ram_load_4(s.ram + counter), 2 * EACH, "at %x: %u", counter, ram_load_4(s.ram + counter));
		destroy(&s);
	}
}

/* The increment of a CMPXCHG that has found what it expects is not lost, nor is one made in vain. */
Test(emu_smp, compare_and_exchange_in_two_pages)
{
	const uint32_t counter = DATA + 0xffd;
	struct smp s;

	create(&s, false);
	LOOP(&s, 0, "\xf0\xff\x05", counter, "");
	/* mov eax, [counter]; again: lea ecx, [eax + 1]; lock cmpxchg [counter], ecx; jne again */
	LOOP(&s, 1, "\xa1\xfd\x0f\x01\x00\x8d\x48\x01\xf0\x0f\xb1\x0d", counter, "\x75\xf3");
	run_both(&s, READER, READER + 0x100);
	cr_expect_eq(ram_load_4(s.ram + counter), 2 * EACH, "%u", ram_load_4(s.ram + counter));
	destroy(&s);
}

/* Locked operations are atomic to all others' operations on the same bytes (8.1.2), also on some of them; what lies beside the
 * operand is nobody's business. */
Test(emu_smp, parts_and_neighbours_of_a_value_in_two_pages)
{
	static const struct {
		uint32_t byte, sum; /* `sum`: what an increment of the byte adds to the doubleword */
	} cases[] = { { 0xffd, 0 }, { 0x1001, 1 << 24 }, { 0x1002, 0 } };

	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		const uint32_t counter = DATA + 0xffe, byte = DATA + cases[n].byte;
		struct smp s;

		create(&s, false);
		LOOP(&s, 0, "\xf0\xff\x05", counter, "");
		LOOP(&s, 1, "\xf0\xfe\x05", byte, ""); /* lock inc byte [byte] */
		run_both(&s, READER, READER + 0x100);
		cr_expect_eq(ram_load_4(s.ram + counter), EACH + EACH * cases[n].sum, "%x: %x", byte,
			     ram_load_4(s.ram + counter));
		if (!cases[n].sum)
			cr_expect_eq(ram_load_1(s.ram + byte), EACH & 0xff, "%x: %x", byte, ram_load_1(s.ram + byte));
		destroy(&s);
	}
}

/* Counters are read while the processors run, and never run backwards. */
Test(emu_smp, counters_are_read_by_others)
{
	struct runner r = { .vcpu = 0 };
	uint64_t last = 0;
	struct smp s;

	create(&s, false);
	r.s = &s;
	memcpy(s.ram + READER, "\xeb\xfe", 2); /* jmp . */
	start_at(&s, 0, READER);
	cr_assert_eq(pthread_create(&r.thread, NULL, run, &r), 0);
	while (last < 1000000) {
		const uint64_t now = engine_emu.instructions(s.engine, 0);

		cr_assert(now >= last);
		last = now;
	}
	engine_emu.kick(s.engine, 0);
	pthread_join(r.thread, NULL);
	cr_expect(engine_emu.instructions(s.engine, 0) >= last);
	destroy(&s);
}
