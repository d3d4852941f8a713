/* SPDX-License-Identifier: MIT */
/*
 * The processor's side. silicon_enter() loads a state and leaves with IRETQ, which reaches all kinds of code segments;
 * each case ends in a signal, whose handler notes the state and leads back.
 *
 * Vectors come and go as XSAVE areas in the standard form, whose layout this processor's CPUID tells. Only components 0 to 2
 * and 5 to 7: others (AMX has 8 KiB) would neither fit nor be ours to lose.
 *
 * The case may have left any FS base (thread-local data, the stack protector's canary), DF and AC: the handler begins in
 * assembler, and makes them ours first.
 */
#include "silicon.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"

#include <asm/ldt.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { XSAVE_BYTES = 4096, HEADER = 512, ALTERNATE_BYTES = 1 << 16, HWCAP2_FSGSBASE_BIT = 1 << 1 };

/* Addressed by the assembler below. */
struct native_frame {
	uint8_t xsave[XSAVE_BYTES] __attribute__((aligned(64)));
	uint64_t gpr[16];			       /* 4096 */
	uint64_t rip, cs, rflags, rsp, ss;	       /* 4224: what IRETQ takes */
	uint64_t fs_base, gs_base;		       /* 4264 */
	uint64_t ds, es, fs, gs;		       /* 4280 */
	uint64_t host_rsp, host_fs_base;	       /* 4312 */
	uint64_t out_fs_base, out_gs_base;	       /* 4328 */
	uint64_t out_ds, out_es, out_fs, out_gs;       /* 4344 */
	uint64_t mask;				       /* 4376: of XRSTOR */
} silicon_frame __attribute__((used, visibility("hidden"), aligned(8192))); /* in one 64 KiB: see native_esp_high() */

_Static_assert(offsetof(struct native_frame, gpr) == 4096, "the assembler below");
_Static_assert(offsetof(struct native_frame, rip) == 4224, "the assembler below");
_Static_assert(offsetof(struct native_frame, fs_base) == 4264, "the assembler below");
_Static_assert(offsetof(struct native_frame, host_rsp) == 4312, "the assembler below");
_Static_assert(offsetof(struct native_frame, out_ds) == 4344, "the assembler below");
_Static_assert(offsetof(struct native_frame, mask) == 4376, "the assembler below");

void silicon_enter(void);
void silicon_signal(int sig, siginfo_t *info, void *context);
void silicon_note(int sig, siginfo_t *info, void *context);
extern const char silicon_return[];

