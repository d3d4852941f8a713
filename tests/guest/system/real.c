/* SPDX-License-Identifier: MIT */
/* Real mode: the vector table, flags, 16-bit addressing, segments that keep their limits, single-step (SDM vol. 3, 20.1). */
#include "system.h"

enum { BLOB = 0x10000, CODE = 0x20000, STACK = 0x30000, DATA = 0x40000, CODE16 = 0x50, DATA16 = 0x58 };

/*
 * Copied to 1000:0000. go_real is entered in 16-bit protected mode, with the state to begin with at 1000:800; vectors lead to
 * handlers, which leave the state at 1000:900 and return to protected mode.
 */
extern const char blob[], blob_end[], handlers[];
__asm__(".text\n"
	".code16\n"
	"blob:\n"
	"	mov %cr0, %eax\n"
	"	and $0xfe, %al\n"
	"	mov %eax, %cr0\n"
	"	ljmp $0x1000, $(1f - blob)\n"
	"1:	mov %cs, %ax\n"
	"	mov %ax, %ds\n"
	"	mov $0x3000, %ax\n"
	"	mov %ax, %ss\n"
	"	mov 0x80c, %esp\n"
	"	mov $0x4000, %ax\n"
	"	mov %ax, %es\n"
	"	mov %ax, %fs\n"
	"	mov %ax, %gs\n"
	"	pushl 0x808\n" /* flags */
	"	pushl $0x2000\n"
	"	pushl $0\n"
	"	mov 0x804, %ebx\n"
	"	mov 0x800, %eax\n"
	"	mov $0x4000, %cx\n"
	"	mov %cx, %ds\n"
	"	xor %ecx, %ecx\n"
	"	xor %edx, %edx\n"
	"	iretl\n"
	"handlers:\n"
	"	.rept 256\n"
	"	call common16\n"
	"	nop\n"
	"	.endr\n"
	"common16:\n"
	"	pushl %eax\n"
	"	push %ds\n"
	"	mov %cs, %ax\n"
	"	mov %ax, %ds\n"
	"	mov %esp, 0x904\n"
	"	mov %ss, 0x908\n"
	"	pop %ax\n" /* ds */
	"	mov %ax, 0x90a\n"
	"	popl 0x900\n" /* eax */
	"	pop %ax\n"    /* where the handler is */
	"	mov %ax, 0x90c\n"
	"	pop %ax\n"
	"	mov %ax, 0x90e\n" /* ip */
	"	pop %ax\n"
	"	mov %ax, 0x910\n" /* cs */
	"	pop %ax\n"
	"	mov %ax, 0x912\n" /* flags pushed */
	"	pushf\n"
	"	pop %ax\n"
	"	mov %ax, 0x914\n" /* flags here */
	"	mov %cr0, %eax\n"
	"	or $1, %al\n"
	"	mov %eax, %cr0\n"
	"	ljmpl $8, $real_back\n"
	"blob_end:\n"
	".code32\n"
	/* void enter_real(void) */
	"enter_real:\n"
	"	push %ebx\n"
	"	push %esi\n"
	"	push %edi\n"
	"	push %ebp\n"
	"	mov %esp, real_sp\n"
	"	lidt real_idt\n"
	"	mov $0x58, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov %eax, %fs\n"
	"	mov %eax, %gs\n"
	"	mov %eax, %ss\n"
	"	ljmp $0x50, $0\n"
	"real_back:\n"
	"	mov $0x10, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov %eax, %fs\n"
	"	mov %eax, %gs\n"
	"	mov %eax, %ss\n"
	"	mov real_sp, %esp\n"
	"	pop %ebp\n"
	"	pop %edi\n"
	"	pop %esi\n"
	"	pop %ebx\n"
	"	ret\n"
	".data\n"
	"real_sp: .long 0\n"
	"real_idt: .word 0x3ff\n"
	"	.long 0\n"
	".text\n");
void enter_real(void);

