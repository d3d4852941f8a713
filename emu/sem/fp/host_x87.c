/* SPDX-License-Identifier: MIT */
/* Provider H, x87: the host executes the guest's instruction on register images (see provider.h). */
#include "provider_table.h"

#include <stddef.h>

_Static_assert(sizeof(struct x87_reg) == 16 && offsetof(struct fp_x87, st) == 0, "the stubs address st[k] as 16 * k");

/*
 * Flags that C code has left in the host's status word (under masks of its own) would count under the guest's masks, and
 * the next waiting instruction would be a SIGFPE: they are cleared first.
 *
 * The stubs run with the guest's exception masks. An unmasked exception sets ES, which only a waiting x87
 * instruction reports; FNSTSW and FNCLEX do not wait, so the exception is read and cleared before it could
 * become SIGFPE. The host stack is empty before and after (x86-64 code of ours keeps nothing on it), so TOP
 * says how many registers are left.
 */
#define X87_PROLOGUE                                                                                              \
	"fnstcw %[host]\n\t"                                                                                      \
	"fnstsw %%ax\n\t"                                                                                         \
	"testb $0x3f, %%al\n\t"                                                                                   \
	"jz 3f\n\t"                                                                                               \
	"fnclex\n"                                                                                                \
	"3:\tfldcw %[cw]\n\t"
#define X87_EPILOGUE                                                                                              \
	"fnstsw %%ax\n\t"                                                                                         \
	"movw %%ax, %[sw]\n\t"                                                                                    \
	"testb $0xff, %%al\n\t"                                                                                   \
	"jz 1f\n\t"                                                                                               \
	"fnclex\n"                                                                                                \
	"1:\tshr $11, %%eax\n\t"                                                                                   \
	"neg %%eax\n\t"                                                                                           \
	"and $7, %%eax\n\t"                                                                                       \
	"movw %%ax, %[depth]\n\t"                                                                                 \
	"jz 2f\n\t"                                                                                               \
	"fstpt (%[x])\n\t"                                                                                        \
	"dec %%eax\n\t"                                                                                           \
	"jz 2f\n\t"                                                                                               \
	"fstpt 16(%[x])\n\t"                                                                                      \
	"dec %%eax\n\t"                                                                                           \
	"jz 2f\n\t"                                                                                               \
	"fstpt 32(%[x])\n"                                                                                        \
	"2:\tfldcw %[host]"

#define HOST_X87(name, loads, insn)                                                                               \
	void host_##name(struct fp_x87 *x)                                                                          \
	{                                                                                                         \
		uint16_t host;                                                                                    \
		__asm__ volatile(X87_PROLOGUE loads insn "\n\t" X87_EPILOGUE                                      \
				 : [host] "=m"(host), [sw] "=m"(x->sw), [depth] "=m"(x->depth),                   \
				   [mem] "+m"(x->mem), [eflags] "=m"(x->eflags)                                   \
				 : [x] "r"(x), [cw] "m"(x->cw)                                                    \
				 : "rax", "cc", "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",      \
				   "st(6)", "st(7)");                                                             \
	}

#define LOAD_1 "fldt (%[x])\n\t"
#define LOAD_2 "fldt 16(%[x])\n\tfldt (%[x])\n\t"

