/* SPDX-License-Identifier: MIT */
/* 64-bit mode's own: MSRs and control registers, SYSCALL, SYSRET, SYSENTER, SWAPGS, IRETQ, call gates, IST, UMIP, invalid
 * opcodes, compatibility mode (SDM vol. 2 and 3). */
#include "system.h"

enum { OUTSIDE = 0x40000000, SPARE = 0x60 };

static uint8_t entry_stack[512] __attribute__((aligned(16)));
static uint64_t memory[8] __attribute__((aligned(64)));

/* ---- MSRs and control registers ---- */

SNIPPET(do_wrmsr, "wrmsr");
SNIPPET(do_rdmsr, "rdmsr\n mov $1, %eax");
SNIPPET(do_cr0, "mov %rbx, %cr0");
SNIPPET(do_cr3, "mov %rbx, %cr3");
SNIPPET(do_cr4, "mov %rbx, %cr4");
SNIPPET(do_cr8, "mov %rbx, %cr8\n mov %cr8, %rax");
SNIPPET(do_lmsw, "lmsw %bx\n mov %cr0, %rax\n and $1, %eax");

static void msrs(void)
{
	static const struct {
		uint32_t msr;
		uint64_t value;
	} writes[] = {
		{ 0xc0000080, 0xd01 },
		{ 0xc0000080, 0xd03 },
		{ 0xc0000080, 0x801 },
		{ 0xc0000080, 0x901 },
		{ 0xc0000080, 1ull << 32 | 0xd01 },
		{ 0x277, 0x0007040600070406 },
		{ 0x277, 2 },
		{ 0x277, 3ull << 32 },
		{ 0x277, 8 },
		{ 0xc0000082, 0x0100000000000000 },
		{ 0xc0000082, 0xffff800000000000 },
		{ 0xc0000100, 0x0100000000000000 },
		{ 0xc0000101, 0xfe00000000000000 },
		{ 0xc0000102, 0x0100000000000000 },
		{ 0xc0000084, 1ull << 32 },
		{ 0xc0000103, 1ull << 32 },
		{ 0x175, 0x0100000000000000 },
		{ 0x176, 0x0100000000000000 },
		{ 0x200, 2 },
		{ 0x201, 0x400 },
		{ 0x2ff, 0xc06 },
		{ 0x2ff, 0xc02 },
		{ 0x2ff, 0x1c06 },
		{ 0x250, 0x0606060606060606 },
		{ 0x250, 2 },
		{ 0x1b, 1ull << 60 },
		{ 0x3f0000, 0 },
		{ 0x179, 0 },
		{ 0x401, 1 },
		{ 0x401, 0 },
	};
	static const uint32_t reads[] = {
		0x10, 0x1b, 0x3f0000, 0xc0000080, 0x179, 0x17a, 0x400, 0x401, 0x4ff, 0x277, 0xfe, 0x2ff
	};
	struct start s = kernel(do_wrmsr);

	for (unsigned n = 0; n < sizeof(writes) / sizeof(writes[0]); n++) {
		s.cx = writes[n].msr;
		s.ax = (uint32_t)writes[n].value;
		s.dx = writes[n].value >> 32;
		run(&s);
		last.t.ax = 0;
		report(NAME2("wrmsr ", writes[n].msr, " case ", n));
	}
	wrmsr(0xc0000100, 0);
	wrmsr(0xc0000101, 0);
	wrmsr(0x2ff, 0xc06);
	s = kernel(do_rdmsr);
	for (unsigned n = 0; n < sizeof(reads) / sizeof(reads[0]); n++) {
		s.cx = reads[n];
		test(NAME1("rdmsr ", reads[n]), &s);
	}
	s = user(do_rdmsr);
	s.cx = 0x10;
	test("rdmsr, user", &s);
}

