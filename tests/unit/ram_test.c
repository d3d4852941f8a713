/* SPDX-License-Identifier: MIT */
/*
 * Accesses to guest RAM: what they do, and how many accesses of the host's processor they are. These are counted: the page is
 * taken away, and each instruction that touches it faults, gets it back for one step, and is a mark on the list.
 */
#include "emu_harness.h"

#include "emu/core/ram.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- what they do ---------------------------------------------------------------------------------------------- */

static uint64_t random_number(void)
{
	static uint64_t s = 88172645463325252ull;

	s ^= s << 13;
	s ^= s >> 7;
	return s ^= s << 17;
}

/* SDM vol. 2, MOVS: one item after the other, in the direction of DF. */
static void move_by_the_book(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size, bool down)
{
	for (uint64_t n = 0; n < count; n++) {
		const uint64_t at = (down ? count - 1 - n : n) * size;
		uint8_t item[8];

		memcpy(item, from + at, size);
		memcpy(to + at, item, size);
	}
}

Test(ram, moves_are_those_of_the_manual)
{
	static uint8_t a[1024], b[1024];

	for (unsigned round = 0; round < 20000; round++) {
		const unsigned size = 1u << random_number() % 4;
		const uint64_t count = random_number() % 48;
		/* Often a few bytes apart, which is where overlapping matters. */
		const uint64_t from = random_number() % 400,
			       to = random_number() % 3 ? from + random_number() % 24 : random_number() % 400;
		const bool down = random_number() & 1;

		for (unsigned n = 0; n < sizeof(a); n++)
			a[n] = b[n] = (uint8_t)random_number();
		ram_move(a + to, a + from, count, size, down);
		move_by_the_book(b + to, b + from, count, size, down);
		cr_assert_eq(memcmp(a, b, sizeof(a)), 0, "%u items of %u bytes from %u to %u, %s", (unsigned)count, size,
			     (unsigned)from, (unsigned)to, down ? "down" : "up");
	}
}

Test(ram, fills)
{
	static uint8_t a[512], b[512];

	for (unsigned round = 0; round < 20000; round++) {
		const unsigned size = 1u << random_number() % 4;
		const uint64_t count = random_number() % 48, at = random_number() % 64, v = random_number();

		memset(a, 0, sizeof(a));
		memset(b, 0, sizeof(b));
		ram_fill(a + at, count, size, v);
		for (uint64_t n = 0; n < count; n++)
			memcpy(b + at + n * size, &v, size);
		cr_assert_eq(memcmp(a, b, sizeof(a)), 0, "%u items of %u bytes", (unsigned)count, size);
	}
}

Test(ram, any_size)
{
	uint8_t from[80], to[80];

	for (unsigned n = 0; n < sizeof(from); n++)
		from[n] = (uint8_t)(n * 7 + 1);
	for (unsigned size = 1; size <= 64; size++) {
		for (unsigned at = 0; at < 8; at++) {
			memset(to, 0, sizeof(to));
			ram_read(to + 1, from + at, size);
			cr_assert(memcmp(to + 1, from + at, size) == 0 && to[0] == 0 && to[1 + size] == 0, "reading %u", size);
			memset(to, 0, sizeof(to));
			ram_write(to + 1, from + at, size);
			cr_assert(memcmp(to + 1, from + at, size) == 0 && to[0] == 0 && to[1 + size] == 0, "writing %u", size);
		}
	}
}

Test(ram, compare_and_swap)
{
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (unsigned at = 0; at < 8; at++) {
			uint8_t bytes[24] __attribute__((aligned(8))) = { 0 };
			const uint64_t mask = size == 8 ? UINT64_MAX : (1ull << 8 * size) - 1;
			uint64_t old = 0x1122334455667788 & mask;

			ram_store(bytes + at, size, old);
			cr_assert(ram_cas(bytes + at, size, &old, 0xaabbccddeeff0011));
			cr_assert_eq(ram_load(bytes + at, size), 0xaabbccddeeff0011 & mask);
			old = 1;
			cr_assert_not(ram_cas(bytes + at, size, &old, 2));
			cr_assert_eq(old, 0xaabbccddeeff0011 & mask);
			cr_assert_eq(ram_load(bytes + at, size), 0xaabbccddeeff0011 & mask);
		}
	}
}

