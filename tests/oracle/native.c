/* SPDX-License-Identifier: MIT */
/* The processor's side: loads the state, runs the instruction, stores the state; faults are caught by
 * signals. */
#include "oracle.h"
#include "tests/host/processor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

/* Addressed by the assembler below. */
struct native_frame {
	struct fximage fx; /* in, then out */
	uint64_t gpr[16];
	uint64_t rflags;
	uint64_t host_rsp;
	uint64_t code;
	uint64_t use_avx;
	uint8_t ymm_high[16][16];
	uint32_t environment[7]; /* out: FNSTENV */
} oracle_frame __attribute__((used, visibility("hidden")));

void oracle_enter(void);
extern const char oracle_done[], oracle_faulted[];

/*
 * oracle_enter: all registers but RSP come from the frame; the instruction runs on our stack, which it does
 * not know. Afterwards code jumps to oracle_done, or the signal handler to oracle_faulted.
 */
__asm__(".text\n"
	".globl oracle_enter, oracle_done, oracle_faulted\n"
	".hidden oracle_frame\n"
	"oracle_enter:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, oracle_frame+648(%rip)\n"
	"	fxrstor64 oracle_frame(%rip)\n"
	"	testb $1, oracle_frame+664(%rip)\n"
	"	jz 1f\n"
	"	vinsertf128 $1, oracle_frame+672(%rip), %ymm0, %ymm0\n"
	"	vinsertf128 $1, oracle_frame+688(%rip), %ymm1, %ymm1\n"
	"	vinsertf128 $1, oracle_frame+704(%rip), %ymm2, %ymm2\n"
	"	vinsertf128 $1, oracle_frame+720(%rip), %ymm3, %ymm3\n"
	"	vinsertf128 $1, oracle_frame+736(%rip), %ymm4, %ymm4\n"
	"	vinsertf128 $1, oracle_frame+752(%rip), %ymm5, %ymm5\n"
	"	vinsertf128 $1, oracle_frame+768(%rip), %ymm6, %ymm6\n"
	"	vinsertf128 $1, oracle_frame+784(%rip), %ymm7, %ymm7\n"
	"	vinsertf128 $1, oracle_frame+800(%rip), %ymm8, %ymm8\n"
	"	vinsertf128 $1, oracle_frame+816(%rip), %ymm9, %ymm9\n"
	"	vinsertf128 $1, oracle_frame+832(%rip), %ymm10, %ymm10\n"
	"	vinsertf128 $1, oracle_frame+848(%rip), %ymm11, %ymm11\n"
	"	vinsertf128 $1, oracle_frame+864(%rip), %ymm12, %ymm12\n"
	"	vinsertf128 $1, oracle_frame+880(%rip), %ymm13, %ymm13\n"
	"	vinsertf128 $1, oracle_frame+896(%rip), %ymm14, %ymm14\n"
	"	vinsertf128 $1, oracle_frame+912(%rip), %ymm15, %ymm15\n"
	"1:	push oracle_frame+640(%rip)\n"
	"	popfq\n"
	"	mov oracle_frame+512(%rip), %rax\n"
	"	mov oracle_frame+520(%rip), %rcx\n"
	"	mov oracle_frame+528(%rip), %rdx\n"
	"	mov oracle_frame+536(%rip), %rbx\n"
	"	mov oracle_frame+552(%rip), %rbp\n"
	"	mov oracle_frame+560(%rip), %rsi\n"
	"	mov oracle_frame+568(%rip), %rdi\n"
	"	mov oracle_frame+576(%rip), %r8\n"
	"	mov oracle_frame+584(%rip), %r9\n"
	"	mov oracle_frame+592(%rip), %r10\n"
	"	mov oracle_frame+600(%rip), %r11\n"
	"	mov oracle_frame+608(%rip), %r12\n"
	"	mov oracle_frame+616(%rip), %r13\n"
	"	mov oracle_frame+624(%rip), %r14\n"
	"	mov oracle_frame+632(%rip), %r15\n"
	"	jmp *oracle_frame+656(%rip)\n"
	"oracle_done:\n"
	"	mov %rax, oracle_frame+512(%rip)\n"
	"	mov %rcx, oracle_frame+520(%rip)\n"
	"	mov %rdx, oracle_frame+528(%rip)\n"
	"	mov %rbx, oracle_frame+536(%rip)\n"
	"	mov %rbp, oracle_frame+552(%rip)\n"
	"	mov %rsi, oracle_frame+560(%rip)\n"
	"	mov %rdi, oracle_frame+568(%rip)\n"
	"	mov %r8, oracle_frame+576(%rip)\n"
	"	mov %r9, oracle_frame+584(%rip)\n"
	"	mov %r10, oracle_frame+592(%rip)\n"
	"	mov %r11, oracle_frame+600(%rip)\n"
	"	mov %r12, oracle_frame+608(%rip)\n"
	"	mov %r13, oracle_frame+616(%rip)\n"
	"	mov %r14, oracle_frame+624(%rip)\n"
	"	mov %r15, oracle_frame+632(%rip)\n"
	"	pushfq\n"
	"	pop oracle_frame+640(%rip)\n"
	"	testb $1, oracle_frame+664(%rip)\n"
	"	jz 1f\n"
	"	vextractf128 $1, %ymm0, oracle_frame+672(%rip)\n"
	"	vextractf128 $1, %ymm1, oracle_frame+688(%rip)\n"
	"	vextractf128 $1, %ymm2, oracle_frame+704(%rip)\n"
	"	vextractf128 $1, %ymm3, oracle_frame+720(%rip)\n"
	"	vextractf128 $1, %ymm4, oracle_frame+736(%rip)\n"
	"	vextractf128 $1, %ymm5, oracle_frame+752(%rip)\n"
	"	vextractf128 $1, %ymm6, oracle_frame+768(%rip)\n"
	"	vextractf128 $1, %ymm7, oracle_frame+784(%rip)\n"
	"	vextractf128 $1, %ymm8, oracle_frame+800(%rip)\n"
	"	vextractf128 $1, %ymm9, oracle_frame+816(%rip)\n"
	"	vextractf128 $1, %ymm10, oracle_frame+832(%rip)\n"
	"	vextractf128 $1, %ymm11, oracle_frame+848(%rip)\n"
	"	vextractf128 $1, %ymm12, oracle_frame+864(%rip)\n"
	"	vextractf128 $1, %ymm13, oracle_frame+880(%rip)\n"
	"	vextractf128 $1, %ymm14, oracle_frame+896(%rip)\n"
	"	vextractf128 $1, %ymm15, oracle_frame+912(%rip)\n"
	"1:	fxsave64 oracle_frame(%rip)\n"
	"	fnstenv oracle_frame+928(%rip)\n"
	"oracle_faulted:\n"
	"	mov oracle_frame+648(%rip), %rsp\n"
	"	testb $1, oracle_frame+664(%rip)\n"
	"	jz 1f\n"
	"	vzeroupper\n"
	"1:	fninit\n"
	"	push $0x1f80\n"
	"	ldmxcsr (%rsp)\n"
	"	add $8, %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	cld\n"
	"	ret\n");

