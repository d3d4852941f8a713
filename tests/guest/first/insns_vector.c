/* SPDX-License-Identifier: MIT */
/*
 * Vector registers. A row finds its operands in registers 0, 1 and 2 (the whole of them that the class has), and leaves its result in
 * register 0. Left out is what processors choose themselves: approximations (RCPPS, RSQRTPS), and whether VREDUCE tells of its inexact
 * first step, which bit 3 of its operand forbids.
 */
#include "insns.h"
#include "print.h"

union vector {
	uint8_t b[64];
	uint16_t w[32];
	uint32_t d[16];
	uint64_t q[8];
};

enum { OPERANDS = 8, MXCSR_DEFAULT = 0x1f80, MXCSR_FLAGS = 0x3f };

/* Noise, from the same start everywhere. */
static uint64_t next_noise(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state ^ *state >> 29;
}

static void fill_integers(union vector v[OPERANDS])
{
	uint64_t state = 1;

	for (unsigned i = 0; i < OPERANDS; i++)
		for (unsigned q = 0; q < 8; q++)
			v[i].q[q] = next_noise(&state);
	for (unsigned b = 0; b < 64; b++) { /* and the edges */
		v[0].b[b] = 0;
		v[1].b[b] = 0xff;
		v[2].b[b] = (uint8_t)(b << 7);
		v[3].b[b] = b % 2 ? 0x7f : 0xff;
	}
}

/* 0, 1, -1.5, 1/3, a denormal, infinity, a quiet and a signalling NaN: by twos, so that wide and narrow elements both make sense. */
static void fill_floats(union vector v[OPERANDS], int is_wide)
{
	static const uint32_t narrow[8] = { 0x80000000, 0x3f800000, 0xbfc00000, 0x3eaaaaab,
					    0x00000123, 0x7f800000, 0x7fc00456, 0x7f800456 };
	static const uint64_t wide[8] = { 1ull << 63, 0x3ff0000000000000, 0xbff8000000000000, 0x3fd5555555555555,
					  0x123,      0x7ff0000000000000, 0x7ff8000000000456, 0x7ff0000000000456 };
	uint64_t state = 2;

	for (unsigned i = 0; i < OPERANDS; i++) {
		for (unsigned e = 0; e < 16; e++) {
			uint64_t noise = next_noise(&state);

			if (is_wide)
				v[i].q[e / 2] = e & 8 ? 0x4000000000000000 | noise >> 8 : wide[(i + e / 2) % 8];
			else
				v[i].d[e] = e & 8 ? 0x40000000 | (uint32_t)noise >> 8 : narrow[(i + e) % 8];
		}
	}
}

static void fold(struct insns_result *r, const union vector *v, unsigned words, uint32_t flags)
{
	r->runs++;
	for (unsigned q = 0; q < words; q++)
		r->sum = sum_add(r->sum, v->q[q]);
	r->sum = sum_add(r->sum, flags);
}

/* `move` loads and stores whole registers called `reg`. */
#define ROW(move, reg, words, text)                                                                               \
	do {                                                                                                      \
		uint32_t before = MXCSR_DEFAULT, after;                                                           \
		union vector out;                                                                                 \
                                                                                                                  \
		__asm__ volatile("ldmxcsr %2\n" move " (%3), " reg "0\n" move " (%4), " reg "1\n"                 \
				 move " (%5), " reg "2\n" text "\n" move " " reg "0, (%6)\nstmxcsr %1\nldmxcsr %2" \
				 : "=m"(out), "=m"(after)                                                         \
				 : "m"(before), "r"(&v[i]), "r"(&v[j]), "r"(&v[i ^ j]), "r"(&out)                  \
				 : "rax", "xmm0", "xmm1", "xmm2", "memory");                                     \
		fold(r, &out, words, after & MXCSR_FLAGS);                                                        \
	} while (0);

#define X(text) ROW("movdqu", "%%xmm", 2, text)
#define SSE(name) X(name " %%xmm1, %%xmm0")
#define Y(text) ROW("vmovdqu", "%%ymm", 4, text)
#define AVX(name) Y(name " %%ymm1, %%ymm2, %%ymm0")
#define Z(text) ROW("vmovdqu64", "%%zmm", 8, text)
#define WIDE(name) Z(name " %%zmm1, %%zmm2, %%zmm0")

#define FOR_ALL_OPERANDS                         \
	for (unsigned i = 0; i < OPERANDS; i++) \
		for (unsigned j = 0; j < OPERANDS; j++)

