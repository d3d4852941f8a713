/* SPDX-License-Identifier: MIT */
/*
 * Instructions that few processors have, so that tests/silicon can rarely ask one: by the manual, in both tiers. The
 * emulated CPUID does not offer all of them: the decoder is told to know every row.
 */
#include "emu_harness.h"
#include "emu/decode/decode.h"

#include <criterion/criterion.h>
#include <string.h>

static const enum harness_tier tiers[2] = { HARNESS_STEP, HARNESS_BLOCK };

static void start(struct harness *h, enum harness_mode mode, enum harness_tier tier)
{
	harness_init(h, mode, tier);
	decode_init(NULL, NULL);
}

/* The code, and HLT behind it: 0x200 (CPL 0) if nothing faults. */
static int run(struct harness *h, const char *bytes, unsigned count)
{
	uint8_t text[32];

	memcpy(text, bytes, count);
	text[count] = 0xf4;
	h->cpu->activity = CPU_RUNNING; /* from the HLT of the run before */
	harness_code(h, text, count + 1);
	return harness_run(h, 8);
}
#define RUN(h, bytes) run(h, bytes, sizeof(bytes) - 1)

#define BOTH_TIERS(h, mode) for (unsigned tier_ = 0; tier_ < 2; tier_++) for (bool go_ = (start(h, mode, tiers[tier_]), true); go_; go_ = false, harness_fini(h))

/* SDM vol. 2, XBEGIN, XABORT, XTEST, XEND; vol. 1, 16.3.5: each transaction aborts at once, with status 0. */
Test(emu_rare, transactions_abort)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->gpr[RAX] = 0x1122334455667788;
		/* xbegin +1; hlt; mov bl, 5 */
		cr_assert_eq(RUN(&h, "\xc7\xf8\x01\x00\x00\x00\xf4\xb3\x05"), 0x200);
		cr_assert_eq(h.cpu->gpr[RBX] & 0xff, 5);
		cr_assert_eq(h.cpu->gpr[RAX], 0);
		/* xabort is a no-operation outside a transaction */
		cr_assert_eq(RUN(&h, "\xc6\xf8\x12"), 0x200);
		/* xtest */
		harness_set_flags(&h, RFLAGS_FIXED | RFLAGS_CF | RFLAGS_OF | RFLAGS_SF | RFLAGS_PF | RFLAGS_AF);
		cr_assert_eq(RUN(&h, "\x0f\x01\xd6"), 0x200);
		cr_assert_eq(harness_flags(&h) & RFLAGS_ARITH, RFLAGS_ZF);
		/* xend */
		cr_assert_eq(RUN(&h, "\x0f\x01\xd5"), 0x100 | VEC_GP);
		cr_assert_eq(h.cpu->rip, HARNESS_CODE);
	}
	/* In 32-bit code the target is checked against the segment's limit: #GP, and EAX is kept. */
	BOTH_TIERS(&h, HARNESS_PROT32)
	{
		h.cpu->gpr[RAX] = 7;
		h.cpu->seg[SEG_CS].limit = 0x1ffff;
		cr_assert_eq(RUN(&h, "\xc7\xf8\x00\x00\x10\x00"), 0x100 | VEC_GP);
		cr_assert_eq(h.cpu->gpr[RAX], 7);
	}
}

/* SDM vol. 2, MOVDIRI: a store of a doubleword or quadword, at any alignment. */
Test(emu_rare, movdiri)
{
	struct harness h;
	uint64_t v;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->gpr[RSI] = HARNESS_DATA + 3;
		h.cpu->gpr[RAX] = 0x8877665544332211;
		cr_assert_eq(RUN(&h, "\x0f\x38\xf9\x06"), 0x200);
		memcpy(&v, h.ram + HARNESS_DATA + 3, 8);
		cr_assert_eq(v, 0x44332211);
		cr_assert_eq(RUN(&h, "\x48\x0f\x38\xf9\x06"), 0x200);
		memcpy(&v, h.ram + HARNESS_DATA + 3, 8);
		cr_assert_eq(v, 0x8877665544332211);
	}
}

