/* SPDX-License-Identifier: MIT */
/*
 * The comparison with the host's processor, on processors that are not here: their side is the emulator's outcome, changed
 * where they do otherwise. All of them have to be green, also those that nobody has seen; an error of the emulator has
 * to be found on each.
 */
#include "tests/host/probe.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"
#include "tests/oracle/oracle.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CASES = 8, CASES_SPOILT = 1, SW_ES = 0x80, MXCSR_PE = 0x20 };

static uint8_t window[WINDOW_BYTES], code[CODE_BYTES];

bool native_has_avx(void)
{
	return true;
}

bool native_has_avx512(void)
{
	return true;
}

/* ---- made-up processors ----------------------------------------------------------------------------------- */

/* All that has a probe. */
static const uint64_t probed =
	PT(NOP_0F0D) | PT(SAVED_POINTERS) | PT(RESTORED_POINTERS) | PT(NOTED_FOP) | PT(NOTED_FDP) | PT(MXCSR_BITS) |
	PT(SHA_ALIGNMENT) | PT(GATHER_FAULT) | PT(PARTIAL_RESTORE) | PT(VPERMQ_W0) | PT(EVEX_IDLE) | PT(VREDUCE_PE) |
	PT(NEAR_66) | PT(FAR_REX_W) | PT(MOVSXD_66) | PT(UD1_MODRM) | PT(VPINSR_W1) | PT(FAR_STACK) | PT(BIT_STRING) |
	PT(NULL_BASE) | PT(LOCK_CR0) | PT(RING0_ONLY) | PT(SPLIT_LOCK) | PT(WIDE_LINEAR) | PT(KERNEL_HALF);
static const uint64_t zen = PT(NOP_0F0D) | PT(SAVED_POINTERS) | PT(NOTED_FOP) | PT(NOTED_FDP) | PT(MXCSR_BITS) |
			    PT(SHA_ALIGNMENT) | PT(GATHER_FAULT) | PT(VPERMQ_W0) | PT(EVEX_IDLE) | PT(VREDUCE_PE) |
			    PT(NEAR_66) | PT(FAR_REX_W) | PT(MOVSXD_66) | PT(UD1_MODRM) | PT(VPINSR_W1) | PT(FAR_STACK) |
			    PT(LOCK_CR0);

/* What it does, and what is known about it. */
struct made_up {
	const char *name;
	struct processor is; /* `otherwise`, pointer bits and MXCSR are what it does */
	bool is_measured;
	bool differs; /* differences are to be reported */
};

static const struct made_up zen4 = { .name = "Zen 4",
				     .is = { "AuthenticAMD", 25, 17, 0, zen, 57, 57, 0x2ffff },
				     .is_measured = true };
/* The same, where probes were not to be had. */
static const struct made_up known = { .name = "Zen 4 by its row",
				      .is = { "AuthenticAMD", 25, 17, 0, zen, 57, 57, 0x2ffff } };
static const struct made_up zen3 = { .name = "Zen 3",
				     .is = { "AuthenticAMD", 25, 33, 0, zen, 48, 48, 0x2ffff },
				     .is_measured = true };
static const struct made_up xeon = { .name = "Xeon",
				     .is = { "GenuineIntel", 6, 106, 0, PT(PARTIAL_RESTORE), 48, 64, 0xffff },
				     .is_measured = true };
/* Of a maker that has never been seen, and it does what no other one does. */
static const struct made_up strange = { .name = "strange",
					.is = { "CentaurHauls", 7, 91, 0,
						PT(NOTED_FDP) | PT(GATHER_FAULT) | PT(X87_CODES) | PT(IMAGE_RESERVED),
						52, 60, 0xffff },
					.is_measured = true,
					.differs = true };
/* A Zen 3 that does not let itself be asked. */
static const struct made_up blind = { .name = "blind",
				      .is = { "HygonGenuine", 24, 1, 0, zen, 48, 48, 0x2ffff },
				      .differs = true };

