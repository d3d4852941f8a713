/* SPDX-License-Identifier: MIT */
/*
 * The emulator under a debugger from outside (emu/core/debugger.h), in all tiers: where it stops, what it does not disturb.
 * Stops are before the instruction at a code point, and after the one that touched data: faults and traps as debug
 * exceptions have them (SDM vol. 3, 17.3.1.1 and 17.3.1.2).
 */
#include "emu_harness.h"
#include "emu/core/debugger.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { LOOP_AT = HARNESS_CODE + 10 };

/* mov ecx,1000; mov esi,HARNESS_DATA; loop: add [rsi],ecx; nop; dec ecx; jnz loop; mov al,[rsi+8]; hlt */
static const uint8_t code[] = { 0xb9, 0xe8, 3, 0, 0, 0xbe, 0, 0, 2, 0, 0x01, 0x0e, 0x90, 0xff, 0xc9, 0x75, 0xf9,
				0x8a, 0x46, 0x08, 0xf4 };
enum { READ_END = HARNESS_CODE + 20, HALTED_AT = HARNESS_CODE + 21, ADD_END = LOOP_AT + 2 };

static void begin(struct harness *h, enum harness_tier tier)
{
	harness_init(h, HARNESS_LONG, tier);
	harness_code(h, code, sizeof(code));
}

static enum engine_stop run(struct harness *h)
{
	return h->engine->ops->run(h->engine, 0);
}

static void want(struct harness *h, const struct engine_debug *debug)
{
	unsigned which;

	cr_assert_eq(h->engine->ops->debug(h->engine, debug, &which), 0);
}

static struct engine_hit hit(struct harness *h)
{
	struct engine_hit out;

	h->engine->ops->debug_hit(h->engine, 0, &out);
	return out;
}

static const enum harness_tier tiers[] = { HARNESS_STEP, HARNESS_BLOCK, HARNESS_JIT };
#define EACH_TIER(t) for (unsigned t = 0; t < sizeof(tiers) / sizeof(tiers[0]); t++)

/* Nothing is wanted at first and at last, so the guest runs at full speed then: what was decoded or translated before does not
 * run past a point that comes later. */
Test(debugger, stops_before_an_instruction)
{
	EACH_TIER(t)
	{
		const struct engine_debug point = { .count = 1, .point = { { ENGINE_POINT_SOFT, 1, LOOP_AT + 3 } } },
					  nothing = { 0 };
		struct harness h;

		begin(&h, tiers[t]);
		want(&h, &point);
		cr_assert_eq(run(&h), ENGINE_DEBUG);
		cr_assert_eq(h.cpu->rip, (uint64_t)LOOP_AT + 3);
		cr_assert_eq(h.cpu->gpr[RCX], 1000u);
		cr_assert(hit(&h).why == ENGINE_HIT_POINT && hit(&h).point.address == LOOP_AT + 3);
		cr_assert_eq(run(&h), ENGINE_DEBUG, "it stands where it stood");
		cr_assert_eq(h.cpu->gpr[RCX], 1000u);
		want(&h, &nothing);
		cr_assert_eq(run(&h), ENGINE_HALTED);
		cr_assert_eq(h.cpu->gpr[RCX], 0u);
		h.cpu->rip = HARNESS_CODE;
		h.cpu->activity = CPU_RUNNING;
		want(&h, &point);
		cr_assert_eq(run(&h), ENGINE_DEBUG);
		cr_assert_eq(h.cpu->gpr[RCX], 1000u);
		harness_fini(&h);
	}
}

Test(debugger, steps)
{
	EACH_TIER(t)
	{
		const struct engine_debug step = { .step = 1 };
		static const unsigned at[] = { 5, 10, 12, 13, 15, 10 };
		struct harness h;

		begin(&h, tiers[t]);
		want(&h, &step);
		for (unsigned n = 0; n < sizeof(at) / sizeof(at[0]); n++) {
			cr_assert_eq(run(&h), ENGINE_DEBUG);
			cr_assert_eq(hit(&h).why, ENGINE_HIT_STEP);
			cr_assert_eq(h.cpu->rip, (uint64_t)HARNESS_CODE + at[n], "step %u", n);
		}
		harness_fini(&h);
	}
}