static void control_registers(void)
{
	reg cr0 = read_cr0(), cr3 = read_cr3(), cr4 = read_cr4();
	const struct {
		const char *name, *code;
		reg value;
	} list[] = {
		{ "cr0 as it is", do_cr0, cr0 },
		{ "cr0 nw", do_cr0, cr0 | 1ul << 29 },
		{ "cr0 nw cd", do_cr0, cr0 | 3ul << 29 },
		{ "cr0 high", do_cr0, cr0 | 1ul << 32 },
		{ "cr0 reserved low", do_cr0, cr0 | 1ul << 28 },
		{ "cr3 as it is", do_cr3, cr3 },
		{ "cr3 low", do_cr3, cr3 | 0x18 },
		{ "cr4 as it is", do_cr4, cr4 },
		{ "cr4 la57", do_cr4, cr4 | 1ul << 12 },
		{ "cr4 mce", do_cr4, cr4 | 1ul << 6 },
		{ "cr8 15", do_cr8, 15 },
		{ "cr8 16", do_cr8, 16 },
		{ "cr8 0", do_cr8, 0 },
		{ "lmsw cannot clear pe", do_lmsw, 0 },
	};

	for (unsigned n = 0; n < sizeof(list) / sizeof(list[0]); n++) {
		struct start s = kernel(list[n].code);

		s.bx = list[n].value;
		run(&s);
		write_cr0(cr0);
		write_cr4(cr4);
		write_cr3(cr3);
		report(list[n].name);
	}
}

/* ---- system calls ---- */

SNIPPET(do_syscall, "syscall");
SNIPPET(syscall_target, "mov %cs, %eax\n shl $16, %eax\n mov %ss, %ax");
SNIPPET(syscall_flags, "mov %r11, %rax\n and $0x3f7fd7, %eax\n and $~0x8d5, %eax");
SNIPPET(syscall_rcx, "mov %rcx, %rax");
SNIPPET(do_sysret, "mov $2, %r11d\n sysretq");
SNIPPET(do_sysret32, "mov $0x202, %r11d\n sysretl");
SNIPPET(sysret_target, "mov %cs, %eax\n shl $16, %eax\n mov %ss, %ax");
SNIPPET(do_sysenter, "sysenter");
SNIPPET(do_sysexit, "sysexitl");
SNIPPET(do_sysexit64, "sysexitq");
SNIPPET(sysenter_rsp, "mov %rsp, %rax");

static void at(const char *what, const struct start *s, reg where)
{
	run(s);
	if (last.t.ip - where < 64)
		last.ip = where;
	report(what);
}

static void system_calls(void)
{
	struct start s = user(do_syscall);

	/* SYSRET wants code 32, data, code 64 in a row. */
	set_gdt(0x50, descriptor(0, 0xfffff, 0xfb, 0xc));
	set_gdt(0x58, descriptor(0, 0xfffff, 0xf3, 0xc));
	set_gdt(0x60, descriptor(0, 0xfffff, 0xfb, 0xa));
	wrmsr(0xc0000081, 0x53ull << 48 | (uint64_t)KCODE << 32);
	wrmsr(0xc0000082, (reg)syscall_target);
	wrmsr(0xc0000084, F_IF | F_TF | 0x400);
	s.flags |= F_IF | F_AC | 0x400;
	at("syscall", &s, (reg)syscall_target);
	wrmsr(0xc0000082, (reg)syscall_flags);
	at("syscall, r11", &s, (reg)syscall_flags);
	wrmsr(0xc0000082, (reg)syscall_rcx);
	run(&s);
	last.t.ax -= s.ip;
	last.ip = (reg)syscall_rcx;
	report("syscall, rcx - start");
	s.flags |= F_TF;
	wrmsr(0xc0000084, F_IF);
	run(&s); /* the trap of the instruction before SYSCALL comes first: it begins with TF set */
	last.ip = last.t.ip - ((reg)syscall_rcx == last.t.ip ? 0 : last.t.ip - s.ip);
	report("syscall with tf");
	write_dr6(0xffff0ff0);
	s = kernel(do_sysret);
	s.cx = user(sysret_target).ip;
	at("sysret", &s, s.cx);
	s.cx = 0x0000800000000000;
	test("sysret not canonical", &s);
	s.ip = (reg)do_sysret32;
	s.cx = 0x12340000000000 + user(sysret_target).ip; /* the upper half is ignored; what follows is 32-bit code */
	at("sysret to 32 bits", &s, user(sysret_target).ip);
	s = user(do_sysret);
	test("sysret, user", &s);
	wrmsr(0xc0000080, rdmsr(0xc0000080) & ~1ull);
	s = user(do_syscall);
	test("syscall without sce", &s);
	s = kernel(do_sysret);
	test("sysret without sce", &s);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
	wrmsr(0x174, 0);
	test_user("sysenter without cs", do_sysenter);
	test_kernel("sysexit without cs", do_sysexit);
	wrmsr(0x174, KCODE);
	wrmsr(0x175, (reg)entry_stack + 500);
	wrmsr(0x176, (reg)sysenter_rsp);
	s = user(do_sysenter);
	run(&s);
	last.t.ax -= (reg)entry_stack;
	last.ip = (reg)sysenter_rsp;
	report("sysenter");
	set_gdt(0x28 + 0x30, descriptor(0, 0xfffff, 0xfb, 0xa));
	wrmsr(0x174, 0x40); /* +32: 60h, +40: 68h */
	set_gdt(0x68, descriptor(0, 0xfffff, 0xf3, 0xc));
	s = kernel(do_sysexit64);
	s.dx = user(sysret_target).ip;
	s.cx = user(sysret_target).sp;
	at("sysexit", &s, s.dx);
	s.dx = 0x0000800000000000;
	test("sysexit rip not canonical", &s);
	s.cx = s.dx;
	s.dx = user(sysret_target).ip;
	test("sysexit rsp not canonical", &s);
}

