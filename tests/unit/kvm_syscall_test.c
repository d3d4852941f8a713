/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL of a program and what only looks like one, on both engines, and on a KVM that does half of it (vmm/kvm/syscall.c): SDM vol. 2,
 * SYSCALL, "Operation"; vol. 3, 4.7 for page faults. Exit code 77: no KVM here.
 */
#include "emu/core/engine.h"
#include "vmm/kvm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { RAM = 1 << 20, PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, USER = 0x10000, USER_STACK = 0x12000 };
enum { ENTRY = 0x20000, HANDLER = 0x21000, GDT = 0x22000, TSS = 0x23000, IDT = 0x24000, STACK = 0x28000, FRAME = STACK - 48 };
enum { PORT_ENTRY = 0x82, PORT_FAULT = 0x83, KERNEL_CS = 0x10, USER_CS = 0x33, USER_SS = 0x2b, FLAGS = 0x202 };
enum { CODE_64 = 0xa09b, DATA = 0xc093, DPL_3 = 0x60, FMASK = RFLAGS_IF | RFLAGS_TF | RFLAGS_IOPL };

static uint8_t *ram;
static unsigned wrong;
static uint16_t port;
static struct engine *engine;

static void expect(bool is, const char *what)
{
	if (!is)
		wrong++, fprintf(stderr, "%s: not so: %s\n", engine->ops->name, what);
}

static bool nothing_pending(void *ctx, unsigned vcpu)
{
	return false;
}

static void on_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
	port = (uint16_t)addr;
	engine->ops->kick(engine, vcpu);
}

static void put(uint32_t at, uint64_t value)
{
	memcpy(ram + at, &value, 8);
}

static uint64_t pushed(unsigned n)
{
	uint64_t value;

	memcpy(&value, ram + FRAME + 8 * n, 8);
	return value;
}

static void write_kernel(void)
{
	static const uint8_t entry[] = { 0xe6, PORT_ENTRY, 0xeb, 0xfc }, handler[] = { 0x90, 0xe6, PORT_FAULT, 0xeb, 0xfc };

	memset(ram, 0, RAM);
	put(PML4, PDPT | 7);
	put(PDPT, PD | 7);
	put(PD, PT | 7);
	for (uint32_t at = 0; at < RAM; at += 4096)
		put(PT + at / 512, at | 3 | (at >= USER && at < USER_STACK ? 4 : 0));
	put(GDT + KERNEL_CS, 0x00af9b000000ffff);
	put(GDT + KERNEL_CS + 8, 0x00cf93000000ffff);
	put(TSS + 4, STACK);
	put(IDT + 16 * 14, (uint64_t)(HANDLER >> 16) << 48 | 0x8e0000000000 | KERNEL_CS << 16 | (HANDLER & 0xffff));
	memcpy(ram + ENTRY, entry, sizeof(entry));
	memcpy(ram + HANDLER, handler, sizeof(handler));
}

static void enter_program(struct cpu *c)
{
	for (unsigned n = 0; n < SEG_COUNT; n++)
		c->seg[n] = (struct segment){ .selector = USER_SS, .limit = ~0u, .attr = DATA | DPL_3 };
	c->seg[SEG_CS] = (struct segment){ .selector = USER_CS, .limit = ~0u, .attr = CODE_64 | DPL_3 };
	c->tr = (struct segment){ .base = TSS, .limit = 0x67, .selector = 0x40, .attr = 0x8b };
	c->gdtr = (struct dtable){ GDT, 0x2f };
	c->idtr = (struct dtable){ IDT, 16 * 15 - 1 };
	c->cr0 = 0x80000031;
	c->cr3 = PML4;
	c->cr4 = CR4_PAE;
	c->msr.efer = EFER_LME | EFER_LMA | EFER_SCE;
	c->msr.star = 0x23ull << 48 | (uint64_t)KERNEL_CS << 32;
	c->msr.lstar = ENTRY;
	c->rip = USER;
	c->gpr[RSP] = USER_STACK;
	c->gpr[RCX] = 0x1234;
	c->rflags = FLAGS;
}

/* Runs a program until it has arrived at one of the two ports. */
static struct cpu run(const uint8_t *code, size_t bytes, uint64_t fmask, uint64_t r11)
{
	struct cpu c;

