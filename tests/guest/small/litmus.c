/* SPDX-License-Identifier: MIT */
/*
 * Memory order between processors (SDM vol. 3, 8.2): the examples of 8.2.3, many instances in each round, which two or four
 * processors run through at the same time. Outcomes that the architecture forbids are counted; of those that it permits the guest
 * tells whether they came. Locked operations of all sizes and places besides, and code that another processor changes.
 */
#include "smp.h"

enum { INSTANCES = 4096, MOST = 4 };

/* Each variable in a line of its own. */
struct line {
	volatile uint64_t v;
	uint64_t pad[7];
};

/* Above the first MiB: they are larger than what is left there. */
static struct line *const x = (struct line *)0x200000, *const y = (struct line *)0x300000;
static volatile uint64_t (*const r)[INSTANCES][2] = (volatile uint64_t (*)[INSTANCES][2])0x400000;

#define FENCE __asm__ volatile("mfence" ::: "memory")
#define LOCKED __asm__ volatile("lock addl $0, (%%rsp)" ::: "memory", "cc")
#define STORE(what, value) __asm__ volatile("movq %1, %0" : "=m"(what) : "r"((uint64_t)(value)) : "memory")
#define LOAD(into, what)                                                             \
	do {                                                                         \
		uint64_t loaded_;                                                    \
		__asm__ volatile("movq %1, %0" : "=r"(loaded_) : "m"(what) : "memory"); \
		into = loaded_;                                                      \
	} while (0)
#define EACH(i) for (unsigned i = 0; i < INSTANCES; i++)

/* ---- what each processor does ------------------------------------------------------------------------------------- */

static void sb(unsigned cpu)
{
	EACH(i)
	{
		STORE((cpu ? y : x)[i].v, 1);
		LOAD(r[cpu][i][0], (cpu ? x : y)[i].v);
	}
}

static void sb_fence(unsigned cpu)
{
	EACH(i)
	{
		STORE((cpu ? y : x)[i].v, 1);
		FENCE;
		LOAD(r[cpu][i][0], (cpu ? x : y)[i].v);
	}
}

static void sb_locked(unsigned cpu)
{
	EACH(i)
	{
		STORE((cpu ? y : x)[i].v, 1);
		LOCKED;
		LOAD(r[cpu][i][0], (cpu ? x : y)[i].v);
	}
}

static void sb_xchg(unsigned cpu)
{
	EACH(i)
	{
		uint64_t one = 1;

		__asm__ volatile("xchgq %0, %1" : "+r"(one), "+m"((cpu ? y : x)[i].v)::"memory");
		LOAD(r[cpu][i][0], (cpu ? x : y)[i].v);
	}
}

static void lb(unsigned cpu)
{
	EACH(i)
	{
		LOAD(r[cpu][i][0], (cpu ? y : x)[i].v);
		STORE((cpu ? x : y)[i].v, 1);
	}
}

static void mp(unsigned cpu)
{
	EACH(i)
	{
		if (cpu == 0) {
			STORE(x[i].v, 1);
			STORE(y[i].v, 1);
		} else {
			LOAD(r[1][i][0], y[i].v);
			LOAD(r[1][i][1], x[i].v);
		}
	}
}

/* 8.2.2: stores that bypass the caches come in any order, but SFENCE puts those before it in front of those behind it. */
static void mp_streaming(unsigned cpu)
{
	EACH(i)
	{
		if (cpu == 0) {
			__asm__ volatile("movnti %1, %0; sfence" : "=m"(x[i].v) : "r"(1ul) : "memory");
			STORE(y[i].v, 1);
		} else {
			LOAD(r[1][i][0], y[i].v);
			LOAD(r[1][i][1], x[i].v);
		}
	}
}

static void iriw(unsigned cpu)
{
	EACH(i)
	{
		if (cpu < 2) {
			STORE((cpu ? y : x)[i].v, 1);
		} else {
			LOAD(r[cpu][i][0], (cpu == 2 ? x : y)[i].v);
			LOAD(r[cpu][i][1], (cpu == 2 ? y : x)[i].v);
		}
	}
}

