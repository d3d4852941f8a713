/* SPDX-License-Identifier: MIT */
/* Tables, running a case, printing. */
#include "system.h"

#include <stdarg.h>

#ifdef __x86_64__
enum { DIGITS = 16, GATE_BYTES = 16 };
#else
enum { DIGITS = 8, GATE_BYTES = 8 };
#endif

struct result last;
uint64_t gdt[GDT_SLOTS] __attribute__((aligned(16)));
uint8_t tss[0x68 + 0x20 + 0x2001] __attribute__((aligned(4096)));
reg user_alias;
bool show_rf;
static uint8_t idt[256 * GATE_BYTES] __attribute__((aligned(4096)));
static uint8_t kernel_stack[4096] __attribute__((aligned(4096)));
static uint8_t user_stack[4096] __attribute__((aligned(4096)));
static uint8_t trap_stack[4096] __attribute__((aligned(4096)));
static uint8_t df_stack[4096] __attribute__((aligned(4096)));

void enter(const struct start *s);
_Noreturn void leave(void);

/* ---- printing ---- */

void print(const char *s)
{
	while (*s)
		outb(0xe9, (uint8_t)*s++);
}

void print_hex(uint64_t v, unsigned digits)
{
	while (digits-- > 0)
		outb(0xe9, (uint8_t) "0123456789abcdef"[v >> (4 * digits) & 15]);
}

void print_value(const char *name, uint64_t v)
{
	print(name);
	print(" = ");
	print_hex(v, 16);
	print("\n");
}

/* Addresses of the image depend on the compiler: transcripts do not show them. */
static void print_number(reg v)
{
	reg in_image = v - user_alias;

	if ((v >= 0x100000 && v < 0x200000) || (in_image >= 0x100000 && in_image < 0x200000))
		print("(image)");
	else
		print_hex(v, DIGITS);
}

static void print_place(reg ip)
{
	reg offset = ip - last.ip, stub = ip - (reg)stubs;

	print(" at ");
	if (offset < 0x1000) {
		print("+");
		print_hex(offset, 3);
	} else if (stub < 256 * 16) {
		print("handler ");
		print_hex(stub >> 4, 2);
	} else {
		print_number(ip);
	}
}

/* Arithmetic flags are mostly undefined where cases end; RF, which QEMU leaves out of what faults push, is shown where it is
 * asked for; RIP is relative to where the case began. */
void report(const char *name)
{
	const struct trap *t = &last.t;

	print(name);
	if (t->vector == 0x40) {
		print(": ok");
	} else {
		print(": vector ");
		print_hex(t->vector, 2);
		print(" error ");
		print_hex(t->error, 4);
	}
	print_place(t->ip);
	print(" cs ");
	print_hex(t->cs, 4);
	print(" flags ");
	print_hex(t->flags & ~(0x8d5ul | (show_rf ? 0 : F_RF)), 6);
	print(" ax ");
	print_number(t->ax);
	if (t->vector == 14) {
		print(" cr2 ");
		print_number(last.cr2);
	}
	if (t->vector == 1) {
		print(" dr6 ");
		print_hex(last.dr6, 8);
	}
	print("\n");
}

/* ---- tables ---- */

