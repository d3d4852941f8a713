/* SPDX-License-Identifier: MIT */
/* #NM, #MF, #XM and #UD by CR0, CR4 and XCR0; when pending x87 exceptions are reported (SDM vol. 3, 2.5, 13.1 to 13.6; vol. 1, 8.7). */
#include "system.h"

enum { MP = 2, EM = 4, TS = 8, NE = 0x20, OSFXSR = 0x200, OSXMMEXCPT = 0x400, OSXSAVE = 1 << 18 };

static uint8_t area[1024] __attribute__((aligned(64)));

SNIPPET(fnop_, "fnop");
SNIPPET(fld1_, "fld1\n fstp %st(0)");
SNIPPET(fwait_, "fwait");
SNIPPET(fninit_, "fninit");
SNIPPET(mmx_, "emms");
SNIPPET(mmx_move, "movd %eax, %mm0\n emms");
SNIPPET(sse_, "xorps %xmm0, %xmm0");
SNIPPET(sse_fence, "sfence");
SNIPPET(sse_prefetch, "prefetcht0 (%rbx)");
SNIPPET(sse_movnti, "movntil %eax, (%rbx)");
SNIPPET(sse_crc, "mov $0, %eax\n crc32b %cl, %eax");
SNIPPET(ldmxcsr_, "ldmxcsr mxcsr_default(%rip)");
SNIPPET(fxsave_, "fxsave64 (%rbx)");
SNIPPET(fxsave_odd, "fxsave64 8(%rbx)");
SNIPPET(xsave_, "mov $7, %eax\n xor %edx, %edx\n xsave (%rbx)");
SNIPPET(xsave_odd, "mov $7, %eax\n xor %edx, %edx\n xsave 32(%rbx)");
SNIPPET(xgetbv_, "xor %ecx, %ecx\n xgetbv");
SNIPPET(xgetbv_2, "mov $2, %ecx\n xgetbv");
SNIPPET(xsetbv_, "xsetbv");
SNIPPET(avx_, "vxorps %ymm0, %ymm0, %ymm0");
SNIPPET(avx_prefix_66, ".byte 0x66\n vxorps %ymm0, %ymm0, %ymm0");
SNIPPET(avx_rex, ".byte 0x48\n vxorps %ymm0, %ymm0, %ymm0");
SNIPPET(mf_pending, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n nop\n nop\n fwait");
SNIPPET(mf_at_next, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n nop\n fld1");
SNIPPET(mf_nowait, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n fnstsw %ax\n and $0x80ff, %eax\n fnclex");
SNIPPET(mf_fninit, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n fninit\n fld1\n fnstsw %ax");
SNIPPET(mf_mmx, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n movd %eax, %mm0");
SNIPPET(mf_sse, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n xorps %xmm0, %xmm0\n fnclex");
SNIPPET(mf_fnsave, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n fnsave (%rbx)\n movzwl 4(%rbx), %eax\n and $0x80ff, %eax");
SNIPPET(mf_fldcw, "fninit\n fld1\n fldz\n fdivrp\n fldcw unmasked(%rip)\n fwait");
SNIPPET(mf_masked, "fninit\n fld1\n fldz\n fdivrp\n fnstsw %ax\n and $0x80ff, %eax\n fninit");
SNIPPET(mf_stack, "fninit\n fldcw unmasked(%rip)\n fadd %st(1)\n fnstsw %ax\n and $0xc2ff, %eax\n fninit");
SNIPPET(mf_with_ts, "fninit\n fldcw unmasked(%rip)\n fld1\n fldz\n fdivrp\n mov %cr0, %rax\n or $8, %rax\n mov %rax, %cr0\n fld1");
SNIPPET(xm_divide, "ldmxcsr mxcsr_unmasked(%rip)\n xorps %xmm0, %xmm0\n mov $0x3f800000, %eax\n movd %eax, %xmm1\n divss %xmm0, %xmm1\n nop");
SNIPPET(xm_masked, "ldmxcsr mxcsr_default(%rip)\n xorps %xmm0, %xmm0\n mov $0x3f800000, %eax\n movd %eax, %xmm1\n divss %xmm0, %xmm1\n"
	"stmxcsr (%rbx)\n mov (%rbx), %eax");
SNIPPET(xm_reserved, "movl $0x10000, (%rbx)\n ldmxcsr (%rbx)");
SNIPPET(unaligned_movaps, "movaps 8(%rbx), %xmm0");
SNIPPET(unaligned_movups, "movups 8(%rbx), %xmm0");
SNIPPET(unaligned_addps, "addps 8(%rbx), %xmm0");
SNIPPET(unaligned_cmpxchg16b, "lock cmpxchg16b 8(%rbx)");
__asm__(".data\n.balign 4\nmxcsr_default: .long 0x1f80\nmxcsr_unmasked: .long 0\nunmasked: .word 0x340\n.text\n");

static const struct {
	const char *name, *code;
} uses[] = {
	{ "fnop", fnop_ }, { "fld1", fld1_ }, { "fwait", fwait_ }, { "fninit", fninit_ }, { "emms", mmx_ }, { "movd mm", mmx_move },
	{ "xorps", sse_ }, { "sfence", sse_fence }, { "prefetch", sse_prefetch }, { "movnti", sse_movnti }, { "crc32", sse_crc },
	{ "ldmxcsr", ldmxcsr_ }, { "fxsave", fxsave_ }, { "xsave", xsave_ }, { "xgetbv", xgetbv_ }, { "vxorps", avx_ },
};

static void go(const char *what, const char *code)
{
	struct start s = kernel(code);

	s.bx = (reg)area;
	test(what, &s);
	__asm__ volatile("clts");
}

static void with(reg cr0, reg cr4, const char *what, unsigned k)
{
	reg old0 = read_cr0(), old4 = read_cr4();

	for (unsigned n = 0; n < sizeof(uses) / sizeof(uses[0]); n++) {
		struct start s = kernel(uses[n].code);

		s.bx = (reg)area;
		write_cr4((old4 & ~(reg)(OSFXSR | OSXMMEXCPT | OSXSAVE)) | cr4);
		write_cr0((old0 & ~(reg)(MP | EM | TS)) | cr0);
		run(&s);
		write_cr0(old0);
		write_cr4(old4);
		print(what);
		print_hex(k, 1);
		print(" ");
		report(uses[n].name);
	}
}

static void xcr0(void)
{
	static const uint32_t values[] = { 0, 1, 2, 3, 4, 5, 6, 7, 0x11 };
	struct start s = kernel(xsetbv_);

	for (unsigned n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
		s.ax = values[n];
		test(NAME1("xsetbv ", values[n]), &s);
	}
	s.cx = 1;
	s.ax = 7;
	test("xsetbv ecx 1", &s);
	s = user(xsetbv_);
	s.ax = 7;
	test("xsetbv, user", &s);
	s = kernel(xsetbv_);
	s.ax = 7;
	run(&s);
	go("xgetbv", xgetbv_);
	go("xgetbv ecx 2", xgetbv_2);
	go("xsave misaligned", xsave_odd);
	go("avx with 66", avx_prefix_66);
	go("avx with rex", avx_rex);
}

void guest_main(void)
{
	write_cr0((read_cr0() & ~(reg)(EM | TS)) | MP | NE);
	write_cr4(read_cr4() | OSXSAVE);
	__asm__ volatile("fninit\n xsetbv" ::"a"(7), "c"(0), "d"(0));
	for (unsigned k = 0; k < 8; k++)
		with((k & 1 ? TS : 0) | (k & 2 ? EM : 0) | (k & 4 ? MP : 0), OSFXSR | OSXMMEXCPT | OSXSAVE, "cr0 ", k);
	with(MP, 0, "no osfxsr ", 0);
	with(MP | TS, 0, "no osfxsr, ts ", 0);
	__asm__ volatile("xsetbv" ::"a"(3), "c"(0), "d"(0));
	with(MP, OSFXSR | OSXMMEXCPT | OSXSAVE, "xcr0 3 ", 0);
	xcr0();
	go("mf at fwait", mf_pending);
	go("mf at the next", mf_at_next);
	go("mf, fnstsw and fnclex", mf_nowait);
	go("mf, fninit", mf_fninit);
	go("mf at mmx", mf_mmx);
	go("mf not at sse", mf_sse);
	go("mf, fnsave", mf_fnsave);
	go("mf by fldcw", mf_fldcw);
	go("masked", mf_masked);
	go("stack underflow", mf_stack);
	go("mf or nm", mf_with_ts);
	go("xm", xm_divide);
	write_cr4(read_cr4() & ~(reg)OSXMMEXCPT);
	go("xm without osxmmexcpt", xm_divide);
	write_cr4(read_cr4() | OSXMMEXCPT);
	go("xm masked", xm_masked);
	go("ldmxcsr reserved", xm_reserved);
	go("fxsave misaligned", fxsave_odd);
	go("movaps misaligned", unaligned_movaps);
	go("movups misaligned", unaligned_movups);
	go("addps misaligned", unaligned_addps);
	go("cmpxchg16b misaligned", unaligned_cmpxchg16b);
}
