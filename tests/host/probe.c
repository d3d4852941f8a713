/* SPDX-License-Identifier: MIT */
/* The child that asks the processor, its pages, and how faults end a probe. */
#include "probe.h"
#include "emu/isa/isa.h"
#include "features.h"

#ifdef __x86_64__
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { TIME_LIMIT_S = 20, ALTERNATE_BYTES = 1 << 16, USER_CODE32 = 0x23 };
/* Where things stand in the page of code, and in that of data, for 32-bit code. */
enum { STUB_AT = 2048, STACK_AT = 2048, POINTER_AT = 3072, RSP_AT = 3088 };

struct probe_fault probe_fault;
uint8_t *probe_code, *probe_data;

static sigjmp_buf escape;
static volatile sig_atomic_t vector;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const greg_t *g = uc->uc_mcontext.gregs;
	const uint8_t *image = (const uint8_t *)uc->uc_mcontext.fpregs;
	unsigned size, offset, c, d;

	(void)sig;
	(void)info;
	probe_fault.rip = (uint64_t)g[REG_RIP];
	probe_fault.rsp = (uint64_t)g[REG_RSP];
	probe_fault.cr2 = (uint64_t)g[REG_CR2];
	memcpy(&probe_fault.fx, image, sizeof(probe_fault.fx));
	if (host_has(FEAT_AVX)) {
		__cpuid_count(0xd, 2, size, offset, c, d);
		memcpy(probe_fault.ymm_high, image + offset, sizeof(probe_fault.ymm_high));
	}
	vector = (sig_atomic_t)g[REG_TRAPNO];
	siglongjmp(escape, 1);
}

static bool catch_faults(void)
{
	static uint8_t alternate[ALTERNATE_BYTES];
	const stack_t stack = { .ss_sp = alternate, .ss_size = sizeof(alternate) };
	const struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP };

	if (sigaltstack(&stack, NULL) != 0)
		return false;
	for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
		if (sigaction(signals[n], &action, NULL) != 0)
			return false;
	return true;
}

static bool map_pages(void)
{
	uint8_t *p =
		mmap(NULL, 4 * PROBE_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (p == MAP_FAILED)
		return false;
	probe_code = p;
	probe_data = p + 2 * PROBE_PAGE;
	return mprotect(p + PROBE_PAGE, PROBE_PAGE, PROT_NONE) == 0 && mprotect(p + 3 * PROBE_PAGE, PROBE_PAGE, PROT_NONE) == 0;
}

unsigned probe_run(void (*fn)(void))
{
	vector = PROBE_RAN;
	if (sigsetjmp(escape, 0) == 0)
		fn();
	return (unsigned)vector;
}

/* ---- bytes as code ---------------------------------------------------------------------------------------- */

struct probe_regs *probe_bytes_regs __attribute__((used, visibility("hidden")));
void probe_bytes_call(void);
__asm__(".text\n"
	".hidden probe_bytes_regs, probe_code\n"
	"probe_bytes_call:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; sub $8, %rsp\n"
	"	mov probe_bytes_regs(%rip), %rbx\n"
	"	mov (%rbx), %rax\n"
	"	mov 8(%rbx), %rcx\n"
	"	mov 16(%rbx), %rsi\n"
	"	call *probe_code(%rip)\n"
	"	mov probe_bytes_regs(%rip), %rbx\n"
	"	mov %rax, (%rbx)\n"
	"	mov %rcx, 8(%rbx)\n"
	"	mov %rsi, 16(%rbx)\n"
	"	cld\n"
	"	add $8, %rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

unsigned probe_bytes(const void *bytes, unsigned count, struct probe_regs *r)
{
	memcpy(probe_code, bytes, count);
	probe_code[count] = 0xc3;
	probe_bytes_regs = r;
	return probe_run(probe_bytes_call);
}

static unsigned put32(uint8_t *p, const char *opcode, unsigned count, const void *address)
{
	const uint32_t low = (uint32_t)(uintptr_t)address;

	memcpy(p, opcode, count);
	memcpy(p + count, &low, 4);
	return count + 4;
}

unsigned probe_bytes32(const void *bytes, unsigned count)
{
	const uint32_t pointer[2] = { (uint32_t)(uintptr_t)probe_code, USER_CODE32 };
	struct probe_regs none = { 0 };
	uint8_t stub[64];
	unsigned n = 0;

	memcpy(probe_data + POINTER_AT, pointer, sizeof(pointer));
	n += put32(stub + n, "\x48\x89\x24\x25", 4, probe_data + RSP_AT); /* mov %rsp, RSP_AT */
	n += put32(stub + n, "\x48\xc7\xc4", 3, probe_data + STACK_AT);	  /* mov $STACK_AT, %rsp */
	n += put32(stub + n, "\xff\x1c\x25", 3, probe_data + POINTER_AT); /* lcall *POINTER_AT */
	n += put32(stub + n, "\x48\x8b\x24\x25", 4, probe_data + RSP_AT); /* mov RSP_AT, %rsp */
	stub[n++] = 0xc3;
	memcpy(probe_code, bytes, count);
	probe_code[count] = 0xcb; /* retf */
	memcpy(probe_code + STUB_AT, stub, n);
	probe_code += STUB_AT;
	probe_bytes_regs = &none;
	probe_run(probe_bytes_call);
	probe_code -= STUB_AT;
	return (unsigned)vector;
}

/* ---- the child -------------------------------------------------------------------------------------------- */

static void ask(struct processor *p)
{
	alarm(TIME_LIMIT_S);
	if (!catch_faults() || !map_pages())
		_exit(1);
	probe_x87(p);
	probe_simd(p);
	probe_system(p);
	_exit(0);
}

void probe_processor(struct processor *p)
{
	struct processor *answers = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	if (answers == MAP_FAILED)
		return;
	memset(answers, 0, sizeof(*answers));
	child = fork();
	if (child == 0)
		ask(answers);
	if (child > 0)
		waitpid(child, NULL, 0);
	p->alike = answers->alike;
	p->otherwise = answers->otherwise;
	p->fip_bits = answers->fip_bits;
	p->fdp_bits = answers->fdp_bits;
	p->mxcsr_mask = answers->mxcsr_mask;
	munmap(answers, sizeof(*answers));
}
#else
void probe_processor(struct processor *p)
{
	(void)p;
}
#endif