/* An NMI waits for the step to be done, not longer. */
Test(debugger, a_step_is_not_interrupted)
{
	const struct engine_debug step = { .step = 1 }, nothing = { 0 };
	struct harness h;

	begin(&h, HARNESS_BLOCK);
	harness_deliver(&h, true);
	h.cpu->nmi_pending = true;
	want(&h, &step);
	cr_assert_eq(run(&h), ENGINE_DEBUG);
	cr_assert(h.cpu->nmi_pending && h.cpu->rip == HARNESS_CODE + 5);
	want(&h, &nothing);
	cr_assert_eq(run(&h), ENGINE_TRIPLE_FAULT, "its handler is nowhere: it was delivered");
	harness_fini(&h);
}

/* A read-modify-write has written; what only reads has not. Ranges count, not addresses. */
Test(debugger, stops_behind_a_store)
{
	static const struct {
		uint8_t kind, size;
		uint64_t address, stops_at; /* 0: not */
	} cases[] = {
		{ ENGINE_POINT_WRITE, 4, HARNESS_DATA, ADD_END },      { ENGINE_POINT_WRITE, 1, HARNESS_DATA + 3, ADD_END },
		{ ENGINE_POINT_WRITE, 1, HARNESS_DATA + 4, 0 },	       { ENGINE_POINT_WRITE, 8, HARNESS_DATA - 4, ADD_END },
		{ ENGINE_POINT_WRITE, 1, HARNESS_DATA - 1, 0 },	       { ENGINE_POINT_WRITE, 8, HARNESS_DATA + 8, 0 },
		{ ENGINE_POINT_READ, 8, HARNESS_DATA + 8, READ_END },  { ENGINE_POINT_ACCESS, 1, HARNESS_DATA + 8, READ_END },
		{ ENGINE_POINT_ACCESS, 2, HARNESS_DATA + 2, ADD_END },
	};

	EACH_TIER(t)
	for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		const struct engine_debug point = { .count = 1, .point = { { cases[n].kind, cases[n].size, cases[n].address } } };
		struct harness h;

		begin(&h, tiers[t]);
		want(&h, &point);
		cr_assert_eq(run(&h), cases[n].stops_at ? ENGINE_DEBUG : ENGINE_HALTED, "case %u", n);
		cr_assert_eq(h.cpu->rip, cases[n].stops_at ? cases[n].stops_at : HALTED_AT, "case %u: %lx", n, h.cpu->rip);
		harness_fini(&h);
	}
}

/* The guest's DR7 and DR6 are as it left them. */
Test(debugger, leaves_debug_registers_alone)
{
	const struct engine_debug point = { .count = 1, .point = { { ENGINE_POINT_WRITE, 4, HARNESS_DATA } } };
	struct harness h;

	begin(&h, HARNESS_BLOCK);
	want(&h, &point);
	cr_assert_eq(run(&h), ENGINE_DEBUG);
	cr_assert(h.cpu->dr[7] == 0x400 && h.cpu->dr[6] == 0xffff0ff0);
	harness_fini(&h);
}

/* Looking sets no bit that an access would set (SDM vol. 3, 4.8), whatever the page forbids. */
Test(debugger, looks_without_a_trace)
{
	const uint64_t linear = HARNESS_DATA + 0x1000;
	uint64_t gpa = 0, before;
	struct harness h;

	harness_init(&h, HARNESS_LONG_USER, HARNESS_BLOCK);
	*harness_pte(&h, linear) = (HARNESS_DATA + 0x5000) | 1; /* the supervisor's, read-only, not accessed */
	harness_sync(&h);
	before = *harness_pte(&h, linear);
	cr_assert_eq(h.engine->ops->translate(h.engine, 0, linear + 0x123, &gpa), 0);
	cr_assert_eq(gpa, HARNESS_DATA + 0x5123u);
	cr_assert_eq(*harness_pte(&h, linear), before);
	cr_assert(!h.emu->fault.pending);
	*harness_pte(&h, linear) = 0;
	cr_assert_eq(h.engine->ops->translate(h.engine, 0, linear, &gpa), -EFAULT);
	cr_assert_eq(h.engine->ops->translate(h.engine, 0, 1ull << 50, &gpa), -EFAULT, "not canonical");
	harness_fini(&h);
	harness_init(&h, HARNESS_REAL, HARNESS_BLOCK);
	cr_assert_eq(h.engine->ops->translate(h.engine, 0, 0x1234, &gpa), 0);
	cr_assert_eq(gpa, 0x1234u, "no paging");
	harness_fini(&h);
}
