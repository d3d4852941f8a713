/* SPDX-License-Identifier: MIT */
/* Hardware task switching, 32-bit and 16-bit TSS (SDM vol. 3, chapter 7). */
#include "system.h"

enum { TASK = 0x50, TASK16 = 0x58, TASK_GATE = 0x60, OTHER_LDT = 0x68 };

static uint32_t task32[26] __attribute__((aligned(128)));
static uint16_t task16[22] __attribute__((aligned(128)));
static uint8_t task_stack[1024] __attribute__((aligned(16)));

SNIPPET(call_task, "mov $0x11, %eax\n lcall $0x50, $0\n mov %eax, %ebx\n mov $0x22, %eax");
SNIPPET(jump_task, "ljmp $0x50, $0");
SNIPPET(call_task16, "lcall $0x58, $0\n mov $0x33, %eax");
SNIPPET(call_gate, "lcall $0x60, $0\n mov $0x44, %eax");
SNIPPET(int_task, "int $0x50\n mov $0x55, %eax");
SNIPPET(undefined, "ud2");
SNIPPET(in_task, "mov %esp, %eax\n sub 4(%edx), %eax");
SNIPPET(task_returns, "iret\n mov $0x66, %eax");
SNIPPET(task_error, "pop %eax");
SNIPPET(read_flags, "pushf\n pop %eax");
SNIPPET(use_fpu, "fnop");
SNIPPET(nested_iret, "pushf\n orl $0x4000, (%esp)\n popf\n iret");

static void fill(const void *code)
{
	for (unsigned n = 0; n < 26; n++)
		task32[n] = 0;
	task32[7] = read_cr3();
	task32[8] = (uint32_t)code;
	task32[9] = 2;
	task32[10] = 0x1234;
	task32[14] = (uint32_t)(task_stack + sizeof(task_stack));
	for (unsigned n = 18; n < 24; n++)
		task32[n] = n == 19 ? KCODE : KDATA;
	set_gdt(TASK, descriptor((uint32_t)task32, 103, 0x89, 0));
	gate_descriptor(TASK_GATE, TASK, 0, 0xe5, 0);
	set_gate(0x50, TASK, 0, 0xe5, 0);
}

/* What the case left in memory: back link, saved flags of the first task, busy bits. */
static void after(const char *name)
{
	const uint32_t *main = (const uint32_t *)(const void *)tss;
	uint16_t tr;

	__asm__ volatile("str %0" : "=r"(tr));
	report(name);
	print("  tr: ");
	print_hex(tr, 4);
	print(" link ");
	print_hex(task32[0] & 0xffff, 4);
	print(" busy ");
	print_hex((gdt[TSS_SEL / 8] >> 41 & 1) << 4 | (gdt[TASK / 8] >> 41 & 1), 2);
	print(" saved flags ");
	print_hex(main[9] & ~(0x8d5u | F_RF), 8);
	print(" saved eip ");
	print_hex(main[8] ? main[8] - last.ip : 0xffffffff, 8);
	print(" ts ");
	print_hex(read_cr0() >> 3 & 1, 1);
	print("\n");
	__asm__ volatile("clts");
	restore_tables();
	fill(task_returns);
}

static void go(const char *name, const char *from, const char *to, bool by_user)
{
	struct start s = by_user ? user(from) : kernel(from);

	if (to)
		task32[8] = (uint32_t)to;
	run(&s);
	if (last.t.ip - (reg)to < 64)
		last.t.ip = last.ip + 0x100 + (last.t.ip - (reg)to); /* +1xx: in the other task */
	after(name);
}

static void segments(void)
{
	static const struct {
		unsigned n, selector;
		const char *name;
	} bad[] = {
		{ 19, KDATA, "cs is data" },  { 19, UCODE & ~3, "cs dpl" }, { 19, 0, "cs null" },
		{ 19, 0x1000, "cs beyond" },  { 19, 0x70, "cs absent" },    { 20, KCODE, "ss is code" },
		{ 20, 0, "ss null" },	      { 20, UDATA, "ss rpl" },	    { 20, 0x78, "ss absent" },
		{ 21, 0x28, "ds is a tss" },  { 21, 0x78, "ds absent" },    { 18, 0x1000, "es beyond" },
		{ 24, KDATA, "ldt is data" }, { 24, 0x80, "ldt absent" },   { 21, 0, "ds null" },
	};

	for (unsigned k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
		fill(in_task);
		set_gdt(0x70, descriptor(0, 0xfffff, 0x1b, 0xc));
		set_gdt(0x78, descriptor(0, 0xfffff, 0x13, 0xc));
		set_gdt(0x80, descriptor(0, 0xff, 0x02, 0));
		for (unsigned vector = 10; vector < 14; vector++)
			catch_by_task(vector);
		task32[bad[k].n] = bad[k].selector;
		struct start s = kernel(jump_task);
		task32[8] = (uint32_t)task_error;
		run(&s);
		last.t.ip = last.ip;
		last.t.cs = task32[19] & 0xffff;
		last.t.flags = task32[9];
		last.t.ax = k == 0 && task32[8] != (uint32_t)task_error; /* is EIP that of the new task? asked once */
		after(bad[k].name);
	}
}

