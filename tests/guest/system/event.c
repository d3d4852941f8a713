/* SPDX-License-Identifier: MIT */
/* Delivery of events in 32-bit protected mode: gates, error codes, double faults, privilege, shadows, SYSENTER (SDM vol. 3, chapter 6). */
#include "system.h"

enum { APIC = 0xfee00000, ICR = 0x300, EOI = 0xb0, SVR = 0xf0, VEC = 0x50, SPARE = 0x60 };

static uint32_t bounds[2] = { 1, 5 };

/* ---- instructions that trap ---- */

SNIPPET(divide, "xor %ecx, %ecx\n div %ecx");
SNIPPET(divide_overflow, "mov $0x80000000, %eax\n cltd\n mov $-1, %ecx\n idiv %ecx");
SNIPPET(aam0, ".byte 0xd4, 0");
SNIPPET(int3, "int3");
SNIPPET(int_3, ".byte 0xcd, 3");
SNIPPET(into, "mov $0x7fffffff, %eax\n inc %eax\n into");
SNIPPET(into_not, "xor %eax, %eax\n into");
SNIPPET(bound, "mov $6, %eax\n bound %eax, bounds");
SNIPPET(bound_in, "mov $5, %eax\n bound %eax, bounds");
SNIPPET(ud2, "ud2");
SNIPPET(lock_nop, ".byte 0xf0, 0x90");
SNIPPET(lock_reg, ".byte 0xf0, 0x01, 0xc0");
SNIPPET(lock_load, ".byte 0xf0, 0x8b, 0x03");
SNIPPET(mov_cs, ".byte 0x8e, 0xc8");
SNIPPET(mov_seg7, ".byte 0x8e, 0xf8");
SNIPPET(mov_cr1, ".byte 0x0f, 0x20, 0xc8");
SNIPPET(long_insn, ".rept 15\n .byte 0x66\n .endr\n nop");
SNIPPET(fifteen, ".rept 14\n .byte 0x66\n .endr\n nop");
SNIPPET(int_n, "int $0x60");
SNIPPET(int_n_user, "int $0x60");

/* ---- privileged ones ---- */

SNIPPET(p_hlt, "hlt");
SNIPPET(p_cli, "cli");
SNIPPET(p_sti, "sti");
SNIPPET(p_in, "in $0x80, %al");
SNIPPET(p_out, "out %al, $0x80");
SNIPPET(p_insb, "insb");
SNIPPET(p_cr0, "mov %cr0, %eax");
SNIPPET(p_clts, "clts");
SNIPPET(p_lmsw, "lmsw %ax");
SNIPPET(p_invlpg, "invlpg (%ebx)");
SNIPPET(p_wbinvd, "wbinvd");
SNIPPET(p_rdmsr, "rdmsr");
SNIPPET(p_lgdt, "lgdt (%ebx)");
SNIPPET(p_sysexit, "sysexit");
SNIPPET(p_popf, "push $0x3202\n popf\n pushf\n pop %eax\n and $0x3200, %eax");
SNIPPET(p_pushf, "pushf\n pop %eax\n and $0x3200, %eax");
SNIPPET(p_iret, "pushf\n orl $0x3200, (%esp)\n push %cs\n push $1f\n iret\n 1: pushf\n pop %eax\n and $0x3200, %eax");

/* ---- shadows ---- */

SNIPPET(sti_nop, "sti\n nop\n nop");
SNIPPET(sti_cli, "sti\n cli\n nop");
SNIPPET(sti_sti, "sti\n sti\n nop\n nop");
SNIPPET(sti_jmp, "sti\n jmp 1f\n nop\n 1: nop\n nop");
SNIPPET(sti_hlt, "sti\n hlt\n nop");
SNIPPET(sti_ss, "mov %ss, %ecx\n sti\n mov %ecx, %ss\n nop\n nop\n nop");
SNIPPET(sti_ss_ss, "mov %ss, %ecx\n sti\n mov %ecx, %ss\n mov %ecx, %ss\n nop\n nop");
SNIPPET(sti_pop_ss, "mov %ss, %ecx\n push %ecx\n sti\n pop %ss\n nop\n nop");
SNIPPET(sti_lss, "mov %ss, %ecx\n push %ecx\n push %esp\n sti\n lss (%esp), %ebx\n nop\n nop");
SNIPPET(sti_ds, "mov %ds, %ecx\n sti\n mov %ecx, %ds\n nop\n nop");
SNIPPET(sti_ud, "sti\n ud2");
SNIPPET(sti_int, "sti\n int $0x60");
SNIPPET(popf_if, "push $0x202\n popf\n nop\n nop");
SNIPPET(iret_if, "push $0x202\n push %cs\n push $1f\n iret\n 1: nop\n nop");
SNIPPET(sti_ret, "push $1f\n sti\n ret\n 1: nop\n nop");
SNIPPET(nmi_self, "movl $0x44400, 0xfee00300\n 1: jmp 1b");
SNIPPET(ipi_self, "sti\n nop\n movl $0x44050, 0xfee00300\n 1: jmp 1b");

