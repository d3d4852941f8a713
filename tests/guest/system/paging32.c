/* SPDX-License-Identifier: MIT */
/* 32-bit and PAE paging: rights, WP, large pages, reserved bits, A and D, NX (SDM vol. 3, chapter 4). */
#include "system.h"

enum {
	P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100,
	VIRTUAL = 0x80000000, TARGET = 0x800000,
};
#define NX (1ull << 63)

static uint32_t directory[1024] __attribute__((aligned(4096)));
static uint32_t table[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(32)));
static uint64_t directories[4][512] __attribute__((aligned(4096)));
static uint64_t pae_table[512] __attribute__((aligned(4096)));
static bool pae;

SNIPPET(do_read, "mov (%ebx), %eax\n mov $1, %eax");
SNIPPET(do_write, "mov %eax, (%ebx)\n mov $1, %eax");
SNIPPET(do_fetch, "jmp *%ebx");
SNIPPET(do_rmw, "lock addl $0, (%ebx)\n mov $1, %eax");
SNIPPET(load_cr3, "mov %eax, %cr3");

static const char *const accesses[] = { do_read, do_write, do_fetch, do_rmw };
static const char *const names[] = { "read", "write", "fetch", "rmw" };

/* Identity for the supervisor below 1 GiB, for user mode above it, the cases at 2 GiB. */
static void map(void)
{
	for (unsigned n = 0; n < 256; n++) {
		directory[n] = n << 22 | PS | W | P;
		directory[256 + n] = n << 22 | PS | U | W | P;
	}
	directory[VIRTUAL >> 22] = (uint32_t)table | U | W | P;
	for (unsigned n = 0; n < 512; n++) {
		directories[0][n] = (uint64_t)n << 21 | PS | W | P;
		directories[1][n] = (uint64_t)n << 21 | PS | U | W | P;
	}
	for (unsigned n = 0; n < 4; n++)
		pdpt[n] = (uint32_t)directories[n] | P;
	directories[2][0] = (uint32_t)pae_table | U | W | P;
}

static void set(uint64_t pde, uint64_t pte)
{
	if (pae) {
		directories[2][0] = pde;
		pae_table[0] = pte;
	} else {
		directory[VIRTUAL >> 22] = (uint32_t)pde;
		table[0] = (uint32_t)pte;
	}
	write_cr3(read_cr3());
}

static uint64_t pde(void)
{
	return pae ? directories[2][0] : directory[VIRTUAL >> 22];
}

static uint32_t table_address(void)
{
	return pae ? (uint32_t)pae_table : (uint32_t)table;
}

static void one(const char *what, unsigned access, bool by_user)
{
	struct start s = by_user ? user(accesses[access]) : kernel(accesses[access]);

	s.bx = VIRTUAL;
	*(volatile uint32_t *)TARGET = 0x40cd; /* int 40h */
	print(what);
	print(by_user ? " user " : " kernel ");
	run(&s);
	if (last.t.ip == VIRTUAL + 2)
		last.ip = VIRTUAL;
	report(names[access]);
	/* Whether upper entries are marked by a walk that fails is the processor's choice (SDM vol. 3, 4.8). */
	print("  a/d: ");
	print_hex(last.t.vector == 0x40 ? pde() & (A | D) : 0, 2);
	print_hex((pae ? pae_table[0] : table[0]) & (A | D), 2);
	print("\n");
}

static void all(const char *what, uint64_t pde_, uint64_t pte)
{
	for (unsigned k = 0; k < 6; k++) {
		set(pde_, pte);
		one(what, k >> 1, k & 1);
	}
}

static void rights(void)
{
	for (unsigned k = 0; k < 16; k++)
		all(NAME2("pde ", (k & 3) << 1, " pte ", (k >> 2) << 1), table_address() | (k & 3) << 1 | P,
		    TARGET | (k >> 2) << 1 | P);
	all("pde absent", table_address() | U | W, TARGET | U | W | P);
	all("pte absent", table_address() | U | W | P, TARGET | U | W);
	all("large", TARGET | PS | U | W | P, 0);
	all("large read-only", TARGET | PS | U | P, 0);
	all("large supervisor", TARGET | PS | W | P, 0);
}

