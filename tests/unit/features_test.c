/* SPDX-License-Identifier: MIT */
/* The table of processor features and the models made of it: closure, words, and that CPUID, the decoder, CR4, XCR0 and
 * MSRs all say the same. */
#include "emu_harness.h"
#include "emu/decode/decode.h"
#include "emu/run/engine_emu.h"
#include "emu/isa/isa.h"
#include "emu/core/machine.h"
#include "emu/model/features.h"
#include "emu/sem/fp/fp.h"
#include "emu/sem/sys/internal.h"
#include "vmm/kvm/kvm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static char error[CPU_MODEL_ERROR_MAX];

#define EACH_FEATURE(f) (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)

static struct cpu_model parse(const char *text)
{
	struct cpu_model m = { .base = CPU_BASES };

	error[0] = 0;
	cr_expect_eq(cpu_model_parse(&m, text, error), 0, "%s: %s", text, error);
	return m;
}

static void expect_error(const char *text, const char *part)
{
	struct cpu_model m;

	error[0] = 0;
	cr_expect_eq(cpu_model_parse(&m, text, error), -EINVAL, "%s", text);
	cr_expect(strstr(error, part), "%s: error is '%s', should speak of '%s'", text, error, part);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* No bit is claimed twice, names are told apart, and both ends of every arrow exist. */
Test(features, rows_are_distinct)
{
	for
		EACH_FEATURE(f)
		{
			const struct cpu_feature_row *a = &cpu_features[f];

			cr_expect(a->name && a->help && a->bit < 32 && a->reg < 4, "row %u", f);
			cr_expect_eq(cpu_feature_find(a->name, strlen(a->name)), f, "%s", a->name);
			for (unsigned g = f + 1; g < CPUF_COUNT; g++) {
				const struct cpu_feature_row *b = &cpu_features[g];

				cr_expect_str_neq(a->name, b->name);
				cr_expect_not(a->leaf == b->leaf && a->subleaf == b->subleaf && a->reg == b->reg &&
						      a->bit == b->bit,
					      "%s and %s", a->name, b->name);
				cr_expect(a->isa == FEAT_BASE || a->isa != b->isa, "%s and %s", a->name, b->name);
			}
		}
}

Test(features, every_feature_of_the_instruction_table_has_a_row)
{
	for (unsigned n = FEAT_BASE + 1; n < FEAT_COUNT; n++) {
		unsigned rows = 0;

		for
			EACH_FEATURE(f)
		rows += cpu_features[f].isa == n;
		cr_expect_eq(rows, 1, "isa feature %u has %u rows", n, rows);
	}
}

/* A feature of a level needs nothing beyond that level: a model is closed without help. */
Test(features, levels_are_closed)
{
	for
		EACH_FEATURE(f)
		{
			for (unsigned n = 0; n < 2; n++) {
				unsigned need = cpu_features[f].needs[n];

				cr_expect(need == CPUF_NONE || cpu_features[need].level <= cpu_features[f].level, "%s needs %s",
					  cpu_features[f].name, cpu_features[need].name);
			}
		}
}

/* The psABI's table of micro-architecture levels ("System V ABI, AMD64 supplement", 3.1.1), in Linux's names. */
Test(features, psabi_levels)
{
	static const struct {
		const char *model, *features[12];
	} levels[] = {
		{ "x86-64-v2", { "cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2" } },
		{ "x86-64-v2", { "cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3" } },
		{ "x86-64-v3", { "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave" } },
		{ "x86-64-v4", { "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl" } },
	};
	static const char *const not_v2[] = { "avx", "aes", "movbe", "xsave", "rdrand", "sha_ni", "bmi1", "abm", "adx" };
	static const char *const not_v3[] = { "avx512f", "aes", "rdrand", "sha_ni", "adx", "vaes", "xsavec" };
	const struct cpu_model v2 = parse("x86-64-v2"), v3 = parse("x86-64-v3");

	for (unsigned n = 0; n < sizeof(levels) / sizeof(levels[0]); n++) {
		const struct cpu_model m = parse(levels[n].model);

		for (unsigned k = 0; k < 12 && levels[n].features[k]; k++)
			cr_expect(cpu_has(&m.wanted, cpu_feature_find(levels[n].features[k], strlen(levels[n].features[k]))),
				  "%s: %s", levels[n].model, levels[n].features[k]);
	}
	for (unsigned n = 0; n < sizeof(not_v2) / sizeof(not_v2[0]); n++)
		cr_expect_not(cpu_has(&v2.possible, cpu_feature_find(not_v2[n], strlen(not_v2[n]))), "v2: %s", not_v2[n]);
	for (unsigned n = 0; n < sizeof(not_v3) / sizeof(not_v3[0]); n++)
		cr_expect_not(cpu_has(&v3.possible, cpu_feature_find(not_v3[n], strlen(not_v3[n]))), "v3: %s", not_v3[n]);
}

/* ---- words ------------------------------------------------------------------------------------------------------- */

static void expect_has(const struct cpu_feature_set *s, const char *names, bool wanted)
{
	while (*names) {
		size_t len = strcspn(names, " ");
		enum cpu_feature f = cpu_feature_find(names, len);

		cr_expect(f != CPUF_NONE && cpu_has(s, f) == wanted, "%.*s", (int)len, names);
		names += len + (names[len] == ' ');
	}
}

Test(features, what_is_turned_off_takes_away_what_needs_it)
{
	const struct cpu_model no_avx = parse("max,-avx"), no_512 = parse("max,avx512f=off"), no_xsave = parse("max,-xsave");

	expect_has(&no_avx.possible,
		   "avx avx2 fma f16c vaes vpclmulqdq avx_vnni avx512f avx512cd avx512bw avx512dq avx512vl "
		   "avx512ifma avx512vbmi avx512_vbmi2 avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_bf16 avx512_fp16",
		   false);
	expect_has(&no_avx.possible, "xsave aes pclmulqdq sse4_2 bmi1 bmi2", true);
	expect_has(&no_512.possible,
		   "avx512f avx512cd avx512bw avx512dq avx512vl avx512ifma avx512vbmi avx512_vbmi2 "
		   "avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_bf16 avx512_fp16",
		   false);
	expect_has(&no_512.possible, "avx avx2 fma vaes vpclmulqdq", true);
	expect_has(&no_xsave.possible, "xsaveopt xsavec xsaves xgetbv1 avx pku", false);
}

Test(features, what_is_turned_on_brings_what_it_needs)
{
	const struct cpu_model m = parse("x86-64-v2,+vaes,sha=on");

	expect_has(&m.wanted, "vaes aes avx xsave sha_ni sse4_2", true);
	expect_has(&m.possible, "avx2 fma", false);
}

Test(features, names_of_others)
{
	const struct cpu_model m = parse("x86-64-v2,-SSE4.2,+lzcnt"), n = parse("x86-64-v2,+AVX512-VBMI2,SHA=on");

	expect_has(&m.possible, "sse4_2", false);
	expect_has(&m.wanted, "abm", true);
	expect_has(&n.wanted, "avx512_vbmi2 avx512bw sha_ni", true);
}

Test(features, bad_words_are_named)
{
	expect_error("", "unknown model");
	expect_error("v3", "x86-64-v3");
	expect_error("max,+axv2", "near it: avx, avx2");
	expect_error("max,+avx512", "avx512f");
	expect_error("max,+nonsense", "--cpu help");
	expect_error("max,avx", "avx=on");
	expect_error("max,", "turned on or off");
	expect_error("max,=on", "turned on or off");
	expect_error("max,avx=yes", "turned on or off");
	expect_error("max,+avx,-avx", "avx is turned on and off");
	expect_error("max,-avx,+avx2", "avx2 needs avx, which is turned off");
	expect_error("x86-64-v2,-xsave,+vaes", "vaes needs xsave");
	expect_error("x86-64-v2,-sse4.2,+avx512_vbmi2", "needs sse4_2");
	expect_error("max,-sse2", "every x86-64 processor has it");
}

/* Whatever is written, nothing is written beyond the message. */
Test(features, long_words)
{
	char text[CPU_MODEL_TEXT_MAX + 2];

	for (unsigned n = 1; n < sizeof(text); n++) {
		struct cpu_model m;

		memset(text, 'a', n);
		memcpy(text, "max,+", n < 5 ? n : 5);
		text[n] = 0;
		cr_expect(n == 3 || cpu_model_parse(&m, text, error) == -EINVAL);
		cr_expect_lt(strlen(error), sizeof(error));
	}
}

Test(features, what_an_engine_lacks_is_named)
{
	const struct cpu_model v3 = parse("x86-64-v3"), max = parse("max");
	struct cpu_feature_set have = cpu_emulated(), out;

	cpu_remove(&have, CPUF_FMA);
	cr_expect_eq(cpu_model_resolve(&v3, &have, "it", &out, error), -ENOTSUP);
	cr_expect_str_eq(error, "it does not have fma");
	cr_expect_eq(cpu_model_resolve(&max, &have, "it", &out, error), 0);
	expect_has(&out, "fma", false);
	expect_has(&out, "avx2", true);
}

/* ---- the emulator agrees with it --------------------------------------------------------------------------------- */

/* A machine with exactly these features; decode() follows it. */
static struct harness made;

static struct engine *machine(const struct cpu_feature_set *features)
{
	const struct cpu_model model = { .base = CPU_BASE_V2, .possible = *features };

	harness_create(&made, 0x10000, HARNESS_BLOCK, &model);
	return made.engine;
}

static struct cpu_feature_set all_but(unsigned feature)
{
	struct cpu_feature_set s = cpu_emulated();

	cpu_remove(&s, feature);
	cpu_drop_unmet(&s);
	return s;
}

Test(features, cpuid_shows_exactly_the_model)
{
	for
		EACH_FEATURE(off)
		{
			const struct cpu_feature_set s = all_but(off);
			struct cpu_feature_set told;
			struct engine *engine = machine(&s);
			struct emu *e = engine_emu_vcpu(engine, 0);

			engine_emu.features(engine, &told);
		for
			EACH_FEATURE(f)
			{
				const struct cpu_feature_row *row = &cpu_features[f];
				uint32_t reg = cpuid_read(e, row->leaf, row->subleaf).r[row->reg];

				cr_expect_eq(reg >> row->bit & 1, cpu_has(&told, f), "without %s: %s", cpu_features[off].name,
					     row->name);
				cr_expect(cpu_has(&s, f) || !cpu_has(&told, f));
				if (row->isa != FEAT_BASE)
					cr_expect_eq(emu_has_feature(e, row->isa), cpu_has(&told, f), "%s", row->name);
			}
		cr_expect_eq(cr4_supported(e), cpu_cr4_bits(&told) | CR4_PCE);
		cr_expect_eq(cpuid_read(e, 0xd, 0).r[0], cpu_xcr0_bits(&told) & EMU_XCR0_SUPPORTED);
		cr_expect_eq(cpuid_read(e, 0xd, 0).r[2],
			     cpu_has(&told, CPUF_XSAVE) ? xsave_size(sys_xcr0_supported(e), false) : 0);
		cr_expect_eq(cpuid_read(e, 0xd, 2).r[0], cpu_has(&told, CPUF_AVX) ? 256 : 0);
		cr_expect_eq(cpuid_read(e, 0xd, 6).r[0], cpu_has(&told, CPUF_AVX512F) ? 512 : 0);
		harness_fini(&made);
		}
}

/* A page of 1 GiB where CPUID has none: PS is reserved in that entry (SDM vol. 3, table 4-16). */
Test(features, huge_pages_come_and_go)
{
	const uint64_t pml4e = 0x2003, pdpte = 0x83, expected = 0x1122334455667788;

	for (unsigned with = 0; with < 2; with++) {
		const struct cpu_feature_set s = with ? cpu_emulated() : all_but(CPUF_PDPE1GB);
		struct engine *engine = machine(&s);
		struct emu *e = engine_emu_vcpu(engine, 0);
		uint64_t v = 0;
		struct cpu c;

		memcpy(made.ram + 0x1000, &pml4e, 8);
		memcpy(made.ram + 0x2000, &pdpte, 8);
		memcpy(made.ram + 0x3000, &expected, 8);
		engine_emu.get_state(engine, 0, &c);
		c.cr0 |= CR0_PE | CR0_PG;
		c.cr3 = 0x1000;
		c.cr4 |= CR4_PAE;
		c.msr.efer |= EFER_LME | EFER_LMA;
		c.seg[SEG_CS].attr |= SEG_ATTR_L;
		engine_emu.set_state(engine, 0, &c);
		cr_expect_eq(emu_read(e, SEG_DS, 0x3000, &v, 8), with ? 0 : EMU_STOP);
		if (with)
			cr_expect_eq(v, expected);
		else
			cr_expect(e->fault.vector == VEC_PF && e->fault.error == 9, "P and RSVD");
		harness_fini(&made);
	}
}

/* ---- the decoder's gates ------------------------------------------------------------------------------------------ */

/* Vectors of 128 and 256 bits in the EVEX maps are a feature of their own. */
Test(features, short_evex_forms_need_avx512vl)
{
	static const uint8_t vpaddd[3][6] = {
		{ 0x62, 0xf1, 0x7d, 0x08, 0xfe, 0xc0 },
		{ 0x62, 0xf1, 0x7d, 0x28, 0xfe, 0xc0 },
		{ 0x62, 0xf1, 0x7d, 0x48, 0xfe, 0xc0 },
	};

	for (unsigned with = 0; with < 2; with++) {
		const struct cpu_feature_set s = with ? cpu_emulated() : all_but(CPUF_AVX512VL);
		struct insn i;

		machine(&s);
		for (unsigned n = 0; n < 3; n++)
			cr_expect_eq(decode(vpaddd[n], 6, 8, &i), with || n == 2 ? DECODE_OK : DECODE_UD, "VL %u, %u bits", with,
				     128 << n);
		harness_fini(&made);
	}
}

/* ---- KVM ------------------------------------------------------------------------------------------------------------ */

struct answer {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entry[17];
};

/* What KVM_GET_SUPPORTED_CPUID says on a processor that has everything, bits that the table does not know included. */
static void all_ones(struct answer *a)
{
	static const uint32_t leaves[][2] = {
		{ 0, 0 },	   { 1, 0 },	      { 6, 0 },	  { 7, 0 },	     { 7, 1 },		{ 7, 2 },
		{ 0xd, 0 },	   { 0xd, 1 },	      { 0xd, 2 }, { 0xd, 5 },	     { 0xd, 9 },	{ 0x80000001, 0 },
		{ 0x80000007, 0 }, { 0x80000008, 0 }, { 0xb, 0 }, { 0x40000000, 0 }, { 0x40000001, 0 },
	};

	memset(a, 0, sizeof(*a));
	a->head.nent = sizeof(leaves) / sizeof(leaves[0]);
	for (unsigned n = 0; n < a->head.nent; n++)
		a->entry[n] = (struct kvm_cpuid_entry2){
			.function = leaves[n][0], .index = leaves[n][1], .eax = ~0u, .ebx = ~0u, .ecx = ~0u, .edx = ~0u
		};
	a->entry[7].eax = 0x1f, a->entry[7].edx = 0;
	a->entry[8] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 2, .eax = 256, .ebx = 576 };
	a->entry[9] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 5, .eax = 64, .ebx = 1088 };
	a->entry[10] = (struct kvm_cpuid_entry2){ .function = 0xd, .index = 9, .eax = 8, .ebx = 2688 };
	a->entry[6].eax = 0x2e7, a->entry[6].ecx = 2696, a->entry[6].edx = 0;
}