static void descriptors(void)
{
	static const struct {
		unsigned access, limit;
		const char *name;
	} bad[] = {
		{ 0x8b, 103, "busy" }, { 0x09, 103, "absent" }, { 0x89, 102, "short" }, { 0x81, 43, "16-bit of a 32-bit one" }
	};

	for (unsigned k = 0; k < 3; k++) {
		set_gdt(TASK, descriptor((uint32_t)task32, bad[k].limit, bad[k].access, 0));
		go(bad[k].name, call_task, task_returns, false);
	}
	go("dpl from user", call_task, task_returns, true);
	go("gate from user", call_gate, task_returns, true);
	gate_descriptor(TASK_GATE, TASK, 0, 0x85, 0);
	go("gate dpl from user", call_gate, task_returns, true);
	gate_descriptor(TASK_GATE, TASK, 0, 0x65, 0);
	go("gate absent", call_gate, task_returns, true);
	gate_descriptor(TASK_GATE, KDATA, 0, 0xe5, 0);
	go("gate to data", call_gate, task_returns, true);
	gate_descriptor(TASK_GATE, 4, 0, 0xe5, 0);
	go("gate to ldt", call_gate, task_returns, true);
	set_gate(0x50, 0x1000, 0, 0xe5, 0);
	go("int to nothing", int_task, task_returns, false);
}

/* A task in virtual-8086 mode: its segments are not looked up, and its handlers run on the stack of its own TSS. */
static void virtual_task(void)
{
	static const uint8_t code[] = { 0x8c, 0xc8, 0xcc }; /* mov %cs, %ax; int3 */

	for (unsigned n = 0; n < sizeof(code); n++)
		((volatile uint8_t *)0x20000)[n] = code[n];
	fill(0);
	task32[1] = (uint32_t)(task_stack + 512);
	task32[2] = KDATA;
	task32[9] = F_VM | 2;
	task32[14] = 0x1000;
	for (unsigned n = 18; n < 24; n++)
		task32[n] = 0x2000;
	go("virtual-8086 task", jump_task, 0, false);
}

static void sixteen(void)
{
	for (unsigned n = 0; n < 22; n++)
		task16[n] = 0;
	/* A 16-bit TSS reaches the first 64 KiB only: its code is brought there. */
	for (unsigned n = 0; n < 16; n++)
		((volatile uint8_t *)0x8000)[n] = ((const volatile uint8_t *)task_returns)[n];
	task16[7] = 0x8000;
	task16[8] = 2;
	task16[9] = 0xabcd;
	task16[13] = 0x9000;
	for (unsigned n = 17; n < 21; n++)
		task16[n] = n == 18 ? KCODE : KDATA;
	set_gdt(TASK16, descriptor((uint32_t)task16, 43, 0x81, 0));
	go("call of a 16-bit task and back", call_task16, 0, false);
	set_gdt(TASK16, descriptor((uint32_t)task16, 42, 0x81, 0));
	go("short 16-bit task", call_task16, 0, false);
}

void guest_main(void)
{
	fill(task_returns);
	go("call and back", call_task, task_returns, false);
	go("call and back, user", call_gate, task_returns, true);
	go("call", call_task, task_error, false);
	go("jump", jump_task, task_error, false);
	go("jump and iret", jump_task, task_returns, false);
	go("int and back", int_task, task_returns, false);
	go("int and back, user", int_task, task_returns, true);
	go("flags in a called task", call_task, read_flags, false);
	go("fpu in a called task", call_task, use_fpu, false);
	set_gate(6, TASK, 0, 0x85, 0);
	go("fault by task gate", undefined, read_flags, false);
	set_gate(13, TASK, 0, 0x85, 0);
	set_gdt(0x70, descriptor(0, 0xfffff, 0x9b, 0xc));
	set_gate(0x50, 0x70, 0, 0x8e, 0);
	go("error code by task gate", int_task, task_error, true);
	((uint32_t *)(void *)tss)[0] = TASK;
	go("iret to an available task", nested_iret, task_returns, false);
	((uint32_t *)(void *)tss)[0] = 0;
	go("iret to null", nested_iret, task_returns, false);
	((uint32_t *)(void *)tss)[0] = KDATA;
	go("iret to data", nested_iret, task_returns, false);
	fill(task_returns);
	task32[25] = 1;
	go("trap bit", jump_task, task_error, false);
	task32[8] = 0xfffff000;
	set_gdt(0x70, descriptor(0, 0xff, 0x9b, 0x4));
	task32[19] = 0x70;
	struct start s = kernel(jump_task);
	run(&s);
	last.t.ip = last.t.ip == 0xfffff000 ? last.ip : last.ip + 1; /* EIP is that of the new task */
	after("eip beyond the limit");
	segments();
	fill(task_returns);
	descriptors();
	virtual_task();
	sixteen();
}