/* SDM vol. 2, MOVDIR64B: the destination is ES:reg in the address size, and aligned to 64; the source need not be. */
Test(emu_rare, movdir64b)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		for (unsigned n = 0; n < 64; n++)
			h.ram[HARNESS_DATA + 5 + n] = (uint8_t)(n + 1);
		h.cpu->gpr[RSI] = HARNESS_DATA + 5;
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x100;
		cr_assert_eq(RUN(&h, "\x66\x0f\x38\xf8\x3e"), 0x200);
		cr_assert_arr_eq(h.ram + HARNESS_DATA + 0x100, h.ram + HARNESS_DATA + 5, 64);
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x220;
		cr_assert_eq(RUN(&h, "\x66\x0f\x38\xf8\x3e"), 0x100 | VEC_GP);
		cr_assert_eq(h.ram[HARNESS_DATA + 0x220], 0);
		/* With 67 only the low half of both registers counts. */
		h.cpu->gpr[RDI] = 0xabcd00000000 + HARNESS_DATA + 0x300;
		cr_assert_eq(RUN(&h, "\x67\x66\x0f\x38\xf8\x3e"), 0x200);
		cr_assert_eq(h.ram[HARNESS_DATA + 0x33f], 64);
		/* A destination that cannot be written is told as such. */
		*harness_pte(&h, HARNESS_DATA + 0x1000) &= ~1ull;
		harness_sync(&h);
		h.cpu->gpr[RDI] = HARNESS_DATA + 0x1000;
		cr_assert_eq(RUN(&h, "\x66\x0f\x38\xf8\x3e"), 0x100 | VEC_PF);
		cr_assert_eq(h.fault.error & 2, 2);
	}
}

/* SDM vol. 2, MONITOR and MWAIT: CPL 0 only; ECX must be zero; the address is read. MWAIT may end for any reason. */
Test(emu_rare, monitor_and_mwait)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->gpr[RAX] = HARNESS_DATA;
		h.cpu->gpr[RCX] = 0;
		cr_assert_eq(RUN(&h, "\x0f\x01\xc8\x0f\x01\xc9"), 0x200);
		h.cpu->gpr[RCX] = 1;
		cr_assert_eq(RUN(&h, "\x0f\x01\xc8"), 0x100 | VEC_GP);
		cr_assert_eq(RUN(&h, "\x0f\x01\xc9"), 0x200); /* break on masked interrupts, too */
		h.cpu->gpr[RCX] = 2;
		cr_assert_eq(RUN(&h, "\x0f\x01\xc9"), 0x100 | VEC_GP);
		h.cpu->gpr[RCX] = 0;
		h.cpu->gpr[RAX] = 0x123456789000;
		cr_assert_eq(RUN(&h, "\x0f\x01\xc8"), 0x100 | VEC_PF);
		cr_assert_eq(h.fault.cr2, 0x123456789000);
	}
	BOTH_TIERS(&h, HARNESS_LONG_USER)
	{
		cr_assert_eq(RUN(&h, "\x0f\x01\xc8"), 0x100 | VEC_UD);
		cr_assert_eq(RUN(&h, "\x0f\x01\xc9"), 0x100 | VEC_UD);
	}
}

/* SDM vol. 2, CLDEMOTE never faults; SERIALIZE; WBNOINVD is for CPL 0. */
Test(emu_rare, without_effect)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->gpr[RSI] = 0x7fff00000000;
		cr_assert_eq(RUN(&h, "\x0f\x1c\x06"), 0x200);
		cr_assert_eq(RUN(&h, "\x0f\x01\xe8"), 0x200);
		cr_assert_eq(RUN(&h, "\xf3\x0f\x09"), 0x200);
	}
	BOTH_TIERS(&h, HARNESS_LONG_USER)
	cr_assert_eq(RUN(&h, "\xf3\x0f\x09"), 0x100 | VEC_GP);
}

