/* SPDX-License-Identifier: MIT */
/* Breakpoints of every kind, single-step, RF, MOV SS, general detect, DR6 and DR7 rules (SDM vol. 3, 17.2 and 17.3). */
#include "system.h"

static uint64_t data[8] __attribute__((aligned(64)));
extern const char target[];

SNIPPET(two_nops, "nop\n nop");
SNIPPET(at_target, "nop\n target: nop\n mov $5, %eax");
SNIPPET(write8, "mov %al, (%rbx)\n mov $5, %eax");
SNIPPET(write64, "mov %rax, (%rbx)\n mov $5, %eax");
SNIPPET(read64, "mov (%rbx), %rdx\n mov $5, %eax");
SNIPPET(rmw, "lock incq (%rbx)\n mov $5, %eax");
SNIPPET(push_data, "mov %rbx, %rsp\n push %rax\n mov $5, %eax");
SNIPPET(sse_like, "movntiq %rax, (%rbx)\n mov $5, %eax");
SNIPPET(rep_write, "mov $5, %ecx\n lea (%rbx), %rdi\n rep stosq\n mov $5, %eax");
SNIPPET(rep_move, "mov $4, %ecx\n lea (%rbx), %rdi\n lea 64(%rbx), %rsi\n rep movsq\n mov $5, %eax");
SNIPPET(port, "out %al, $0x80\n mov $5, %eax");
SNIPPET(port_in, "in $0x80, %eax\n mov $5, %eax");
SNIPPET(popf_tf, "push %rbx\n popf\n nop\n nop");
SNIPPET(popf_tf_branch, "push %rbx\n popf\n jmp 1f\n nop\n 1: nop");
SNIPPET(popf_tf_int, "push %rbx\n popf\n int $0x41\n nop");
SNIPPET(popf_tf_fault, "push %rbx\n popf\n ud2");
SNIPPET(popf_tf_rep, "mov $3, %ecx\n lea data(%rip), %rdi\n push %rbx\n popf\n rep stosb\n nop");
SNIPPET(popf_tf_ss, "mov %ss, %ecx\n push %rbx\n popf\n mov %ecx, %ss\n nop\n nop");
SNIPPET(popf_tf_ss_int, "mov %ss, %ecx\n push %rbx\n popf\n mov %ecx, %ss\n int $0x41");
SNIPPET(popf_tf_pushf, "push %rbx\n popf\n pushf");
SNIPPET(popf_tf_hlt, "push %rbx\n popf\n nop");
SNIPPET(bp_ss, "mov (%rbx), %ss\n nop\n nop");
SNIPPET(bp_ss_int, "mov (%rbx), %ss\n int $0x41\n nop");
SNIPPET(bp_ss_fault, "mov (%rbx), %ss\n ud2\n nop");
SNIPPET(bp_ss_icebp, "mov (%rbx), %ss\n .byte 0xf1\n nop\n nop");
SNIPPET(code_after_ss, "mov %ss, %ecx\n mov %ecx, %ss\n target_ss: nop\n mov $5, %eax");
SNIPPET(icebp, ".byte 0xf1\n nop");
SNIPPET(int3, "int3");
SNIPPET(read_dr0, "mov %dr0, %rax");
SNIPPET(write_dr7_code, "mov %rax, %dr7\n mov %dr7, %rax");
SNIPPET(write_dr6_code, "mov %rax, %dr6\n mov %dr6, %rax");
SNIPPET(read_dr4, "mov %dr4, %rax");
SNIPPET(read_dr5, "mov %dr5, %rax");
SNIPPET(read_dr8, ".byte 0x44, 0x0f, 0x21, 0xc0");
SNIPPET(fault_after_read, "mov (%rbx), %rsp\n mov $0xf0000000, %esp\n push (%rbx)");
SNIPPET(iret_rf, "mov %rsp, %rcx\n mov %ss, %edx\n push %rdx\n push %rcx\n push $0x10002\n mov %cs, %edx\n push %rdx\n"
	"lea target_rf(%rip), %rdx\n push %rdx\n iretq\n target_rf: nop\n mov $5, %eax");
extern const char target_ss[], target_rf[];

enum { EXECUTE, WRITE, IO, ACCESS, LEN1 = 0, LEN2 = 1, LEN8 = 2, LEN4 = 3 };

static void arm(unsigned n, const void *address, unsigned kind, unsigned length)
{
	static void (*const set[])(reg) = { write_dr0, write_dr1, write_dr2, write_dr3 };

	set[n]((reg)address);
	write_dr7(0x400 | 2u << (2 * n) | kind << (16 + 4 * n) | length << (18 + 4 * n));
}

static void go(const char *what, const char *code, const void *bx)
{
	struct start s = kernel(code);

	s.bx = (reg)bx;
	s.ax = 3;
	run(&s);
	write_dr7(0x400);
	report(what);
	write_dr6(0xffff0ff0);
}

