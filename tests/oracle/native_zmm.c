/* SPDX-License-Identifier: MIT */
/*
 * The processor's side with AVX-512 state: as native.c, but everything goes through one XSAVE area, whose layout this
 * processor's CPUID tells.
 */
#include "oracle.h"

#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

enum { XSAVE_BYTES = 4096, HEADER = 512 };

/* Addressed by the assembler below. */
struct zmm_frame {
	uint8_t xsave[XSAVE_BYTES]; /* in, then out */
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t host_rsp;
	uint64_t code;
} __attribute__((aligned(64))) oracle_zmm __attribute__((used, visibility("hidden")));

/* Only components 0 to 2 and 5 to 7: others (AMX has 8 KiB) would neither fit nor be ours to lose. */
void oracle_zmm_enter(void);
extern const char oracle_zmm_done[], oracle_zmm_faulted[];

__asm__(".text\n"
	".globl oracle_zmm_enter, oracle_zmm_done, oracle_zmm_faulted\n"
	".hidden oracle_zmm\n"
	"oracle_zmm_enter:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, oracle_zmm+4232(%rip)\n"
	"	mov $0xe7, %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 oracle_zmm(%rip)\n"
	"	push oracle_zmm+4224(%rip)\n"
	"	popfq\n"
	"	mov oracle_zmm+4096(%rip), %rax\n"
	"	mov oracle_zmm+4104(%rip), %rcx\n"
	"	mov oracle_zmm+4112(%rip), %rdx\n"
	"	mov oracle_zmm+4120(%rip), %rbx\n"
	"	mov oracle_zmm+4136(%rip), %rbp\n"
	"	mov oracle_zmm+4144(%rip), %rsi\n"
	"	mov oracle_zmm+4152(%rip), %rdi\n"
	"	mov oracle_zmm+4160(%rip), %r8\n"
	"	mov oracle_zmm+4168(%rip), %r9\n"
	"	mov oracle_zmm+4176(%rip), %r10\n"
	"	mov oracle_zmm+4184(%rip), %r11\n"
	"	mov oracle_zmm+4192(%rip), %r12\n"
	"	mov oracle_zmm+4200(%rip), %r13\n"
	"	mov oracle_zmm+4208(%rip), %r14\n"
	"	mov oracle_zmm+4216(%rip), %r15\n"
	"	jmp *oracle_zmm+4240(%rip)\n"
	"oracle_zmm_done:\n"
	"	mov %rax, oracle_zmm+4096(%rip)\n"
	"	mov %rcx, oracle_zmm+4104(%rip)\n"
	"	mov %rdx, oracle_zmm+4112(%rip)\n"
	"	mov %rbx, oracle_zmm+4120(%rip)\n"
	"	mov %rbp, oracle_zmm+4136(%rip)\n"
	"	mov %rsi, oracle_zmm+4144(%rip)\n"
	"	mov %rdi, oracle_zmm+4152(%rip)\n"
	"	mov %r8, oracle_zmm+4160(%rip)\n"
	"	mov %r9, oracle_zmm+4168(%rip)\n"
	"	mov %r10, oracle_zmm+4176(%rip)\n"
	"	mov %r11, oracle_zmm+4184(%rip)\n"
	"	mov %r12, oracle_zmm+4192(%rip)\n"
	"	mov %r13, oracle_zmm+4200(%rip)\n"
	"	mov %r14, oracle_zmm+4208(%rip)\n"
	"	mov %r15, oracle_zmm+4216(%rip)\n"
	"	pushfq\n"
	"	pop oracle_zmm+4224(%rip)\n"
	"	mov $0xe7, %eax\n"
	"	xor %edx, %edx\n"
	"	xsave64 oracle_zmm(%rip)\n"
	"oracle_zmm_faulted:\n"
	"	mov oracle_zmm+4232(%rip), %rsp\n"
	"	vzeroall\n"
	"	fninit\n"
	"	push $0x1f80\n"
	"	ldmxcsr (%rsp)\n"
	"	add $8, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	cld\n"
	"	ret\n");

_Static_assert(__builtin_offsetof(struct zmm_frame, gpr) == 4096, "the assembler above");
_Static_assert(__builtin_offsetof(struct zmm_frame, rflags) == 4224, "the assembler above");
_Static_assert(__builtin_offsetof(struct zmm_frame, host_rsp) == 4232, "the assembler above");
_Static_assert(__builtin_offsetof(struct zmm_frame, code) == 4240, "the assembler above");

/* Where components 2 (upper halves of YMM), 5 (opmasks), 6 (upper halves of ZMM0..15), 7 (ZMM16..31) stand. */
static unsigned place[8];
static uint64_t xcr0;
static volatile bool running;
static volatile sig_atomic_t fault_vector;