/* AMD64 APM vol. 4, EXTRQ and INSERTQ: length and index from immediates or from the low and high quadword. */
Test(emu_rare, sse4a)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->vec[1].u64[0] = 0x123456789abcdef0;
		cr_assert_eq(RUN(&h, "\x66\x0f\x78\xc1\x0c\x08"), 0x200); /* extrq xmm1, 12, 8 */
		cr_assert_eq(h.cpu->vec[1].u64[0], 0xcde);
		h.cpu->vec[1].u64[0] = 0x123456789abcdef0;
		h.cpu->vec[2].u64[0] = 0x0408; /* 8 bits from 4 */
		cr_assert_eq(RUN(&h, "\x66\x0f\x79\xca"), 0x200);
		cr_assert_eq(h.cpu->vec[1].u64[0], 0xef);
		h.cpu->vec[1].u64[0] = UINT64_MAX;
		h.cpu->vec[2].u64[0] = 0xa5;
		cr_assert_eq(RUN(&h, "\xf2\x0f\x78\xca\x08\x10"), 0x200); /* insertq xmm1, xmm2, 8, 16 */
		cr_assert_eq(h.cpu->vec[1].u64[0], 0xffffffffffa5ffff);
		h.cpu->vec[1].u64[0] = 0;
		h.cpu->vec[2].u64[0] = 0xff77;
		h.cpu->vec[2].u64[1] = 0x2008; /* 8 bits at 32 */
		cr_assert_eq(RUN(&h, "\xf2\x0f\x79\xca"), 0x200);
		cr_assert_eq(h.cpu->vec[1].u64[0], 0x7700000000);
	}
}

/* System instructions that only a kernel runs, as instructions: what they load comes back from their counterparts. */
Test(emu_rare, descriptor_table_registers)
{
	struct harness h;
	uint64_t v;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		const uint64_t ldt[2] = { 0x0000820050000fff, 0 };

		memcpy(h.ram + HARNESS_GDT + 0x50, ldt, 16);
		h.cpu->gdtr.limit = 0x7f;
		h.cpu->gpr[RAX] = 0x50;
		cr_assert_eq(RUN(&h, "\x0f\x00\xd0\x0f\x00\xc3\x0f\x00\xc9"), 0x200); /* lldt ax; sldt ebx; str ecx */
		cr_assert_eq(h.cpu->gpr[RBX], 0x50);
		cr_assert_eq(h.cpu->gpr[RCX], 0x40);
		cr_assert_eq(h.cpu->ldtr.base, 0x5000);
		cr_assert_eq(h.cpu->ldtr.limit, 0xfff);
		memcpy(h.ram + HARNESS_DATA, "\xff\x0f\x00\x30\x00\x00\x00\x00\x00\x00", 10);
		h.cpu->gpr[RSI] = HARNESS_DATA;
		h.cpu->gpr[RDI] = HARNESS_DATA + 64;
		cr_assert_eq(RUN(&h, "\x0f\x01\x1e\x0f\x01\x0f"), 0x200); /* lidt [rsi]; sidt [rdi] */
		for (unsigned n = 0; n < 10; n++)
			cr_assert_eq(h.ram[HARNESS_DATA + n], h.ram[HARNESS_DATA + 64 + n], "byte %u: %x %x", n,
				     h.ram[HARNESS_DATA + n], h.ram[HARNESS_DATA + 64 + n]);
		memcpy(&v, h.ram + HARNESS_DATA + 66, 8);
		cr_assert_eq(v, 0x3000);
	}
}

Test(emu_rare, control_registers_and_caches)
{
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->cr0 |= CR0_TS;
		cr_assert_eq(RUN(&h, "\x0f\x06\x0f\x01\xe0"), 0x200); /* clts; smsw eax */
		cr_assert_eq(h.cpu->cr0 & CR0_TS, 0);
		cr_assert_eq(h.cpu->gpr[RAX] & 0xffff, h.cpu->cr0 & 0xffff);
		cr_assert_eq(RUN(&h, "\x0f\x08\x0f\x09"), 0x200); /* invd; wbinvd */
		/* Without CR4.PKE there are no protection keys. */
		cr_assert_eq(RUN(&h, "\x0f\x01\xee"), 0x100 | VEC_UD);
		cr_assert_eq(RUN(&h, "\x0f\x01\xef"), 0x100 | VEC_UD);
		h.cpu->gpr[RAX] = 0x12345678;
		h.cpu->gpr[RDX] = 0;
		h.cpu->gpr[RCX] = 0xc0000103;				  /* IA32_TSC_AUX */
		cr_assert_eq(RUN(&h, "\x0f\x30\x31\xc0\x0f\x32"), 0x200); /* wrmsr; xor eax, eax; rdmsr */
		cr_assert_eq(h.cpu->gpr[RAX], 0x12345678);
		h.cpu->gpr[RAX] = 0;
		h.cpu->gpr[RCX] = 0;
		cr_assert_eq(RUN(&h, "\x0f\xa2"), 0x200);  /* cpuid */
		cr_assert_eq(h.cpu->gpr[RBX], 0x756e6547); /* "Genu" */
		cr_assert_eq(h.cpu->gpr[RDX], 0x49656e69);
		cr_assert_eq(h.cpu->gpr[RCX], 0x6c65746e);
	}
	BOTH_TIERS(&h, HARNESS_PROT32)
	{
		harness_set_flags(&h, RFLAGS_FIXED);
		cr_assert_eq(RUN(&h, "\xce"), 0x200); /* into without OF */
	}
}