static const struct kvm_cpuid_entry2 *leaf(const struct answer *a, uint32_t function, uint32_t index)
{
	for (unsigned n = 0; n < a->head.nent; n++)
		if (a->entry[n].function == function && a->entry[n].index == index)
			return &a->entry[n];
	cr_expect_fail("leaf %#x.%u", function, index);
	return &a->entry[0];
}

static struct cpu_feature_set apply(struct answer *a, const char *model)
{
	const struct cpu_model m = parse(model);
	struct cpu_feature_set out;

	all_ones(a);
	cr_expect_eq(kvm_model_apply(&m, &a->head, &out, error), 0, "%s: %s", model, error);
	return out;
}

Test(features, kvm_host_is_untouched)
{
	struct answer a, b;
	struct cpu_feature_set s = apply(&a, "host");

	all_ones(&b);
	b.entry[16].eax = leaf(&a, 0x40000001, 0)->eax; /* kvm_aids */
	cr_expect_eq(memcmp(&a, &b, sizeof(a)), 0);
	for
		EACH_FEATURE(f)
	cr_expect(cpu_has(&s, f), "%s", cpu_features[f].name);
}

Test(features, kvm_less_something)
{
	struct answer a;

	apply(&a, "host,-avx512f,-pku");
	cr_expect_eq(leaf(&a, 7, 0)->ebx, ~(1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31));
	cr_expect_not(leaf(&a, 7, 0)->ecx & 1u << 3);
	cr_expect(leaf(&a, 7, 0)->ecx & 1u << 31, "bits that the table does not know stay");
	cr_expect_not(leaf(&a, 7, 1)->eax & 1u << 5, "AVX512_BF16 needs AVX512F");
	cr_expect_eq(leaf(&a, 0xd, 0)->eax, 7);
	cr_expect_eq(leaf(&a, 0xd, 0)->ecx, 832);
	cr_expect_eq(leaf(&a, 0xd, 5)->eax, 0);
	cr_expect_eq(leaf(&a, 0xd, 9)->eax, 0);
}