/* Puts it in the place of the host, with what its probes would say. */
static void meet(const struct made_up *m)
{
	struct processor p = m->is;

	p.otherwise &= probed;
	p.alike = probed & ~p.otherwise;
	if (!m->is_measured) {
		p.alike = p.otherwise = 0;
		p.fip_bits = p.fdp_bits = 0;
		p.mxcsr_mask = 0;
	}
	processor_set(&p);
}

/* ---- what it makes of a case that the emulator has run --------------------------------------------------------- */

static bool does_otherwise(const struct made_up *m, enum point p)
{
	return m->is.otherwise >> p & 1;
}

static isa_semantic *semantic(const struct test_case *t)
{
	return isa_rows[t->row].sem;
}

static uint8_t *operand(const struct test_case *t, struct state *s)
{
	return s->window + (t->in.gpr[RSI] - (uintptr_t)window);
}

static bool saves_image(const struct test_case *t, const struct state *s)
{
	isa_semantic *const sem = semantic(t);

	return s->vector == NO_FAULT && (sem == sem_fxsave || sem == sem_xsave || sem == sem_xsaveopt || sem == sem_xsavec);
}

static bool has_x87(const struct test_case *t)
{
	return semantic(t) == sem_fxsave || semantic(t) == sem_fxrstor || (t->in.gpr[RAX] & 1);
}

static uint64_t keep(uint64_t v, unsigned bits)
{
	const unsigned unused = 64 - bits;

	return (uint64_t)((int64_t)(v << unused) >> unused);
}

/* FXRSTOR64 and XRSTOR64: so many bits of the pointers in the image. */
static void restore_pointers(const struct made_up *m, const struct test_case *t, struct state *s)
{
	const bool fx = semantic(t) == sem_fxrstor, wide = (t->code[0] & 0xf8) == 0x48;
	const uint8_t *image = operand(t, s);
	uint64_t fip, fdp, present;

	if (s->vector != NO_FAULT || !wide || (!fx && semantic(t) != sem_xrstor))
		return;
	memcpy(&fip, image + 8, 8);
	memcpy(&fdp, image + 16, 8);
	memcpy(&present, image + 512, 8);
	if (!fx && !(t->in.gpr[RAX] & present & 1))
		return;
	s->fx.fip = keep(fip, m->is.fip_bits);
	s->fx.fdp = keep(fdp, m->is.fdp_bits);
}

static void note_pointers(const struct made_up *m, const struct test_case *t, struct state *s)
{
	if (!(isa_rows[t->row].attr & ISA_FP) || s->fx.fip != (uintptr_t)code || (s->fx.sw & SW_ES))
		return;
	if (does_otherwise(m, PT_NOTED_FOP))
		s->fx.fop = 0x5a5;
	if (does_otherwise(m, PT_NOTED_FDP))
		s->fx.fdp = t->in.gpr[RSI];
}

/* As tests/oracle/native.c sees it: by FNSTENV, or not at all after a fault. */
static void hide_pointers(const struct made_up *m, struct state *s)
{
	if (!does_otherwise(m, PT_SAVED_POINTERS) || (s->fx.sw & SW_ES))
		return;
	s->told = s->vector == NO_FAULT ? UINT32_MAX : 0;
	s->fx.fip = (uint32_t)s->fx.fip;
	s->fx.fdp = (uint32_t)s->fx.fdp;
	if (s->vector != NO_FAULT)
		s->fx.fop = 0, s->fx.fip = s->fx.fdp = 0;
}