__asm__(".text\n"
	".hidden silicon_frame\n"
	".globl silicon_enter, silicon_signal, silicon_return\n"
	"silicon_enter:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, silicon_frame+4312(%rip)\n"
	/* The kernel's return from a signal leaves NT as a POPF has set it, and IRETQ does not like it. */
	"	pushq $0x202\n"
	"	popfq\n"
	"	rdfsbase %rax\n"
	"	mov %rax, silicon_frame+4320(%rip)\n"
	"	mov silicon_frame+4376(%rip), %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 silicon_frame(%rip)\n"
	"	mov silicon_frame+4280(%rip), %ds\n"
	"	mov silicon_frame+4288(%rip), %es\n"
	"	mov silicon_frame+4296(%rip), %fs\n"
	"	mov silicon_frame+4304(%rip), %gs\n"
	/* A loaded selector brings its own base: only a null one leaves room for ours. */
	"	mov silicon_frame+4264(%rip), %rax\n"
	"	cmpw $0, silicon_frame+4296(%rip)\n"
	"	jne 1f\n"
	"	wrfsbase %rax\n"
	"1:	mov silicon_frame+4272(%rip), %rax\n"
	"	cmpw $0, silicon_frame+4304(%rip)\n"
	"	jne 1f\n"
	"	wrgsbase %rax\n"
	"1:	mov silicon_frame+4096(%rip), %rax\n"
	"	mov silicon_frame+4104(%rip), %rcx\n"
	"	mov silicon_frame+4112(%rip), %rdx\n"
	"	mov silicon_frame+4120(%rip), %rbx\n"
	"	mov silicon_frame+4136(%rip), %rbp\n"
	"	mov silicon_frame+4144(%rip), %rsi\n"
	"	mov silicon_frame+4152(%rip), %rdi\n"
	"	mov silicon_frame+4160(%rip), %r8\n"
	"	mov silicon_frame+4168(%rip), %r9\n"
	"	mov silicon_frame+4176(%rip), %r10\n"
	"	mov silicon_frame+4184(%rip), %r11\n"
	"	mov silicon_frame+4192(%rip), %r12\n"
	"	mov silicon_frame+4200(%rip), %r13\n"
	"	mov silicon_frame+4208(%rip), %r14\n"
	"	mov silicon_frame+4216(%rip), %r15\n"
	"	lea silicon_frame+4224(%rip), %rsp\n"
	"	iretq\n"
	"silicon_signal:\n"
	"	pushfq\n"
	"	andl $~0x40400, (%rsp)\n"
	"	popfq\n"
	"	mov %ds, %eax\n"
	"	mov %rax, silicon_frame+4344(%rip)\n"
	"	mov %es, %eax\n"
	"	mov %rax, silicon_frame+4352(%rip)\n"
	"	mov %fs, %eax\n"
	"	mov %rax, silicon_frame+4360(%rip)\n"
	"	mov %gs, %eax\n"
	"	mov %rax, silicon_frame+4368(%rip)\n"
	"	rdfsbase %rax\n"
	"	mov %rax, silicon_frame+4328(%rip)\n"
	"	rdgsbase %rax\n"
	"	mov %rax, silicon_frame+4336(%rip)\n"
	"	xor %eax, %eax\n"
	"	mov %eax, %ds\n"
	"	mov %eax, %es\n"
	"	mov %eax, %fs\n"
	"	mov %eax, %gs\n"
	"	wrgsbase %rax\n"
	"	mov silicon_frame+4320(%rip), %rax\n"
	"	wrfsbase %rax\n"
	"	jmp silicon_note\n"
	"silicon_return:\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

static uint8_t *code_alias, *data_alias, *stack_alias;
static struct outcome *result;
static volatile bool dropped;

/* Components of XSAVE; where each stands, and whether it fits. */
enum component { SSE = 1, AVX = 2, OPMASK = 5, ZMM_HIGH = 6, ZMM16 = 7, COMPONENTS = 8 };
enum { AVX512_STATE = 1 << OPMASK | 1 << ZMM_HIGH | 1 << ZMM16 };

static unsigned place_of(enum component k)
{
	static unsigned place[COMPONENTS];
	unsigned bytes, b, c, d;

	if (!place[k] && (!__get_cpuid_count(0xd, k, &bytes, &b, &c, &d) || (place[k] = b) + bytes > XSAVE_BYTES))
		place[k] = XSAVE_BYTES;
	return place[k];
}

bool native_has_avx(void)
{
	return host_has(FEAT_AVX) && place_of(AVX) < XSAVE_BYTES;
}

bool native_has_avx512(void)
{
	return native_has_avx() && host_has(FEAT_AVX512F) && host_has(FEAT_AVX512VL) && place_of(OPMASK) < XSAVE_BYTES &&
	       place_of(ZMM_HIGH) < XSAVE_BYTES && place_of(ZMM16) < XSAVE_BYTES;
}

bool native_loses_pointers(void)
{
	return processor_differs(PT_SAVED_POINTERS, true);
}

/* IRETQ to a 16-bit stack loads SP only: bits 31..16 of ESP are what they were (SDM vol. 2, IRET). */
uint32_t native_esp_high(void)
{
	return (uint32_t)(uintptr_t)&silicon_frame & 0xffff0000;
}

/* gpr_index order */
static const int greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				 REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

/* A component in its initial state may not have been written. */
static void note_component(const uint8_t *area, enum component k, void *data, unsigned bytes)
{
	uint64_t present;

	memcpy(&present, area + HEADER, sizeof(present));
	if (silicon_frame.mask & present & 1u << k)
		memcpy(data, area + place_of(k), bytes);
	else
		memset(data, 0, bytes);
}

static void note_vectors(const uint8_t *area, struct state *s)
{
	uint64_t present;

	memcpy(&present, area + HEADER, sizeof(present));
	memcpy(&s->fx, area, sizeof(s->fx));
	if (!(present & 1 << SSE))
		memset(s->fx.xmm, 0, sizeof(s->fx.xmm));
	note_component(area, AVX, s->ymm_high, sizeof(s->ymm_high));
	note_component(area, OPMASK, s->k, sizeof(s->k));
	note_component(area, ZMM_HIGH, s->zmm_high, sizeof(s->zmm_high));
	note_component(area, ZMM16, s->zmm16, sizeof(s->zmm16));
}

static void load_component(enum component k, const void *data, unsigned bytes)
{
	if (silicon_frame.mask & 1u << k)
		memcpy(silicon_frame.xsave + place_of(k), data, bytes);
}

static void load_vectors(const struct state *s)
{
	memcpy(silicon_frame.xsave, &s->fx, sizeof(s->fx));
	load_component(AVX, s->ymm_high, sizeof(s->ymm_high));
	load_component(OPMASK, s->k, sizeof(s->k));
	load_component(ZMM_HIGH, s->zmm_high, sizeof(s->zmm_high));
	load_component(ZMM16, s->zmm16, sizeof(s->zmm16));
}

static void note_segments(const greg_t *g, struct state *s)
{
	const struct native_frame *f = &silicon_frame;

	s->seg[SEG_CS] = (uint16_t)g[REG_CSGSFS];
	s->seg[SEG_SS] = (uint16_t)((uint64_t)g[REG_CSGSFS] >> 48);
	s->seg[SEG_DS] = (uint16_t)f->out_ds;
	s->seg[SEG_ES] = (uint16_t)f->out_es;
	s->seg[SEG_FS] = (uint16_t)f->out_fs;
	s->seg[SEG_GS] = (uint16_t)f->out_gs;
	s->fs_base = f->out_fs_base;
	s->gs_base = f->out_gs_base;
}

/* Back to silicon_return, with the state of a function that was called. */
static void lead_back(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	struct fximage fx;

	memcpy(&fx, uc->uc_mcontext.fpregs, offsetof(struct fximage, st));
	fx.cw = 0x37f;
	fx.sw = fx.tag = 0;
	fx.mxcsr = 0x1f80;
	memcpy(uc->uc_mcontext.fpregs, &fx, offsetof(struct fximage, st));
	g[REG_RIP] = (greg_t)(uintptr_t)silicon_return;
	g[REG_RSP] = (greg_t)silicon_frame.host_rsp;
	g[REG_EFL] = 0x202;
	g[REG_CSGSFS] = (greg_t)(USER_CODE64 | (uint64_t)USER_DATA << 48);
}

/* Called without a case: the clock, or our own mistake. Die of that. */
void silicon_note(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	const greg_t *g = uc->uc_mcontext.gregs;

	(void)info;
	if (!result) {
		if (sig != SIGVTALRM)
			signal(sig, SIG_DFL);
		return;
	}
	dropped = sig == SIGVTALRM;
	result->vector = (uint8_t)g[REG_TRAPNO];
	result->error = (uint32_t)g[REG_ERR];
	result->cr2 = (uint64_t)g[REG_CR2];
	for (unsigned n = 0; n < 16; n++)
		result->s.gpr[n] = (uint64_t)g[greg_of[n]];
	result->s.rip = (uint64_t)g[REG_RIP];
	result->s.rflags = (uint64_t)g[REG_EFL];
	note_vectors((const uint8_t *)uc->uc_mcontext.fpregs, &result->s);
	note_segments(g, &result->s);
	result = NULL;
	lead_back(uc);
}

/* Twice the same pages: as the case sees them, and writable for us. Populated, or a store to a read-only page would
 * find it missing. */
static uint8_t *map_twice(uint64_t linear, unsigned pages)
{
	const int fd = memfd_create("silicon", 0);
	const size_t bytes = (size_t)pages * PAGE;
	void *want = (void *)(uintptr_t)linear, *got, *alias;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) != 0)
		return NULL;
	got = mmap(want, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, 0);
	alias = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return got == want && alias != MAP_FAILED ? alias : NULL;
}