uint64_t descriptor(uint32_t base, uint32_t limit20, unsigned access, unsigned flags)
{
	return (limit20 & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 |
	       (uint64_t)(limit20 >> 16 & 0xf) << 48 | (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

void set_gdt(unsigned selector, uint64_t raw)
{
	gdt[selector / 8] = raw;
}

static void put_gate(uint64_t *at, unsigned selector, reg offset, unsigned access, unsigned low)
{
	at[0] = (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)low << 32 | (uint64_t)access << 40 |
		(uint64_t)(offset >> 16 & 0xffff) << 48;
#ifdef __x86_64__
	at[1] = offset >> 32;
#endif
}

void set_gate(unsigned vector, unsigned selector, const void *handler, unsigned access, unsigned ist)
{
	put_gate((uint64_t *)(void *)(idt + vector * GATE_BYTES), selector, (reg)handler, access, ist);
}

void gate_descriptor(unsigned selector, unsigned target, const void *offset, unsigned access, unsigned count)
{
	put_gate(&gdt[selector / 8], target, (reg)offset, access, count);
}

static void put(unsigned offset, uint64_t v, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++)
		tss[offset + n] = (uint8_t)(v >> (8 * n));
}

static void fill_tss(void)
{
	for (unsigned n = 0; n < sizeof(tss); n++)
		tss[n] = 0;
	put(4, (reg)trap_stack + sizeof(trap_stack), sizeof(reg));
#ifdef __x86_64__
	put(0x24, (reg)df_stack + sizeof(df_stack), 8); /* IST1 */
#else
	put(8, KDATA, 4);
#endif
	put(102, 0x88, 2);
	tss[sizeof(tss) - 1] = 0xff;
}

#ifndef __x86_64__
/* A double fault cannot count on its stack. */
static void fill_df_task(void)
{
	static uint32_t df_tss[26] __attribute__((aligned(128)));

	df_tss[8] = (uint32_t)(stubs + 8 * 16);
	df_tss[9] = 2;
	df_tss[14] = (uint32_t)(df_stack + sizeof(df_stack));
	for (unsigned n = 18; n < 24; n++)
		df_tss[n] = n == 19 ? KCODE : KDATA;
	df_tss[7] = read_cr3();
	set_gdt(DF_TSS_SEL, descriptor((uint32_t)df_tss, 103, 0x89, 0));
	put_gate((uint64_t *)(void *)(idt + 8 * GATE_BYTES), DF_TSS_SEL, 0, 0x85, 0);
}
void catch_by_task(unsigned vector)
{
	static uint32_t catcher[4][32] __attribute__((aligned(128)));
	static uint32_t stack[64];
	uint32_t *t = catcher[vector - 10];
	unsigned selector = 0x90 + (vector - 10) * 8;

	for (unsigned n = 0; n < 64; n++)
		stack[n] = 0;
	for (unsigned n = 0; n < 26; n++)
		t[n] = 0;
	t[7] = read_cr3();
	t[8] = (uint32_t)(stubs + vector * 16);
	t[9] = 2;
	t[14] = (uint32_t)(stack + 48);
	for (unsigned n = 18; n < 24; n++)
		t[n] = n == 19 ? KCODE : KDATA;
	set_gdt(selector, descriptor((uint32_t)t, 103, 0x89, 0));
	set_gate(vector, selector, 0, 0x85, 0);
}
#endif

static void load_tables(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		reg base;
	} g = { sizeof(gdt) - 1, (reg)gdt }, i = { sizeof(idt) - 1, (reg)idt };

	__asm__ volatile("lgdt %0" ::"m"(g));
	__asm__ volatile("lidt %0" ::"m"(i));
	__asm__ volatile("lldt %w0" ::"r"(0));
	__asm__ volatile("ltr %w0" ::"r"(TSS_SEL));
}

void restore_tables(void)
{
	for (unsigned n = 0; n < GDT_SLOTS; n++)
		gdt[n] = 0;
	set_gdt(KDATA, descriptor(0, 0xfffff, 0x93, 0xc));
	set_gdt(UDATA, descriptor(0, 0xfffff, 0xf3, 0xc));
#ifdef __x86_64__
	set_gdt(KCODE, descriptor(0, 0xfffff, 0x9b, 0xa));
	set_gdt(UCODE, descriptor(0, 0xfffff, 0xfb, 0xa));
#else
	set_gdt(KCODE, descriptor(0, 0xfffff, 0x9b, 0xc));
	set_gdt(UCODE, descriptor(0, 0xfffff, 0xfb, 0xc));
#endif
	set_gdt(UCODE32, descriptor(0, 0xfffff, 0xfb, 0xc));
	set_gdt(KCODE32, descriptor(0, 0xfffff, 0x9b, 0xc));
	set_gdt(TSS_SEL, descriptor((uint32_t)(reg)tss, sizeof(tss) - 1, 0x89, 0));
	fill_tss();
	for (unsigned v = 0; v < 256; v++)
		set_gate(v, KCODE, stubs + v * 16, v == 3 || v == 4 || v == 0x40 ? 0xee : 0x8e, v == 8);
#ifndef __x86_64__
	fill_df_task();
#endif
	write_dr7(0x400);
	write_dr6(0xffff0ff0);
	load_tables();
}

/* ---- cases ---- */

struct start kernel(const void *code)
{
	return (struct start){ .ip = (reg)code,
			       .cs = KCODE,
			       .flags = 2,
			       .sp = (reg)kernel_stack + sizeof(kernel_stack) - 64,
			       .ss = KDATA,
			       .ds = KDATA,
			       .es = KDATA,
			       .fs = KDATA,
			       .gs = KDATA };
}

struct start user(const void *code)
{
	return (struct start){ .ip = (reg)code + user_alias,
			       .cs = UCODE,
			       .flags = 2,
			       .sp = (reg)user_stack + sizeof(user_stack) - 64 + user_alias,
			       .ss = UDATA,
			       .ds = UDATA,
			       .es = UDATA,
			       .fs = UDATA,
			       .gs = UDATA };
}

_Noreturn void on_trap(const struct trap *t)
{
	last.t = *t;
	last.cr2 = read_cr2();
	last.dr6 = read_dr6();
	leave();
}

void run(const struct start *s)
{
	last = (struct result){ .ip = s->ip };
	enter(s);
#ifndef __x86_64__
	if (last.t.vector == 8) { /* by way of a task */
		__asm__ volatile("clts");
		restore_tables();
	}
#endif
}

/* ---- names of cases that come out of loops ---- */

static char name_text[96];

const char *name(const char *first, ...)
{
	va_list list;
	unsigned at = 0;

	va_start(list, first);
	for (const char *s = first; s; s = va_arg(list, const char *)) {
		unsigned long v = va_arg(list, unsigned long);

		while (*s && at < sizeof(name_text) - 10)
			name_text[at++] = *s++;
		for (int digit = v > 0xff ? 7 : 1; digit >= 0; digit--)
			name_text[at++] = "0123456789abcdef"[v >> (4 * digit) & 15];
	}
	va_end(list);
	name_text[at] = '\0';
	return name_text;
}

void test(const char *name, const struct start *s)
{
	run(s);
	report(name);
}

void test_kernel(const char *name, const void *code)
{
	struct start s = kernel(code);

	test(name, &s);
}

void test_user(const char *name, const void *code)
{
	struct start s = user(code);

	test(name, &s);
}

/* A while for the console to take the last lines in. */
static void linger(void)
{
	uint32_t lo, hi;
	uint64_t start = 0, now;

	do {
		__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
		now = (uint64_t)hi << 32 | lo;
		start = start ? start : now;
	} while (now - start < 300000000);
}

void begin(void)
{
	outb(0x21, 0xff); /* no interrupts but those of the cases */
	outb(0xa1, 0xff);
#ifdef __x86_64__
	user_alias = 0x40000000;
#endif
	restore_tables();
	guest_main();
	print("end\n");
	linger();
	for (;;)
		outb(0x501, 0);
}
