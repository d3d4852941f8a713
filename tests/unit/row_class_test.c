/* SPDX-License-Identifier: MIT */
/*
 * How each row of the instruction table runs in the block tier: its class, which is COPY (the host's form of itself), a handler
 * in C, or GENERAL. A row that says neither word must have a handler; one that says GENERAL must have none; and a vector row
 * that says COPY has a fast form in all its variants, masks, broadcasts and embedded rounding included, if this host has its
 * features.
 *
 *	row_class_test          fails for rows that are otherwise
 *	row_class_test --list   "class id mnemonic fast/variants" of all rows
 */
#include "emu_harness.h"
#include "row_encodings.h"

#include "emu/block/internal.h"
#include "emu/native/host.h"

#include <stdio.h>

/* Variants of the row that exist, and how many of them have a fast handler. */
struct count {
	unsigned all, fast;
};

static const char *const ids[] = {
#define I(id, ...) [ISA_##id] = #id,
#include "emu/isa/all.def"
#undef I
};

static bool is_fast(struct emu *e, struct insn i)
{
	static const struct link link;

	native_memory_reset(&e->code->native);
	if (isa_rows[i.id].attr & ISA_BRANCH)
		return fast_branch_handler(e, &i, &link) != NULL;
	return fast_handler(e, &i) != NULL;
}

/* One variant, if these bytes are one. */
static void look(struct emu *e, unsigned id, const uint8_t *bytes, struct count *c)
{
	struct insn i;

	if (decode(bytes, INSN_MAX_BYTES, e->code_size, &i) != DECODE_OK || i.id != id)
		return;
	c->all++;
	c->fast += is_fast(e, i);
}

/* EVEX: zeroing, and broadcast or embedded rounding, in the last byte before the opcode; others: an operand-size prefix. */
static void look_with_prefixes(struct emu *e, unsigned id, const uint8_t *bytes, struct count *c)
{
	uint8_t changed[INSN_MAX_BYTES];

	look(e, id, bytes, c);
	memcpy(changed, bytes, sizeof(changed));
	if (isa_rows[id].map >= ISA_E0F) {
		for (unsigned bits = 1; bits < 4; bits++) {
			changed[3] = bytes[3] | (uint8_t)((bits & 1) << 7 | (bits & 2) << 3);
			look(e, id, changed, c);
		}
	} else if (isa_rows[id].pp == ISA_PP_ANY) {
		changed[0] = 0x66;
		memcpy(changed + 1, bytes, sizeof(changed) - 1);
		look(e, id, changed, c);
	}
}

static void look_at_row(struct emu *e, unsigned id, struct count *c)
{
	const struct isa_row *r = &isa_rows[id];
	uint8_t bytes[INSN_MAX_BYTES];

	for (unsigned variant = 0; variant < 2 * 3 * 2 * 3; variant++) {
		const unsigned at = encode_row(r, variant & 1, variant / 2 % 3, variant / 6 % 2, bytes);

		if (r->plus_r)
			bytes[at - 1] |= 1; /* 90 is NOP */
		vary_operand(bytes, at, variant / 12, r->map >= ISA_V0F && r->map <= ISA_V0F3A);
		look_with_prefixes(e, id, bytes, c);
	}
}

static bool is_vector(const struct isa_row *r)
{
	return r->attr & (ISA_SSEX | ISA_AVXX | ISA_AVX512X);
}

static bool has(const void *ctx, unsigned feature)
{
	return native_has(feature);
}

/* What native/stub.h wants of the host: that of the unit, besides the row's own feature. */
static bool host_runs(const struct isa_row *r)
{
	if ((r->attr & ISA_AVX512X) && !(native_has(FEAT_AVX512BW) && native_has(FEAT_AVX512VL)))
		return false;
	return native_has(FEAT_SSE2) && isa_row_exists(r, has, NULL);
}

/* Than AVX2: there are VEX rows with features of their own. */
static bool wants_more(const struct isa_row *r)
{
	static const uint8_t features[] = { FEAT_AVX512VNNI, FEAT_GFNI, FEAT_VAES, FEAT_VPCLMULQDQ };

	return memchr(features, r->feature, sizeof(features)) != NULL;
}

/* Why the row is not what it says, or NULL. */
static const char *wrong(const struct isa_row *r, const struct count *c)
{
	const bool copy = r->attr & ISA_COPY, general = r->attr & ISA_GENERAL;

	if (c->all == 0)
		return "no encoding was found";
	if (copy && general)
		return "says COPY and GENERAL";
	if (general && c->fast)
		return "says GENERAL, and has a fast form";
	if (!copy && !general && !c->fast && (native_has(FEAT_SSE2) || !(r->attr & ISA_FP))) /* x87 handlers are the host's */
		return "has no class: no word, no handler";
	if (copy && is_vector(r) && host_runs(r) && c->fast < c->all)
		return "says COPY, and lacks a fast form";
	if ((r->attr & ISA_NARROW) && native_has(FEAT_AVX2) && !native_has(FEAT_AVX512F) && !c->fast && !wants_more(r))
		return "says NARROW, and has no form of 256 bits";
	return NULL;
}

static const char *class_of(const struct isa_row *r, const struct count *c)
{
	return r->attr & ISA_GENERAL ? "general" : !(r->attr & ISA_COPY) ? "handler" : c->fast ? "copy" : "copy-elsewhere";
}

/* Fast forms of 64-bit code, and for what it has not, of 32-bit code in flat segments. */
static void prepare(struct harness *h, enum harness_mode mode)
{
	harness_init(h, mode, HARNESS_BLOCK);
	h->cpu->cr0 &= ~(uint64_t)(CR0_EM | CR0_TS);
	h->cpu->cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE;
	h->cpu->xcr0 = 0xe7;
	harness_sync(h);
}

int main(int argc, char **argv)
{
	const bool list = argc > 1 && strcmp(argv[1], "--list") == 0;
	struct harness wide, narrow;
	unsigned failed = 0;

	prepare(&wide, HARNESS_LONG);
	prepare(&narrow, HARNESS_PROT32);
	decode_init(NULL, NULL); /* all features */
	for (unsigned id = 1; id < ISA_COUNT; id++) {
		const struct isa_row *r = &isa_rows[id];
		struct count c = { .all = 0 };
		const char *why;

		look_at_row(wide.emu, id, &c);
		if (r->modes & ISA_MODE_NO64)
			look_at_row(narrow.emu, id, &c);
		why = wrong(r, &c);
		if (why)
			printf("FAIL %s (%s): %s (%u of %u)\n", ids[id], r->mnemonic, why, c.fast, c.all);
		failed += why != NULL;
		if (list)
			printf("%s %s %s %u/%u\n", class_of(r, &c), ids[id], r->mnemonic, c.fast, c.all);
	}
	harness_fini(&narrow);
	harness_fini(&wide);
	return failed != 0;
}
