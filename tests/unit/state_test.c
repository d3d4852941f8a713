/* SPDX-License-Identifier: MIT */
/* A processor's whole state: taken between two instructions, checked, put into another processor, which goes on. */
#include "emu_harness.h"
#include "emu/core/state.h"
#include "proto/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static uint64_t seed = 88172645463325252ull;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed % n);
}

/*
 * Flags, memory, vectors, x87 and a repeated instruction, in a loop:
 *
 *	1:	add rax, rcx; adc rdx, rax; ror rdx, 7; mov [rdi], rdx
 *		movq xmm1, rdx; paddq xmm0, xmm1; fild qword [rdi]; faddp
 *		push rcx; mov rcx, 5; mov rsi, rdi; lea rdi, [rsi+64]; rep movsb; mov rdi, rsi; sub rdi, 5; pop rcx
 *		sub rcx, 1; jnz 1b
 *		hlt
 */
static const uint8_t program[] = {
	0x48, 0x01, 0xc8, 0x48, 0x11, 0xc2, 0x48, 0xc1, 0xca, 0x07, 0x48, 0x89, 0x17, 0x66, 0x48, 0x0f, 0x6e, 0xca,
	0x66, 0x0f, 0xd4, 0xc1, 0xdf, 0x2f, 0xde, 0xc1, 0x51, 0xb9, 0x05, 0x00, 0x00, 0x00, 0x48, 0x89, 0xfe, 0x48,
	0x8d, 0x7e, 0x40, 0xf3, 0xa4, 0x48, 0x89, 0xf7, 0x48, 0x83, 0xef, 0x05, 0x59, 0x48, 0x83, 0xe9, 0x01, 0x75,
	0xc9, 0xf4,
};

static void start(struct harness *h, enum harness_tier tier)
{
	harness_init(h, HARNESS_LONG, tier);
	h->cpu->cr4 |= CR4_OSFXSR;
	harness_sync(h);
	harness_code(h, program, sizeof(program));
	h->cpu->gpr[RAX] = 0x123456789abcdefull;
	h->cpu->gpr[RCX] = 200;
	h->cpu->gpr[RDX] = 3;
	h->cpu->gpr[RDI] = HARNESS_DATA;
	h->cpu->fpu.cw = 0x37f;
	h->cpu->fpu.tag = 0x80;
}

static void finish(struct harness *h)
{
	const int end = harness_run(h, 1 << 20);

	cr_assert_eq(end, 0x200, "it halts: %x at %lx", (unsigned)end, h->cpu->rip);
}

/* At a hundred moments of the program its state goes into a fresh processor, which ends as the first would have. */
Test(state, goes_on_in_another_processor, .timeout = 60)
{
	struct engine_state end, expected, s;
	const char *field;
	struct harness a;

	start(&a, HARNESS_STEP);
	finish(&a);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &expected), 0);
	for (unsigned n = 0; n < 100; n++) {
		struct harness from, to;

		start(&from, HARNESS_STEP);
		cr_assert_eq(harness_run(&from, 1 + below(3000)), 0, "it does not end so soon");
		cr_assert_eq(from.engine->ops->save(from.engine, 0, &s), 0);
		harness_init(&to, HARNESS_LONG, n & 1 ? HARNESS_BLOCK : HARNESS_STEP);
		memcpy(to.ram, from.ram, HARNESS_RAM);
		cr_assert_eq(to.engine->ops->restore(to.engine, 0, &s, &field), 0, "%s", field);
		finish(&to);
		cr_assert_eq(to.engine->ops->save(to.engine, 0, &end), 0);
		cr_assert_eq(memcmp(&end.cpu, &expected.cpu, sizeof(end.cpu)), 0, "stopped at rip %lx", s.cpu.rip);
		cr_assert_eq(memcmp(to.ram + HARNESS_DATA, a.ram + HARNESS_DATA, 4096), 0);
		cr_assert_geq(end.tsc, s.tsc, "time goes on");
		harness_fini(&from);
		harness_fini(&to);
	}
	harness_fini(&a);
}

/* INIT and SIPI are taken before the state is told: no engine has to be given one that is on its way. Who is not waiting for
 * a SIPI does not hear it (SDM vol. 3, 8.4.2). */