/* ---- how many they are ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { TRAP_FLAG = 0x100, PF_WRITE = 2 };

static struct {
	uint8_t *page;
	unsigned reads, writes;
} watch;

static void on_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;
	uint8_t *at = info->si_addr;

	if (at < watch.page || at >= watch.page + 4096)
		abort();
	if (c->uc_mcontext.gregs[REG_ERR] & PF_WRITE)
		watch.writes++;
	else
		watch.reads++;
	mprotect(watch.page, 4096, PROT_READ | PROT_WRITE);
	c->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	c->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	mprotect(watch.page, 4096, PROT_NONE);
}

static void begin_watch(uint8_t *page)
{
	const struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	const struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	watch.page = page;
	watch.reads = watch.writes = 0;
	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGTRAP, &step, NULL);
	mprotect(page, 4096, PROT_NONE);
}

static void end_watch(void)
{
	mprotect(watch.page, 4096, PROT_READ | PROT_WRITE);
}

/* An instruction on RBX, RSI or RDI, which point into the page, and how many loads and stores it is. Compare and swap is one
 * access, which faults as a store. */
struct access {
	const char *name, *bytes;
	unsigned length, reads, writes;
};

#define ACCESS(name, bytes, reads, writes) { name, bytes, sizeof(bytes) - 1, reads, writes }
static const struct access accesses[] = {
	ACCESS("mov [rbx], al", "\x88\x03", 0, 1),
	ACCESS("mov [rbx], ax", "\x66\x89\x03", 0, 1),
	ACCESS("mov [rbx], eax", "\x89\x03", 0, 1),
	ACCESS("mov [rbx], rax", "\x48\x89\x03", 0, 1),
	ACCESS("mov al, [rbx]", "\x8a\x03", 1, 0),
	ACCESS("mov ax, [rbx]", "\x66\x8b\x03", 1, 0),
	ACCESS("mov eax, [rbx]", "\x8b\x03", 1, 0),
	ACCESS("mov rax, [rbx]", "\x48\x8b\x03", 1, 0),
	ACCESS("mov [ebx], eax", "\x67\x89\x03", 0, 1),
	ACCESS("mov eax, [ebx]", "\x67\x8b\x03", 1, 0),
	ACCESS("movbe [rbx], eax", "\x0f\x38\xf1\x03", 0, 1),
	ACCESS("movbe [rbx], ax", "\x66\x0f\x38\xf1\x03", 0, 1),
	ACCESS("movbe rax, [rbx]", "\x48\x0f\x38\xf0\x03", 1, 0),
	ACCESS("add [rbx], eax", "\x01\x03", 1, 1),
	ACCESS("xadd [rbx], ax", "\x66\x0f\xc1\x03", 1, 1),
	ACCESS("lock xadd [rbx], eax", "\xf0\x0f\xc1\x03", 1, 1),
	ACCESS("xchg [rbx], rax", "\x48\x87\x03", 1, 1),
	ACCESS("lock cmpxchg [rbx], ecx", "\xf0\x0f\xb1\x0b", 0, 1),
	ACCESS("cmpxchg8b [rbx]", "\x0f\xc7\x0b", 0, 1),
	ACCESS("cmpxchg16b [rbx]", "\x48\x0f\xc7\x0b", 0, 1),
	ACCESS("stosb", "\xaa", 0, 1),
	ACCESS("stosw", "\x66\xab", 0, 1),
	ACCESS("stosd", "\xab", 0, 1),
	ACCESS("stosq", "\x48\xab", 0, 1),
	ACCESS("lodsw", "\x66\xad", 1, 0),
	ACCESS("lodsd", "\xad", 1, 0),
	ACCESS("rep stosw, 3 items", "\xf3\x66\xab", 0, 3),
	ACCESS("movd [rbx], xmm0", "\x66\x0f\x7e\x03", 0, 1),
	ACCESS("movq [rbx], xmm0", "\x66\x0f\xd6\x03", 0, 1),
	ACCESS("movups [rbx], xmm0", "\x0f\x11\x03", 0, 1),
	ACCESS("pextrw [rbx], xmm0, 1", "\x66\x0f\x3a\x15\x03\x01", 0, 1),
	ACCESS("fst dword [rbx]", "\xd9\x13", 0, 1),
	ACCESS("fist word [rbx]", "\xdf\x13", 0, 1),
	ACCESS("fld qword [rbx]", "\xdd\x03", 1, 0),
	ACCESS("fnstcw [rbx]", "\xd9\x3b", 0, 1),
	ACCESS("sldt [rbx]", "\x0f\x00\x03", 0, 1),
	ACCESS("mov [rbx], ds", "\x8c\x1b", 0, 1),
};