#define SNIPPET16(name, code)                   \
	extern const char name[], name##_end[]; \
	__asm__(".text\n.code16\n" #name ":\n" code "\n int $0x40\n" #name "_end:\n.code32\n")

SNIPPET16(nop_, "nop");
SNIPPET16(int_21, "int $0x21");
SNIPPET16(int3_, "int3");
SNIPPET16(into_, "mov $0x7fff, %ax\n inc %ax\n into");
SNIPPET16(div_0, "xor %bx, %bx\n div %bx");
SNIPPET16(bound_, "movw $5, 0x80\n movw $6, 0x82\n mov $9, %ax\n bound %ax, 0x80");
SNIPPET16(ud2_, "ud2");
SNIPPET16(icebp_, "nop\n ud1 %ax, %ax");
SNIPPET16(pushf_, "pushf\n pop %ax\n and $0xf702, %ax");
SNIPPET16(pushfl_, "pushfl\n pop %eax\n and $0x3ff702, %eax");
SNIPPET16(popf_all, "push $0x7000\n popf\n pushf\n pop %ax\n push $2\n popf");
SNIPPET16(popfl_all, "pushl $0x3f7002\n popfl\n pushfl\n pop %eax\n pushl $2\n popfl");
SNIPPET16(iretl_all, "pushl $0x3f7002\n pushl $0x2000\n pushl $(1f - iretl_all)\n iretl\n 1: pushfl\n pop %eax\n pushl $2\n popfl");
SNIPPET16(iret_, "push $0x7002\n push %cs\n push $(1f - iret_)\n iret\n 1: pushf\n pop %ax\n push $2\n popf");
SNIPPET16(tf, "push $0x102\n popf\n nop\n nop");
SNIPPET16(tf_int, "push $0x102\n popf\n int $0x21\n nop");
SNIPPET16(tf_ss, "mov %ss, %cx\n push $0x102\n popf\n mov %cx, %ss\n nop\n nop");
SNIPPET16(push_sp, "push %sp\n pop %ax\n sub %sp, %ax");
SNIPPET16(push_at_0, "mov $0, %sp\n push $0x5555\n mov %sp, %ax");
SNIPPET16(pop_at_end, "mov $0xfffe, %sp\n pop %ax\n mov %sp, %ax\n mov $0x1000, %sp");
SNIPPET16(word_at_end, "mov (0xffff), %ax");
SNIPPET16(push_at_1, "mov $0x1000, %ax\n mov 0xfffd, %eax");
SNIPPET16(segment_wrap, "mov $0xffff, %ax\n mov %ax, %es\n movb $0x5a, %es:0x10\n xor %ax, %ax\n mov %ax, %es\n movzbw %es:0, %ax");
SNIPPET16(far_call, "lcall $0x2000, $(1f - far_call)\n jmp 2f\n 1: pop %ax\n pop %bx\n push %bx\n push %ax\n lret\n 2:");
SNIPPET16(far_wrapped, "lcall $0x1fff, $(1f - far_wrapped + 16)\n jmp 2f\n 1: mov %cs, %ax\n lret\n 2:");
SNIPPET16(far_32, "lcalll $0x2000, $(1f - far_32)\n jmp 2f\n 1: mov %sp, %bx\n mov %ss:4(%bx), %eax\n lretl\n 2:");
SNIPPET16(sldt_, "sldt %ax");
SNIPPET16(str_, "str %ax");
SNIPPET16(lldt_, "lldt %ax");
SNIPPET16(ltr_, "ltr %ax");
SNIPPET16(lar_, "lar %bx, %ax");
SNIPPET16(verr_, "verr %ax");
SNIPPET16(arpl_, "arpl %bx, %ax");
SNIPPET16(smsw_, "smsw %ax\n and $1, %ax");
SNIPPET16(cr0_, "mov %cr0, %eax\n and $1, %eax");
SNIPPET16(cr1_, ".byte 0x0f, 0x20, 0xc8");
SNIPPET16(mov_cs, ".byte 0x8e, 0xc8");
SNIPPET16(sysenter_, "sysenter");
SNIPPET16(sysexit_, "sysexit");
SNIPPET16(lock_, ".byte 0xf0, 0x90");
SNIPPET16(sgdt_, "sgdt 0x100\n mov 0x102, %eax\n shr $20, %eax");
SNIPPET16(lgdt_16, "sgdt 0x100\n mov 0x102, %ecx\n orb $0xff, 0x105\n lgdt 0x100\n sgdt 0x110\n mov 0x112, %eax\n shr $20, %eax\n"
	"mov %ecx, 0x102\n lgdtl 0x100");
SNIPPET16(cli_sti, "sti\n pushf\n pop %ax\n cli\n and $0x200, %ax");
SNIPPET16(rdmsr_, "mov $0xc0000080, %ecx\n rdmsr\n and $0x100, %eax");
SNIPPET16(syscall_, "syscall");
SNIPPET16(loop_32, "mov $0x10002, %ecx\n xor %eax, %eax\n 1: inc %eax\n addr32 loop 1b");
SNIPPET16(stos_, "cld\n mov $0xfffe, %di\n mov $4, %cx\n rep stosb\n mov %di, %ax");
SNIPPET16(big, "mov $0x100000, %eax\n mov (%eax), %eax");

static void copy(unsigned to, const char *from, const char *end)
{
	for (unsigned n = 0; from + n < end; n++)
		((volatile uint8_t *)to)[n] = ((const volatile uint8_t *)from)[n];
}

static void go(const char *what, const char *code, const char *end, uint32_t flags)
{
	volatile uint32_t *in = (volatile uint32_t *)(BLOB + 0x800);
	const volatile uint16_t *out = (const volatile uint16_t *)(BLOB + 0x900);
	unsigned vector;

	for (unsigned n = 0; n < 0x10000; n += 2)
		((volatile uint16_t *)DATA)[n / 2] = (uint16_t)n;
	copy(CODE, code, end);
	in[0] = 0;
	in[1] = 0x2222;
	in[2] = 2 | flags;
	in[3] = 0x1000;
	enter_real();
	vector = (out[6] - 3u - (unsigned)(handlers - blob)) / 4;
	print(what);
	print(": vector ");
	print_hex(vector, 2);
	print(" at ");
	print_hex(out[8], 4);
	print(":");
	print_hex(out[7], 4);
	print(" flags ");
	print_hex(out[9] & ~0x8d5u, 4);
	print(" in the handler ");
	print_hex(out[10] & ~0x8d5u, 4);
	print(" sp ");
	print_hex(out[2], 4);
	print(" ax ");
	print_hex(out[0] | (uint32_t)out[1] << 16, 8);
	print("\n");
	restore_tables();
	set_gdt(CODE16, descriptor(BLOB, 0xffff, 0x9b, 0));
	set_gdt(DATA16, descriptor(0, 0xffff, 0x93, 0));
}

#define GO(name) go(#name, name, name##_end, 0)

void guest_main(void)
{
	set_gdt(CODE16, descriptor(BLOB, 0xffff, 0x9b, 0));
	set_gdt(DATA16, descriptor(0, 0xffff, 0x93, 0));
	copy(BLOB, blob, blob_end);
	for (unsigned v = 0; v < 256; v++)
		((volatile uint32_t *)0)[v] = 0x1000u << 16 | (uint32_t)(handlers - blob + v * 4);
	GO(nop_);
	go("flags", nop_, nop__end, F_IF | F_IOPL | F_NT | F_AC);
	go("single-step", nop_, nop__end, F_TF);
	GO(int_21);
	GO(int3_);
	GO(into_);
	GO(div_0);
	GO(bound_);
	GO(ud2_);
	GO(icebp_);
	GO(pushf_);
	GO(pushfl_);
	GO(popf_all);
	GO(popfl_all);
	GO(iretl_all);
	GO(iret_);
	GO(tf);
	GO(tf_int);
	GO(tf_ss);
	GO(push_sp);
	GO(push_at_0);
	GO(pop_at_end);
	GO(word_at_end);
	GO(push_at_1);
	GO(segment_wrap);
	GO(far_call);
	GO(far_wrapped);
	GO(far_32);
	GO(sldt_);
	GO(str_);
	GO(lldt_);
	GO(ltr_);
	GO(lar_);
	GO(verr_);
	GO(arpl_);
	GO(smsw_);
	GO(cr0_);
	GO(cr1_);
	GO(mov_cs);
	GO(sysenter_);
	GO(sysexit_);
	GO(lock_);
	GO(sgdt_);
	GO(lgdt_16);
	GO(cli_sti);
	GO(rdmsr_);
	GO(syscall_);
	GO(loop_32);
	GO(stos_);
	GO(big);
}