static void r_plain(unsigned cpu)
{
	EACH(i)
	{
		if (cpu == 0) {
			STORE(x[i].v, 1);
			STORE(y[i].v, 1);
		} else {
			STORE(y[i].v, 2);
			LOAD(r[1][i][0], x[i].v);
		}
	}
}

static void r_fence(unsigned cpu)
{
	EACH(i)
	{
		if (cpu == 0) {
			STORE(x[i].v, 1);
			STORE(y[i].v, 1);
		} else {
			STORE(y[i].v, 2);
			FENCE;
			LOAD(r[1][i][0], x[i].v);
		}
	}
}

/* ---- what must not come of it ---------------------------------------------------------------------------------------- */

static bool both_zero(unsigned i)
{
	return !r[0][i][0] && !r[1][i][0];
}

static bool both_one(unsigned i)
{
	return r[0][i][0] && r[1][i][0];
}

static bool flag_without_data(unsigned i)
{
	return r[1][i][0] && !r[1][i][1];
}

static bool in_two_orders(unsigned i)
{
	return r[2][i][0] && !r[2][i][1] && r[3][i][0] && !r[3][i][1];
}

static bool second_and_nothing(unsigned i)
{
	return y[i].v == 2 && !r[1][i][0];
}

static const struct test {
	const char *name;
	void (*run)(unsigned cpu);
	bool (*outcome)(unsigned i);
	unsigned cpus;
	bool allowed; /* 8.2.3.4: a load may pass an older store to another place */
} tests[] = {
	{ "SB", sb, both_zero, 2, true },
	{ "SB with MFENCE", sb_fence, both_zero, 2, false },
	{ "SB with LOCK", sb_locked, both_zero, 2, false },
	{ "SB by XCHG", sb_xchg, both_zero, 2, false },
	{ "LB", lb, both_one, 2, false },
	{ "MP", mp, flag_without_data, 2, false },
	{ "MP by MOVNTI and SFENCE", mp_streaming, flag_without_data, 2, false },
	{ "IRIW", iriw, in_two_orders, 4, false },
	{ "R", r_plain, second_and_nothing, 2, true },
	{ "R with MFENCE", r_fence, second_and_nothing, 2, false },
};
enum { TESTS = sizeof(tests) / sizeof(tests[0]) };

/* ---- rounds -------------------------------------------------------------------------------------------------------- */

static volatile uint32_t go, finished, current, meeting;
static void (*volatile job)(unsigned cpu);

/* All that take part begin at once, as nearly as can be: who is not there soon has lost the host's processor. */
static void meet(void)
{
	unsigned patience = 100000;

	add32(&meeting, 1);
	while (load32(&meeting) < load32(&current) && patience--)
		;
	while (load32(&meeting) < load32(&current))
		relax();
}

static void work(unsigned cpu)
{
	for (uint32_t round = 1;; round++) {
		while (load32(&go) != round)
			relax();
		if (cpu < load32(&current)) {
			meet();
			job(cpu);
		}
		add32(&finished, 1);
	}
}

static void run_on(unsigned cpus, void (*what)(unsigned cpu))
{
	job = what;
	store32(&current, cpus);
	store32(&finished, 0);
	store32(&meeting, 0);
	add32(&go, 1);
	meet();
	what(0);
	spin_until(&finished, cpu_count - 1);
}

/* Until there have been enough of them, or it has taken a fifth of a second. */
static unsigned count_outcomes(const struct test *t, unsigned rounds)
{
	const uint64_t end = tsc() + 200000000;
	unsigned seen = 0;

	while (rounds-- && tsc() < end) {
		EACH(i)
		x[i].v = y[i].v = 0;
		run_on(t->cpus, t->run);
		EACH(i)
		seen += t->outcome(i);
	}
	return seen;
}

static void order_of_accesses(unsigned rounds)
{
	for (unsigned n = 0; n < TESTS; n++) {
		unsigned seen;

		if (tests[n].cpus > cpu_count)
			continue;
		seen = count_outcomes(&tests[n], rounds);
		print(tests[n].name);
		if (tests[n].allowed)
			print(seen ? ": seen, as it may be" : ": not seen, though it may be");
		else
			print(seen ? ": FORBIDDEN outcome" : ": never");
		print("\n");
		if (seen && !tests[n].allowed)
			finish(1);
	}
}