static bool protect(uint64_t linear, unsigned pages, int prot)
{
	return mprotect((void *)(uintptr_t)linear, (size_t)pages * PAGE, prot) == 0;
}

static bool map_all(void)
{
	code_alias = map_twice(CODE, CODE_PAGES);
	data_alias = map_twice(DATA, DATA_PAGES);
	stack_alias = map_twice(STACK, STACK_PAGES);
	if (!code_alias || !data_alias || !stack_alias)
		return false;
	return protect(CODE, CODE_PAGES, PROT_READ | PROT_EXEC) && protect(DATA + DATA_READ_ONLY * PAGE, 1, PROT_READ) &&
	       protect(DATA + DATA_MISSING * PAGE, 1, PROT_NONE) && protect(STACK, 1, PROT_NONE) &&
	       protect(STACK + 3 * PAGE, 1, PROT_NONE);
}

static bool install_segments(void)
{
	for (unsigned n = 0; n < LOCAL_COUNT; n++) {
		const struct local_segment *s = &local_segments[n];
		struct user_desc d = { .entry_number = n,
				       .base_addr = s->base,
				       .limit = s->limit,
				       .seg_32bit = s->big,
				       .contents = s->contents & 3u,
				       .read_exec_only = s->read_exec_only,
				       .limit_in_pages = s->pages,
				       .seg_not_present = !s->present };

		if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)) != 0)
			return false;
	}
	return true;
}