_Static_assert(__builtin_offsetof(struct native_frame, gpr) == 512, "the assembler above");
_Static_assert(__builtin_offsetof(struct native_frame, rflags) == 640, "the assembler above");
_Static_assert(__builtin_offsetof(struct native_frame, code) == 656, "the assembler above");
_Static_assert(__builtin_offsetof(struct native_frame, ymm_high) == 672, "the assembler above");
_Static_assert(__builtin_offsetof(struct native_frame, environment) == 928, "the assembler above");

static volatile sig_atomic_t fault_vector;
static bool drops_pointers, pointers_are_loaded;

/* gpr_index order */
static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				 REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/* The signal frame has the standard XSAVE form: header at 512, upper halves at 576, absent if all are zero. */
static void save_ymm_high(const void *fpregs)
{
	uint64_t xstate_bv;

	memcpy(&xstate_bv, (const uint8_t *)fpregs + 512, sizeof(xstate_bv));
	if (oracle_frame.use_avx && (xstate_bv & 4))
		memcpy(oracle_frame.ymm_high, (const uint8_t *)fpregs + 576, sizeof(oracle_frame.ymm_high));
	else
		memset(oracle_frame.ymm_high, 0, sizeof(oracle_frame.ymm_high));
}

bool native_has_avx(void)
{
	return oracle_frame.use_avx;
}

