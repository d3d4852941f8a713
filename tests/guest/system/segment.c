/* SPDX-License-Identifier: MIT */
/* Protected mode segmentation: loads, limits, LAR and friends, gates, far returns (SDM vol. 3, chapter 5). */
#include "system.h"

enum { LIMIT4G = 0xfffff };

/* ---- loading ---- */

SNIPPET(load_ds, "mov %cx, %ds");
SNIPPET(load_ss, "mov %cx, %ss");

/* Expand-down segments of 4 GiB have no bytes at all; those with limit 0 have all but the first page. */
static uint64_t whole(unsigned type, unsigned dpl, bool present)
{
	bool expand_down = (type & 0x1c) == 0x14;

	return descriptor(0, expand_down ? 0 : LIMIT4G, (present ? 0x80 : 0) | dpl << 5 | (type & 0x1f), 0xc);
}

static void loads(const char *what, const char *code)
{
	for (unsigned type = 0x10; type < 0x20; type++) {
		for (unsigned k = 0; k < 16; k++) {
			unsigned dpl = k & 1 ? 3 : 0, rpl = k & 2 ? 3 : 0;
			struct start s = k & 4 ? user(code) : kernel(code);

			set_gdt(FREE, whole(type, dpl, !(k & 8)));
			s.cx = FREE | rpl;
			test(NAME4(what, type, k & 8 ? " absent dpl " : " dpl ", dpl, " rpl ", rpl, k & 4 ? " user " : " kernel ",
				   0),
			     &s);
		}
	}
}

static void odd_loads(void)
{
	static const unsigned selectors[] = { 0, 3, 4, GDT_SLOTS * 8, GDT_SLOTS * 8 - 8, TSS_SEL, 0xfffc };

	for (unsigned n = 0; n < sizeof(selectors) / sizeof(selectors[0]); n++) {
		struct start s = kernel(load_ds);

		s.cx = selectors[n];
		test(NAME1("ds selector ", selectors[n]), &s);
		s.ip = (reg)load_ss;
		test(NAME1("ss selector ", selectors[n]), &s);
	}
}

/* ---- limits and rights ---- */

SNIPPET(read16, "mov %cx, %es\n mov %es:(%ebx), %ax");
SNIPPET(write32, "mov %cx, %es\n mov %eax, %es:(%ebx)");
SNIPPET(write_code, "mov %eax, %cs:(%ebx)");
SNIPPET(read_null, "mov %cx, %es\n nop\n mov %es:(%ebx), %al");

static void limits(void)
{
	static const struct {
		unsigned type, flags, limit;
	} kinds[] = { { 0x93, 4, 0xfff }, { 0x93, 0xc, 0 },   { 0x97, 4, 0xfff },
		      { 0x97, 0, 0xfff }, { 0x91, 4, 0xfff }, { 0x9b, 4, 0xfff } };
	static const reg offsets[] = { 0, 0xffd, 0xfff, 0x1000, 0xffff };
	static const char *const code[] = { read16, write32 };

	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		set_gdt(FREE, descriptor(0x200000, kinds[k].limit, kinds[k].type, kinds[k].flags));
		for (unsigned n = 0; n < sizeof(offsets) / sizeof(offsets[0]); n++) {
			for (unsigned c = 0; c < 2; c++) {
				struct start s = kernel(code[c]);

				s.cx = FREE;
				s.bx = offsets[n];
				test(NAME4("limit kind ", k, " flags ", kinds[k].flags, " offset ", offsets[n],
					   c ? " write 4 " : " read 2 ", 0),
				     &s);
			}
		}
	}
	test_kernel("write through cs", write_code);
	test_user("write through cs, user", write_code);
	test_kernel("read through null", read_null);
}

/* ---- LAR, LSL, VERR, VERW, ARPL ---- */

SNIPPET(do_lar, "lar %ecx, %eax\n jz 1f\n mov $0xdead, %eax\n 1: and $0x00f0ff00, %eax");
SNIPPET(do_lsl, "lsl %ecx, %eax\n jz 1f\n mov $0xdead, %eax\n 1:");
SNIPPET(do_verr, "mov $0, %eax\n verr %cx\n setz %al");
SNIPPET(do_verw, "mov $0, %eax\n verw %cx\n setz %al");
SNIPPET(do_arpl, "mov $0x51, %eax\n arpl %cx, %ax\n jz 1f\n bts $16, %eax\n 1:");