#define SSE_INTEGER_ROWS \
	SSE("paddb") SSE("paddw") SSE("paddd") SSE("paddq") SSE("psubb") SSE("psubw") SSE("psubd") SSE("psubq") \
	SSE("paddsb") SSE("paddsw") SSE("paddusb") SSE("paddusw") SSE("psubsb") SSE("psubsw") SSE("psubusb") SSE("psubusw") \
	SSE("pmullw") SSE("pmulhw") SSE("pmulhuw") SSE("pmuludq") SSE("pmaddwd") SSE("psadbw") SSE("pavgb") SSE("pavgw") \
	SSE("pminub") SSE("pmaxub") SSE("pminsw") SSE("pmaxsw") SSE("pand") SSE("pandn") SSE("por") SSE("pxor") \
	SSE("pcmpeqb") SSE("pcmpeqw") SSE("pcmpeqd") SSE("pcmpgtb") SSE("pcmpgtw") SSE("pcmpgtd") \
	SSE("packsswb") SSE("packssdw") SSE("packuswb") SSE("punpcklbw") SSE("punpckhwd") SSE("punpckldq") SSE("punpckhqdq") \
	SSE("psllw") SSE("pslld") SSE("psllq") SSE("psrlw") SSE("psrld") SSE("psrlq") SSE("psraw") SSE("psrad") \
	X("psllw $3, %%xmm0") X("psrad $7, %%xmm0") X("psrlq $33, %%xmm0") X("pslldq $5, %%xmm0") X("psrldq $11, %%xmm0") \
	X("pshufd $0x1b, %%xmm1, %%xmm0") X("pshuflw $0x39, %%xmm1, %%xmm0") X("pshufhw $0x4e, %%xmm1, %%xmm0") \
	X("pextrw $6, %%xmm1, %%eax; pinsrw $1, %%eax, %%xmm0") X("pmovmskb %%xmm1, %%eax; movd %%eax, %%xmm0") X("movq %%xmm1, %%xmm0")

void insns_sse_integer(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		SSE_INTEGER_ROWS
	}
}

#define PACKED(name) SSE(name "ps") SSE(name "pd") SSE(name "ss") SSE(name "sd")

#define SSE_FLOAT_ROWS \
	PACKED("add") PACKED("sub") PACKED("mul") PACKED("div") PACKED("sqrt") PACKED("min") PACKED("max") \
	PACKED("cmpeq") PACKED("cmplt") PACKED("cmple") PACKED("cmpunord") PACKED("cmpneq") PACKED("cmpnlt") PACKED("cmpord") \
	SSE("andps") SSE("andnpd") SSE("orps") SSE("xorpd") SSE("unpcklps") SSE("unpckhpd") SSE("movss") SSE("movsd") SSE("movhlps") \
	X("shufps $0xb1, %%xmm1, %%xmm0") X("shufpd $1, %%xmm1, %%xmm0") X("movmskps %%xmm1, %%eax; movd %%eax, %%xmm0") \
	SSE("cvtdq2ps") SSE("cvtdq2pd") SSE("cvtps2dq") SSE("cvttps2dq") SSE("cvtpd2dq") SSE("cvttpd2dq") SSE("cvtps2pd") SSE("cvtpd2ps") \
	SSE("cvtss2sd") SSE("cvtsd2ss") X("cvttsd2si %%xmm1, %%rax; movq %%rax, %%xmm0") X("cvtss2si %%xmm1, %%eax; movd %%eax, %%xmm0") \
	X("movq %%xmm1, %%rax; cvtsi2sd %%rax, %%xmm0") X("movd %%xmm1, %%eax; cvtsi2ss %%eax, %%xmm0") \
	X("ucomisd %%xmm1, %%xmm0; lahf; movd %%eax, %%xmm0; psllq $48, %%xmm0; psrlq $56, %%xmm0")

void insns_sse_float(struct insns_result *r)
{
	union vector v[OPERANDS];

	for (int is_wide = 0; is_wide < 2; is_wide++) {
		fill_floats(v, is_wide);
		FOR_ALL_OPERANDS
		{
			SSE_FLOAT_ROWS
		}
	}
}

#define SSSE3_ROWS \
	SSE("pshufb") SSE("phaddw") SSE("phaddd") SSE("phaddsw") SSE("phsubw") SSE("phsubd") SSE("pmaddubsw") SSE("pmulhrsw") \
	SSE("psignb") SSE("psignw") SSE("psignd") SSE("pabsb") SSE("pabsw") SSE("pabsd") X("palignr $7, %%xmm1, %%xmm0")

void insns_ssse3(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		SSSE3_ROWS
	}
}

