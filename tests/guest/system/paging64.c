/* SPDX-License-Identifier: MIT */
/* 4-level and 5-level paging: rights at each level, reserved bits, SMEP, SMAP, NX, protection keys, canonical addresses
 * (SDM vol. 3, 4.5 to 4.7). */
#include "system.h"

enum {
	P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100,
	TARGET = 0x800000,
};
#define NX (1ull << 63)
#define KEY(n) ((uint64_t)(n) << 59)
#define VIRTUAL 0x0000008000000000ull /* the second entry of the PML4 */

extern uint64_t pml4[512], pdpt[512], pd[1024];
static uint64_t pml5[512] __attribute__((aligned(4096)));
static uint64_t tables[4][512] __attribute__((aligned(4096))); /* page table, directory, pointer table; spare */

SNIPPET(do_read, "mov (%rbx), %rax\n mov $1, %eax");
SNIPPET(do_write, "mov %rax, (%rbx)\n mov $1, %eax");
SNIPPET(do_fetch, "jmp *%rbx");
SNIPPET(do_read_ac, "stac\n mov (%rbx), %rax\n mov $1, %eax");
SNIPPET(do_push, "mov %rbx, %rsp\n push %rax\n mov $1, %eax");
SNIPPET(do_call, "call *%rbx");
SNIPPET(do_far, "lea 1f(%rip), %rax\n push %rcx\n push %rbx\n lretq\n 1:");
SNIPPET(do_string, "mov %rbx, %rdi\n mov $2, %ecx\n rep stosq");
SNIPPET(do_wrpkru, "wrpkru");
SNIPPET(do_rdpkru, "rdpkru");
SNIPPET(do_sgdt, "sgdt (%rbx)\n mov $1, %eax");
SNIPPET(do_cross_write, "mov $0x1122334455667788, %rax\n mov %rax, (%rbx)");

static const char *const accesses[] = { do_read, do_write, do_fetch };
static const char *const names[] = { "read", "write", "fetch" };

/* The chain of tables to VIRTUAL: entry `level` (1 is the page table) gets `bits` beside its address. */
static void chain(uint64_t bits4, uint64_t bits3, uint64_t bits2, uint64_t bits1)
{
	pml4[1] = (reg)tables[2] | bits4;
	tables[2][0] = (bits3 & PS ? 0x40000000 : (reg)tables[1]) | bits3;
	tables[1][0] = (bits2 & PS ? TARGET : (reg)tables[0]) | bits2;
	tables[0][0] = TARGET | bits1;
	write_cr3(read_cr3());
}

static void one(const char *what, unsigned access, bool by_user)
{
	struct start s = by_user ? user(accesses[access]) : kernel(accesses[access]);

	s.bx = VIRTUAL;
	*(volatile uint32_t *)TARGET = 0x40cd;
	print(what);
	print(by_user ? " user " : " kernel ");
	run(&s);
	if (last.t.ip == VIRTUAL + 2)
		last.ip = VIRTUAL;
	report(names[access]);
	if (last.t.vector != 0x40)
		return;
	print("  a/d: ");
	print_hex(pml4[1] & (A | D), 2);
	print_hex(tables[2][0] & (A | D), 2);
	print_hex(tables[1][0] & (A | D), 2);
	print_hex(tables[0][0] & (A | D), 2);
	print("\n");
}

static void all(const char *what, uint64_t b4, uint64_t b3, uint64_t b2, uint64_t b1)
{
	for (unsigned k = 0; k < 6; k++) {
		chain(b4, b3, b2, b1);
		one(what, k >> 1, k & 1);
	}
}

static void rights(void)
{
	enum { UWP = U | W | P };

	all("all", UWP, UWP, UWP, UWP);
	all("pml4e read-only", U | P, UWP, UWP, UWP);
	all("pdpte read-only", UWP, U | P, UWP, UWP);
	all("pde read-only", UWP, UWP, U | P, UWP);
	all("pte read-only", UWP, UWP, UWP, U | P);
	all("pml4e supervisor", W | P, UWP, UWP, UWP);
	all("pte supervisor", UWP, UWP, UWP, W | P);
	all("pml4e nx", UWP | NX, UWP, UWP, UWP);
	all("pte nx", UWP, UWP, UWP, UWP | NX);
	all("pml4e absent", U | W, UWP, UWP, UWP);
	all("pdpte absent", UWP, U | W, UWP, UWP);
	all("pte absent", UWP, UWP, UWP, U | W);
	all("2 MiB", UWP, UWP, UWP | PS, 0);
	all("2 MiB nx", UWP, UWP, UWP | PS | NX, 0);
	all("1 GiB read", UWP, UWP | PS | NX, 0, 0);
}

