/* SPDX-License-Identifier: MIT */
/*
 * Prints what CPUID says, and what the processor then lets one do: lines "cpuid LEAF.SUBLEAF EAX EBX ECX EDX", the bits
 * that CR4 and XCR0 take ("cr4", "xcr0": each bit tried alone, over what must be set with it), the MSRs that exist
 * ("msr"), and instructions that are there ("has") or raise #UD ("ud").
 */
#include "guest.h"

enum { UD = 6, GP = 13 };

struct cpuid {
	uint32_t a, b, c, d;
};

static struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(subleaf));
	return r;
}

static void show(uint32_t leaf, uint32_t subleaf)
{
	struct cpuid r = cpuid(leaf, subleaf);
	const uint32_t v[4] = { r.a, r.b, r.c, r.d };

	print("cpuid ");
	print_hex(leaf);
	print(".");
	print_hex(subleaf);
	for (unsigned n = 0; n < 4; n++) {
		print(" ");
		print_hex(v[n]);
	}
	print("\n");
}

static void show_leaves(void)
{
	static const uint32_t leaves[][2] = {
		{ 0, 0 },   { 1, 0 },	       { 6, 0 },	  { 7, 0 },	     { 7, 1 },		{ 7, 2 },
		{ 0xd, 0 }, { 0xd, 1 },	       { 0xd, 2 },	  { 0xd, 5 },	     { 0xd, 6 },	{ 0xd, 7 },
		{ 0xd, 9 }, { 0x40000001, 0 }, { 0x80000000, 0 }, { 0x80000001, 0 }, { 0x80000007, 0 }, { 0x80000008, 0 },
	};

	for (unsigned n = 0; n < sizeof(leaves) / sizeof(leaves[0]); n++)
		show(leaves[n][0], leaves[n][1]);
}

/* ---- attempts: a function that may fault ------------------------------------------------------------------------ */

bool attempt(void (*f)(void));
_Noreturn void attempt_failed(void);

/* Handlers are entered on the stack of the attempt: giving up is going back to where that began. */
__asm__("attempt:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, attempt_rsp(%rip)\n"
	"	sub $8, %rsp\n"
	"	call *%rdi\n"
	"	mov $1, %eax\n"
	"1:	mov attempt_rsp(%rip), %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	"attempt_failed:\n"
	"	xor %eax, %eax\n"
	"	jmp 1b\n"
	"	.local attempt_rsp\n"
	"	.comm attempt_rsp, 8, 8\n");

static uint64_t arg; /* of the attempt */

static void set_cr4(void)
{
	__asm__ volatile("mov %0, %%cr4" ::"r"(arg) : "memory");
}

static bool try_cr4(uint64_t v)
{
	arg = v;
	return attempt(set_cr4);
}