/* ---- IRETQ, far returns, gates ---- */

SNIPPET(do_iretq, "push %rsi\n push %rdi\n push %rdx\n push %rcx\n push %rbx\n iretq");
SNIPPET(do_iretq_nt, "pushf\n orl $0x4000, (%rsp)\n popf\n iretq");
SNIPPET(landing, "mov %ss, %eax\n shl $16, %eax\n mov %cs, %ax");
SNIPPET(landing32, "mov %ss, %eax\n shl $16, %eax\n mov %cs, %ax");
SNIPPET(int_align, "sub $3, %rsp\n int $0x60");
SNIPPET(gate_call, "lcall *(%rbx)");
SNIPPET(gate_jump, "ljmp *(%rbx)");

static void iret_case(const char *what, reg cs, reg ss, reg ip, reg flags)
{
	struct start s = kernel(do_iretq);

	s.si = ss;
	s.di = (cs & 3 ? user(landing).sp : kernel(landing).sp) - 256;
	s.dx = flags;
	s.cx = cs;
	s.bx = ip;
	at(what, &s, ip);
}

static void returns(void)
{
	reg k = (reg)landing, u = (reg)landing + OUTSIDE, u32 = (reg)landing32 + OUTSIDE;

	set_gdt(0x50, descriptor(0, 0xfffff, 0x9b, 0xe)); /* L and D */
	set_gdt(0x58, descriptor(0, 0xfffff, 0x7b, 0xa)); /* absent */
	set_gdt(0x60, descriptor(0, 0xfffff, 0x73, 0xc)); /* absent stack */
	iret_case("iretq to user", UCODE, UDATA, u, 2);
	iret_case("iretq to user, null ss", UCODE, 3, u, 2);
	iret_case("iretq to kernel", KCODE, KDATA, k, 2);
	iret_case("iretq to kernel, null ss", KCODE, 0, k, 2);
	iret_case("iretq to kernel, null ss rpl 3", KCODE, 3, k, 2);
	iret_case("iretq to kernel, user ss", KCODE, UDATA, k, 2);
	iret_case("iretq to compatibility mode", UCODE32, UDATA, u32, 2);
	iret_case("iretq to compatibility mode, null ss", UCODE32, 3, u32, 2);
	iret_case("iretq, not canonical", KCODE, KDATA, 0x0000800000000000, 2);
	iret_case("iretq to user, not canonical", UCODE, UDATA, 0x0000800000000000, 2);
	iret_case("iretq, l and d", 0x50, KDATA, k, 2);
	iret_case("iretq, absent", 0x5b, UDATA, u, 2);
	iret_case("iretq, absent ss", UCODE, 0x63, u, 2);
	iret_case("iretq, null cs", 0, KDATA, k, 2);
	iret_case("iretq, data cs", KDATA, KDATA, k, 2);
	iret_case("iretq, beyond", 0x1000, KDATA, k, 2);
	iret_case("iretq, flags", UCODE, UDATA, u, 0x243202);
	iret_case("iretq, vm", UCODE, UDATA, u, 0x20002);
	test_kernel("iretq with nt", do_iretq_nt);
}