#define HOST_ARITH(op)                                                                                            \
	HOST_X87(f##op##_m32, LOAD_1, "f" #op "s %[mem]")                                                         \
	HOST_X87(f##op##_m64, LOAD_1, "f" #op "l %[mem]")                                                         \
	HOST_X87(fi##op##_m16, LOAD_1, "fi" #op "s %[mem]")                                                       \
	HOST_X87(fi##op##_m32, LOAD_1, "fi" #op "l %[mem]")
HOST_ARITH(add)
HOST_ARITH(mul)
HOST_ARITH(sub)
HOST_ARITH(subr)
HOST_ARITH(div)
HOST_ARITH(divr)
HOST_ARITH(com)

/*
 * Register forms are given as opcodes: AT&T assemblers have swapped FSUB and FSUBR, FDIV and FDIVR with a
 * destination of ST(i) ever since. D8 /r computes into ST0, DC /r into ST(i).
 */
#define HOST_OPCODE(name, loads, bytes) HOST_X87(name, loads, ".byte " bytes)
HOST_OPCODE(fadd, LOAD_2, "0xd8, 0xc1")
HOST_OPCODE(fmul, LOAD_2, "0xd8, 0xc9")
HOST_OPCODE(fcom, LOAD_2, "0xd8, 0xd1")
HOST_OPCODE(fsub, LOAD_2, "0xd8, 0xe1")
HOST_OPCODE(fsubr, LOAD_2, "0xd8, 0xe9")
HOST_OPCODE(fdiv, LOAD_2, "0xd8, 0xf1")
HOST_OPCODE(fdivr, LOAD_2, "0xd8, 0xf9")
HOST_OPCODE(fadd_rev, LOAD_2, "0xdc, 0xc1")
HOST_OPCODE(fmul_rev, LOAD_2, "0xdc, 0xc9")
HOST_OPCODE(fsubr_rev, LOAD_2, "0xdc, 0xe1")
HOST_OPCODE(fsub_rev, LOAD_2, "0xdc, 0xe9")
HOST_OPCODE(fdivr_rev, LOAD_2, "0xdc, 0xf1")
HOST_OPCODE(fdiv_rev, LOAD_2, "0xdc, 0xf9")

#define SAVE_EFLAGS "\n\tlahf\n\tmovzbl %%ah, %%eax\n\tmovw %%ax, %[eflags]"
HOST_X87(fucom, LOAD_2, "fucom %%st(1)")
HOST_X87(fcomi, LOAD_2, "fcomi %%st(1), %%st" SAVE_EFLAGS)
HOST_X87(fucomi, LOAD_2, "fucomi %%st(1), %%st" SAVE_EFLAGS)
HOST_X87(ftst, LOAD_1, "ftst")
HOST_X87(fxam, LOAD_1, "fxam")

#define HOST_UNARY(name) HOST_X87(name, LOAD_1, #name)
#define HOST_BINARY(name) HOST_X87(name, LOAD_2, #name)
HOST_UNARY(fsqrt)
HOST_UNARY(frndint)
HOST_UNARY(fsin)
HOST_UNARY(fcos)
HOST_UNARY(fsincos)
HOST_UNARY(fptan)
HOST_UNARY(f2xm1)
HOST_UNARY(fxtract)
HOST_BINARY(fpatan)
HOST_BINARY(fyl2x)
HOST_BINARY(fyl2xp1)
HOST_BINARY(fscale)
HOST_BINARY(fprem)
HOST_BINARY(fprem1)

#define HOST_CONSTANT(name) HOST_X87(name, "", #name)
HOST_CONSTANT(fld1)
HOST_CONSTANT(fldl2t)
HOST_CONSTANT(fldl2e)
HOST_CONSTANT(fldpi)
HOST_CONSTANT(fldlg2)
HOST_CONSTANT(fldln2)
HOST_CONSTANT(fldz)

HOST_X87(fld_m32, "", "flds %[mem]")
HOST_X87(fld_m64, "", "fldl %[mem]")
HOST_X87(fild_m16, "", "filds %[mem]")
HOST_X87(fild_m32, "", "fildl %[mem]")
HOST_X87(fild_m64, "", "fildll %[mem]")
HOST_X87(fbld, "", "fbld %[mem]")
HOST_X87(fstp_m32, LOAD_1, "fstps %[mem]")
HOST_X87(fstp_m64, LOAD_1, "fstpl %[mem]")
HOST_X87(fistp_m16, LOAD_1, "fistps %[mem]")
HOST_X87(fistp_m32, LOAD_1, "fistpl %[mem]")
HOST_X87(fistp_m64, LOAD_1, "fistpll %[mem]")
HOST_X87(fisttp_m16, LOAD_1, "fisttps %[mem]")
HOST_X87(fisttp_m32, LOAD_1, "fisttpl %[mem]")
HOST_X87(fisttp_m64, LOAD_1, "fisttpll %[mem]")
HOST_X87(fbstp, LOAD_1, "fbstp %[mem]")