/* ---- SYSENTER ---- */

SNIPPET(sysenter_, "sysenter");
SNIPPET(sysenter_target, "mov %cs, %eax\n shl $16, %eax\n mov %ss, %ax");
SNIPPET(sysexit_, "sysexit");
SNIPPET(sysexit_target, "mov %cs, %eax\n shl $16, %eax\n mov %ss, %ax");

static uint8_t entry_stack[512] __attribute__((aligned(16)));

static void go(const char *what, const char *code, bool by_user)
{
	struct start s = by_user ? user(code) : kernel(code);

	s.bx = (reg)bounds;
	test(what, &s);
}

static void traps(void)
{
	static const struct {
		const char *name, *code;
	} list[] = { { "div", divide },
		     { "idiv overflow", divide_overflow },
		     { "aam 0", aam0 },
		     { "int3", int3 },
		     { "int 3", int_3 },
		     { "into", into },
		     { "into, no overflow", into_not },
		     { "bound", bound },
		     { "bound inside", bound_in },
		     { "ud2", ud2 },
		     { "lock nop", lock_nop },
		     { "lock register", lock_reg },
		     { "lock load", lock_load },
		     { "mov cs", mov_cs },
		     { "mov seg 7", mov_seg7 },
		     { "mov cr1", mov_cr1 },
		     { "16 bytes", long_insn },
		     { "15 bytes", fifteen } };
	static const struct {
		const char *name, *code;
	} privileged[] = { { "hlt", p_hlt },   { "cli", p_cli },	 { "sti", p_sti },	 { "in", p_in },
			   { "out", p_out },   { "insb", p_insb },	 { "mov cr0", p_cr0 },	 { "clts", p_clts },
			   { "lmsw", p_lmsw }, { "invlpg", p_invlpg },	 { "wbinvd", p_wbinvd }, { "rdmsr", p_rdmsr },
			   { "lgdt", p_lgdt }, { "sysexit", p_sysexit }, { "popf", p_popf },	 { "pushf", p_pushf },
			   { "iret", p_iret } };

	for (unsigned n = 0; n < sizeof(list) / sizeof(list[0]); n++) {
		go(list[n].name, list[n].code, false);
		go(list[n].name, list[n].code, true);
	}
	for (unsigned n = 0; n < sizeof(tss) - 0x88; n++)
		tss[0x88 + n] = 0xff;
	for (unsigned n = 0; n < sizeof(privileged) / sizeof(privileged[0]); n++) {
		struct start s = user(privileged[n].code);

		s.bx = (reg)bounds;
		test(privileged[n].name, &s);
		s.flags |= F_IOPL;
		print("iopl 3 ");
		test(privileged[n].name, &s);
	}
	restore_tables();
}

/* ---- gates ---- */

static const struct {
	unsigned selector, access;
	const char *name;
} gates[] = {
	{ KCODE, 0xee, "32-bit interrupt" }, { KCODE, 0xef, "32-bit trap" }, { KCODE, 0x8e, "dpl 0" }, { KCODE, 0x6e, "absent" },
	{ KCODE, 0xec, "call gate" }, { KCODE, 0xe9, "tss" }, { 0, 0xee, "null" }, { KDATA, 0xee, "data" }, { 0x68, 0xee, "absent code" },
	{ 0x1000, 0xee, "beyond" }, { UCODE, 0xee, "outer" }, { 0x70, 0xee, "conforming" }, { 0x78, 0xee, "beyond the limit" },
	{ 4, 0xe5, "task in the ldt" }, { 0x1000, 0xe5, "task beyond" }, { KDATA, 0xe5, "task is data" }, { 0x80, 0xe5, "task absent" },
};

static void gate_table(void)
{
	for (unsigned n = 0; n < sizeof(gates) / sizeof(gates[0]); n++) {
		for (unsigned k = 0; k < 3; k++) { /* bit 0: user; bit 1: by a fault instead of INT n */
			restore_tables();
			set_gdt(0x68, descriptor(0, 0xfffff, 0x1b, 0xc));
			set_gdt(0x70, descriptor(0, 0xfffff, 0x9f, 0xc));
			set_gdt(0x78, descriptor(0, 0xff, 0x9b, 0x4));
			set_gdt(0x80, descriptor((uint32_t)tss, 0x67, 0x09, 0));
			set_gate(k & 2 ? 6 : SPARE, gates[n].selector, stubs + SPARE * 16, gates[n].access, 0);
			print(gates[n].name);
			go(k & 2 ? " ud2" : " int", k & 2 ? ud2 : int_n, k & 1);
		}
	}
	restore_tables();
}

/* The first fault meets an absent gate: is the second one delivered, or a double fault? */
static void doubles(void)
{
	static const struct {
		unsigned vector;
		const char *name, *code;
	} first[] = { { 0, "de", divide }, { 3, "bp", int3 }, { 4, "of", into },
		      { 5, "br", bound },  { 6, "ud", ud2 },  { 13, "gp", p_hlt } };

	for (unsigned n = 0; n < sizeof(first) / sizeof(first[0]); n++) {
		set_gate(first[n].vector, KCODE, stubs, 0x6e, 0);
		go(first[n].name, first[n].code, true);
		restore_tables();
	}
}