#define SSE41_ROWS \
	SSE("pminsb") SSE("pmaxsb") SSE("pminuw") SSE("pmaxuw") SSE("pminsd") SSE("pmaxsd") SSE("pminud") SSE("pmaxud") \
	SSE("pmulld") SSE("pmuldq") SSE("packusdw") SSE("pcmpeqq") SSE("phminposuw") \
	SSE("pmovsxbw") SSE("pmovsxbd") SSE("pmovsxwq") SSE("pmovzxbw") SSE("pmovzxwd") SSE("pmovzxdq") \
	X("mpsadbw $5, %%xmm1, %%xmm0") X("pblendw $0xa5, %%xmm1, %%xmm0") X("pextrq $1, %%xmm1, %%rax; pinsrq $0, %%rax, %%xmm0") \
	X("ptest %%xmm1, %%xmm0; setc %%al; sete %%ah; movzwl %%ax, %%eax; movd %%eax, %%xmm0")

#define SSE41_FLOAT_ROWS \
	X("roundps $0, %%xmm1, %%xmm0") X("roundpd $9, %%xmm1, %%xmm0") X("roundss $2, %%xmm1, %%xmm0") X("insertps $0x9c, %%xmm1, %%xmm0") \
	X("blendps $5, %%xmm1, %%xmm0")

void insns_sse41(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS{ SSE41_ROWS } fill_floats(v, 0);
	FOR_ALL_OPERANDS
	{
		SSE41_FLOAT_ROWS
	}
}

#define AES_ROWS \
	SSE("aesenc") SSE("aesenclast") SSE("aesdec") SSE("aesdeclast") SSE("aesimc") X("aeskeygenassist $0x1b, %%xmm1, %%xmm0")

void insns_aes(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		AES_ROWS
	}
}

/* Implied operand of SHA256RNDS2: XMM0. */
#define SHA_ROWS \
	SSE("sha1nexte") SSE("sha1msg1") SSE("sha1msg2") SSE("sha256msg1") SSE("sha256msg2") X("sha1rnds4 $2, %%xmm1, %%xmm0") \
	X("sha256rnds2 %%xmm0, %%xmm2, %%xmm1; movdqa %%xmm1, %%xmm0")

void insns_sha(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		SHA_ROWS
	}
}

#define AVX_ROWS \
	AVX("vaddps") AVX("vsubpd") AVX("vmulps") AVX("vdivpd") AVX("vminps") AVX("vmaxpd") AVX("vhaddps") AVX("vaddsubpd") \
	AVX("vandps") AVX("vandnpd") AVX("vorps") AVX("vxorpd") AVX("vunpcklps") AVX("vunpckhpd") \
	Y("vsqrtps %%ymm1, %%ymm0") Y("vcmpps $0x11, %%ymm1, %%ymm2, %%ymm0") Y("vcmppd $0x1d, %%ymm1, %%ymm2, %%ymm0") \
	Y("vperm2f128 $0x31, %%ymm1, %%ymm2, %%ymm0") Y("vpermilps $0x1b, %%ymm1, %%ymm0") Y("vshufps $0x72, %%ymm1, %%ymm2, %%ymm0") \
	Y("vblendvps %%ymm0, %%ymm1, %%ymm2, %%ymm0") Y("vroundpd $1, %%ymm1, %%ymm0") Y("vaddss %%xmm1, %%xmm2, %%xmm0") \
	Y("vextractf128 $1, %%ymm1, %%xmm0") Y("vinsertf128 $1, %%xmm1, %%ymm2, %%ymm0") Y("vcvtps2pd %%xmm1, %%ymm0") Y("vcvtpd2ps %%ymm1, %%xmm0")

void insns_avx(struct insns_result *r)
{
	union vector v[OPERANDS];

	for (int is_wide = 0; is_wide < 2; is_wide++) {
		fill_floats(v, is_wide);
		FOR_ALL_OPERANDS
		{
			AVX_ROWS
		}
	}
}

#define FMA_ROWS \
	AVX("vfmadd132ps") AVX("vfmadd213pd") AVX("vfmadd231ps") AVX("vfmsub213ps") AVX("vfnmadd231pd") AVX("vfnmsub132ps") \
	AVX("vfmaddsub213ps") AVX("vfmsubadd231pd") Y("vfmadd213sd %%xmm1, %%xmm2, %%xmm0") Y("vfnmadd132ss %%xmm1, %%xmm2, %%xmm0")

void insns_fma(struct insns_result *r)
{
	union vector v[OPERANDS];

	for (int is_wide = 0; is_wide < 2; is_wide++) {
		fill_floats(v, is_wide);
		FOR_ALL_OPERANDS
		{
			FMA_ROWS
		}
	}
}