static void save_image(const struct made_up *m, const struct test_case *t, struct state *s)
{
	uint8_t *image = operand(t, s);
	uint32_t mask;

	if (!saves_image(t, s))
		return;
	if (does_otherwise(m, PT_SAVED_POINTERS) && has_x87(t) && !(t->in.fx.sw & SW_ES))
		memset(image + 6, 0, 18);
	memcpy(&mask, image + 28, sizeof(mask));
	if (mask == 0xffff)
		memcpy(image + 28, &m->is.mxcsr_mask, sizeof(mask));
	for (unsigned n = 0; n < IMAGE_BYTES && does_otherwise(m, PT_IMAGE_RESERVED); n++)
		if (is_reserved_byte(t->row, false, n))
			image[n] = 0xa5;
}

/* LDMXCSR of a bit that the emulated MXCSR has not. */
static void load_more_mxcsr(const struct made_up *m, const struct test_case *t, struct state *s)
{
	uint32_t v;

	memcpy(&v, operand(t, s), sizeof(v));
	if (isa_rows[t->row].opcode != 0xae || isa_rows[t->row].ext != 2 || isa_rows[t->row].map == ISA_M0 ||
	    s->vector != VEC_GP || (v & ~m->is.mxcsr_mask))
		return;
	s->vector = NO_FAULT;
	s->fx.mxcsr = v;
}

static void load_misaligned(const struct made_up *m, const struct test_case *t, struct state *s)
{
	if (!does_otherwise(m, PT_SHA_ALIGNMENT) || isa_rows[t->row].feature != FEAT_SHA || s->vector != VEC_GP)
		return;
	s->vector = NO_FAULT;
	s->fx.xmm[3][5] ^= 0x77; /* some result */
}

/* Only completed elements have changed: those whose part of the mask is zero now. */
static void fault_in_gather(const struct made_up *m, const struct test_case *t, struct state *s)
{
	const struct isa_row *r = &isa_rows[t->row];
	const unsigned mask = ~t->code[2] >> 3 & 15, to = (t->code[4] >> 3 & 7) | (t->code[1] & 0x80 ? 0 : 8);

	if (!does_otherwise(m, PT_GATHER_FAULT) || r->op[1].kind != OPK_VS || r->map >= ISA_E0F || s->vector != VEC_PF)
		return;
	for (unsigned n = 0; n < 16; n++)
		s->fx.xmm[mask][n] &= t->in.fx.xmm[mask][n] | 0x7f; /* not widened, or so */
	memcpy(s->zmm_high[to], t->in.zmm_high[to], 32);
	if (!(t->code[2] & 4))
		memcpy(s->ymm_high[to], t->in.ymm_high[to], 16);
}

static void reduce(const struct made_up *m, const struct test_case *t, struct state *s)
{
	const uint32_t raised = s->fx.mxcsr & ~t->in.fx.mxcsr & 0x3f;

	if (!does_otherwise(m, PT_VREDUCE_PE) || strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) != 0 ||
	    (t->code[t->length - 1] & 8) || raised != MXCSR_PE)
		return;
	s->fx.mxcsr &= ~(uint32_t)MXCSR_PE;
	if (s->vector == VEC_XM) {
		s->vector = NO_FAULT;
		s->zmm16[7][3] ^= 1; /* some result */
	}
}

static void restore_partly(const struct made_up *m, const struct test_case *t, struct state *s)
{
	if (does_otherwise(m, PT_PARTIAL_RESTORE) && semantic(t) == sem_xrstor && s->vector == VEC_GP)
		s->fx.st[2][0] ^= 1;
}

static void set_codes(const struct made_up *m, const struct test_case *t, struct state *s)
{
	if (does_otherwise(m, PT_X87_CODES))
		s->fx.sw ^= x87_undefined_codes(t->row);
}

static void pretend(const struct made_up *m, const struct test_case *t, struct state *s)
{
	restore_pointers(m, t, s);
	note_pointers(m, t, s);
	hide_pointers(m, s);
	save_image(m, t, s);
	load_more_mxcsr(m, t, s);
	load_misaligned(m, t, s);
	fault_in_gather(m, t, s);
	reduce(m, t, s);
	restore_partly(m, t, s);
	set_codes(m, t, s);
}

