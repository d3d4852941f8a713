/* SPDX-License-Identifier: MIT */
/* The emulator's side: the state goes into a struct cpu, one step of the flat machine, and back. */
#include "oracle.h"

#include "emu/decode/decode.h"

#include <string.h>

static struct emu machine;

void emulated_init(void)
{
	decode_init(NULL, NULL);
}

static void state_to_cpu(const struct state *s, struct cpu *c)
{
	const unsigned top = s->fx.sw >> 11 & 7;

	memset(c, 0, sizeof(*c));
	memcpy(c->gpr, s->gpr, sizeof(s->gpr));
	c->rflags = s->rflags;
	c->rip = (uintptr_t)oracle_code;
	c->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_MP;
	c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	c->xcr0 = 0xe7;
	c->fpu.cw = s->fx.cw;
	c->fpu.sw = s->fx.sw;
	c->fpu.tag = s->fx.tag;
	c->fpu.fop = s->fx.fop;
	c->fpu.fip = s->fx.fip;
	c->fpu.fdp = s->fx.fdp;
	c->mxcsr = s->fx.mxcsr;
	for (unsigned n = 0; n < 8; n++)
		memcpy(&c->fpu.r[(top + n) & 7], s->fx.st[n], 10);
	for (unsigned n = 0; n < 16; n++)
		memcpy(&c->vec[n], s->fx.xmm[n], 16);
	for (unsigned n = 0; n < 16; n++)
		memcpy(c->vec[n].u8 + 16, s->ymm_high[n], 16);
	for (unsigned n = 0; n < 16; n++) {
		memcpy(c->vec[n].u8 + 32, s->zmm_high[n], 32);
		memcpy(&c->vec[16 + n], s->zmm16[n], 64);
	}
	memcpy(c->k, s->k, sizeof(s->k));
}

static void cpu_to_state(const struct cpu *c, struct state *s)
{
	const unsigned top = c->fpu.sw >> 11 & 7;

	memset(&s->fx, 0, sizeof(s->fx));
	memcpy(s->gpr, c->gpr, sizeof(s->gpr));
	s->rflags = c->rflags;
	s->fx.cw = c->fpu.cw;
	s->fx.sw = c->fpu.sw;
	s->fx.tag = c->fpu.tag;
	s->fx.fop = c->fpu.fop;
	s->fx.fip = c->fpu.fip;
	s->fx.fdp = c->fpu.fdp;
	s->fx.mxcsr = c->mxcsr;
	for (unsigned n = 0; n < 8; n++)
		memcpy(s->fx.st[n], &c->fpu.r[(top + n) & 7], 10);
	for (unsigned n = 0; n < 16; n++)
		memcpy(s->fx.xmm[n], &c->vec[n], 16);
	for (unsigned n = 0; n < 16; n++)
		memcpy(s->ymm_high[n], c->vec[n].u8 + 16, 16);
	for (unsigned n = 0; n < 16; n++) {
		memcpy(s->zmm_high[n], c->vec[n].u8 + 32, 32);
		memcpy(s->zmm16[n], &c->vec[16 + n], 64);
	}
	memcpy(s->k, c->k, sizeof(s->k));
}

void emulated_run(const struct test_case *t, struct state *out)
{
	struct emu *e = &machine;

	e->code_size = 8;
	state_to_cpu(&t->in, &e->cpu);
	memcpy(oracle_window, t->in.window, WINDOW_BYTES);
	memcpy(oracle_code, t->code, t->length); /* FOP is read from there */
	flat_step(e, t->code, t->length);
	cpu_to_state(&e->cpu, out);
	memcpy(out->window, oracle_window, WINDOW_BYTES);
	out->vector = e->fault.pending ? e->fault.vector : NO_FAULT;
	out->told = UINT64_MAX;
}

void emulated_run_prefix(const struct test_case *t, struct state *out)
{
	static struct test_case first;
	struct insn i;

	first = *t;
	if (decode(t->code, t->length, 8, &i) == DECODE_OK)
		first.length = i.len;
	emulated_run(&first, out);
}