#define AVX2_ROWS \
	AVX("vpaddb") AVX("vpsubusw") AVX("vpmulld") AVX("vpmuludq") AVX("vpmaddwd") AVX("vpsadbw") AVX("vpshufb") AVX("vpcmpgtq") \
	AVX("vpackusdw") AVX("vpunpcklbw") AVX("vpsllvd") AVX("vpsrlvq") AVX("vpsravd") AVX("vpermd") AVX("vphaddd") AVX("vpminsb") \
	Y("vpermq $0x93, %%ymm1, %%ymm0") Y("vpalignr $9, %%ymm1, %%ymm2, %%ymm0") Y("vpblendd $0x5a, %%ymm1, %%ymm2, %%ymm0") \
	Y("vpbroadcastb %%xmm1, %%ymm0") Y("vpmovsxbw %%xmm1, %%ymm0") Y("vpmovmskb %%ymm1, %%eax; vmovd %%eax, %%xmm0") \
	Y("vpslldq $3, %%ymm1, %%ymm0") Y("vperm2i128 $0x21, %%ymm1, %%ymm2, %%ymm0")

void insns_avx2(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		AVX2_ROWS
	}
}

#define MASKED(text) Z("vpmovb2m %%zmm1, %%k1; " text)

#define AVX512_ROWS \
	WIDE("vpaddb") WIDE("vpaddq") WIDE("vpmulld") WIDE("vpmullq") WIDE("vpandq") WIDE("vpermd") WIDE("vpermw") WIDE("vprolvd") WIDE("vpsravw") \
	Z("vpternlogd $0x96, %%zmm1, %%zmm2, %%zmm0") Z("vpternlogq $0xe4, %%zmm1, %%zmm2, %%zmm0") Z("vpermi2d %%zmm1, %%zmm2, %%zmm0") \
	MASKED("vpaddd %%zmm1, %%zmm2, %%zmm0%{%%k1%}") MASKED("vpsubb %%zmm1, %%zmm2, %%zmm0%{%%k1%}%{z%}") \
	MASKED("vpcompressd %%zmm2, %%zmm0%{%%k1%}%{z%}") MASKED("vpexpandq %%zmm2, %%zmm0%{%%k1%}") MASKED("vmovdqu16 %%zmm2, %%zmm0%{%%k1%}") \
	MASKED("vpcmpud $1, %%zmm1, %%zmm2, %%k2%{%%k1%}; kmovd %%k2, %%eax; vmovd %%eax, %%xmm0") \
	MASKED("kshiftrq $7, %%k1, %%k2; kxorq %%k1, %%k2, %%k2; kmovq %%k2, %%rax; vmovq %%rax, %%xmm0") \
	Z("vpmovqd %%zmm1, %%ymm0") Z("vpmovusdb %%zmm1, %%xmm0") Z("valignd $5, %%zmm1, %%zmm2, %%zmm0") Z("vshufi64x2 $0x4b, %%zmm1, %%zmm2, %%zmm0")

#define AVX512_FLOAT_ROWS \
	WIDE("vaddps") WIDE("vmulpd") WIDE("vdivps") WIDE("vmaxpd") WIDE("vscalefps") WIDE("vfmadd213ps") WIDE("vfnmsub231pd") \
	Z("vsqrtpd %%zmm1, %%zmm0") Z("vaddps %{rz-sae%}, %%zmm1, %%zmm2, %%zmm0") Z("vdivpd %{ru-sae%}, %%zmm1, %%zmm2, %%zmm0") \
	Z("vgetexpps %%zmm1, %%zmm0") Z("vgetmantpd $4, %%zmm1, %%zmm0") Z("vrndscaleps $0x13, %%zmm1, %%zmm0") Z("vcvttpd2qq %%zmm1, %%zmm0") \
	Z("vcvtuqq2pd %%zmm1, %%zmm0") Z("vcvtps2udq %%zmm1, %%zmm0") Z("vrangepd $2, %%zmm1, %%zmm2, %%zmm0") Z("vreduceps $0x29, %%zmm1, %%zmm0") \
	Z("vfixupimmps $0, %%zmm1, %%zmm2, %%zmm0") MASKED("vsubps %%zmm1, %%zmm2, %%zmm0%{%%k1%}%{z%}") \
	Z("vcmppd $0x1e, %%zmm1, %%zmm2, %%k1; kmovb %%k1, %%eax; vmovd %%eax, %%xmm0") \
	Z("vfpclassps $0x99, %%zmm1, %%k1; kmovw %%k1, %%eax; vmovd %%eax, %%xmm0")

void insns_avx512(struct insns_result *r)
{
	union vector v[OPERANDS];

	fill_integers(v);
	FOR_ALL_OPERANDS
	{
		AVX512_ROWS
	}
	for (int is_wide = 0; is_wide < 2; is_wide++) {
		fill_floats(v, is_wide);
		FOR_ALL_OPERANDS
		{
			AVX512_FLOAT_ROWS
		}
	}
}