/* ---- locked operations ------------------------------------------------------------------------------------------------ */

static uint32_t each_adds = 1000;
static uint8_t arena[3 * 4096] __attribute__((aligned(4096)));
static uint8_t *volatile place;

#define ADDER(name, type)                                                             \
	static void name(unsigned cpu)                                                \
	{                                                                             \
		type *p = (type *)place;                                              \
                                                                                      \
		(void)cpu;                                                            \
		for (unsigned n = 0; n < each_adds; n++)                              \
			__asm__ volatile("lock add %1, %0" : "+m"(*p) : "r"((type)1) : "cc"); \
	}
ADDER(add_1, uint8_t)
ADDER(add_2, uint16_t)
ADDER(add_4, uint32_t)
ADDER(add_8, uint64_t)

static void xadd_8(unsigned cpu)
{
	(void)cpu;
	for (unsigned n = 0; n < each_adds; n++) {
		uint64_t one = 1;

		__asm__ volatile("lock xaddq %0, %1" : "+r"(one), "+m"(*(uint64_t *)place)::"cc");
	}
}

static void cmpxchg_8(unsigned cpu)
{
	(void)cpu;
	for (unsigned n = 0; n < each_adds; n++) {
		uint64_t old = *(volatile uint64_t *)place;
		bool done;

		do
			__asm__ volatile("lock cmpxchgq %3, %1"
					 : "+a"(old), "+m"(*(uint64_t *)place), "=@ccz"(done)
					 : "r"(old + 1));
		while (!done);
	}
}

/* Both halves count. */
static void cmpxchg_16(unsigned cpu)
{
	uint64_t lo = 0, hi = 0;

	(void)cpu;
	for (unsigned n = 0; n < each_adds; n++) {
		bool done;

		do
			__asm__ volatile("lock cmpxchg16b %2"
					 : "+a"(lo), "+d"(hi), "+m"(*(unsigned __int128 *)place), "=@ccz"(done)
					 : "b"(lo + 1), "c"(hi + 1));
		while (!done);
	}
}

/* XCHG locks without being told to: nothing that was put in is taken out twice, or never. */
static void spinlock(unsigned cpu)
{
	volatile uint32_t *lock = (volatile uint32_t *)place, *count = (volatile uint32_t *)arena + 16;

	(void)cpu;
	for (unsigned n = 0; n < each_adds; n++) {
		uint32_t taken = 1;

		for (;;) {
			__asm__ volatile("xchgl %0, %1" : "+r"(taken), "+m"(*lock)::"memory");
			if (!taken)
				break;
			relax();
		}
		*count = *count + 1;
		__asm__ volatile("movl $0, %0" : "=m"(*lock)::"memory");
	}
}

static void bits(unsigned cpu)
{
	for (unsigned n = 0; n < each_adds; n++) {
		__asm__ volatile("lock btsl %1, %0" : "+m"(*(uint32_t *)place) : "r"(cpu) : "cc");
		if (n + 1 < each_adds)
			__asm__ volatile("lock btrl %1, %0" : "+m"(*(uint32_t *)place) : "r"(cpu) : "cc");
	}
}

static void count_at(unsigned offset, void (*adder)(unsigned cpu), unsigned size, const char *what)
{
	uint64_t sum = 0, all = (uint64_t)each_adds * cpu_count, mask = size == 8 ? ~0ull : (1ull << 8 * size) - 1;

	for (unsigned n = 0; n < sizeof(arena); n++)
		arena[n] = 0;
	place = arena + offset;
	run_on(cpu_count, adder);
	for (unsigned n = 0; n < size; n++)
		sum |= (uint64_t)arena[offset + n] << 8 * n;
	check(sum == (all & mask), what);
	for (unsigned n = 0; n < sizeof(arena); n++)
		check(arena[n] == 0 || (n >= offset && n < offset + size), "nothing beside it changes");
}