static void gate64(unsigned target, reg offset, unsigned access, unsigned high_type)
{
	gdt[0x70 / 8] = (offset & 0xffff) | (uint64_t)target << 16 | (uint64_t)access << 40 | (offset >> 16 & 0xffff) << 48;
	gdt[0x78 / 8] = offset >> 32 | (uint64_t)high_type << 40;
}

static void gates(void)
{
	static const struct {
		const char *name;
		unsigned target, access, high;
		reg offset;
	} list[] = {
		{ "gate", KCODE, 0xec, 0, 0 },
		{ "gate dpl", KCODE, 0x8c, 0, 0 },
		{ "gate absent", KCODE, 0x6c, 0, 0 },
		{ "gate high type", KCODE, 0xec, 1, 0 },
		{ "gate to 32 bits", KCODE32, 0xec, 0, 0 },
		{ "gate to data", KDATA, 0xec, 0, 0 },
		{ "gate to null", 0, 0xec, 0, 0 },
		{ "gate to user code", UCODE, 0xec, 0, 0 },
		{ "16-bit gate", KCODE, 0xe4, 0, 0 },
		{ "task gate", TSS_SEL, 0xe5, 0, 0 },
		{ "tss", TSS_SEL, 0xe9, 0, 0 },
		{ "not canonical", KCODE, 0xec, 0, 0x0000800000000000 },
	};

	for (unsigned n = 0; n < sizeof(list) / sizeof(list[0]); n++) {
		for (unsigned k = 0; k < 2; k++) {
			struct start s = user(k ? gate_jump : gate_call);
			reg offset = list[n].offset ? list[n].offset : (reg)landing + (list[n].target == UCODE ? OUTSIDE : 0);

			gate64(list[n].target, offset, list[n].access, list[n].high);
			memory[0] = 0x7300000000ull; /* m16:32 */
			s.bx = (reg)memory + OUTSIDE;
			print(k ? "jump " : "call ");
			at(list[n].name, &s, offset);
		}
	}
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xee, 0);
	test_kernel("unaligned stack", int_align);
	print_value("low bits of the pushed stack pointer", last.t.sp & 15);
	set_gate(SPARE, KCODE32, stubs + SPARE * 16, 0xee, 0);
	test_kernel("interrupt to 32-bit code", int_align);
	set_gate(SPARE, KCODE, (const void *)0x0000800000000000, 0xee, 0);
	test_kernel("interrupt to a non-canonical handler", int_align);
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xe6, 0);
	test_kernel("16-bit interrupt gate", int_align);
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xe5, 0);
	test_kernel("task gate in the idt", int_align);
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xee, 1);
	test_kernel("ist 1", int_align);
	set_gate(SPARE, KCODE, stubs + SPARE * 16, 0xee, 0);
}

/* ---- bases, UMIP, invalid opcodes ---- */