static uint64_t get_cr4(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

static void set_xcr0(void)
{
	__asm__ volatile("xsetbv" ::"a"((uint32_t)arg), "d"((uint32_t)(arg >> 32)), "c"(0));
}

static bool try_xcr0(uint64_t v)
{
	arg = v;
	return attempt(set_xcr0);
}

static void read_msr(void)
{
	rdmsr((uint32_t)arg);
}

static bool try_msr(uint32_t n)
{
	arg = n;
	return attempt(read_msr);
}

static void result(const char *what, uint64_t v, bool ok)
{
	print(what);
	print_hex(v);
	print(ok ? " ok" : " gp");
}

/* Each bit alone, over what is set; LA57 and PAE cannot change in long mode. */
static void show_cr4(void)
{
	const uint64_t before = get_cr4();
	uint64_t taken = 0;

	for (unsigned n = 0; n < 32; n++) {
		if (n == 12 || n == 5)
			continue;
		taken |= (uint64_t)try_cr4(before | 1ull << n) << n;
		try_cr4(before);
	}
	print("cr4 ");
	print_hex(taken);
	print("\n");
}

static void show_xcr0(void)
{
	static const uint64_t tries[] = { 1, 2, 3, 4, 5, 7, 0x20, 0xe3, 0x67, 0xe7, 0x203, 0x207, 0x2e7, 0x1b, 0 };

	if (!try_cr4(get_cr4() | 1u << 18)) {
		print("xcr0 none\n");
		return;
	}
	print("osxsave ");
	print_hex(cpuid(1, 0).c >> 27 & 1);
	print("\n");
	for (unsigned n = 0; n < sizeof(tries) / sizeof(tries[0]); n++) {
		result("xcr0 ", tries[n], try_xcr0(tries[n]));
		print(" ");
		print_hex(cpuid(0xd, 0).b);
		print("\n");
	}
}

static void show_msrs(void)
{
	static const uint32_t msrs[] = { 0x3b, 0x48, 0x10a, 0x6e0, 0xda0, 0xc0000103 };

	for (unsigned n = 0; n < sizeof(msrs) / sizeof(msrs[0]); n++) {
		result("msr ", msrs[n], try_msr(msrs[n]));
		print("\n");
	}
}

/* Without side effects that matter here; vector registers are nobody's. */
#define INSTRUCTIONS(X)                                        \
	X(sse4_2, ".byte 0xf2, 0x0f, 0x38, 0xf0, 0xc1")        \
	X(popcnt, "popcnt %%eax, %%ecx")                       \
	X(movbe, "mov %%rsp, %%rcx; movbe (%%rcx), %%eax")     \
	X(aes, "aesenc %%xmm0, %%xmm0")                        \
	X(pclmulqdq, "pclmulqdq $0, %%xmm0, %%xmm0")           \
	X(sha_ni, "sha1msg1 %%xmm0, %%xmm0")                   \
	X(avx, "vaddps %%ymm0, %%ymm0, %%ymm0")                \
	X(avx2, "vpaddb %%ymm0, %%ymm0, %%ymm0")               \
	X(fma, "vfmadd132ps %%ymm0, %%ymm0, %%ymm0")           \
	X(f16c, "vcvtph2ps %%xmm0, %%ymm0")                    \
	X(bmi1, "andn %%eax, %%eax, %%ecx")                    \
	X(bmi2, "bzhi %%eax, %%eax, %%ecx")                    \
	X(adx, "adcx %%eax, %%ecx")                            \
	X(rdrand, "rdrand %%eax")                              \
	X(vaes, "vaesenc %%ymm0, %%ymm0, %%ymm0")              \
	X(avx512f, "vpaddd %%zmm0, %%zmm0, %%zmm0")            \
	X(avx512bw, "vpaddb %%zmm0, %%zmm0, %%zmm0")           \
	X(avx512vl, "vpaddd %%ymm16, %%ymm16, %%ymm16")        \
	X(serialize, ".byte 0x0f, 0x01, 0xe8")

#define FUNCTION(name, text)                                                              \
	static void run_##name(void)                                                      \
	{                                                                                 \
		__asm__ volatile(text ::: "memory", "rax", "rcx", "rdx", "cc");           \
	}
INSTRUCTIONS(FUNCTION)

static void clear_em_ts(void)
{
	__asm__ volatile("mov %%cr0, %%rax; and $~0xc, %%rax; mov %%rax, %%cr0" ::: "rax");
}

static void show_instructions(void)
{
	attempt(clear_em_ts);
	try_cr4(get_cr4() | 1u << 9 | 1u << 10);
	if (try_cr4(get_cr4() | 1u << 18))
		try_xcr0(3 | (cpuid(0xd, 0).a & 0xe4));
#define SHOW(name, text) print(attempt(run_##name) ? "has " #name "\n" : "ud " #name "\n");
	INSTRUCTIONS(SHOW)
}

void guest_main(void)
{
	set_handler(UD, attempt_failed);
	set_handler(GP, attempt_failed);
	show_leaves();
	show_cr4();
	show_xcr0();
	show_msrs();
	show_instructions();
	print("done\n");
	finish(0);
}
