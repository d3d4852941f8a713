/* SPDX-License-Identifier: MIT */
/* Generated code: the memory it lies in, and that every row which says COPY has a form that this host runs. */
#include "emu/core/cpu.h"
#include "emu/decode/encode.h"
#include "emu/isa/isa.h"
#include "emu/native/host.h"
#include "emu/native/stub.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* docs/threat-model.md: no page of the vcpu process is writable and executable. */
Test(native, no_page_is_writable_and_executable)
{
	struct native_memory m;
	char line[512], permissions[5];
	uintptr_t from, to;
	unsigned views = 0;
	FILE *maps;

	cr_assert_eq(native_memory_create(&m, 1), 0);
	cr_assert_neq((const void *)m.writable, (const void *)m.runnable);
	maps = fopen("/proc/self/maps", "r");
	cr_assert_not_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		cr_assert_eq(sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, permissions), 3);
		cr_expect_not(permissions[1] == 'w' && permissions[2] == 'x', "%s", line);
		views += from == (uintptr_t)m.writable && permissions[1] == 'w';
		views += from == (uintptr_t)m.runnable && permissions[2] == 'x';
	}
	fclose(maps);
	cr_expect_eq(views, 2);
	native_memory_destroy(&m);
}

Test(native, both_views_are_the_same_memory_and_full_is_full)
{
	struct native_memory m;
	uint8_t code[NATIVE_ALIGN + 1];
	size_t room;

	memset(code, 0x90, sizeof(code));
	cr_assert_eq(native_memory_create(&m, 4096), 0);
	for (room = native_memory_room(&m); room >= sizeof(code); room = native_memory_room(&m)) {
		const uint8_t *place = native_memory_put(&m, code, sizeof(code));

		cr_assert_not_null(place);
		cr_expect_eq((uintptr_t)place % NATIVE_ALIGN, 0);
		cr_expect_eq(memcmp(place, code, sizeof(code)), 0);
	}
	cr_expect_null(native_memory_put(&m, code, sizeof(code)));
	native_memory_reset(&m);
	cr_expect_eq(native_memory_put(&m, code, sizeof(code)), m.runnable);
	native_memory_destroy(&m);
}

Test(native, parts_do_not_overlap)
{
	struct native_memory m, a, b;
	uint8_t code = 0xc3;

	cr_assert_eq(native_memory_create(&m, 8192), 0);
	a = native_memory_part(&m, 0, 2);
	b = native_memory_part(&m, 1, 2);
	cr_expect_eq(a.bytes, 4096);
	cr_expect_eq(native_memory_put(&a, &code, 1) + a.bytes, native_memory_put(&b, &code, 1));
	native_memory_destroy(&a); /* leaves the whole alone */
	cr_expect_eq(*m.runnable, 0xc3);
	native_memory_destroy(&m);
}

/* An instruction of the row with different registers everywhere; no immediate is special for its form. */
static struct insn sample(unsigned id, bool memory)
{
	const struct isa_row *r = &isa_rows[id];
	struct insn i = { .id = (uint16_t)id,
			  .asize = 8,
			  .size = 4,
			  .reg = 1,
			  .rm = 2,
			  .is_mem = memory,
			  .base = RSI,
			  .index = ADDR_NONE,
			  .vl = r->l == ISA_L1 || r->l == ISA_L12 ? 1
				: r->l == ISA_L2		  ? 2
								  : 0 };

	for (unsigned n = 0; n < 4; n++)
		if (r->op[n].kind == OPK_H || r->op[n].kind == OPK_KH)
			i.vvvv = 3;
	i.prefixes |= r->pp == ISA_PP_66 ? PFX_OPSIZE : r->pp == ISA_PP_F3 ? PFX_REP : r->pp == ISA_PP_F2 ? PFX_REPNE : 0;
	i.prefixes |= r->w == ISA_W1 ? PFX_REX_W : 0;
	i.mask = r->evex & ISA_KREQ ? 1 : 0;
	return i;
}

Test(native, every_copy_row_has_a_form)
{
	struct native_memory m;
	const struct native_frame frame = { .goes_on = true };
	unsigned made = 0, lacking = 0;

	decode_init(NULL, NULL);
	cr_assert_eq(native_memory_create(&m, 4 << 20), 0);
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];
		const bool memory = r->mod == ISA_MOD_MEM;
		struct insn i = sample(id, memory), decoded;
		uint8_t bytes[INSN_MAX_BYTES];
		struct native_form f;

		if (!(r->attr & ISA_COPY) || !(r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X))) {
			cr_expect_not(native_describe(&i, &f), "%s", r->mnemonic);
			continue;
		}
		cr_assert_eq(decode(bytes, encode(&i, bytes), 8, &decoded), DECODE_OK, "%s", r->mnemonic);
		cr_assert_eq(decoded.id, id, "%s", r->mnemonic);
		if (!native_has(r->feature) || ((r->attr & ISA_AVX512X) && !native_has(FEAT_AVX512VL))) {
			lacking++;
			continue;
		}
		cr_expect(native_describe(&decoded, &f), "%s", r->mnemonic);
		cr_expect_not_null(native_stub_make(&m, &decoded, &f, &frame), "%s", r->mnemonic);
		cr_expect_eq(f.loads || f.stores, memory, "%s", r->mnemonic);
		made++;
	}
	fprintf(stderr, "forms made for %u rows; this host lacks the features of %u\n", made, lacking);
	cr_expect_eq(made > 0, native_has(FEAT_SSE2), "portable builds have none");
	native_memory_destroy(&m);
}
