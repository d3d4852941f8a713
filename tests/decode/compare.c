/* SPDX-License-Identifier: MIT */
/* Asks both decoders, sorts what differs: explained by a rule (rules.c), or not. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Unexplained differences of one kind are shown once. */
enum { GROUPS = 1024, SHOWN = 1000 };

struct group {
	enum difference d;
	unsigned code_size, id, count;
	ZydisMnemonic mnemonic;
	char line[240];
};

static struct group groups[GROUPS];
static unsigned group_count, *uses;
static ZydisDecoder decoders[3];
static uint64_t asked, valid, invalid, unexplained;

static ZydisDecoder *decoder_of(unsigned code_size)
{
	return &decoders[code_size == 8 ? 2 : code_size == 4 ? 1 : 0];
}

void compare_init(void)
{
	static const ZydisMachineMode modes[3] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32,
						   ZYDIS_MACHINE_MODE_LONG_64 };
	static const ZydisStackWidth widths[3] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64 };

	uses = calloc(rule_count(), sizeof(*uses));
	if (!uses)
		exit(2);
	decode_init(NULL, NULL);
	for (unsigned n = 0; n < 3; n++) {
		ZydisDecoderInit(&decoders[n], modes[n], widths[n]);
		/* As Intel's processors without MPX and CET do it. */
		ZydisDecoderEnableMode(&decoders[n], ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[n], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[n], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(&decoders[n], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_TRUE);
	}
}

static const char *describe(enum difference d)
{
	switch (d) {
	case SAME:
		return "same";
	case ONLY_OURS:
		return "only ours";
	case ONLY_ZYDIS:
		return "only Zydis";
	case NAME:
		return "name";
	case LENGTH:
		return "length";
	case OPERAND:
		return "operand";
	case FLAGS_DIFFER:
		return "flags";
	case ENCODING:
		return "encoding";
	case DIFFERENCES:
		break;
	}
	return "";
}

static void note(const struct answers *a, enum difference d, const char *what)
{
	const unsigned id = a->ours ? a->i.id : 0;
	const ZydisMnemonic mnemonic = a->theirs ? a->z.mnemonic : ZYDIS_MNEMONIC_INVALID;
	struct group *g;
	int n;

	unexplained++;
	for (unsigned k = 0; k < group_count; k++) {
		g = &groups[k];
		if (g->d == d && g->id == id && g->mnemonic == mnemonic && g->code_size == a->code_size) {
			g->count++;
			return;
		}
	}
	if (group_count == GROUPS)
		return;
	g = &groups[group_count++];
	*g = (struct group){ d, a->code_size, id, 1, mnemonic, "" };
	n = snprintf(g->line, sizeof(g->line), "%s (%s) | %s len %u | %s len %u, %s |", describe(d), what ? what : "",
		     isa_rows[id].mnemonic, a->ours ? a->i.len : 0u, ZydisMnemonicGetString(mnemonic),
		     a->theirs ? a->z.length : 0u, a->theirs ? ZydisISAExtGetString(a->z.meta.isa_ext) : "");
	for (unsigned k = 0; k < 12; k++)
		n += snprintf(g->line + n, sizeof(g->line) - (size_t)n, " %02x", a->text[k]);
}

static enum difference differ(const struct answers *a, const char **what)
{
	*what = NULL;
	if (a->ours != a->theirs)
		return a->ours ? ONLY_OURS : ONLY_ZYDIS;
	if (!a->ours)
		return SAME;
	if (!same_mnemonic(a->row->mnemonic, ZydisMnemonicGetString(a->z.mnemonic)))
		return NAME;
	if (a->i.len != a->z.length)
		return LENGTH;
	*what = compare_operands(a);
	if (*what)
		return OPERAND;
	*what = compare_flags(a);
	return *what ? FLAGS_DIFFER : SAME;
}

void compare_bytes(const uint8_t *text, unsigned avail, unsigned code_size)
{
	static struct answers a;
	const char *what;
	enum difference d;
	int rule;

	a.text = text;
	a.code_size = code_size;
	a.ours = decode(text, avail, code_size, &a.i) == DECODE_OK;
	a.row = &isa_rows[a.ours ? a.i.id : 0];
	a.theirs = ZYAN_SUCCESS(ZydisDecoderDecodeFull(decoder_of(code_size), text, avail, &a.z, a.op));
	asked++;
	if (a.ours && code_size == 8) {
		what = compare_encoding(&a.i);
		if (what)
			note(&a, ENCODING, what);
	}
	d = differ(&a, &what);
	if (d == SAME) {
		*(a.ours ? &valid : &invalid) += 1;
		return;
	}
	rule = find_rule(&a, d, what);
	if (rule >= 0)
		uses[rule]++;
	else
		note(&a, d, what);
}

unsigned compare_report(void)
{
	for (unsigned k = 0; k < group_count && k < SHOWN; k++)
		printf("%u-bit: %s: %u times\n", 8 * groups[k].code_size, groups[k].line, groups[k].count);
	for (unsigned k = 0; k < rule_count(); k++)
		print_rule(k, uses[k]);
	printf("decode-walk: %lu encodings, %lu agree as instructions, %lu as invalid, %lu unexplained in %u groups\n", asked,
	       valid, invalid, unexplained, group_count);
	return (unsigned)(unexplained > 1000000 ? 1000000 : unexplained);
}
