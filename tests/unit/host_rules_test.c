/* SPDX-License-Identifier: MIT */
/*
 * The comparison with the host's processor, on processors that are not here: their side is the emulator's outcome, changed
 * where they do otherwise. All of them have to be green, also those that nobody has seen; an error of the emulator has
 * to be found on each.
 */
#include "tests/host/probe.h"
#include "tests/host/processor.h"
#include "tests/host/undefined.h"
#include "tests/silicon/silicon.h"

#include <criterion/criterion.h>
#include <string.h>

enum { CASES = 8, CASES_RESTORING = 64, CASES_SPOILT = 1, SW_ES = 0x80, MXCSR_PE = 0x20, ENV_SW = 4, ENV_FIP = 12, ENV_FOP = 18, ENV_FDP = 20 };

/* The processor's memory. */
static uint8_t data[DATA_PAGES * PAGE], stack[STACK_PAGES * PAGE];

uint8_t *native_memory(uint64_t linear)
{
	return linear >= STACK ? stack + (linear - STACK) : data + (linear - DATA);
}

bool native_has_avx(void)
{
	return true;
}

bool native_has_avx512(void)
{
	return true;
}

uint32_t native_esp_high(void)
{
	return 0;
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

static bool faults(const struct test_case *t, const struct outcome *o)
{
	return o->s.rip == t->in.rip;
}

/* It has not faulted, but gone on to the HLT behind. */
static void go_on(const struct test_case *t, struct outcome *o)
{
	o->s.rip = t->in.rip + t->bytes;
	o->vector = VEC_GP;
	o->error = 0;
}

static bool has_environment(const struct test_case *t, const struct outcome *o)
{
	return t->bytes > t->length && o->s.rip == t->in.rip + t->bytes;
}

/* The processor's memory at the operand; false if a part of it is not there. */
static bool peek(uint64_t linear, void *to, unsigned bytes)
{
	if (!is_ours(linear) || !is_ours(linear + bytes - 1))
		return false;
	for (unsigned n = 0; n < bytes; n++) {
		if ((linear + n) / PAGE == DATA / PAGE + DATA_MISSING)
			return false;
		((uint8_t *)to)[n] = *native_memory(linear + n);
	}
	return true;
}

static void poke(uint64_t linear, const void *from, unsigned bytes)
{
	for (unsigned n = 0; n < bytes; n++)
		if (is_ours(linear + n))
			*native_memory(linear + n) = ((const uint8_t *)from)[n];
}

static bool saves_image(const struct test_case *t, const struct outcome *o)
{
	isa_semantic *const sem = semantic(t);

	return !faults(t, o) && (sem == sem_fxsave || sem == sem_xsave || sem == sem_xsaveopt || sem == sem_xsavec);
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
static void restore_pointers(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	const bool fx = semantic(t) == sem_fxrstor, wide = t->i.prefixes & PFX_REX_W;
	const uint64_t linear = operand_linear(t);
	uint64_t fip, fdp, present = 0;

	if (faults(t, o) || !wide || (!fx && semantic(t) != sem_xrstor))
		return;
	if (!peek(linear + 8, &fip, 8) || !peek(linear + 16, &fdp, 8) || (!fx && !peek(linear + 512, &present, 8)))
		return;
	if (!fx && !(t->in.gpr[RAX] & present & 1))
		return;
	o->s.fx.fip = keep(fip, m->is.fip_bits);
	o->s.fx.fdp = keep(fdp, m->is.fdp_bits);
}

/* In a register, and in what FNSTENV behind the instruction has stored. */
static void note_pointers(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	const uint16_t fop = 0x5a5;
	const uint64_t fdp = t->in.gpr[RSI];
	uint16_t sw = o->s.fx.sw;

	if (has_environment(t, o))
		peek(ENVIRONMENT + ENV_SW, &sw, sizeof(sw));
	if (!(isa_rows[t->row].attr & ISA_FP) || o->s.fx.fip != t->in.rip || (sw & SW_ES))
		return;
	if (does_otherwise(m, PT_NOTED_FOP))
		o->s.fx.fop = fop;
	if (does_otherwise(m, PT_NOTED_FDP))
		o->s.fx.fdp = fdp;
	if (does_otherwise(m, PT_NOTED_FOP) && has_environment(t, o))
		poke(ENVIRONMENT + ENV_FOP, &fop, 2);
	if (does_otherwise(m, PT_NOTED_FDP) && has_environment(t, o))
		poke(ENVIRONMENT + ENV_FDP, &fdp, 4);
}

/* As a signal frame has them. */
static void hide_pointers(const struct made_up *m, struct outcome *o)
{
	if (!does_otherwise(m, PT_SAVED_POINTERS) || (o->s.fx.sw & SW_ES))
		return;
	o->s.fx.fop = 0;
	o->s.fx.fip = o->s.fx.fdp = 0;
}

static void save_image(const struct made_up *m, const struct test_case *t, const struct outcome *o)
{
	const uint64_t linear = operand_linear(t);
	const uint8_t none[18] = { 0 }, some = 0xa5;
	uint32_t mask = 0;

	if (!saves_image(t, o))
		return;
	if (does_otherwise(m, PT_SAVED_POINTERS) && has_x87(t) && !(t->in.fx.sw & SW_ES))
		poke(linear + 6, none, sizeof(none));
	if (peek(linear + 28, &mask, sizeof(mask)) && mask == 0xffff)
		poke(linear + 28, &m->is.mxcsr_mask, sizeof(mask));
	for (unsigned n = 0; n < IMAGE_BYTES && does_otherwise(m, PT_IMAGE_RESERVED); n++)
		if (is_reserved_byte(t->row, false, n))
			poke(linear + n, &some, 1);
}

/* LDMXCSR of a bit that the emulated MXCSR has not. */
static void load_more_mxcsr(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	uint32_t v;

	if (isa_rows[t->row].opcode != 0xae || isa_rows[t->row].ext != 2 || isa_rows[t->row].map == ISA_M0 || !faults(t, o) ||
	    o->vector != VEC_GP || !peek(operand_linear(t), &v, sizeof(v)) || !(v & ~0xffffu) || (v & ~m->is.mxcsr_mask))
		return;
	go_on(t, o);
	o->s.fx.mxcsr = v;
}

static void load_misaligned(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	uint8_t there[16];

	if (!does_otherwise(m, PT_SHA_ALIGNMENT) || isa_rows[t->row].feature != FEAT_SHA || !faults(t, o) ||
	    o->vector != VEC_GP || !peek(operand_linear(t), there, sizeof(there)))
		return;
	go_on(t, o);
	o->s.fx.xmm[3][5] ^= 0x77; /* some result */
}

/* Only completed elements have changed: those whose part of the mask is zero now. */
static void fault_in_gather(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	const struct isa_row *r = &isa_rows[t->row];
	struct state *s = &o->s;

	if (!does_otherwise(m, PT_GATHER_FAULT) || r->op[1].kind != OPK_VS || r->map >= ISA_E0F || o->vector != VEC_PF)
		return;
	for (unsigned n = 0; n < 16; n++)
		s->fx.xmm[t->i.vvvv][n] &= t->in.fx.xmm[t->i.vvvv][n] | 0x7f; /* not widened, or so */
	memcpy(s->zmm_high[t->i.reg], t->in.zmm_high[t->i.reg], 32);
	if (!t->i.vl)
		memcpy(s->ymm_high[t->i.reg], t->in.ymm_high[t->i.reg], 16);
}

static void reduce(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	const uint32_t raised = o->s.fx.mxcsr & ~t->in.fx.mxcsr & 0x3f;

	if (!does_otherwise(m, PT_VREDUCE_PE) || strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) != 0 || (t->i.imm & 8) ||
	    raised != MXCSR_PE)
		return;
	o->s.fx.mxcsr &= ~(uint32_t)MXCSR_PE;
	if (o->vector == VEC_XM) {
		go_on(t, o);
		o->s.zmm16[7][3] ^= 1; /* some result */
	}
}

static void restore_partly(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	if (does_otherwise(m, PT_PARTIAL_RESTORE) && semantic(t) == sem_xrstor && faults(t, o) && o->vector == VEC_GP)
		o->s.fx.st[2][0] ^= 1;
}

static void set_codes(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	const uint16_t codes = x87_undefined_codes(t->row);
	uint16_t sw;

	if (!does_otherwise(m, PT_X87_CODES))
		return;
	o->s.fx.sw ^= codes;
	if (!has_environment(t, o) || !peek(ENVIRONMENT + ENV_SW, &sw, sizeof(sw)))
		return;
	sw ^= codes;
	poke(ENVIRONMENT + ENV_SW, &sw, sizeof(sw));
}

static void pretend(const struct made_up *m, const struct test_case *t, struct outcome *o)
{
	restore_pointers(m, t, o);
	note_pointers(m, t, o);
	hide_pointers(m, o);
	save_image(m, t, o);
	load_more_mxcsr(m, t, o);
	load_misaligned(m, t, o);
	fault_in_gather(m, t, o);
	reduce(m, t, o);
	restore_partly(m, t, o);
	set_codes(m, t, o);
}

/* ---- the comparison --------------------------------------------------------------------------------------------- */

static void setup(void)
{
	uint8_t page[PAGE];

	emulated_init();
	rnd_seed(1);
	for (unsigned n = 0; n < DATA_PAGES + STACK_PAGES; n++) {
		random_bytes(page, PAGE);
		put_memory(n < DATA_PAGES ? DATA + n * PAGE : STACK + (n - DATA_PAGES) * PAGE, page, PAGE);
	}
}

/* The processor's memory is as the emulator has left its own. */
static void take_memory(void)
{
	memcpy(data, emulated_memory(0, DATA), sizeof(data));
	memcpy(stack, emulated_memory(0, STACK), sizeof(stack));
}

/* x87, vectors, and what saves them: what points are about. */
static bool is_of_interest(unsigned row)
{
	const struct isa_row *r = &isa_rows[row];

	return (r->attr & (ISA_FP | ISA_MMXX | ISA_SSEX | ISA_AVXX | ISA_AVX512X)) || r->feature == FEAT_FXSR ||
	       r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC;
}

typedef bool spoil_fn(struct outcome *emulated, const struct test_case *t);

/* Is the case red? With `spoil` for an error of the emulator, which *spoilt counts if the case has room for it. */
static bool is_red(const struct made_up *m, struct test_case *t, spoil_fn *spoil, unsigned *spoilt)
{
	static struct outcome emulated, native;
	bool red, has_room;
	unsigned seen;

	prepare(t);
	emulated_run(0, t, &emulated);
	native = emulated;
	take_memory();
	pretend(m, t, &native);
	has_room = !spoil || (!is_undocumented(t->row) && spoil(&emulated, t));
	seen = judge(0, t, &native, &emulated, false);
	*spoilt += spoil && has_room && seen;
	red = has_room && seen > 1 && !judge_excuses(0, t, &native, &emulated);
	if (red && !spoil)
		judge(0, t, &native, &emulated, true);
	make_equal(0);
	return red;
}

static unsigned cases_of(unsigned row)
{
	const bool restores = isa_rows[row].sem == sem_fxrstor || isa_rows[row].sem == sem_xrstor;

	return !is_of_interest(row) ? 0 : restores ? CASES_RESTORING : CASES;
}

/* All rows. Returns the number of cases that are red. `draw`: another set of cases. */
static unsigned compare_drawn(const struct made_up *m, spoil_fn *spoil, unsigned *spoilt, unsigned draw)
{
	static struct test_case t;
	unsigned red = 0;

	for (unsigned row = 1; row < ISA_COUNT; row++) {
		rnd_seed((row + (uint64_t)draw * ISA_COUNT) * 0x9e3779b97f4a7c15ull);
		for (unsigned n = 0; n < cases_of(row) && !(spoil && n >= CASES_SPOILT); n++)
			if (generate(row, 8, &t))
				red += is_red(m, &t, spoil, spoilt);
	}
	return red;
}

static unsigned compare_all(const struct made_up *m, spoil_fn *spoil, unsigned *spoilt)
{
	return compare_drawn(m, spoil, spoilt, 0);
}

static void expect_green(const struct made_up *m)
{
	unsigned none = 0;

	meet(m);
	setup();
	cr_expect_eq(compare_all(m, NULL, &none), 0, "%s", m->name);
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
	unsigned none = 0, red = 0;

	meet(&zen4);
	setup();
	for (unsigned draw = 0; draw < 20 && red == 0; draw++)
		red = compare_drawn(&zen3, NULL, &none, draw);
	cr_assert_gt(red, 0);
}

/* ---- errors of the emulator are found on each of them -------------------------------------------------------------- */

static bool spoil_register(struct outcome *emulated, const struct test_case *t)
{
	emulated->s.gpr[RBX] ^= 1;
	return true;
}

static bool spoil_vector(struct outcome *emulated, const struct test_case *t)
{
	const bool gather = isa_rows[t->row].op[1].kind == OPK_VS,
		   reduces = strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) == 0;

	emulated->s.fx.xmm[9][2] ^= 4;
	return !faults(t, emulated) && isa_rows[t->row].map >= ISA_V0F && !gather && !reduces;
}