static void inner_stacks(void)
{
	static const struct {
		uint32_t esp;
		unsigned ss;
		const char *name;
	} bad[] = { { 0x200000, 0, "null" },	    { 0x200000, UDATA, "user" },  { 0x200000, KCODE, "code" },
		    { 0x200000, 0x1000, "beyond" }, { 0x200000, 0x68, "absent" }, { 0x200000, 0x78, "read-only" } };

	for (unsigned n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		restore_tables();
		for (unsigned vector = 10; vector < 14; vector++)
			catch_by_task(vector);
		set_gdt(0x68, descriptor(0, 0xfffff, 0x13, 0xc));
		set_gdt(0x78, descriptor(0, 0xfffff, 0x91, 0xc));
		((volatile uint32_t *)(void *)tss)[1] = bad[n].esp;
		((volatile uint32_t *)(void *)tss)[2] = bad[n].ss;
		set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xee, 0);
		struct start s = user(n & 1 ? ud2 : int_n_user);

		run(&s);
		last.t = (struct trap){ .vector = last.t.vector, .error = last.t.error, .ip = s.ip, .cs = UCODE, .flags = 2 };
		print(n & 1 ? "ud2, inner stack " : "int, inner stack ");
		report(bad[n].name);
		__asm__ volatile("clts");
	}
	restore_tables();
}

static void idt_limit(void)
{
	struct __attribute__((packed)) {
		uint16_t limit;
		uint32_t base;
	} t;

	__asm__ volatile("sidt %0" : "=m"(t));
	t.limit = SPARE * 8 + 6;
	__asm__ volatile("lidt %0" ::"m"(t));
	go("idt limit", int_n, false);
	t.limit = SPARE * 8 + 7;
	__asm__ volatile("lidt %0" ::"m"(t));
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xee, 0);
	go("idt limit fits", int_n, false);
	restore_tables();
}

/* ---- interrupts ---- */

static volatile uint32_t *apic(unsigned offset)
{
	return (volatile uint32_t *)(APIC + offset);
}

static void shadows(void)
{
	static const struct {
		const char *name, *code;
	} list[] = { { "sti, nop", sti_nop },
		     { "sti, cli", sti_cli },
		     { "sti, sti", sti_sti },
		     { "sti, jmp", sti_jmp },
		     { "sti, hlt", sti_hlt },
		     { "sti, mov ss", sti_ss },
		     { "sti, mov ss twice", sti_ss_ss },
		     { "sti, pop ss", sti_pop_ss },
		     { "sti, lss", sti_lss },
		     { "sti, mov ds", sti_ds },
		     { "sti, ud2", sti_ud },
		     { "sti, int", sti_int },
		     { "popf", popf_if },
		     { "iret", iret_if },
		     { "sti, ret", sti_ret } };

	*apic(SVR) = 0x1ff;
	for (unsigned n = 0; n < sizeof(list) / sizeof(list[0]); n++) {
		*apic(ICR) = 0x44000 | VEC; /* to itself; stays pending while IF is clear */
		while (!(*apic(0x200 + VEC / 32 * 16) >> (VEC & 31) & 1))
			;
		go(list[n].name, list[n].code, false);
		if (*apic(0x200 + VEC / 32 * 16) >> (VEC & 31) & 1) { /* it did not come: take it now */
			struct start s = kernel(popf_if);

			run(&s);
		}
		*apic(EOI) = 0;
	}
	go("ipi to itself", ipi_self, false);
	*apic(EOI) = 0;
	go("nmi to itself", nmi_self, false);
	go("nmi again, after an iret", nmi_self, false);
}

static void fast_calls(void)
{
	struct start s = user(sysenter_);

	set_gdt(0x50, descriptor(0, 0xfffff, 0x9b, 0xc));
	set_gdt(0x58, descriptor(0, 0xfffff, 0x93, 0xc));
	set_gdt(0x60, descriptor(0, 0xfffff, 0xfb, 0xc));
	set_gdt(0x68, descriptor(0, 0xfffff, 0xf3, 0xc));
	wrmsr(0x174, 0);
	test("sysenter without cs", &s);
	wrmsr(0x174, 0x53);
	wrmsr(0x175, (reg)entry_stack + sizeof(entry_stack));
	wrmsr(0x176, (reg)sysenter_target);
	run(&s);
	last.ip = (reg)sysenter_target;
	report("sysenter");
	s.flags |= F_IF;
	run(&s);
	last.ip = (reg)sysenter_target;
	report("sysenter clears if");
	s = kernel(sysexit_);
	s.cx = user(sysexit_).sp;
	s.dx = (reg)sysexit_target;
	run(&s);
	last.ip = (reg)sysexit_target;
	report("sysexit");
	wrmsr(0x174, 0);
	test("sysexit without cs", &s);
}

void guest_main(void)
{
	traps();
	gate_table();
	doubles();
	inner_stacks();
	idt_limit();
	shadows();
	fast_calls();
}