/* ---- the comparison --------------------------------------------------------------------------------------------- */

static void setup(void)
{
	oracle_window = window;
	oracle_code = code;
	emulated_init();
}

/* All rows, with `spoil` for an error of the emulator. Returns the number of cases that are red. */
typedef bool spoil_fn(struct state *emulated, const struct test_case *t);

/* `draw`: another set of cases. */
static unsigned compare_drawn(const struct made_up *m, spoil_fn *spoil, unsigned *spoilt, unsigned draw)
{
	static struct state emulated, native;
	static struct test_case t;
	unsigned red = 0;

	for (unsigned row = 1; row < ISA_COUNT; row++) {
		rnd_seed((row + (uint64_t)draw * ISA_COUNT) * 0x9e3779b97f4a7c15ull);
		for (unsigned n = 0; n < (spoil ? CASES_SPOILT : CASES); n++) {
			random_state(&t.in);
			if (!encode_case(row, &t))
				break;
			emulated_run(&t, &emulated);
			native = emulated;
			pretend(m, &t, &native);
			if (spoil && (is_undocumented(row) || !spoil(&emulated, &t)))
				continue;
			*spoilt += spoil != NULL;
			red += !judge_same(&t, &native, &emulated) && !judge_excuses(&t, &native, &emulated);
		}
	}
	return red;
}

static unsigned compare_all(const struct made_up *m, spoil_fn *spoil, unsigned *spoilt)
{
	return compare_drawn(m, spoil, spoilt, 0);
}

static void expect_green(const struct made_up *m)
{
	setup();
	meet(m);
	cr_expect_eq(compare_all(m, NULL, NULL), 0, "%s", m->name);
	cr_expect_eq(points_differences() != 0, m->differs, "%s: %lu differences reported", m->name, points_differences());
}

Test(host_rules, zen4_is_green)
{
	expect_green(&zen4);
	cr_assert(processor_row());
}

Test(host_rules, zen4_that_cannot_be_asked_is_green_by_its_row)
{
	expect_green(&known);
}

Test(host_rules, zen3_is_green)
{
	expect_green(&zen3);
}

Test(host_rules, xeon_is_green)
{
	expect_green(&xeon);
}

Test(host_rules, strange_processor_is_green_and_reported)
{
	expect_green(&strange);
	cr_assert(!processor_row());
}

Test(host_rules, processor_that_cannot_be_asked_is_green_and_reported)
{
	expect_green(&blind);
}

/* What was wrong once: a Zen 3, taken for what Zen 4 does. The row of Zen 4 allows no doubt. Few cases show the difference. */
Test(host_rules, zen3_is_no_zen4)
{
	unsigned red = 0;

	setup();
	meet(&zen4);
	for (unsigned draw = 0; draw < 20 && red == 0; draw++)
		red = compare_drawn(&zen3, NULL, NULL, draw);
	cr_assert_gt(red, 0);
}

/* ---- errors of the emulator are found on each of them -------------------------------------------------------------- */

static bool spoil_register(struct state *emulated, const struct test_case *t)
{
	emulated->gpr[RBX] ^= 1;
	return true;
}

static bool spoil_vector(struct state *emulated, const struct test_case *t)
{
	const bool gather = isa_rows[t->row].op[1].kind == OPK_VS, reduces = strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) == 0;

	emulated->fx.xmm[9][2] ^= 4;
	return emulated->vector == NO_FAULT && isa_rows[t->row].map >= ISA_V0F && !gather && !reduces;
}

static bool spoil_flags(struct state *emulated, const struct test_case *t)
{
	emulated->fx.mxcsr ^= 1;
	return emulated->vector == NO_FAULT && (isa_rows[t->row].attr & ISA_SSEX) && isa_rows[t->row].feature != FEAT_SHA;
}

static bool spoil_memory(struct state *emulated, const struct test_case *t)
{
	emulated->window[WINDOW_BYTES - 1] ^= 0x80;
	return emulated->vector == NO_FAULT && t->in.gpr[RSI] < (uintptr_t)window + WINDOW_BYTES - 600;
}