static bool is_wide(const struct test_case *t, const struct outcome *o)
{
	return !faults(t, o) && isa_rows[t->row].map >= ISA_E0F && strncmp(isa_rows[t->row].mnemonic, "vreduce", 7) != 0;
}

static bool spoil_zmm(struct outcome *emulated, const struct test_case *t)
{
	emulated->s.zmm_high[2][31] ^= 1;
	emulated->s.zmm16[13][63] ^= 1;
	return is_wide(t, emulated);
}

static bool spoil_opmask(struct outcome *emulated, const struct test_case *t)
{
	emulated->s.k[6] ^= 1ull << 63;
	return is_wide(t, emulated);
}

static bool spoil_flags(struct outcome *emulated, const struct test_case *t)
{
	emulated->s.fx.mxcsr ^= 1;
	return !faults(t, emulated) && (isa_rows[t->row].attr & ISA_SSEX) && isa_rows[t->row].feature != FEAT_SHA;
}

static bool spoil_memory(struct outcome *emulated, const struct test_case *t)
{
	*emulated_memory(0, STACK + 3 * PAGE - 1) ^= 0x80;
	return !faults(t, emulated);
}

static bool spoil_fault(struct outcome *emulated, const struct test_case *t)
{
	const bool fails = !faults(t, emulated) && isa_rows[t->row].feature != FEAT_SHA;

	emulated->vector = VEC_UD;
	emulated->s.rip = t->in.rip;
	return fails;
}

/* With an exception pending, all processors keep the pointers of the instruction that raised it, and tell them. */
static bool spoil_pointer(struct outcome *emulated, const struct test_case *t)
{
	const bool noted = emulated->s.fx.fip == t->in.rip;
	uint16_t sw = emulated->s.fx.sw;

	if (has_environment(t, emulated)) {
		memcpy(&sw, emulated_memory(0, ENVIRONMENT + ENV_SW), sizeof(sw));
		*emulated_memory(0, ENVIRONMENT + ENV_FIP) ^= 0x10;
	}
	emulated->s.fx.fip ^= 0x10;
	return !faults(t, emulated) && noted && (sw & SW_ES);
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
		expect_found(all[n], spoil_zmm, "a ZMM register");
		expect_found(all[n], spoil_opmask, "an opmask");
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