static void questions(void)
{
	static const char *const code[] = { do_lar, do_lsl, do_verr, do_verw };

	for (unsigned type = 0; type < 0x20; type++) {
		for (unsigned k = 0; k < 4; k++) {
			for (unsigned c = 0; c < 4; c++) {
				struct start s = k & 1 ? user(code[c]) : kernel(code[c]);

				set_gdt(FREE, descriptor(0x1000, 0x12345, 0x80 | type | (k & 2 ? 0x60 : 0), 0x8));
				s.cx = FREE | (k & 1 ? 3 : 0);
				test(NAME4("ask type ", type, " dpl ", k & 2 ? 3 : 0, " user ", k & 1, " question ", c), &s);
			}
		}
	}
	for (unsigned rpl = 0; rpl < 4; rpl++) {
		struct start s = user(do_arpl);

		s.cx = rpl;
		test(NAME1("arpl ", rpl), &s);
	}
}

/* ---- call gates ---- */

SNIPPET(call_gate, "push $0x11111111\n push $0x22222222\n push $0x33333333\n lcall $0x53, $0");
SNIPPET(call_gate_rpl0, "lcall $0x50, $0");
SNIPPET(jump_gate, "ljmp $0x53, $0");
SNIPPET(gate_target, "mov 8(%esp), %eax");
SNIPPET(gate_target_sum, "mov (%esp), %eax\n and $0xf0000000, %eax\n add 8(%esp), %eax\n add 12(%esp), %eax\n add 16(%esp), %eax");

static void gate_case(const char *what, const char *code, bool from_user, unsigned target, unsigned access, unsigned count)
{
	struct start s = from_user ? user(code) : kernel(code);

	gate_descriptor(FREE, target, gate_target, access, count);
	run(&s);
	last.ip = last.t.cs & 3
			  ? s.ip
			  : last.t.ip - ((last.t.ip - (reg)gate_target) < 64 ? last.t.ip - (reg)gate_target : last.t.ip - s.ip);
	report(what);
}

static void gates(void)
{
	struct start s;

	set_gdt(0x58, descriptor(0, LIMIT4G, 0x9f, 0xc)); /* conforming */
	set_gdt(0x60, descriptor(0, LIMIT4G, 0x1b, 0xc)); /* absent */
	set_gdt(0x68, descriptor(0, 0xff, 0x9b, 0x4));	  /* small */
	gate_case("gate user to kernel", call_gate, true, KCODE, 0xec, 0);
	gate_case("gate user to kernel, 3 parameters", call_gate, true, KCODE, 0xec, 3);
	gate_case("gate kernel to kernel", call_gate_rpl0, false, KCODE, 0x8c, 0);
	gate_case("gate dpl 0 from user", call_gate, true, KCODE, 0x8c, 0);
	gate_case("gate absent", call_gate, true, KCODE, 0x6c, 0);
	gate_case("gate to null", call_gate, true, 0, 0xec, 0);
	gate_case("gate to data", call_gate, true, KDATA, 0xec, 0);
	gate_case("gate to absent code", call_gate, true, 0x60, 0xec, 0);
	gate_case("gate beyond the limit", call_gate, true, 0x68, 0xec, 0);
	gate_case("gate to conforming", call_gate, true, 0x58, 0xec, 0);
	gate_case("gate outside the table", call_gate, true, 0x1000, 0xec, 0);
	gate_case("jump through gate to inner", jump_gate, true, KCODE, 0xec, 0);
	gate_case("jump through gate to conforming", jump_gate, true, 0x58, 0xec, 0);
	gate_case("jump through gate to same level", jump_gate, true, UCODE, 0xec, 0);
	gate_case("gate kernel to user", call_gate_rpl0, false, UCODE, 0xec, 0);
	s = user(call_gate);
	gate_descriptor(FREE, KCODE, gate_target_sum, 0xec, 3);
	run(&s);
	last.ip = (reg)gate_target_sum;
	report("gate parameters in order");
}

/* The stack that the TSS gives for CPL 0. */
static void tss_stack(const char *what, uint32_t esp, uint16_t ss)
{
	struct start s = user(call_gate);

	gate_descriptor(FREE, KCODE, gate_target, 0xec, 0);
	((uint32_t *)(void *)tss)[1] = esp;
	((uint32_t *)(void *)tss)[2] = ss;
	run(&s);
	last.t.flags &= 0xffff; /* a fault while reporting comes from elsewhere */
	report(what);
	restore_tables();
}

/* ---- RETF, IRET to bad places ---- */

SNIPPET(far_return, "push %esi\n push %edi\n push %ecx\n push %ebx\n lret");
SNIPPET(far_return_8, "push %esi\n push %edi\n push $0\n push $0\n push %ecx\n push %ebx\n lret $8");
SNIPPET(int_return, "push %esi\n push %edi\n push %edx\n push %ecx\n push %ebx\n iret");
SNIPPET(landing, "mov %esp, %eax\n and $0xff, %eax");

