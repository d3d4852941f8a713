/* SPDX-License-Identifier: MIT */
/*
 * What a guest instruction costs in the block tier, by class: a loop of equal instructions on a bare emulated processor.
 *
 *	interp_bench              all classes: "name insns best-ns", where insns is the number in one copy of 64
 *	interp_bench CLASS ROUNDS runs one class only, for a profiler that counts host instructions: the difference of two
 *	                          counts, divided by that of the rounds, by 64 and by insns, is the cost of one (bench.py
 *	                          does it)
 */
#include "tests/unit/emu_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COPIES = 64, ROUNDS = 2000, REPEATS = 15 };

struct class {
	const char *name, *bytes;
	unsigned length;
	unsigned insns; /* in the bytes */
};

#define CLASS(name, bytes, insns) { name, bytes, sizeof(bytes) - 1, insns }
static const struct class classes[] = {
	CLASS("mov-reg", "\x48\x89\xd0", 1),			     /* mov rax, rdx */
	CLASS("add-reg", "\x48\x01\xd0", 1),			     /* add rax, rdx */
	CLASS("add-reg-32", "\x01\xd0", 1),			     /* add eax, edx */
	CLASS("add-imm", "\x48\x83\xc0\x07", 1),		     /* add rax, 7 */
	CLASS("ror-imm-32", "\xc1\xc8\x07", 1),			     /* ror eax, 7 */
	CLASS("shr-imm", "\x48\xc1\xe8\x03", 1),		     /* shr rax, 3 */
	CLASS("lea", "\x48\x8d\x44\x90\x08", 1),		     /* lea rax, [rax+rdx*4+8] */
	CLASS("imul", "\x48\x0f\xaf\xc2", 1),			     /* imul rax, rdx */
	CLASS("load", "\x48\x8b\x46\x08", 1),			     /* mov rax, [rsi+8] */
	CLASS("load-indexed", "\x48\x8b\x44\xce\x08", 1),	     /* mov rax, [rsi+rcx*8+8] */
	CLASS("store", "\x48\x89\x46\x08", 1),			     /* mov [rsi+8], rax */
	CLASS("add-from-memory", "\x48\x03\x46\x08", 1),	     /* add rax, [rsi+8] */
	CLASS("add-to-memory", "\x48\x01\x46\x08", 1),		     /* add [rsi+8], rax */
	CLASS("push-pop", "\x50\x5a", 2),			     /* push rax; pop rdx */
	CLASS("cmp-branch-not-taken", "\x48\x39\xf0\x74\x00", 2),    /* cmp rax, rsi; je +0 */
	CLASS("jump", "\xeb\x00", 1),				     /* jmp +0 */
	CLASS("call-ret-jump", "\xe8\x02\x00\x00\x00\xeb\x01\xc3", 3), /* call the ret behind the jmp */
	CLASS("cmov", "\x48\x0f\x44\xc2", 1),			     /* cmove rax, rdx */
	CLASS("movaps-load", "\x0f\x28\x46\x10", 1),		     /* movaps xmm0, [rsi+16] */
	CLASS("paddd", "\x66\x0f\xfe\xc1", 1),			     /* paddd xmm0, xmm1 */
	CLASS("addsd", "\xf2\x0f\x58\xc1", 1),			     /* addsd xmm0, xmm1 */
	CLASS("mulps", "\x0f\x59\xc1", 1),			     /* mulps xmm0, xmm1 */
	CLASS("vaddps-256", "\xc5\xf4\x58\xc1", 1),		     /* vaddps ymm0, ymm1, ymm1 */
	CLASS("vfmadd-256", "\xc4\xe2\x75\xb8\xc1", 1),		     /* vfmadd231ps ymm0, ymm1, ymm1 */
	CLASS("pshufd", "\x66\x0f\x70\xc1\x1b", 1),		     /* pshufd xmm0, xmm1, 1bh */
	CLASS("fadd", "\xd8\xc1", 1),				     /* fadd st, st(1) */
	CLASS("fmul-memory", "\xdc\x4e\x08", 1),		     /* fmul qword [rsi+8] */
	CLASS("fld-fstp", "\xdb\x2e\xdb\x3e", 2),		     /* fld tword [rsi]; fstp tword [rsi] */
	CLASS("generic", "\x0f\xc1\xd0", 1),			     /* xadd eax, edx */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* mov rbx, ROUNDS; L: the copies; dec rbx; jnz L; hlt */
static void load(struct harness *h, const struct class *c, uint64_t rounds)
{
	uint8_t code[COPIES * 16 + 32] = { 0x48, 0xbb }, *p = code + 10;
	int32_t back;

	memcpy(code + 2, &rounds, 8);
	for (unsigned n = 0; n < COPIES; n++, p += c->length)
		memcpy(p, c->bytes, c->length);
	memcpy(p, "\x48\xff\xcb\x0f\x85", 5);
	back = (int32_t)(code + 10 - (p + 9));
	memcpy(p + 5, &back, 4);
	p[9] = 0xf4;
	harness_code(h, code, (size_t)(p + 10 - code));
}

/* One normal number per vector element, so that no class runs on denormals, and an empty x87 stack but for two. */
static void prepare(struct harness *h)
{
	struct cpu *c = h->cpu;

	memset(c->vec, 0, sizeof(c->vec));
	c->mxcsr = 0x1fa0;
	c->cr4 |= CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
	c->cr0 &= ~(uint64_t)(CR0_EM | CR0_TS);
	c->xcr0 = 7;
	c->fpu = (struct x87){ .cw = 0x37f, .tag = 0x03 };
	c->gpr[RSI] = HARNESS_DATA;
	c->gpr[RCX] = 5;
	c->gpr[RSP] = HARNESS_STACK;
	c->activity = CPU_RUNNING;
	harness_sync(h);
}

static uint64_t run(struct harness *h, const struct class *c, uint64_t rounds)
{
	uint64_t start;

	prepare(h);
	load(h, c, rounds);
	start = now_ns();
	while (harness_run(h, 1 << 30) == 0)
		continue;
	return now_ns() - start;
}

static void time_all(struct harness *h)
{
	for (unsigned k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
		const struct class *c = &classes[k];
		uint64_t best = UINT64_MAX;

		for (unsigned n = 0; n < REPEATS; n++) {
			uint64_t ns = run(h, c, ROUNDS);

			best = ns < best ? ns : best;
		}
		printf("%s %u %.2f\n", c->name, c->insns, (double)best / ROUNDS / COPIES / c->insns);
	}
}

int main(int argc, char **argv)
{
	struct harness h;

	harness_init(&h, HARNESS_LONG, HARNESS_BLOCK);
	if (argc < 3) {
		time_all(&h);
	} else {
		for (unsigned k = 0; k < sizeof(classes) / sizeof(classes[0]); k++) {
			if (!strcmp(argv[1], classes[k].name))
				run(&h, &classes[k], strtoull(argv[2], NULL, 0));
		}
	}
	harness_fini(&h);
	return 0;
}