/* Whole leaves go with what brought them. */
Test(features, kvm_leaves)
{
	struct answer a;

	apply(&a, "host,-avx512f");
	cr_expect_eq(leaf(&a, 0xb, 0)->ebx, ~0u);
	cr_expect_eq(leaf(&a, 0x40000000, 0)->ebx, ~0u);
	apply(&a, "host,-x2apic,-hypervisor,-xsave");
	cr_expect_eq(leaf(&a, 0xb, 0)->ebx, 0);
	cr_expect_eq(leaf(&a, 0x40000000, 0)->ebx, 0);
	cr_expect_eq(leaf(&a, 0xd, 0)->ebx, 0);
	cr_expect_eq(leaf(&a, 0xd, 1)->eax, 0);
}

/* Documentation/virt/kvm/x86/cpuid.rst of the kernel: bits of leaf 40000001h, EAX. */
Test(features, kvm_aids)
{
	enum { CLOCK = 0, CLOCK2 = 3, ASYNC_PF = 4, PV_EOI = 6, ASYNC_PF_VMEXIT = 10, ASYNC_PF_INT = 14, STABLE = 24 };
	static const char *const showing[] = { "host", "host,+kvm", "max", "x86-64-v2", "x86-64-v3,-x2apic" };
	static const char *const hiding[] = { "host,-kvm", "x86-64-v2,-kvm", "max,kvm=off", "host,-hypervisor" };
	const uint32_t wanted = 1u << CLOCK | 1u << CLOCK2 | 1u << PV_EOI | 1u << STABLE;
	struct cpu_feature_set s;
	struct answer a;

	for (unsigned n = 0; n < sizeof(showing) / sizeof(showing[0]); n++) {
		s = apply(&a, showing[n]);
		expect_has(&s, "kvm hypervisor", true);
		cr_expect_eq(leaf(&a, 0x40000000, 0)->ebx, ~0u, "%s", showing[n]);
		cr_expect_eq(leaf(&a, 0x40000001, 0)->eax & wanted, wanted, "%s", showing[n]);
		cr_expect_not(leaf(&a, 0x40000001, 0)->eax & (1u << ASYNC_PF | 1u << ASYNC_PF_VMEXIT | 1u << ASYNC_PF_INT), "%s",
			      showing[n]);
	}
	for (unsigned n = 0; n < sizeof(hiding) / sizeof(hiding[0]); n++) {
		s = apply(&a, hiding[n]);
		expect_has(&s, "kvm", false);
		for (unsigned i = 15; i < 17; i++)
			cr_expect_not(a.entry[i].eax | a.entry[i].ebx | a.entry[i].ecx | a.entry[i].edx, "%s", hiding[n]);
	}
	cr_expect(leaf((apply(&a, "host,-kvm"), &a), 1, 0)->ecx & 1u << 31, "it still says that it is a virtual one");
}

