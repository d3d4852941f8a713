/* SPDX-License-Identifier: MIT */
/* Virtual-8086 mode: entry, IOPL-sensitive instructions, VME, redirection, the I/O map (SDM vol. 3, chapter 20; vol. 1, 19.5). */
#include "system.h"

enum { SEGMENT = 0x2000, BASE = 0x20000, STACK_SEGMENT = 0x3000, HANDLER = 0x200 };

/* 16-bit code, copied to 2000:0000. */
#define SNIPPET16(name, code)                     \
	extern const char name[], name##_end[];   \
	__asm__(".text\n.code16\n" #name ":\n" code "\n int3\n" #name "_end:\n.code32\n")

SNIPPET16(s_nop, "nop");
SNIPPET16(s_cli, "cli");
SNIPPET16(s_sti, "sti");
SNIPPET16(s_pushf, "pushf\n pop %ax");
SNIPPET16(s_pushfl, "pushfl\n pop %eax");
SNIPPET16(s_popf, "push %bx\n popf\n mov $1, %ax");
SNIPPET16(s_popfl, "push %ebx\n popfl\n mov $1, %ax");
SNIPPET16(s_int, "int $0x21\n mov $2, %ax");
SNIPPET16(s_int_dos, "int $0x22\n mov $2, %ax");
SNIPPET16(s_iret, "push %bx\n push %cs\n push $6\n iret\n nop\n nop\n nop\n nop\n mov $3, %ax");
SNIPPET16(s_iretl, "push %ebx\n push $0\n push %cs\n push $0\n push $12\n iretl\n nop\n nop\n nop\n nop\n nop\n nop\n nop\n mov $3, %ax");
SNIPPET16(s_int3, "int3");
SNIPPET16(s_into, "mov $0x7f, %al\n inc %al\n into\n mov $4, %ax");
SNIPPET16(s_in8, "in (%dx), %al\n mov $7, %eax");
SNIPPET16(s_in16, "in (%dx), %ax\n mov $7, %eax");
SNIPPET16(s_in32, "in (%dx), %eax\n mov $7, %eax");
SNIPPET16(s_hlt, "hlt");
SNIPPET16(s_cr0, "mov %cr0, %eax");
SNIPPET16(s_smsw, "smsw %ax\n and $1, %ax");
SNIPPET16(s_lar, "lar %cx, %ax");
SNIPPET16(s_sldt, "sldt %ax");
SNIPPET16(s_arpl, "arpl %cx, %ax");
SNIPPET16(s_segments, "mov $0xffff, %ax\n mov %ax, %ds\n mov $0x1234, %cx\n mov %ds, %ax");
SNIPPET16(s_limit, "mov $0xffff, %bx\n mov (%bx), %ax");
SNIPPET16(s_stack_limit, "mov $1, %sp\n push %ax");
SNIPPET16(s_far, "ljmp $0x2000, $6\n nop\n mov %cs, %ax");
SNIPPET16(s_rdtsc, "mov $9, %ax\n lidt 0x100");
SNIPPET16(s_lock, ".byte 0xf0, 0x90");

static void copy(unsigned to, const char *from, const char *end)
{
	for (unsigned n = 0; from + n < end; n++)
		((volatile uint8_t *)to)[n] = ((const volatile uint8_t *)from)[n];
}

/* What INT n reaches when it is redirected: prints itself by AX. */
SNIPPET16(s_handler, "pop %ax\n pop %ax\n pop %ax");

static struct start virtual(const char *code, const char *end, reg flags)
{
	copy(BASE, code, end);
	return (struct start){ .ip = 0,
			       .cs = SEGMENT,
			       .flags = F_VM | 2 | flags,
			       .sp = 0xff00,
			       .ss = STACK_SEGMENT,
			       .ds = SEGMENT,
			       .es = SEGMENT,
			       .fs = SEGMENT,
			       .gs = SEGMENT };
}

static void go(const char *what, const char *code, const char *end, reg flags, reg bx, reg dx)
{
	struct start s = virtual(code, end, flags);

	s.bx = bx;
	s.dx = dx;
	test(what, &s);
}

#define GO(what, code, flags, bx, dx) go(what, code, code##_end, flags, bx, dx)

static void sensitive(unsigned k, reg flags)
{
	GO(NAME1("cli ", k), s_cli, flags, 0, 0);
	GO(NAME1("cli with vif ", k), s_cli, flags | F_VIF, 0, 0);
	GO(NAME1("sti ", k), s_sti, flags, 0, 0);
	GO(NAME1("sti with vip ", k), s_sti, flags | F_VIP, 0, 0);
	GO(NAME1("pushf ", k), s_pushf, flags, 0, 0);
	GO(NAME1("pushf with vif ", k), s_pushf, flags | F_VIF, 0, 0);
	GO(NAME1("pushfd ", k), s_pushfl, flags, 0, 0);
	GO(NAME1("popf if ", k), s_popf, flags, F_IF, 0);
	GO(NAME1("popf 0 ", k), s_popf, flags | F_VIF, 0, 0);
	GO(NAME1("popf if with vip ", k), s_popf, flags | F_VIP, F_IF, 0);
	GO(NAME1("popf iopl nt ", k), s_popf, flags, F_IOPL | F_NT, 0);
	GO(NAME1("popfd ", k), s_popfl, flags, F_IF | F_AC | F_VIF | F_VIP | F_IOPL, 0);
	GO(NAME1("iret ", k), s_iret, flags, F_IF, 0);
	GO(NAME1("iret with vip ", k), s_iret, flags | F_VIP, F_IF, 0);
	GO(NAME1("iret 0 ", k), s_iret, flags | F_VIF, 0, 0);
	GO(NAME1("iretd ", k), s_iretl, flags, F_IF | F_AC | F_IOPL, 0);
	GO(NAME1("int ", k), s_int, flags, 0, 0);
	GO(NAME1("int with vif ", k), s_int, flags | F_VIF, 0, 0);
	GO(NAME1("redirected int ", k), s_int_dos, flags, 0, 0);
	GO(NAME1("redirected int with vif ", k), s_int_dos, flags | F_VIF, 0, 0);
	GO(NAME1("redirected int with if ", k), s_int_dos, flags | F_IF, 0, 0);
	GO(NAME1("int3 ", k), s_int3, flags, 0, 0);
	GO(NAME1("into ", k), s_into, flags, 0, 0);
}

static void plain(void)
{
	GO("enter", s_nop, 0, 0, 0);
	GO("hlt", s_hlt, F_IOPL, 0, 0);
	GO("mov cr0", s_cr0, F_IOPL, 0, 0);
	GO("smsw", s_smsw, 0, 0, 0);
	GO("lar", s_lar, 0, 0, 0);
	GO("sldt", s_sldt, 0, 0, 0);
	GO("arpl", s_arpl, 0, 0, 0);
	GO("lidt", s_rdtsc, F_IOPL, 0, 0);
	GO("lock nop", s_lock, F_IOPL, 0, 0);
	GO("segments", s_segments, 0, 0, 0);
	GO("word at ffff", s_limit, 0, 0, 0);
	GO("push at 1", s_stack_limit, 0, 0, 0);
	GO("far jump", s_far, 0, 0, 0);
}

static void ports(void)
{
	enum { MAP = 0x88 };

	for (unsigned k = 0; k < 2; k++) { /* the I/O map counts whatever IOPL is */
		reg flags = k ? F_IOPL : 0;

		tss[MAP + 0x80 / 8] = 0x02;
		tss[MAP + 0x2000 - 1] = 0x80;
		GO(NAME1("in 80h byte, iopl ", k), s_in8, flags, 0, 0x80);
		GO(NAME1("in 81h byte, iopl ", k), s_in8, flags, 0, 0x81);
		GO(NAME1("in 80h word, iopl ", k), s_in16, flags, 0, 0x80);
		GO(NAME1("in 7fh word, iopl ", k), s_in16, flags, 0, 0x7f);
		GO(NAME1("in 7eh dword, iopl ", k), s_in32, flags, 0, 0x7e);
		GO(NAME1("in 82h dword, iopl ", k), s_in32, flags, 0, 0x82);
		GO(NAME1("in ffffh byte, iopl ", k), s_in8, flags, 0, 0xffff);
		GO(NAME1("in fffeh byte, iopl ", k), s_in8, flags, 0, 0xfffe);
		GO(NAME1("in fffeh word, iopl ", k), s_in16, flags, 0, 0xfffe);
	}
	restore_tables();
	set_gdt(TSS_SEL, descriptor((uint32_t)tss, 0x88 + 0x10, 0x89, 0));
	__asm__ volatile("ltr %w0" ::"r"(TSS_SEL));
	GO("in 70h, short map", s_in8, 0, 0, 0x70);
	GO("in 80h, short map", s_in8, 0, 0, 0x80);
	restore_tables();
	*(volatile uint16_t *)(tss + 102) = 0xffff;
	GO("in, no map", s_in8, 0, 0, 0x70);
	restore_tables();
}

void guest_main(void)
{
	copy(BASE + HANDLER, s_handler, s_handler_end);
	for (unsigned v = 0; v < 256; v++)
		((volatile uint32_t *)0)[v] = SEGMENT << 16 | HANDLER;
	set_gate(0x21, KCODE, stubs + 0x21 * 16, 0xee, 0);
	set_gate(0x22, KCODE, stubs + 0x22 * 16, 0xee, 0);
	plain();
	ports();
	for (unsigned k = 0; k < 4; k++) { /* bit 0: IOPL 3; bit 1: VME */
		if (k & 2)
			write_cr4(read_cr4() | 1);
		set_gate(0x21, KCODE, stubs + 0x21 * 16, 0xee, 0);
		set_gate(0x22, KCODE, stubs + 0x22 * 16, 0xee, 0);
		tss[0x68 + 0x21 / 8] = 1 << (0x21 & 7); /* 21h is not redirected, 22h is */
		sensitive(k, k & 1 ? F_IOPL : 0);
	}
	set_gate(3, 0x50, stubs, 0xee, 0); /* out of virtual-8086 mode only to CPL 0 */
	set_gdt(0x50, descriptor(0, 0xfffff, 0xfb, 0xc));
	GO("gate to cpl 3", s_nop, F_IOPL, 0, 0);
	set_gdt(0x50, descriptor(0, 0xfffff, 0x9f, 0xc));
	GO("gate to conforming", s_nop, F_IOPL, 0, 0);
}
