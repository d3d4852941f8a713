/* SPDX-License-Identifier: MIT */
/*
 * What the system guests share. A guest is a list of cases; each runs a few instructions from a defined state until
 * something traps (INT 40h where nothing goes wrong) and prints a line: the vector, the error code, where, the flags, RAX,
 * CR2 of a page fault, DR6 of a debug exception. The same image runs under Bulkhead and under QEMU; transcripts are
 * compared by tests/system/system.py.
 *
 * 32-bit guests are compiled with -m32, 64-bit ones run in long mode; both are Multiboot ELF32 images.
 */
#ifndef BULKHEAD_TESTS_SYSTEM_GUEST_H
#define BULKHEAD_TESTS_SYSTEM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

typedef unsigned long reg;

enum {
	KCODE = 0x08, KDATA = 0x10, UCODE = 0x1b, UDATA = 0x23,
	TSS_SEL = 0x28,	   /* two slots in long mode */
	DF_TSS_SEL = 0x38, /* 32-bit guests: #DF is a task */
	UCODE32 = 0x43,	   /* 64-bit guests: compatibility mode */
	KCODE32 = 0x48,
	FREE = 0x50, /* from here on descriptors are for the cases */
	GDT_SLOTS = 64,
};

enum {
	F_TF = 1 << 8, F_IF = 1 << 9, F_IOPL = 3 << 12, F_NT = 1 << 14, F_RF = 1 << 16, F_VM = 1 << 17, F_AC = 1 << 18,
	F_VIF = 1 << 19, F_VIP = 1 << 20,
};

/* The state in which a case begins. */
struct start {
	reg ip, cs, flags, sp, ss, ds, es, fs, gs, ax, bx, cx, dx, si, di, bp;
};

/* How it ended. */
struct trap {
	reg gs, fs, es, ds;
	reg di, si, bp, bx, dx, cx, ax;
	reg vector, error, ip, cs, flags, sp, ss; /* sp and ss: 32-bit guests have them only from an outer level */
};

struct result {
	struct trap t;
	reg cr2, dr6;
	reg ip; /* where the case began */
};

extern struct result last;
extern uint64_t gdt[GDT_SLOTS];
extern uint8_t tss[0x68 + 0x20 + 0x2001]; /* redirection map, I/O map of all ports, the byte of ones */
extern bool show_rf;
extern reg user_alias; /* distance of the mapping that user mode sees; 0 without paging */

/* Instructions of a case; ended by INT 40h. */
#define SNIPPET(name, code)          \
	extern const char name[];    \
	__asm__(".text\n" #name ":\n" code "\n\tint $0x40\n")

struct start kernel(const void *code);
struct start user(const void *code);
/* Runs a case to its trap. */
void run(const struct start *s);
/* Runs and prints. */
void test(const char *name, const struct start *s);
void test_kernel(const char *name, const void *code);
void test_user(const char *name, const void *code);
void report(const char *name);
/* Text and number in turn, ended by NULL; one at a time. */
const char *name(const char *first, ...);
#define NAME1(a, x) name(a, (unsigned long)(x), (const char *)0)
#define NAME2(a, x, b, y) name(a, (unsigned long)(x), b, (unsigned long)(y), (const char *)0)
#define NAME3(a, x, b, y, c, z) \
	name(a, (unsigned long)(x), b, (unsigned long)(y), c, (unsigned long)(z), (const char *)0)
#define NAME4(a, x, b, y, c, z, d, w) \
	name(a, (unsigned long)(x), b, (unsigned long)(y), c, (unsigned long)(z), d, (unsigned long)(w), (const char *)0)

void print(const char *s);
void print_hex(uint64_t v, unsigned digits);
void print_value(const char *name, uint64_t v);

uint64_t descriptor(uint32_t base, uint32_t limit20, unsigned access, unsigned flags);
void set_gdt(unsigned selector, uint64_t raw);
/* Writes a gate: type and DPL in `access`; the slot in long mode has 16 bytes. */
void set_gate(unsigned vector, unsigned selector, const void *handler, unsigned access, unsigned ist);
void gate_descriptor(unsigned selector, unsigned target, const void *offset, unsigned access, unsigned count);
extern const char stubs[]; /* 16 bytes per vector */
/* 32-bit guests: a fault that finds no usable stack is handled by a task of its own (SDM vol. 3, table 7-1). Vectors 10 to
 * 13; restore_tables() ends it. Only vector, error code and AX.. of the result mean anything. */
void catch_by_task(unsigned vector);
/* GDT, IDT, TSS, TR, LDTR, debug registers as they were at the start. */
void restore_tables(void);

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}

static inline uint64_t rdmsr(uint32_t n)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(n));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t n, uint64_t v)
{
	__asm__ volatile("wrmsr" ::"c"(n), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

#define READ_REG(name, insn)                                         \
	static inline reg name(void)                                 \
	{                                                            \
		reg v;                                               \
		__asm__ volatile("mov %%" insn ", %0" : "=r"(v));    \
		return v;                                            \
	}
#define WRITE_REG(name, insn)                                                  \
	static inline void name(reg v)                                         \
	{                                                                      \
		__asm__ volatile("mov %0, %%" insn ::"r"(v) : "memory");       \
	}
READ_REG(read_cr0, "cr0")
READ_REG(read_cr2, "cr2")
READ_REG(read_cr3, "cr3")
READ_REG(read_cr4, "cr4")
READ_REG(read_dr6, "dr6")
READ_REG(read_dr7, "dr7")
WRITE_REG(write_cr0, "cr0")
WRITE_REG(write_cr3, "cr3")
WRITE_REG(write_cr4, "cr4")
WRITE_REG(write_dr0, "dr0")
WRITE_REG(write_dr1, "dr1")
WRITE_REG(write_dr2, "dr2")
WRITE_REG(write_dr3, "dr3")
WRITE_REG(write_dr6, "dr6")
WRITE_REG(write_dr7, "dr7")

void guest_main(void);

#endif