/* A translation that was cached by a read: the write has to set D; raising rights needs no flush. */
static void caching(void)
{
	set(table_address() | U | W | P, TARGET | U | W | P);
	one("first", 0, false);
	one("then", 1, false);
	set(table_address() | U | W | P, TARGET | U | P);
	one("read-only", 1, true);
	if (pae)
		pae_table[0] |= W;
	else
		table[0] |= W;
	one("raised without a flush", 1, true);
	for (unsigned k = 0; k < 4; k++) { /* read-modify-write operands fault as writes */
		set(table_address() | U | W | P, TARGET | k << 1 | P);
		one(NAME1("pte ", k << 1), 3, true);
	}
}

static void probe(const char *what, uint64_t pde_, uint64_t pte)
{
	set(pde_, pte);
	one(what, 1, true);
}

static void reserved_pae(unsigned width)
{
	static const uint8_t bits[] = { 52, 55, 62, 63 };

	for (unsigned n = 0; n < sizeof(bits); n++) {
		probe(NAME1("pde bit ", bits[n]), table_address() | 1ull << bits[n] | U | W | P, TARGET | U | W | P);
		probe(NAME1("pte bit ", bits[n]), table_address() | U | W | P, TARGET | 1ull << bits[n] | U | W | P);
	}
	probe("pde bit maxphyaddr", table_address() | 1ull << width | U | W | P, TARGET | U | W | P);
	probe("pte bit maxphyaddr", table_address() | U | W | P, TARGET | 1ull << width | U | W | P);
	probe("large bit 13", TARGET | 1 << 13 | PS | U | W | P, 0);
	probe("large bit 20", TARGET | 1 << 20 | PS | U | W | P, 0);
}

static void pdptes(unsigned width)
{
	static const uint64_t values[] = { 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 1ull << 52, NX };

	for (unsigned n = 0; n < sizeof(values) / sizeof(values[0]) + 1; n++) {
		struct start s = kernel(load_cr3);
		uint64_t bit = n < sizeof(values) / sizeof(values[0]) ? values[n] : 1ull << width;

		s.ax = read_cr3();
		pdpt[3] |= bit;
		run(&s);
		pdpt[3] &= ~bit;
		last.t.ax = 0;
		report(NAME1("pdpte ", n));
	}
	/* They are loaded by MOV CR3: taking one away in memory means nothing until the next. */
	set((uint32_t)pae_table | U | W | P, TARGET | U | W | P);
	pdpt[2] = 0;
	__asm__ volatile("invlpg (%0)" ::"r"(VIRTUAL));
	one("pdpte gone from memory", 0, false);
	write_cr3(read_cr3());
	one("pdpte gone", 0, false);
	pdpt[2] = (uint32_t)directories[2] | P;
	write_cr3(read_cr3());
}

void guest_main(void)
{
	uint32_t r[4];

	cpuid(0x80000008, 0, r);
	map();
	user_alias = 0x40000000;
	write_cr4(read_cr4() | 0x10);
	write_cr3((reg)directory);
	for (unsigned wp = 0; wp < 2; wp++) {
		write_cr0((read_cr0() & ~0x10000ul) | wp << 16 | 0x80000000);
		restore_tables();
		print(wp ? "--- wp set\n" : "--- wp clear\n");
		rights();
	}
	caching();
	probe("pse bit 21", TARGET | 1 << 21 | PS | U | W | P, 0);
	write_cr0(read_cr0() & ~0x80000000ul);
	write_cr4(read_cr4() | 0x20);
	write_cr3((reg)pdpt);
	write_cr0(read_cr0() | 0x80000000);
	restore_tables();
	pae = true;
	print("--- pae\n");
	rights();
	caching();
	reserved_pae(r[0] & 0xff);
	pdptes(r[0] & 0xff);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 0x800);
	print("--- pae, nxe\n");
	all("nx", table_address() | U | W | P, TARGET | U | W | P | NX);
	all("nx above", table_address() | U | W | P | NX, TARGET | U | W | P);
	all("nx large", TARGET | PS | U | W | P | NX, 0);
	all("absent", table_address() | U | W | P, TARGET);
	write_cr4(read_cr4() | 1ul << 20);
	print("--- smep\n");
	all("user page", table_address() | U | W | P, TARGET | U | W | P);
	all("supervisor page", table_address() | W | P, TARGET | W | P);
	write_cr4((read_cr4() & ~(1ul << 20)) | 1ul << 21);
	print("--- smap\n");
	all("user page", table_address() | U | W | P, TARGET | U | W | P);
	write_cr4(read_cr4() & ~(1ul << 21));
}