static void return_case(const char *what, const char *code, reg cs, reg ss)
{
	struct start s = kernel(code), u = user(landing);

	s.si = ss;
	s.di = u.sp;
	s.dx = 2;
	s.cx = cs;
	s.bx = (reg)landing;
	run(&s);
	if (last.t.vector == 0x40)
		last.ip = (reg)landing;
	report(what);
}

static void returns(void)
{
	static const char *const code[] = { far_return, far_return_8, int_return };
	static const unsigned cs[] = { 0, KCODE, UCODE, UCODE & ~3, KDATA, 0x5b, 0x63, 0x1003, 0x5a, 0x6b };
	static const unsigned ss[] = { 0, 3, UDATA, KDATA, UDATA & ~3, 0x73 };

	set_gdt(0x58, descriptor(0, LIMIT4G, 0x9f, 0xc)); /* conforming, DPL 0 */
	set_gdt(0x60, descriptor(0, LIMIT4G, 0x7b, 0xc)); /* absent */
	set_gdt(0x68, descriptor(0, 0xff, 0xfb, 0x4));	  /* small */
	set_gdt(0x70, descriptor(0, LIMIT4G, 0x73, 0xc)); /* absent stack */
	for (unsigned c = 0; c < 3; c++) {
		for (unsigned n = 0; n < sizeof(cs) / sizeof(cs[0]); n++)
			return_case(NAME2("return ", c, " to cs ", cs[n]), code[c], cs[n], UDATA);
		for (unsigned n = 0; n < sizeof(ss) / sizeof(ss[0]); n++)
			return_case(NAME2("return ", c, " with ss ", ss[n]), code[c], UCODE, ss[n]);
	}
}

/* ---- LLDT, LTR, far jumps ---- */

SNIPPET(do_lldt, "lldt %cx");
SNIPPET(do_ltr, "ltr %cx");
SNIPPET(far_jump, "push %ecx\n push %ebx\n ljmp *(%esp)");
SNIPPET(far_call, "push %ecx\n push %ebx\n lcall *(%esp)");

static void system_segments(void)
{
	for (unsigned type = 0; type < 16; type++) {
		struct start s = kernel(do_lldt);

		set_gdt(FREE, descriptor((uint32_t)gdt, 0x67, 0x80 | type, 0));
		s.cx = FREE;
		test(NAME1("lldt type ", type), &s);
		set_gdt(FREE, descriptor((uint32_t)gdt, 0x67, 0x80 | type, 0));
		s.ip = (reg)do_ltr;
		test(NAME1("ltr type ", type), &s);
		restore_tables();
	}
	set_gdt(FREE, descriptor((uint32_t)gdt, 0x67, 0x02, 0));
	struct start s = kernel(do_lldt);
	s.cx = FREE;
	test("lldt absent", &s);
	s.cx = 0;
	test("lldt null", &s);
	s.cx = 4;
	test("lldt from ldt", &s);
	s.ip = (reg)do_ltr;
	test("ltr from ldt", &s);
	s.cx = 0;
	test("ltr null", &s);
	restore_tables();
	test_user("lldt, user", do_lldt);
	test_user("ltr, user", do_ltr);
}

static void far_jumps(void)
{
	static const char *const code[] = { far_jump, far_call };

	for (unsigned type = 0x10; type < 0x20; type++) {
		for (unsigned k = 0; k < 8; k++) {
			struct start s = k & 1 ? user(code[k >> 2]) : kernel(code[k >> 2]);

			set_gdt(FREE, descriptor(0, LIMIT4G, 0x80 | type | (k & 2 ? 0x60 : 0), 0xc));
			s.cx = FREE | (k & 1 ? 3 : 0);
			s.bx = (reg)landing;
			run(&s);
			if (last.t.vector == 0x40)
				last.ip = (reg)landing;
			report(NAME4("far type ", type, " dpl ", k & 2 ? 3 : 0, " user ", k & 1, " call ", k >> 2));
		}
	}
}

void guest_main(void)
{
	loads("ds type ", load_ds);
	loads("ss type ", load_ss);
	odd_loads();
	limits();
	questions();
	gates();
	tss_stack("tss stack null", 0x200000, 0);
	tss_stack("tss stack of user", 0x200000, UDATA);
	tss_stack("tss stack is code", 0x200000, KCODE);
	tss_stack("tss stack outside the table", 0x200000, 0x1000);
	returns();
	system_segments();
	far_jumps();
}