bool native_loses_pointers(void)
{
	return drops_pointers;
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const greg_t *g = uc->uc_mcontext.gregs;
	const uint64_t rip = (uint64_t)g[REG_RIP];

	(void)info;
	if (rip < (uintptr_t)oracle_code || rip >= (uintptr_t)oracle_code + CODE_BYTES) {
		/* Not the instruction under test: our own mistake. Die of it. */
		signal(sig, SIG_DFL);
		return;
	}
	if (native_zmm_fault(context))
		return;
	fault_vector = (int)g[REG_TRAPNO];
	for (unsigned n = 0; n < 16; n++)
		oracle_frame.gpr[n] = (uint64_t)g[greg_of[n]];
	oracle_frame.rflags = (uint64_t)g[REG_EFL];
	memcpy(&oracle_frame.fx, uc->uc_mcontext.fpregs, sizeof(oracle_frame.fx));
	save_ymm_high(uc->uc_mcontext.fpregs);
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)oracle_faulted;
}

int native_init(void)
{
	static uint8_t alternate[65536];
	const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };

	oracle_code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The window ends where nothing is mapped: operands may run over its end. */
	oracle_window = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (oracle_code == MAP_FAILED || oracle_window == MAP_FAILED || sigaltstack(&stack, NULL) != 0 ||
	    mprotect(oracle_window + 4096, 4096, PROT_NONE) != 0)
		return -errno;
	oracle_window += 4096 - WINDOW_BYTES;
	drops_pointers = processor_differs(PT_SAVED_POINTERS, true);
	pointers_are_loaded = !processor_differs(PT_RESTORED_POINTERS, true);
	oracle_frame.use_avx = __builtin_cpu_supports("avx") != 0;
	for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
		if (sigaction(signals[n], &action, NULL) != 0)
			return -errno;
	return 0;
}

/* The instruction, then JMP [RIP+0] with the address of oracle_done behind it. */
static void write_code(const struct test_case *t)
{
	static const uint8_t jump[6] = { 0xff, 0x25, 0, 0, 0, 0 };
	const uint64_t target = (uintptr_t)oracle_done;

	memcpy(oracle_code, t->code, t->length);
	memcpy(oracle_code + t->length, jump, sizeof(jump));
	memcpy(oracle_code + t->length + sizeof(jump), &target, sizeof(target));
}

/*
 * FOP, FIP and FDP: where FXSAVE (and the kernel's XSAVE for the signal frame) stores them only while an exception is
 * pending, FNSTENV does always, but for the high halves; it has not run if the instruction faulted.
 */
static void take_pointers(struct state *out)
{
	const uint32_t *env = oracle_frame.environment;

	out->told = UINT64_MAX;
	if (!drops_pointers || (out->fx.sw & 0x80))
		return;
	out->told = out->vector == NO_FAULT && pointers_are_loaded ? UINT32_MAX : 0;
	out->fx.fop = env[4] >> 16 & 0x7ff;
	out->fx.fip = env[3];
	out->fx.fdp = env[5];
}

void native_run(const struct test_case *t, struct state *out)
{
	if (native_has_avx512() && isa_rows[t->row].map >= ISA_V0F && isa_rows[t->row].map < ISA_MAPS) {
		native_zmm_run(t, out);
		return;
	}
	write_code(t);
	memcpy(oracle_window, t->in.window, WINDOW_BYTES);
	oracle_frame.fx = t->in.fx;
	memcpy(oracle_frame.gpr, t->in.gpr, sizeof(oracle_frame.gpr));
	oracle_frame.rflags = t->in.rflags;
	memcpy(oracle_frame.ymm_high, t->in.ymm_high, sizeof(oracle_frame.ymm_high));
	oracle_frame.code = (uintptr_t)oracle_code;
	fault_vector = NO_FAULT;
	oracle_enter();
	out->vector = (uint8_t)fault_vector;
	out->fx = oracle_frame.fx;
	memcpy(out->gpr, oracle_frame.gpr, sizeof(out->gpr));
	out->rflags = oracle_frame.rflags;
	memcpy(out->zmm_high, t->in.zmm_high, sizeof(out->zmm_high));
	memcpy(out->zmm16, t->in.zmm16, sizeof(out->zmm16));
	memcpy(out->k, t->in.k, sizeof(out->k));
	memcpy(out->ymm_high, oracle_frame.ymm_high, sizeof(out->ymm_high));
	memcpy(out->window, oracle_window, WINDOW_BYTES);
	take_pointers(out);
}