static void locked_operations(void)
{
	static const unsigned inside[] = { 0, 61, 62, 63, 57 }; /* in a line, and across two */

	for (unsigned n = 0; n < (is_emulated() ? 5 : 1); n++) {
		count_at(inside[n], add_1, 1, "LOCK ADD, 1 byte");
		count_at(inside[n], add_2, 2, "LOCK ADD, 2 bytes");
		count_at(inside[n], add_4, 4, "LOCK ADD, 4 bytes");
		count_at(inside[n], add_8, 8, "LOCK ADD, 8 bytes");
		count_at(inside[n], xadd_8, 8, "LOCK XADD");
		count_at(inside[n], cmpxchg_8, 8, "LOCK CMPXCHG");
	}
	/* Bytes of it in the first page. A software KVM does not lock two pages. */
	for (unsigned before = 1; before < 8 && is_emulated(); before++) {
		count_at(4096 - before, add_8, 8, "LOCK ADD in two pages");
		count_at(4096 - before, xadd_8, 8, "LOCK XADD in two pages");
		count_at(4096 - before, cmpxchg_8, 8, "LOCK CMPXCHG in two pages");
	}
	print("locked operations\n");
	for (unsigned n = 0; n < 32; n++)
		arena[n] = 0;
	place = arena;
	if (is_emulated()) /* a software KVM gives up on it */
		run_on(cpu_count, cmpxchg_16);
	check(!is_emulated() || (((uint64_t *)arena)[0] == (uint64_t)each_adds * cpu_count &&
				 ((uint64_t *)arena)[1] == ((uint64_t *)arena)[0]),
	      "CMPXCHG16B");
	((uint32_t *)arena)[0] = ((uint32_t *)arena)[16] = 0;
	run_on(cpu_count, spinlock);
	check(((uint32_t *)arena)[16] == each_adds * cpu_count, "XCHG as a lock");
	((uint32_t *)arena)[0] = 0;
	run_on(cpu_count < 32 ? cpu_count : 32, bits);
	check(((uint32_t *)arena)[0] == (cpu_count < 32 ? (1u << cpu_count) - 1 : ~0u), "LOCK BTS and BTR");
	print("CMPXCHG16B, XCHG, BTS\n");
}

/* ---- code that another processor changes ------------------------------------------------------------------------------- */

static uint32_t patches = 60;
enum { HOT = 100 };
static uint8_t code[4096] __attribute__((aligned(4096)));
static volatile uint32_t version, executed, stale;

static uint32_t call_code(void)
{
	uint32_t v;

	__asm__ volatile("call *%1" : "=a"(v) : "r"(code) : "memory", "cc");
	return v;
}

static void serialise(void)
{
	uint32_t a = 0, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)::"memory");
}

/* 8.1.3: the one stores the code and then says so; the others wait for that, serialise, and execute it. In between it is hot. */
static void patch_and_run(unsigned cpu)
{
	for (uint32_t n = 1; n <= patches; n++) {
		if (cpu == 0) {
			*(volatile uint32_t *)(code + 1) = n;
			store32(&version, n);
		}
		while (load32(&version) < n)
			relax();
		serialise();
		for (unsigned k = 0; k < HOT; k++)
			if (call_code() != n)
				add32(&stale, 1);
		add32(&executed, 1);
		while (load32(&executed) < n * cpu_count)
			relax();
	}
}

static void changed_code(void)
{
	code[0] = 0xb8; /* mov eax, imm32; ret */
	code[5] = 0xc3;
	run_on(cpu_count, patch_and_run);
	check(stale == 0, "changed code is executed after a serialising instruction");
	print("changed code\n");
}

void guest_main(void)
{
	const unsigned rounds = is_emulated() ? 400 : 2;

	pic_init(0);
	check(smp_start(work), "all processors begin");
	if (cpu_count < 2) {
		print("one processor\n");
		finish(3);
	}
	if (!is_emulated())
		each_adds = patches = 10; /* its processors spin where ours give way */
	order_of_accesses(rounds);
	locked_operations();
	changed_code();
	finish(0);
}