static bool spoil_fault(struct state *emulated, const struct test_case *t)
{
	const bool fails = emulated->vector == NO_FAULT && isa_rows[t->row].feature != FEAT_SHA;

	emulated->vector = VEC_UD;
	return fails;
}

/* With an exception pending, all processors keep the pointers, and tell them. */
static bool spoil_pointer(struct state *emulated, const struct test_case *t)
{
	emulated->fx.fip ^= 0x10;
	return emulated->vector == NO_FAULT && (emulated->fx.sw & SW_ES);
}

static void expect_found(const struct made_up *m, spoil_fn *spoil, const char *what)
{
	unsigned spoilt = 0, red;

	meet(m);
	red = compare_all(m, spoil, &spoilt);
	cr_expect_gt(spoilt, 0, "%s: %s", m->name, what);
	cr_expect_eq(red, spoilt, "%s: %u of %u errors found: %s", m->name, red, spoilt, what);
}

Test(host_rules, errors_are_found_everywhere)
{
	const struct made_up *const all[] = { &zen4, &known, &zen3, &xeon, &strange, &blind };

	setup();
	for (unsigned n = 0; n < sizeof(all) / sizeof(all[0]); n++) {
		expect_found(all[n], spoil_register, "a register");
		expect_found(all[n], spoil_vector, "an element");
		expect_found(all[n], spoil_flags, "a flag of MXCSR");
		expect_found(all[n], spoil_memory, "a byte of memory");
		expect_found(all[n], spoil_fault, "#UD");
		if (all[n]->is_measured)
			expect_found(all[n], spoil_pointer, "FIP");
	}
}

/* ---- rows, and who is here ------------------------------------------------------------------------------------------- */

Test(host_rules, rows_do_not_contradict_themselves)
{
	for (unsigned n = 0; n < seen_count; n++) {
		const struct processor *p = &seen_rows[n].as;

		cr_expect_eq(p->alike & p->otherwise, 0, "%s", seen_rows[n].name);
		cr_expect_leq(p->fip_bits, 64);
		for (unsigned k = 0; k < n; k++)
			cr_expect(p->model == MODEL_NOT_NOTED || p->family != seen_rows[k].as.family ||
					  p->model != seen_rows[k].as.model || strcmp(p->vendor, seen_rows[k].as.vendor) != 0,
				  "%s and %s", seen_rows[n].name, seen_rows[k].name);
	}
}

/* An old record without a model is nobody's row: one generation is not its vendor. */
Test(host_rules, record_without_model_fits_nobody)
{
	struct processor p = { "GenuineIntel", 6, 0, 0, 0, 0, 0, 0 };

	for (p.model = 0; p.model < 256; p.model++) {
		processor_set(&p);
		cr_assert(!processor_row());
	}
}

/* Low bits of an address mean the same to all; nothing is known of the others without a measurement. */
Test(host_rules, pointer_masks)
{
	meet(&zen3);
	cr_expect_eq(point_fdp_mask(), (1ull << 48) - 1);
	meet(&zen4);
	cr_expect_eq(point_fip_mask(), (1ull << 57) - 1);
	meet(&xeon);
	cr_expect_eq(point_fdp_mask(), UINT64_MAX);
	meet(&blind);
	cr_expect_eq(point_fdp_mask(), (1ull << 47) - 1);
}

/* What a probe says does not depend on when it is asked. */
Test(host_rules, probes_agree_with_themselves)
{
	struct processor a = { .family = 0 }, b = { .family = 0 };

	probe_processor(&a);
	probe_processor(&b);
	cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
	cr_assert_eq(a.alike & a.otherwise, 0);
	cr_assert_eq((a.alike | a.otherwise) & ~probed, 0);
	cr_assert_geq(a.fip_bits, 32);
}