Test(features, kvm_level)
{
	struct answer a;
	struct cpu_feature_set s = apply(&a, "x86-64-v2");

	cr_expect_eq(leaf(&a, 1, 0)->ecx, 1u << 0 | 1u << 9 | 1u << 13 | 1u << 17 | 1u << 19 | 1u << 20 | 1u << 21 | 1u << 23 |
						  1u << 24 | 1u << 27 | 1u << 31);
	cr_expect_eq(leaf(&a, 7, 1)->eax, 0);
	cr_expect_eq(leaf(&a, 7, 1)->edx, 0, "AVX-VNNI-INT8 and others that the table does not know");
	cr_expect_eq(leaf(&a, 0xd, 0)->eax, 0);
	cr_expect_eq(leaf(&a, 0x80000001, 0)->ecx, 1);
	cr_expect(leaf(&a, 0x80000001, 0)->edx & 1u << 29);
	expect_has(&s, "sse4_2 x2apic lm nx", true);
	expect_has(&s, "avx xsave rdrand", false);
}

Test(features, kvm_lacks_something)
{
	const struct cpu_model m = parse("x86-64-v4");
	struct cpu_feature_set out;
	struct answer a;

	all_ones(&a);
	a.entry[3].ebx &= ~(1u << 17);
	cr_expect_eq(kvm_model_apply(&m, &a.head, &out, error), -ENOTSUP);
	cr_expect_str_eq(error, "KVM on this host does not have avx512dq");
}