Test(state, start_up_is_over)
{
	struct engine_state s, again;
	struct harness a;
	const char *field;

	start(&a, HARNESS_STEP);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &s), 0);
	s.apic.pending = APIC_PENDING_SIPI;
	s.apic.sipi_vector = 0x9a;
	cr_assert_eq(a.engine->ops->restore(a.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &again), 0);
	cr_expect_eq(again.apic.pending, 0);
	cr_expect_eq(again.cpu.rip, s.cpu.rip);
	harness_fini(&a);
}

/* SDM vol. 3, table 10-1: what was written to the register page is there, and so is what was on its way. */
Test(state, the_local_apic_comes_along)
{
	struct engine_state s, again;
	struct harness a, b;
	const char *field;

	start(&a, HARNESS_STEP);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &s), 0);
	s.apic.reg[0x8] = 0x20;	      /* TPR */
	s.apic.reg[0xf] = 0x1ff;      /* SVR: enabled */
	s.apic.reg[0x32] = 0x20030;   /* timer: periodic, vector 30h */
	s.apic.reg[0x38] = 100000000; /* initial count */
	s.apic.reg[0x39] = 50000000;  /* half of it is left */
	s.time_ns = clock_ns();
	s.apic.reg[0x3e] = 0xb;		/* divided by 1 */
	s.apic.reg[0x20 + 2] = 1u << 5; /* IRR: vector 45h */
	s.apic.reg[0x10 + 1] = 1u << 9; /* ISR: vector 29h */
	s.apic.pending = APIC_PENDING_EXTINT;
	s.apic.reg[0x30] = 0xc4500; /* ICR */
	s.apic.reg[0x31] = 0x1000000;
	s.apic.esr_pending = 0x20;
	harness_init(&b, HARNESS_LONG, HARNESS_STEP);
	cr_assert_eq(b.engine->ops->restore(b.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(b.engine->ops->save(b.engine, 0, &again), 0);
	cr_expect_leq(again.apic.reg[0x39], 50000000, "it counts");
	cr_expect_gt(again.apic.reg[0x39], 0);
	again.apic.reg[0x39] = s.apic.reg[0x39];
	cr_expect_eq(memcmp(&again.apic, &s.apic, sizeof(s.apic)), 0);
	harness_fini(&a);
	harness_fini(&b);
}

/* A state that is an hour old, by the machine's clock, is one of a processor that has stood still for an hour: its counter and
 * its timer have not. */
Test(state, time_goes_on_by_the_clock_of_the_machine)
{
	const uint64_t hour = 3600 * CLOCK_NS_PER_S, period = CLOCK_NS_PER_S / 10;
	struct engine_state s, again;
	struct harness a, b;
	const char *field;
	uint64_t age;

	start(&a, HARNESS_STEP);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &s), 0);
	s.apic.reg[0xf] = 0x1ff;    /* SVR: enabled */
	s.apic.reg[0x32] = 0x20030; /* timer: periodic, vector 30h */
	s.apic.reg[0x38] = (uint32_t)period;
	s.apic.reg[0x39] = 50000000; /* half of it is left */
	s.apic.reg[0x3e] = 0xb;	     /* divided by 1 */
	s.time_ns -= hour;
	harness_init(&b, HARNESS_LONG, HARNESS_STEP);
	cr_assert_eq(b.engine->ops->restore(b.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(b.engine->ops->save(b.engine, 0, &again), 0);
	age = again.time_ns - s.time_ns;
	cr_expect_geq(age, hour);
	cr_expect_geq(again.tsc - s.tsc + 1000000, age, "%lu after %lu", again.tsc - s.tsc, age);
	cr_expect_leq(again.tsc - s.tsc, age + 1000000, "%lu after %lu", again.tsc - s.tsc, age);
	cr_expect(again.apic.reg[0x20 + 1] & 1u << 16, "it expired meanwhile: vector 30h is requested");
	cr_expect_eq((age + period - s.apic.reg[0x39] + again.apic.reg[0x39]) % period, 0, "and is on its grid");
	s.time_ns = UINT64_MAX;
	cr_assert_eq(b.engine->ops->restore(b.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(b.engine->ops->save(b.engine, 0, &again), 0);
	cr_expect_leq(again.apic.reg[0x39], s.apic.reg[0x39], "nobody comes from the future");
	s.apic.reg[0x38] = 0;
	cr_assert_eq(b.engine->ops->restore(b.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(b.engine->ops->save(b.engine, 0, &again), 0);
	cr_expect_eq(again.apic.reg[0x39], 0, "SDM vol. 3, 10.5.4: an initial count of 0 stops the timer");
	harness_fini(&a);
	harness_fini(&b);
}

Test(state, debug_exceptions_and_repeats_come_along)
{
	struct engine_state s, again;
	struct harness a, b;
	const char *field;

	start(&a, HARNESS_STEP);
	cr_assert_eq(a.engine->ops->save(a.engine, 0, &s), 0);
	s.debug_pending = 0x4001;
	s.task_trap = 1;
	s.in_rep = 1;
	s.cpu.shadow = SHADOW_MOV_SS;
	s.cpu.dr[0] = 0x1234;
	s.cpu.nmi_pending = true;
	harness_init(&b, HARNESS_LONG, HARNESS_STEP);
	cr_assert_eq(b.engine->ops->restore(b.engine, 0, &s, &field), 0, "%s", field);
	cr_assert_eq(b.engine->ops->save(b.engine, 0, &again), 0);
	again.tsc = s.tsc;
	again.time_ns = s.time_ns;
	cr_expect_eq(memcmp(&again, &s, sizeof(s)), 0);
	harness_fini(&a);
	harness_fini(&b);
}

/* A state may come from a file: what no processor can be is refused by name, and nothing changes. */
Test(state, nonsense_is_refused)
{
	struct engine_state good, s, now;
	const char *field = NULL;
	struct harness h;

	start(&h, HARNESS_STEP);
	cr_assert_eq(h.engine->ops->save(h.engine, 0, &good), 0);
	cr_expect_eq(engine_state_check(&good, &field), 0, "%s", field);
#define REFUSED(name, change)                                                                       \
	do {                                                                                        \
		s = good;                                                                           \
		change;                                                                             \
		cr_expect_eq(h.engine->ops->restore(h.engine, 0, &s, &field), -EINVAL, "%s", name); \
		cr_expect(field &&strncmp(field, name, strlen(name)) == 0, "%s: %s", name, field);  \
	} while (0)
	REFUSED("version", s.version++);
	REFUSED("version", s.bytes--);
	REFUSED("cr0", s.cpu.cr0 &= ~CR0_PE);
	REFUSED("cr0", s.cpu.cr0 |= 1ull << 32);
	REFUSED("efer", s.cpu.msr.efer &= ~EFER_LMA);
	REFUSED("efer", s.cpu.cr4 &= ~CR4_PAE);
	REFUSED("cr4", s.cpu.cr4 |= 1ull << 40);
	REFUSED("xcr0", s.cpu.xcr0 = 0);
	REFUSED("xcr0", s.cpu.xcr0 |= 1ull << 62);
	REFUSED("mxcsr", s.cpu.mxcsr |= 1u << 16);
	REFUSED("rflags", s.cpu.rflags = 0);
	REFUSED("seg", s.cpu.seg[SEG_ES].attr = UINT32_MAX);
	REFUSED("rip", s.cpu.rip = 1ull << 60);
	REFUSED("activity", s.cpu.activity = (enum cpu_activity)7);
	REFUSED("shadow", s.cpu.shadow = 4);
	REFUSED("nmi", memset(&s.cpu.nmi_blocked, 2, 1));
	REFUSED("apic", s.apic.reg[0x20] = 1);
	REFUSED("apic", s.apic.reg[0x32] = UINT32_MAX);
	REFUSED("apic", s.apic.pending = 0x80);
	REFUSED("debug", s.in_rep = 2);
	REFUSED("debug", s.debug_pending = 1ull << 20);
	cr_assert_eq(h.engine->ops->save(h.engine, 0, &now), 0);
	cr_expect_eq(memcmp(&now.cpu, &good.cpu, sizeof(good.cpu)), 0);
	harness_fini(&h);
}
