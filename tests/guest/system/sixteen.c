/* SPDX-License-Identifier: MIT */
/* 16-bit protected mode at CPL 3: operand and address sizes, stacks that wrap at 64 KiB, far calls, 16-bit gates. */
#include "system.h"

enum { CODE16 = 0x50, STACK16 = 0x58, DATA16 = 0x60, GATE = 0x68, TARGET = 0x70, GATE32 = 0x78, CODE = 0x20000, STACK = 0x30000, DATA = 0x40000 };

#define SNIPPET16(name, code)                   \
	extern const char name[], name##_end[]; \
	/* IRET leaves the upper half of ESP to a 16-bit stack as the kernel had it. */ \
	__asm__(".text\n.code16\n" #name ":\n movzwl %sp, %esp\n" code "\n int $0x40\n" #name "_end:\n.code32\n")

SNIPPET16(push_pop, "push $0x1234\n pop %ax\n mov %esp, %eax");
SNIPPET16(push32, "pushl $0x12345678\n mov %esp, %eax");
SNIPPET16(push_wraps, "mov $0, %sp\n push $0x55aa\n mov %esp, %eax");
SNIPPET16(push_wraps_back, "mov $0, %sp\n push $0x55aa\n pop %bx\n mov %esp, %eax\n mov %bx, %ax");
SNIPPET16(push_keeps_high, "mov $0xabcd0100, %esp\n push $1\n mov %esp, %eax");
SNIPPET16(enter_, "mov $0xabcd0100, %esp\n mov $0x12345678, %ebp\n enter $16, $0\n mov %esp, %eax");
SNIPPET16(enter_bp, "mov $0xabcd0100, %esp\n mov $0x12345678, %ebp\n enter $16, $0\n mov %ebp, %eax");
SNIPPET16(enter_3, "mov $0xabcd0100, %esp\n mov $0x12340200, %ebp\n enter $16, $3\n mov %esp, %eax");
SNIPPET16(leave_, "mov $0xabcd0100, %esp\n mov $0x12340080, %ebp\n leave\n mov %esp, %eax");
SNIPPET16(leave_32, "mov $0xabcd0100, %esp\n mov $0x12340080, %ebp\n .byte 0x66\n leave\n mov %esp, %eax");
SNIPPET16(pusha_, "mov $0x1111, %ax\n pusha\n mov %esp, %eax");
SNIPPET16(pusha_sp, "pusha\n mov %sp, %bx\n mov %ss:6(%bx), %ax");
SNIPPET16(pushal_, "pushal\n mov %esp, %eax");
SNIPPET16(popa_, "mov $0xabcd, %ecx\n pusha\n xor %ecx, %ecx\n popa\n mov %ecx, %eax");
SNIPPET16(call_ret, "call 1f\n jmp 2f\n 1: mov %sp, %bx\n mov %ss:(%bx), %eax\n ret\n 2: and $0xffff, %eax");
SNIPPET16(call_32, "calll 1f\n jmp 2f\n 1: mov %sp, %bx\n mov %ss:(%bx), %eax\n retl\n 2:");
SNIPPET16(call_indirect, "mov $(1f - call_indirect), %bx\n call *%bx\n 1: mov %esp, %eax");
SNIPPET16(ret_n, "push $7\n call 1f\n jmp 2f\n 1: ret $2\n 2: mov %esp, %eax");
SNIPPET16(far_call, "lcall $0x53, $(1f - far_call)\n jmp 2f\n 1: mov %sp, %bx\n mov %ss:(%bx), %eax\n lret\n 2:");
SNIPPET16(far_call_32, "lcalll $0x53, $(1f - far_call_32)\n jmp 2f\n 1: mov %sp, %bx\n mov %ss:4(%bx), %eax\n lretl\n 2:");
SNIPPET16(lret_n, "push $9\n lcall $0x53, $(1f - lret_n)\n jmp 2f\n 1: lret $2\n 2: mov %esp, %eax");
SNIPPET16(pushf_16, "pushf\n pop %ax\n and $0x7702, %ax\n mov %esp, %ebx\n movzwl %ax, %eax");
SNIPPET16(pushf_32, "pushfl\n pop %eax\n and $0x3f7702, %eax");
SNIPPET16(iret_16, "pushf\n push %cs\n push $(1f - iret_16)\n iret\n 1: mov %esp, %eax");
SNIPPET16(iret_32, "pushfl\n pushl %cs\n pushl $(1f - iret_32)\n iretl\n 1: mov %esp, %eax");
SNIPPET16(address_wraps, "mov $0xfff0, %bx\n mov $0x20, %si\n mov (%bx,%si), %ax");
SNIPPET16(address_32, "mov $0x0000fff0, %ebx\n mov $0x20, %esi\n mov (%ebx,%esi), %ax");
SNIPPET16(word_at_the_end, "mov $0xffff, %bx\n mov (%bx), %ax");
SNIPPET16(lea_16, "mov $0xfff0, %bx\n mov $0x20, %si\n mov $-1, %eax\n lea 1(%bx,%si), %ax");
SNIPPET16(lea_16_32, "mov $0xfff0, %bx\n mov $0x20, %si\n lea 1(%bx,%si), %eax");
SNIPPET16(lea_32_16, "mov $0xfff0, %ebx\n mov $0x20, %esi\n mov $-1, %eax\n lea 1(%ebx,%esi), %ax");
SNIPPET16(loop_16, "mov $0x10003, %ecx\n mov $0, %eax\n 1: inc %eax\n loop 1b");
SNIPPET16(loop_32, "mov $0x10003, %ecx\n mov $0, %eax\n 1: inc %eax\n addr32 loop 1b");
SNIPPET16(jcxz_16, "mov $0x10000, %ecx\n mov $1, %eax\n jcxz 1f\n mov $2, %eax\n 1:");
SNIPPET16(jcxz_32, "mov $0x10000, %ecx\n mov $1, %eax\n jecxz 1f\n mov $2, %eax\n 1:");
SNIPPET16(stos_16, "cld\n mov $0x10004, %ecx\n mov $0x1fffe, %edi\n mov $0x77, %al\n rep stosb\n mov %edi, %eax");
SNIPPET16(stos_32, "cld\n mov $3, %ecx\n mov $0xfffe, %edi\n mov $0x77, %al\n addr32 rep stosb\n mov %edi, %eax");
SNIPPET16(xlat_16, "mov $0xffff, %bx\n mov $2, %al\n xlat\n movzbl %al, %eax");
SNIPPET16(lds_16, "mov $0x80, %bx\n lds (%bx), %ax\n mov %ds, %bx");
SNIPPET16(string_segment, "mov $0x10, %si\n lodsw %ss:(%si), %ax");
SNIPPET16(gate_16, "pushl $0x11112222\n pushl $0x33334444\n lcall $0x6b, $0");
SNIPPET16(gate_32, "pushl $0x11112222\n pushl $0x33334444\n lcall $0x7b, $0");
SNIPPET16(int_16, "int $0x60\n nop");
SNIPPET16(div_16, "mov $0x10, %dx\n mov $0, %ax\n mov $0x10, %bx\n div %bx");
SNIPPET16(bound_16, "mov $0x84, %bx\n mov $9, %ax\n bound %ax, (%bx)");
SNIPPET16(movs_from_sreg, "mov $-1, %eax\n mov %ds, %eax");
SNIPPET16(mov_from_sreg, "mov $-1, %eax\n mov %ds, %ax");
SNIPPET16(str_, "mov $-1, %eax\n str %eax");
SNIPPET16(smsw_, "mov $0, %eax\n smsw %ax\n and $1, %eax");
SNIPPET16(sgdt_, "sgdt 0x100\n mov 0x102, %eax\n shr $20, %eax");
/* 32-bit code that gates lead to, through a segment based at it. */
SNIPPET(target_16, "movzwl 4(%esp), %eax\n shl $16, %eax\n mov 8(%esp), %ax");
SNIPPET(target_32, "mov 8(%esp), %eax");
SNIPPET(target_int, "movzwl 2(%esp), %eax\n shl $16, %eax\n mov (%esp), %ax");

static void copy(unsigned to, const char *from, const char *end)
{
	for (unsigned n = 0; from + n < end; n++)
		((volatile uint8_t *)to)[n] = ((const volatile uint8_t *)from)[n];
}

static void segments(const void *target)
{
	set_gdt(CODE16, descriptor(CODE, 0xffff, 0xfb, 0));
	set_gdt(STACK16, descriptor(STACK, 0xffff, 0xf3, 0));
	set_gdt(DATA16, descriptor(DATA, 0xffff, 0xf3, 0));
	set_gdt(TARGET, descriptor((uint32_t)target, 0xfffff, 0x9b, 0xc));
	gate_descriptor(GATE, TARGET, 0, 0xe4, 2);
	gate_descriptor(GATE32, TARGET, 0, 0xec, 2);
}

static void go(const char *what, const char *code, const char *end)
{
	struct start s = user(0);

	for (unsigned n = 0; n < 0x10000; n += 2) {
		((volatile uint16_t *)DATA)[n / 2] = (uint16_t)n;
		((volatile uint16_t *)STACK)[n / 2] = (uint16_t)n;
	}
	((volatile uint16_t *)(DATA + 0x80))[0] = 0x1234;
	((volatile uint16_t *)(DATA + 0x80))[1] = STACK16 | 3;
	((volatile uint16_t *)(DATA + 0x80))[2] = 1;
	((volatile uint16_t *)(DATA + 0x80))[3] = 8;
	copy(CODE, code, end);
	s.ip = 0;
	s.cs = CODE16 | 3;
	s.ss = STACK16 | 3;
	s.ds = s.es = DATA16 | 3;
	s.sp = 0x1000;
	s.bx = 0x2222;
	test(what, &s);
}

#define GO(name) go(#name, name, name##_end)

void guest_main(void)
{
	segments(target_16);
	GO(push_pop);
	GO(push32);
	GO(push_wraps);
	GO(push_wraps_back);
	GO(push_keeps_high);
	GO(enter_);
	GO(enter_bp);
	GO(enter_3);
	GO(leave_);
	GO(leave_32);
	GO(pusha_);
	GO(pusha_sp);
	GO(pushal_);
	GO(popa_);
	GO(call_ret);
	GO(call_32);
	GO(call_indirect);
	GO(ret_n);
	GO(far_call);
	GO(far_call_32);
	GO(lret_n);
	GO(pushf_16);
	GO(pushf_32);
	GO(iret_16);
	GO(iret_32);
	GO(address_wraps);
	GO(address_32);
	GO(word_at_the_end);
	GO(lea_16);
	GO(lea_16_32);
	GO(lea_32_16);
	GO(loop_16);
	GO(loop_32);
	GO(jcxz_16);
	GO(jcxz_32);
	GO(stos_16);
	GO(stos_32);
	GO(xlat_16);
	GO(lds_16);
	GO(string_segment);
	GO(gate_16);
	segments(target_32);
	GO(gate_32);
	segments(target_int);
	set_gate(0x60, TARGET, 0, 0xe6, 0);
	GO(int_16);
	set_gate(0x60, TARGET, 0, 0xe7, 0);
	GO(int_16);
	GO(div_16);
	GO(bound_16);
	GO(movs_from_sreg);
	GO(mov_from_sreg);
	GO(str_);
	GO(smsw_);
	GO(sgdt_);
}