	write_kernel();
	memcpy(ram + USER, code, bytes);
	port = 0;
	expect(engine->ops->get_state(engine, 0, &c) == 0, "its state is had");
	enter_program(&c);
	c.msr.sfmask = fmask;
	c.gpr[R11] = r11;
	engine->ops->ram_written(engine, 0, RAM);
	expect(engine->ops->set_state(engine, 0, &c) == 0, "and given");
	expect(engine->ops->run(engine, 0) == ENGINE_KICKED, "it runs");
	expect(engine->ops->get_state(engine, 0, &c) == 0, "its state is had again");
	return c;
}

static void is_system_call(const struct cpu *c, uint64_t rflags)
{
	expect(port == PORT_ENTRY, "it arrives at the kernel's entry");
	expect(c->seg[SEG_CS].selector == KERNEL_CS && (c->seg[SEG_CS].attr & 0xf0ff) == CODE_64,
	       "CS: STAR 47:32, DPL 0, 64 bits");
	expect(c->seg[SEG_SS].selector == KERNEL_CS + 8 && (c->seg[SEG_SS].attr & DPL_3) == 0, "SS: the one behind it, DPL 0");
	expect(c->gpr[RCX] == USER + 2, "RCX: what follows");
	expect(c->gpr[R11] == FLAGS, "R11: the flags before");
	expect((c->rflags & ~(uint64_t)RFLAGS_RF) == rflags, "flags: without those of FMASK");
	expect(c->gpr[RSP] == USER_STACK, "RSP stays");
}

static void is_fault(const struct cpu *c, uint64_t address, uint64_t error, uint64_t rip)
{
	expect(port == PORT_FAULT, "it faults");
	expect(c->cr2 == address && pushed(0) == error, "with that address and reason");
	expect(pushed(1) == rip && pushed(2) == USER_CS && (pushed(3) & ~(uint64_t)RFLAGS_RF) == FLAGS, "there, in the program");
	expect(pushed(4) == USER_STACK && pushed(5) == USER_SS, "with its stack");
}

static void look(struct engine *e)
{
	static const uint8_t syscall[] = { 0x0f, 0x05 };
	static const uint8_t jump[] = { 0xb8, 0, ENTRY >> 8 & 0xff, ENTRY >> 16, 0, 0xff, 0xe0 }; /* mov eax, ENTRY; jmp rax */
	static const uint8_t store[] = {
		0xb8, 0, ENTRY >> 8 & 0xff, ENTRY >> 16, 0, 0x89, 0x00
	}; /* mov eax, ENTRY; mov [rax], eax */
	struct cpu c;

	engine = e;
	for (unsigned n = 0; n < 2; n++) { /* the second time everything has been seen once */
		c = run(syscall, sizeof(syscall), FMASK, 0);
		is_system_call(&c, FLAGS & ~FMASK);
		c = run(store, sizeof(store), FMASK, 0);
		is_fault(&c, ENTRY, 7, USER + 5);
		c = run(jump, sizeof(jump), FMASK, FLAGS | RFLAGS_IOPL);
		is_fault(&c, ENTRY, 5, ENTRY);
	}
	c = run(syscall, sizeof(syscall), 0, 0);
	is_system_call(&c, FLAGS);
	c = run(jump, sizeof(jump), RFLAGS_IOPL, FLAGS | RFLAGS_IOPL); /* would get ports by SYSRET */
	is_fault(&c, ENTRY, 5, ENTRY);
	e->ops->destroy(e);
}

static struct engine *make(const struct engine_ops *ops, int kvm_fd)
{
	static const struct engine_bus bus = { .write = on_write, .extint_pending = nothing_pending };
	struct engine_config c = {
		.bus = &bus, .ram = { { 0, RAM, ram } }, .ram_count = 1, .vcpus = 1, .kvm_fd = kvm_fd, .mends_syscall = true
	};
	struct engine *e;
	const int err = ops->create(&c, &e);

	if (err == 0)
		return e;
	fprintf(stderr, "%s: %s\n", ops->name, strerror(-err));
	exit(ops == &engine_kvm ? 77 : 1);
}

int main(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	look(make(&engine_emu, -1));
	if (fd < 0) {
		printf("SKIP: /dev/kvm: %s\n", strerror(errno));
		return wrong ? 1 : 77;
	}
	look(make(&engine_kvm, fd));
	printf("%u differences from the manual\n", wrong);
	return wrong != 0;
}