bool native_has_avx512(void)
{
	static int known = -1;

	if (known < 0) {
		unsigned a, b, c, d, low = 0, high = 0;

		known = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl");
		if (known)
			__asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
		xcr0 = low | (uint64_t)high << 32;
		known = (xcr0 & 0xe6) == 0xe6;
		for (unsigned k = 2; k < 8 && known; k++) {
			__cpuid_count(0xd, k, a, b, c, d);
			place[k] = b;
			known = b + a <= XSAVE_BYTES;
		}
	}
	return known;
}

static void put_component(unsigned k, const void *data, unsigned bytes)
{
	memcpy(oracle_zmm.xsave + place[k], data, bytes);
}

static void get_component(const uint8_t *area, unsigned k, void *data, unsigned bytes)
{
	uint64_t xstate_bv;

	memcpy(&xstate_bv, area + HEADER, sizeof(xstate_bv));
	memset(data, 0, bytes);
	if (xstate_bv >> k & 1)
		memcpy(data, area + place[k], bytes);
}

static void get_state(const uint8_t *area, struct state *out)
{
	memcpy(&out->fx, area, sizeof(out->fx));
	get_component(area, 2, out->ymm_high, sizeof(out->ymm_high));
	get_component(area, 5, out->k, sizeof(out->k));
	get_component(area, 6, out->zmm_high, sizeof(out->zmm_high));
	get_component(area, 7, out->zmm16, sizeof(out->zmm16));
}

bool native_zmm_fault(void *context)
{
	static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
					 REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	ucontext_t *uc = context;
	greg_t *g = uc->uc_mcontext.gregs;
	uint32_t bytes;

	if (!running)
		return false;
	fault_vector = (sig_atomic_t)g[REG_TRAPNO];
	for (unsigned n = 0; n < 16; n++)
		oracle_zmm.gpr[n] = (uint64_t)g[greg_of[n]];
	oracle_zmm.rflags = (uint64_t)g[REG_EFL];
	/* struct _fpx_sw_bytes: the size of the standard form that stands here. */
	memcpy(&bytes, (const uint8_t *)uc->uc_mcontext.fpregs + 464 + 16, sizeof(bytes));
	memcpy(oracle_zmm.xsave, uc->uc_mcontext.fpregs, bytes < XSAVE_BYTES ? bytes : XSAVE_BYTES);
	g[REG_RIP] = (greg_t)(uintptr_t)oracle_zmm_faulted;
	return true;
}

/* The instruction, then JMP [RIP+0] with the address of oracle_zmm_done behind it. */
static void write_code(const struct test_case *t)
{
	static const uint8_t jump[6] = { 0xff, 0x25, 0, 0, 0, 0 };
	const uint64_t target = (uintptr_t)oracle_zmm_done;

	memcpy(oracle_code, t->code, t->length);
	memcpy(oracle_code + t->length, jump, sizeof(jump));
	memcpy(oracle_code + t->length + sizeof(jump), &target, sizeof(target));
}

void native_zmm_run(const struct test_case *t, struct state *out)
{
	const uint64_t header[8] = { 0xe7 };

	write_code(t);
	memcpy(oracle_window, t->in.window, WINDOW_BYTES);
	memcpy(oracle_zmm.xsave, &t->in.fx, sizeof(t->in.fx));
	memcpy(oracle_zmm.xsave + HEADER, header, sizeof(header));
	put_component(2, t->in.ymm_high, sizeof(t->in.ymm_high));
	put_component(5, t->in.k, sizeof(t->in.k));
	put_component(6, t->in.zmm_high, sizeof(t->in.zmm_high));
	put_component(7, t->in.zmm16, sizeof(t->in.zmm16));
	memcpy(oracle_zmm.gpr, t->in.gpr, sizeof(oracle_zmm.gpr));
	oracle_zmm.rflags = t->in.rflags;
	oracle_zmm.code = (uintptr_t)oracle_code;
	fault_vector = NO_FAULT;
	running = true;
	oracle_zmm_enter();
	running = false;
	out->vector = (uint8_t)fault_vector;
	get_state(oracle_zmm.xsave, out);
	/* No VEX or EVEX instruction knows them; some XSAVEs keep them only while an exception is pending. */
	out->told = UINT64_MAX;
	out->fx.fop = t->in.fx.fop;
	out->fx.fip = t->in.fx.fip;
	out->fx.fdp = t->in.fx.fdp;
	memcpy(out->gpr, oracle_zmm.gpr, sizeof(out->gpr));
	out->rflags = oracle_zmm.rflags;
	memcpy(out->window, oracle_window, WINDOW_BYTES);
}