static void load(struct harness *h, const struct access *a)
{
	uint8_t code[16];

	memcpy(code, a->bytes, a->length);
	code[a->length] = 0xf4;
	harness_code(h, code, a->length + 1);
}

/* What is loaded, from the top: translations and decoded code stay what they are. */
static void run(struct harness *h, const struct access *a)
{
	h->cpu->rip = HARNESS_CODE;
	h->cpu->activity = CPU_RUNNING;
	h->cpu->gpr[RBX] = h->cpu->gpr[RSI] = h->cpu->gpr[RDI] = HARNESS_DATA;
	h->cpu->gpr[RAX] = h->cpu->gpr[RDX] = 0;
	h->cpu->gpr[RCX] = 3;
	cpu_reset_fpu(h->cpu);
	h->cpu->fpu.cw = 0x37f;
	h->cpu->fpu.tag = 1; /* ST(0) is there, and room */
	cr_assert_eq(harness_run(h, 2), 0x200, "%s", a->name);
}

static void count(struct harness *h, const struct access *a)
{
	begin_watch(h->ram + HARNESS_DATA);
	run(h, a);
	end_watch();
	cr_expect_eq(watch.writes, a->writes, "%s: %u stores", a->name, watch.writes);
	cr_expect_eq(watch.reads, a->reads, "%s: %u loads", a->name, watch.reads);
}

/* SDM vol. 3, 8.1.1: an aligned access of 1, 2, 4 or 8 bytes is carried out atomically: it is one. */
static void count_accesses(enum harness_tier tier, bool is_hit)
{
	for (unsigned n = 0; n < sizeof(accesses) / sizeof(accesses[0]); n++) {
		const struct access *a = &accesses[n];
		struct harness h;

		harness_init(&h, HARNESS_LONG, tier);
		load(&h, a);
		if (is_hit)
			run(&h, a);
		count(&h, a);
		harness_fini(&h);
	}
}

Test(ram, one_access_by_block)
{
	count_accesses(HARNESS_BLOCK, true);
	count_accesses(HARNESS_BLOCK, false);
}

Test(ram, one_access_by_single_step)
{
	count_accesses(HARNESS_STEP, true);
	count_accesses(HARNESS_STEP, false);
}

/* A page that holds code is written the long way. */
Test(ram, one_access_beside_code)
{
	for (unsigned n = 0; n < sizeof(accesses) / sizeof(accesses[0]); n++) {
		const struct access *a = &accesses[n];
		struct harness h;

		harness_init(&h, HARNESS_LONG, HARNESS_BLOCK);
		memcpy(h.ram + HARNESS_DATA + 0x800, "\xc3", 1);
		h.cpu->gpr[RAX] = HARNESS_DATA + 0x800;
		cr_assert_eq(harness_one(&h, "\xff\xd0", 2), 0); /* call rax */
		memcpy(h.ram + HARNESS_CODE, a->bytes, a->length);
		h.ram[HARNESS_CODE + a->length] = 0xf4;
		mmu_ram_written(h.machine, HARNESS_CODE, 16);
		run(&h, a);
		count(&h, a);
		harness_fini(&h);
	}
}
#endif