static void data_breakpoints(void)
{
	static const struct {
		const char *name, *code;
	} uses[] = { { "write 1", write8 }, { "write 8", write64 }, { "read 8", read64 }, { "rmw", rmw } };
	static const unsigned lengths[] = { LEN1, LEN2, LEN4, LEN8 };

	for (unsigned u = 0; u < 4; u++) {
		for (unsigned k = 0; k < 2; k++) {
			for (unsigned l = 0; l < 4; l += 2) {
				for (unsigned offset = 0; offset < 12; offset += 6) {
					arm(k, &data[2], k ? ACCESS : WRITE, lengths[l]);
					print(uses[u].name);
					print(k ? " access" : " write");
					go(NAME2(" len ", l, " offset ", offset), uses[u].code, (uint8_t *)&data[2] + offset - 1);
				}
			}
		}
	}
	arm(2, &data[4], ACCESS, LEN8);
	go("push", push_data, &data[5]);
	arm(2, &data[4], ACCESS, LEN8);
	go("movnti", sse_like, &data[4]);
	arm(3, &data[4], WRITE, LEN8);
	go("rep stos", rep_write, &data[2]);
	arm(3, &data[2], ACCESS, LEN8);
	go("rep movs", rep_move, &data[1]);
	arm(1, &data[2], ACCESS, LEN8);
	go("fault after the access", fault_after_read, &data[2]);
}

static void code_breakpoints(void)
{
	arm(0, target, EXECUTE, LEN1);
	go("execute", at_target, 0);
	arm(3, target, EXECUTE, LEN1);
	go("execute, dr3", at_target, 0);
	arm(0, target_ss, EXECUTE, LEN1);
	go("execute after mov ss", code_after_ss, 0);
	arm(0, target_rf, EXECUTE, LEN1);
	go("execute with rf from iret", iret_rf, 0);
	write_cr4(read_cr4() | 8);
	arm(1, (const void *)0x80, IO, LEN1);
	go("out", port, 0);
	arm(1, (const void *)0x80, IO, LEN4);
	go("in", port_in, 0);
	arm(1, (const void *)0x84, IO, LEN4);
	go("in elsewhere", port_in, 0);
	arm(1, (const void *)0x83, IO, LEN1);
	go("in dword over it", port_in, 0);
	go("dr4 with de", read_dr4, 0);
	go("dr5 with de", read_dr5, 0);
	write_cr4(read_cr4() & ~8ul);
	go("dr4", read_dr4, 0);
	go("dr5", read_dr5, 0);
	go("dr8", read_dr8, 0);
}

static void stepping(void)
{
	const void *tf = (const void *)(F_TF | 2);
	struct start s = kernel(two_nops);

	s.flags |= F_TF;
	test("iret sets tf", &s);
	go("popf", popf_tf, tf);
	go("branch", popf_tf_branch, tf);
	go("int", popf_tf_int, tf);
	go("fault", popf_tf_fault, tf);
	go("rep", popf_tf_rep, tf);
	go("mov ss", popf_tf_ss, tf);
	go("mov ss, int", popf_tf_ss_int, tf);
	go("pushf", popf_tf_pushf, tf);
	go("icebp", icebp, 0);
	go("int3", int3, 0);
	s = user(two_nops);
	s.flags |= F_TF;
	test("tf, user", &s);
	write_dr6(0xffff0ff0);
	wrmsr(0x1d9, 2);
	go("btf, no branch", popf_tf, tf);
	wrmsr(0x1d9, 2);
	go("btf, branch", popf_tf_branch, tf);
	print_value("debugctl afterwards", rdmsr(0x1d9));
	wrmsr(0x1d9, 0);
}

static void mov_ss(void)
{
	data[0] = KDATA;
	arm(0, data, ACCESS, LEN2);
	go("mov ss meets a breakpoint", bp_ss, data);
	arm(0, data, ACCESS, LEN2);
	go("mov ss, int", bp_ss_int, data);
	arm(0, data, ACCESS, LEN2);
	go("mov ss, fault", bp_ss_fault, data);
	arm(0, data, ACCESS, LEN2);
	go("mov ss, icebp", bp_ss_icebp, data);
}

static void registers(void)
{
	static const uint64_t values[] = { 0, ~0ull >> 32, 0x100000000, 0x400, 0x2000, 0x1000, 0xd000 };

	for (unsigned n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
		struct start s = kernel(write_dr6_code);

		s.ax = values[n];
		run(&s);
		write_dr6(0xffff0ff0);
		report(NAME1("dr6 value ", n));
		if (n == 1 || n == 4) /* would arm everything, and general detect */
			continue;
		s.ip = (reg)write_dr7_code;
		run(&s);
		write_dr7(0x400);
		report(NAME1("dr7 value ", n));
	}
	write_dr7(0x2400);
	go("general detect", read_dr0, 0);
	test_user("dr0, user", read_dr0);
	write_dr0(0); /* no other register with this address: what is not enabled may be reported, too */
	write_dr3(0);
	write_dr6(0xffff4ff1);
	arm(2, target, EXECUTE, LEN1);
	struct start s = kernel(at_target);
	run(&s);
	write_dr7(0x400);
	report("dr6 is sticky but for B0 to B3");
	write_dr6(0xffff0ff0);
}

void guest_main(void)
{
	show_rf = true;
	data_breakpoints();
	code_breakpoints();
	stepping();
	mov_ss();
	registers();
}
