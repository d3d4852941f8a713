/* SPDX-License-Identifier: MIT */
/*
 * Structures that the processor reads and writes by itself, put where a device answers, or nobody: the interrupt table, the
 * stack, the task state segment, the descriptor table. Then an event is to be delivered. Three characters on COM1 choose:
 *
 *   i, s, t, g   which structure
 *   n, d         where: where nobody answers (reads are all-ones), or a device
 *   u, s, t      which event: an exception (UD2), a software interrupt (INT n), a timer interrupt
 *
 * An event that arrives although its frame went to such a stack takes another stack, and the guest ends with code 5.
 */
#include "guest.h"

#define NOBODY 0xe0000000ull

struct __attribute__((packed)) table_pointer {
	uint16_t limit;
	uint64_t base;
};

static char read_char(void)
{
	while (!(inb(LAYOUT_COM1 + 5) & 1))
		;
	return (char)inb(LAYOUT_COM1);
}

static void use_idt(uint64_t at)
{
	const struct table_pointer p = { 0xfff, at };

	__asm__ volatile("lidt %0" ::"m"(p));
}

/* Each gate names the first entry of the interrupt stack table. SDM vol. 3, 6.14.1, 7.2.3, 7.7. */
static void use_tss(uint64_t at)
{
	static uint64_t gdt[5] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	const struct table_pointer p = { sizeof(gdt) - 1, (uint64_t)gdt };
	struct table_pointer idt;

	gdt[3] = 0x67 | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt[4] = at >> 32;
	__asm__ volatile("sidt %0" : "=m"(idt));
	for (unsigned v = 0; v < 256; v++)
		((uint8_t *)idt.base)[v * 16 + 4] = 1;
	__asm__ volatile("lgdt %0; mov $24, %%eax; ltr %%ax" ::"m"(p) : "rax");
}

/* Delivery reads the descriptor of the gate's code segment. */
static void use_gdt(uint64_t at)
{
	const struct table_pointer p = { 0xfff, at };

	__asm__ volatile("lgdt %0" ::"m"(p));
}

static uint8_t spare_stack[4096] __attribute__((aligned(16)));

/* Entered by the gate, with whatever the frame has become. */
__attribute__((naked)) static void on_event(void)
{
	__asm__ volatile("lea %0, %%rsp; call arrived" ::"m"(spare_stack[sizeof(spare_stack) - 16]));
}

_Noreturn void arrived(void);
_Noreturn void arrived(void)
{
	print("delivered\n");
	finish(5);
}

/* All gates lead there. SDM vol. 3, 6.14.1. */
static void use_spare_stack(void)
{
	const uint64_t at = (uint64_t)on_event;
	struct table_pointer idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	for (unsigned v = 0; v < 256; v++) {
		uint64_t *gate = (uint64_t *)(idt.base + v * 16ull);

		gate[0] = (at & 0xffff) | 8u << 16 | 0x8eull << 40 | (at >> 16 & 0xffff) << 48;
		gate[1] = at >> 32;
	}
}

static void deliver(char event, uint64_t stack)
{
	__asm__ volatile("test %1, %1; jz 1f; mov %1, %%rsp; 1:"
			 "cmp $'u', %0; jne 2f; ud2;"
			 "2: cmp $'s', %0; jne 3f; int $0x40;"
			 "3: sti; hlt; jmp 3b" ::"r"(event),
			 "r"(stack));
}

void guest_main(void)
{
	char what, event;
	uint64_t at;

	print("which? ");
	what = read_char();
	at = read_char() == 'd' ? LAYOUT_IOAPIC_BASE : NOBODY;
	event = read_char();
	if (event == 't') {
		pic_init(1);
		pit_start(100);
	}
	print("now\n");
	if (what == 'i')
		use_idt(at);
	else if (what == 't')
		use_tss(at);
	else if (what == 'g')
		use_gdt(at);
	else if (what == 's')
		use_spare_stack();
	deliver(event, what == 's' ? at + 0x1000 : 0);
}