static void reserved(unsigned width)
{
	enum { UWP = U | W | P };
	uint64_t bit = 1ull << width;

	for (unsigned k = 0; k < 2; k++, bit = 1ull << 51) {
		chain(UWP | bit, UWP, UWP, UWP);
		one(NAME1("pml4e high bit ", k), 0, false);
		chain(UWP, UWP | bit, UWP, UWP);
		one(NAME1("pdpte high bit ", k), 1, true);
		chain(UWP, UWP, UWP | bit, UWP);
		one(NAME1("pde high bit ", k), 2, true);
		chain(UWP, UWP, UWP, UWP | bit);
		one(NAME1("pte high bit ", k), 0, true);
	}
	chain(UWP | PS, UWP, UWP, UWP);
	one("pml4e ps", 0, false);
	chain(UWP, UWP | PS | 1 << 13, UWP, UWP);
	one("1 GiB bit 13", 0, false);
	chain(UWP, UWP | PS | 1 << 29, UWP, UWP);
	one("1 GiB bit 29", 0, false);
	chain(UWP, UWP, UWP | PS | 1 << 13, UWP);
	one("2 MiB bit 13", 0, false);
	chain(UWP, UWP, UWP | PS | 1 << 20, UWP);
	one("2 MiB bit 20", 0, false);
	chain(UWP, UWP, UWP | PS | 1 << 12, UWP);
	one("2 MiB pat", 0, false);
	chain(UWP, UWP, UWP, UWP | 0x7ffull << 52);
	one("ignored bits", 0, false);
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~0x800ull);
	chain(UWP, UWP, UWP, UWP | NX);
	one("nx without nxe", 0, false);
	chain(UWP, UWP, UWP, U | W);
	one("fetch without nxe", 2, true);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
}

static void smep_smap(void)
{
	enum { UWP = U | W | P };
	struct start s;

	write_cr4(read_cr4() | 1ul << 20);
	all("smep", UWP, UWP, UWP, UWP);
	write_cr4((read_cr4() & ~(1ul << 20)) | 1ul << 21);
	all("smap", UWP, UWP, UWP, UWP);
	chain(UWP, UWP, UWP, UWP);
	s = kernel(do_read_ac);
	s.bx = VIRTUAL;
	test("smap with ac", &s);
	s = user(do_read_ac);
	s.bx = VIRTUAL;
	test("stac, user", &s);
	s = user(do_read);
	s.flags |= F_AC;
	s.bx = VIRTUAL + 1;
	test("ac without am", &s);
	write_cr4(read_cr4() & ~(1ul << 21));
}

static void keys(void)
{
	enum { UWP = U | W | P };
	static const uint32_t values[] = { 0, 4, 8, 0xc, 1, 2 };
	struct start s = kernel(do_rdpkru);

	test("rdpkru without pke", &s);
	write_cr4(read_cr4() | 1ul << 22);
	test("rdpkru", &s);
	s.cx = 1;
	test("rdpkru ecx 1", &s);
	s = user(do_wrpkru);
	s.ax = 0x50;
	test("wrpkru, user", &s);
	s.dx = 1;
	test("wrpkru edx 1", &s);
	s.dx = 0;
	s.cx = 1;
	test("wrpkru ecx 1", &s);
	s = user(do_rdpkru);
	test("rdpkru, user", &s);
	for (unsigned n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
		__asm__ volatile("wrpkru" ::"a"(values[n] & 0xc), "c"(0), "d"(0));
		all(NAME1("key 1 pkru ", values[n]), UWP, UWP, UWP, UWP | KEY(1));
		all(NAME1("key 1 read-only pkru ", values[n]), UWP, UWP, UWP, U | P | KEY(1));
		all(NAME1("key 1 supervisor page pkru ", values[n]), UWP, UWP, UWP, W | P | KEY(1));
	}
	__asm__ volatile("wrpkru" ::"a"(8), "c"(0), "d"(0));
	write_cr0(read_cr0() & ~0x10000ul);
	all("key 1 pkru 8 without wp", UWP, UWP, UWP, UWP | KEY(1));
	write_cr0(read_cr0() | 0x10000ul);
	all("2 MiB key 1 pkru 8", UWP, UWP, UWP | PS | KEY(1), 0);
	__asm__ volatile("wrpkru" ::"a"(0), "c"(0), "d"(0));
	write_cr4(read_cr4() & ~(1ul << 22));
	all("key 1 without pke", UWP, UWP, UWP, UWP | KEY(1));
}