static bool install_handlers(void)
{
	/* Far from the frame: on a 16-bit stack RSP keeps its upper bits, and must not seem to be in here. */
	void *alternate = mmap(NULL, ALTERNATE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const stack_t stack = { .ss_sp = alternate, .ss_size = ALTERNATE_BYTES };
	struct sigaction action = { .sa_sigaction = silicon_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	const int signals[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS, SIGTRAP, SIGVTALRM };

	if (alternate == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
		return false;
	for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++) {
		if (sigaction(signals[n], &action, NULL) != 0)
			return false;
	}
	return true;
}

__attribute__((target("fsgsbase"))) const char *native_init(void)
{
	/* A branch to itself never ends: who is caught by the clock is dropped. */
	const struct itimerval tick = { .it_interval = { .tv_sec = 1 }, .it_value = { .tv_sec = 1 } };
	unsigned a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return "no XSAVE";
	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT))
		return "no FSGSBASE";
	silicon_frame.mask = 3u | (native_has_avx() ? 1u << AVX : 0) | (native_has_avx512() ? AVX512_STATE : 0);
	memcpy(silicon_frame.xsave + HEADER, &silicon_frame.mask, 8);
	if (!map_all())
		return "low addresses cannot be mapped";
	if (!install_segments())
		return "no LDT (modify_ldt)";
	memset(code_alias, 0xf4, CODE_PAGES * PAGE);
	silicon_frame.host_fs_base = __builtin_ia32_rdfsbase64();
	if (!install_handlers())
		return "no signal handlers";
	return setitimer(ITIMER_VIRTUAL, &tick, NULL) == 0 ? NULL : "no timer";
}

uint8_t *native_memory(uint64_t linear)
{
	if (linear >= DATA && linear < DATA + DATA_PAGES * PAGE)
		return data_alias + (linear - DATA);
	if (linear >= STACK && linear < STACK + STACK_PAGES * PAGE)
		return stack_alias + (linear - STACK);
	return code_alias + (linear - CODE);
}

bool native_run(const struct test_case *t, struct outcome *out)
{
	struct native_frame *f = &silicon_frame;
	uint8_t *code = code_alias + (t->at - CODE);
	const struct state *s = &t->in;

	memcpy(code, t->code, visible_bytes(t));
	load_vectors(s);
	memcpy(f->gpr, s->gpr, sizeof(f->gpr));
	f->rsp = s->gpr[RSP];
	f->rip = s->rip;
	f->rflags = s->rflags;
	f->cs = s->seg[SEG_CS];
	f->ss = s->seg[SEG_SS];
	f->ds = s->seg[SEG_DS];
	f->es = s->seg[SEG_ES];
	f->fs = s->seg[SEG_FS];
	f->gs = s->seg[SEG_GS];
	f->fs_base = s->fs_base;
	f->gs_base = s->gs_base;
	__atomic_store_n(&result, out, __ATOMIC_SEQ_CST);
	silicon_enter();
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memset(code, 0xf4, visible_bytes(t));
	return !dropped;
}