SNIPPET(do_swapgs, "swapgs");
SNIPPET(swapgs_twice, "mov $0xc0000102, %ecx\n mov $0x1234, %eax\n xor %edx, %edx\n wrmsr\n swapgs\n mov $0xc0000101, %ecx\n rdmsr\n swapgs");
SNIPPET(rdfsbase_, "rdfsbase %rax");
SNIPPET(wrgsbase_, "wrgsbase %rbx");
SNIPPET(gs_null, "mov $0xc0000101, %ecx\n mov $0x1234, %eax\n xor %edx, %edx\n wrmsr\n xor %eax, %eax\n mov %eax, %gs\n rdmsr");
SNIPPET(u_sgdt, "sgdt (%rbx)\n mov $1, %eax");
SNIPPET(u_sidt, "sidt (%rbx)\n mov $1, %eax");
SNIPPET(u_sldt, "sldt %ax\n mov $1, %eax");
SNIPPET(u_str, "str %ax\n mov $1, %eax");
SNIPPET(u_smsw, "smsw %ax\n mov $1, %eax");
SNIPPET(u_rdtsc, "rdtsc\n mov $1, %eax");
SNIPPET(u_rdtscp, "rdtscp\n mov $1, %eax");
SNIPPET(u_rdpmc, "mov $0x7fff, %ecx\n rdpmc");
SNIPPET(o_push_es, ".byte 0x06");
SNIPPET(o_daa, ".byte 0x27");
SNIPPET(o_aaa, ".byte 0x37");
SNIPPET(o_pusha, ".byte 0x60");
SNIPPET(o_call, ".byte 0x9a, 0, 0, 0, 0, 0, 0");
SNIPPET(o_into, ".byte 0xce");
SNIPPET(o_aam, ".byte 0xd4, 0x0a");
SNIPPET(o_salc, ".byte 0xd6");
SNIPPET(o_jmp, ".byte 0xea, 0, 0, 0, 0, 0, 0");
SNIPPET(o_82, ".byte 0x82, 0xc0, 0");
SNIPPET(o_ud0, ".byte 0x0f, 0xff, 0xc0");
SNIPPET(o_ud1, ".byte 0x0f, 0xb9, 0xc0");
SNIPPET(o_rsm, ".byte 0x0f, 0xaa");
SNIPPET(o_lock_mov, ".byte 0xf0, 0x89, 0x03");
SNIPPET(o_far_reg, ".byte 0xff, 0xe8");
SNIPPET(o_lea_reg, ".byte 0x8d, 0xc0");

static void opcodes(void)
{
	static const struct {
		const char *name, *code;
	} invalid[] = { { "push es", o_push_es },
			{ "daa", o_daa },
			{ "aaa", o_aaa },
			{ "pusha", o_pusha },
			{ "call far", o_call },
			{ "into", o_into },
			{ "aam", o_aam },
			{ "salc", o_salc },
			{ "jmp far", o_jmp },
			{ "82", o_82 },
			{ "ud0", o_ud0 },
			{ "ud1", o_ud1 },
			{ "rsm", o_rsm },
			{ "lock mov", o_lock_mov },
			{ "far jmp register", o_far_reg },
			{ "lea register", o_lea_reg } };
	static const struct {
		const char *name, *code;
	} asking[] = { { "sgdt", u_sgdt }, { "sidt", u_sidt },	 { "sldt", u_sldt },	 { "str", u_str },
		       { "smsw", u_smsw }, { "rdtsc", u_rdtsc }, { "rdtscp", u_rdtscp }, { "rdpmc", u_rdpmc } };

	for (unsigned n = 0; n < sizeof(invalid) / sizeof(invalid[0]); n++)
		test_kernel(invalid[n].name, invalid[n].code);
	for (unsigned k = 0; k < 2; k++) {
		if (k)
			write_cr4(read_cr4() | 1 << 11 | 4); /* UMIP, TSD */
		for (unsigned n = 0; n < sizeof(asking) / sizeof(asking[0]); n++) {
			struct start s = user(asking[n].code);

			s.bx = (reg)memory + OUTSIDE;
			print(k ? "umip, tsd: " : "user: ");
			test(asking[n].name, &s);
		}
	}
	write_cr4(read_cr4() & ~(reg)(1 << 11 | 4));
	test_user("swapgs, user", do_swapgs);
	test_kernel("swapgs", swapgs_twice);
	test_kernel("rdfsbase without fsgsbase", rdfsbase_);
	write_cr4(read_cr4() | 1 << 16);
	wrmsr(0xc0000100, 0x5678);
	struct start s = user(rdfsbase_);
	s.fs = 0;
	run(&s); /* enter() loads FS with a null selector, which clears the base */
	report("rdfsbase after a null selector");
	s = kernel(wrgsbase_);
	s.bx = 0x0100000000000000;
	test("wrgsbase not canonical", &s);
	write_cr4(read_cr4() & ~(1ul << 16));
	test_kernel("null gs clears the base", gs_null);
}

void guest_main(void)
{
	msrs();
	control_registers();
	system_calls();
	restore_tables();
	returns();
	gates();
	opcodes();
}