static void canonical(const char *which)
{
	static const uint64_t addresses[] = {
		0x00007ffffffffff8, 0x0000800000000000, 0xffff7fffffffffff,
		0x00fffffffffffff8, 0x0100000000000000, 0xfeffffffffffffff,
	};
	static const struct {
		const char *name, *code;
	} uses[] = { { "read", do_read }, { "write", do_write }, { "jump", do_fetch }, { "call", do_call },
		     { "push", do_push }, { "retf", do_far },	 { "stos", do_string } };

	print(which);
	for (unsigned n = 0; n < sizeof(addresses) / sizeof(addresses[0]); n++) {
		for (unsigned k = 0; k < sizeof(uses) / sizeof(uses[0]); k++) {
			struct start s = kernel(uses[k].code);

			s.bx = addresses[n];
			s.cx = KCODE;
			print(uses[k].name);
			test(NAME1(" address ", n), &s);
		}
	}
}

/* A store over the edge of a page whose neighbour is absent writes nothing and reports the neighbour. */
static void crossing(void)
{
	enum { UWP = U | W | P };
	struct start s = kernel(do_cross_write);

	chain(UWP, UWP, UWP, UWP);
	tables[0][1] = 0;
	*(volatile uint64_t *)(TARGET + 0xff8) = 0;
	s.bx = VIRTUAL + 0xffd;
	run(&s);
	last.t.ax = *(volatile uint64_t *)(TARGET + 0xff8);
	report("crossing store, memory in ax");
	s.bx = VIRTUAL + 0xffc;
	s.ip = last.ip = (reg)do_string;
	run(&s);
	last.t.ax = last.t.cx;
	report("crossing rep stos, rcx in ax");
}

/* Leaves long mode for the moment that CR4.LA57 takes to change (SDM vol. 3, 4.1.2). */
void toggle_la57(reg cr3, reg cr4);
__asm__(".text\n"
	"toggle_la57:\n"
	"	push %rbx\n"
	"	mov %rsi, %rbx\n"
	"	pushq $0x48\n"
	"	pushq $1f\n"
	"	lretq\n"
	"	.code32\n"
	"1:	mov %cr0, %eax\n"
	"	btr $31, %eax\n"
	"	mov %eax, %cr0\n"
	"	mov %ebx, %cr4\n"
	"	mov %edi, %cr3\n"
	"	bts $31, %eax\n"
	"	mov %eax, %cr0\n"
	"	ljmp $8, $1f\n"
	"	.code64\n"
	"1:	pop %rbx\n"
	"	ret\n");
SNIPPET(set_cr4, "mov %rax, %cr4");

void guest_main(void)
{
	uint32_t r[4];
	struct start s;

	cpuid(0x80000008, 0, r);
	rights();
	reserved(r[0] & 0xff);
	write_cr0(read_cr0() & ~0x10000ul);
	print("--- without wp\n");
	all("pte read-only", U | W | P, U | W | P, U | W | P, U | P);
	write_cr0(read_cr0() | 0x10000ul);
	smep_smap();
	keys();
	crossing();
	s = kernel(set_cr4);
	s.ax = read_cr4() | 1 << 12;
	test("la57 in long mode", &s);
	canonical("--- 48 bits\n");
	pml5[0] = (reg)pml4 | U | W | P;
	toggle_la57((reg)pml5, read_cr4() | 1 << 12);
	print("--- 5 levels\n");
	rights();
	pml5[1] = (reg)pml4 | U | W | P;
	s = kernel(do_read);
	s.bx = 0x0001000000000000ull + VIRTUAL;
	chain(U | W | P, U | W | P, U | W | P, U | W | P);
	test("second pml5e", &s);
	pml5[1] |= PS;
	write_cr3(read_cr3());
	test("pml5e ps", &s);
	pml5[1] = ((reg)pml4 | U | W | P) | 1ull << (r[0] & 0xff);
	write_cr3(read_cr3());
	test("pml5e high bit", &s);
	s.bx = 0x0002000000000000ull;
	test("pml5e absent", &s);
	canonical("--- 57 bits\n");
	toggle_la57((reg)pml4, read_cr4() & ~(1ul << 12));
	print("--- 4 levels again\n");
	all("all", U | W | P, U | W | P, U | W | P, U | W | P);
}