/* SDM vol. 1, 13.11 and 13.12: what XSAVES has saved in the compacted form, XRSTORS brings back. */
Test(emu_rare, xsaves_and_xrstors)
{
	struct harness h;
	uint64_t header[2];

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->cr4 |= CR4_OSXSAVE;
		h.cpu->xcr0 = 3;
		harness_sync(&h);
		h.cpu->vec[3].u64[0] = 0x1122334455667788;
		h.cpu->gpr[RAX] = 3;
		h.cpu->gpr[RDX] = 0;
		h.cpu->gpr[RSI] = HARNESS_DATA;
		cr_assert_eq(RUN(&h, "\x48\x0f\xc7\x2e"), 0x200);
		memcpy(header, h.ram + HARNESS_DATA + 512, 16);
		cr_assert_eq(header[1], 1ull << 63 | 3);
		h.cpu->vec[3].u64[0] = 0;
		cr_assert_eq(RUN(&h, "\x48\x0f\xc7\x1e"), 0x200);
		cr_assert_eq(h.cpu->vec[3].u64[0], 0x1122334455667788);
	}
}

/* SDM vol. 2, VPDPBUSD ff.: four products of bytes, or two of words, added to each doubleword; the S forms saturate. */
Test(emu_rare, vnni)
{
	static const struct {
		const char *text;
		uint32_t start, expected;
	} cases[] = {
		{ "\xc4\xe2\x71\x50\xc2", 100, 100 + 4 * 0x7f * 3 },
		{ "\xc4\xe2\x71\x51\xc2", INT32_MAX - 5, INT32_MAX },
		{ "\xc4\xe2\x71\x52\xc2", 7, 7 + 2 * 0x7f7f * 0x0303 },
		{ "\xc4\xe2\x71\x53\xc2", INT32_MAX - 5, INT32_MAX },
	};
	struct harness h;

	BOTH_TIERS(&h, HARNESS_LONG)
	{
		h.cpu->cr4 |= CR4_OSXSAVE;
		h.cpu->xcr0 = 7;
		harness_sync(&h);
		for (unsigned n = 0; n < 4; n++) {
			memset(&h.cpu->vec[1], 0x7f, 16);
			memset(&h.cpu->vec[2], 3, 16);
			for (unsigned k = 0; k < 4; k++)
				h.cpu->vec[0].u32[k] = cases[n].start;
			cr_assert_eq(run(&h, cases[n].text, 5), 0x200);
			for (unsigned k = 0; k < 4; k++)
				cr_assert_eq(h.cpu->vec[0].u32[k], cases[n].expected, "case %u", n);
		}
	}
}

/* What the emulated CPUID does not offer is #UD: the decoder as the engine sets it up. */
Test(emu_rare, hidden_rows_are_undefined)
{
	static const struct {
		const char *text;
		unsigned count;
	} hidden[] = { { "\xc7\xf8\x00\x00\x00\x00", 6 }, { "\x0f\x01\xd6", 3 }, { "\x66\x0f\x79\xca", 4 } };
	struct harness h;

	harness_init(&h, HARNESS_LONG, HARNESS_STEP);
	for (unsigned n = 0; n < sizeof(hidden) / sizeof(hidden[0]); n++)
		cr_assert_eq(run(&h, hidden[n].text, hidden[n].count), 0x100 | VEC_UD);
	harness_fini(&h);
}
