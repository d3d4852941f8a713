/* SPDX-License-Identifier: MIT */
/*
 * oracle [cases-per-row] [seed] [mnemonic]: compares rows of the instruction table with this host's processor.
 * oracle vex: which VEX encodings are valid; oracle evex [all]: which EVEX encodings are.
 * Exit code 0 if nothing differs. Runs in a child, so that a crash is a result, too.
 */
#include "host.h"
#include "oracle.h"
#include "emu/sem/fp/provider.h"
#include "tests/silicon/elsewhere.h"
#include "vendor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN_PER_ROW = 3, TIME_LIMIT_S = 240 };

static void hex(const char *name, const void *data, unsigned bytes)
{
	printf(" %s=", name);
	for (unsigned n = bytes; n-- > 0;)
		printf("%02x", ((const uint8_t *)data)[n]);
}

static bool differ(const char *name, const void *in, const void *native, const void *emulated, unsigned bytes, bool show)
{
	if (memcmp(native, emulated, bytes) == 0)
		return false;
	if (show) {
		printf("    %-8s", name);
		hex("before", in, bytes);
		hex("cpu", native, bytes);
		hex("emu", emulated, bytes);
		printf("\n");
	}
	return true;
}

#define DIFFER(field) differ(#field, &in->field, &a->field, &b->field, sizeof(a->field), show)

/* The window is compared around the operand first, which is where it matters. */
static bool differ_window(const struct state *in, const struct state *a, const struct state *b, bool show)
{
	bool bad = false;

	for (unsigned n = 0; n < WINDOW_BYTES; n += 16) {
		char name[16];
		snprintf(name, sizeof(name), "mem+%x", n);
		bad |= differ(name, in->window + n, a->window + n, b->window + n, 16, show);
	}
	return bad;
}

static bool differ_zmm(const struct state *in, const struct state *a, const struct state *b, bool show)
{
	bool bad = false;

	for (unsigned n = 0; n < 16; n++) {
		char name[16];
		snprintf(name, sizeof(name), "zmmh%u", n);
		bad |= differ(name, in->zmm_high[n], a->zmm_high[n], b->zmm_high[n], 32, show);
		snprintf(name, sizeof(name), "zmm%u", 16 + n);
		bad |= differ(name, in->zmm16[n], a->zmm16[n], b->zmm16[n], 64, show);
		snprintf(name, sizeof(name), "k%u", n);
		if (n < 8)
			bad |= differ(name, &in->k[n], &a->k[n], &b->k[n], 8, show);
	}
	return bad;
}

/* enum isa_flag to RFLAGS. */
static uint64_t rflags_of(unsigned flags)
{
	static const uint16_t bits[] = { RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF };
	uint64_t r = 0;

	for (unsigned n = 0; n < 6; n++)
		r |= flags >> n & 1 ? bits[n] : 0;
	return r;
}

static bool compare(const struct state *in, struct state *a, struct state *b, unsigned undefined, bool show)
{
	bool bad = DIFFER(vector);

	a->rflags &= RFLAGS_ARITH & ~rflags_of(undefined);
	b->rflags &= RFLAGS_ARITH & ~rflags_of(undefined);
	a->gpr[RSP] = b->gpr[RSP] = 0;
	bad |= DIFFER(rflags);
	bad |= DIFFER(fx.cw);
	bad |= DIFFER(fx.sw);
	bad |= DIFFER(fx.tag);
	bad |= DIFFER(fx.fop);
	bad |= DIFFER(fx.fip);
	bad |= DIFFER(fx.fdp);
	bad |= DIFFER(fx.mxcsr);
	for (unsigned n = 0; n < 16; n++) {
		char name[16];
		snprintf(name, sizeof(name), "gpr%u", n);
		bad |= differ(name, &in->gpr[n], &a->gpr[n], &b->gpr[n], 8, show);
		snprintf(name, sizeof(name), "xmm%u", n);
		bad |= differ(name, in->fx.xmm[n], a->fx.xmm[n], b->fx.xmm[n], 16, show);
		snprintf(name, sizeof(name), "ymmh%u", n);
		bad |= differ(name, in->ymm_high[n], a->ymm_high[n], b->ymm_high[n], 16, show);
		snprintf(name, sizeof(name), "st%u", n);
		if (n < 8)
			bad |= differ(name, in->fx.st[n], a->fx.st[n], b->fx.st[n], 10, show);
	}
	bad |= differ_zmm(in, a, b, show);
	bad |= differ_window(in, a, b, show);
	return bad;
}

static void report(const struct test_case *t)
{
	const struct fximage *fx = &t->in.fx;

	printf("  %s:", isa_rows[t->row].mnemonic);
	for (unsigned n = 0; n < t->length; n++)
		printf(" %02x", t->code[n]);
	printf("  cw=%04x sw=%04x tag=%02x mxcsr=%04x [rsi]", fx->cw, fx->sw, fx->tag, fx->mxcsr);
	hex("", t->in.window + (t->in.gpr[RSI] - (uintptr_t)oracle_window), 16);
	hex("st0", fx->st[0], 10);
	hex("st1", fx->st[1], 10);
	printf("\n");
}

/* Results whose last bits are the implementation's own: the portable provider cannot have this processor's. */
static bool is_approximate(const char *mnemonic)
{
	static const char *const names[] = { "fsin", "fcos", "fsincos", "fptan", "fpatan", "f2xm1", "fyl2x", "fyl2xp1",
					     "rcpps", "rcpss", "rsqrtps", "rsqrtss", "vrcpps", "vrcpss", "vrsqrtps",
					     "vrsqrtss", "vrcp14ps", "vrcp14pd", "vrcp14ss", "vrcp14sd", "vrsqrt14ps",
					     "vrsqrt14pd", "vrsqrt14ss", "vrsqrt14sd" };

	for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++)
		if (strcasecmp(mnemonic, names[n]) == 0)
			return true;
	return false;
}

/* Those that P computes on every host: within the bound of SDM vol. 2, not the processor's bits. */
static bool is_approximate_half(const char *mnemonic)
{
	return strcmp(mnemonic, "vrcpph") == 0 || strcmp(mnemonic, "vrcpsh") == 0 || strcmp(mnemonic, "vrsqrtph") == 0 ||
	       strcmp(mnemonic, "vrsqrtsh") == 0;
}

static unsigned repeated;

/* One case on both sides. Where context switches disturb the processor's side, only a difference that repeats counts. */
static bool agree(const struct test_case *t, struct state *native, struct state *emulated)
{
	const unsigned tries = native_loses_pointers() ? 3 : 1;

	for (unsigned n = 0; n < tries; n++) {
		native_run(t, native);
		emulated_run(t, emulated);
		reconcile(t, native, emulated);
		if (compare(&t->in, native, emulated, isa_rows[t->row].flags_undefined, false))
			continue;
		repeated += n != 0;
		return true;
	}
	return false;
}

/* Returns the number of differing cases. */
static unsigned check_row(unsigned row, unsigned cases, uint64_t seed)
{
	static struct test_case t;
	static struct state native, emulated;
	unsigned bad = 0;

	rnd_seed(seed * 0x9e3779b97f4a7c15ull + row);
	for (unsigned n = 0; n < cases; n++) {
		random_state(&t.in);
		if (!encode_case(row, &t))
			return 0;
		if (agree(&t, &native, &emulated))
			continue;
		if (bad++ < SHOWN_PER_ROW) {
			report(&t);
			compare(&t.in, &native, &emulated, isa_rows[row].flags_undefined, true);
		}
	}
	return bad;
}

static unsigned long agreed[FEAT_COUNT];

/* For docs/isa-verified.txt: the rows that tests/silicon leaves to us, each case another encoding. */
static void record(void)
{
	for (unsigned feature = 0; feature < FEAT_COUNT; feature++)
		if (agreed[feature])
			printf("RECORD oracle %s %lu %lu\n", isa_feature_name(feature), agreed[feature], agreed[feature]);
}

static int check_all(unsigned cases, uint64_t seed, const char *only)
{
	unsigned rows = 0, bad_rows = 0, skipped = 0, never = 0;
	bool is_portable;

	fp_provider_init();
	is_portable = strcmp(fp_provider_name(), "portable") == 0;
	printf("oracle: floating point by provider \"%s\"\n", fp_provider_name());
	emulated_init();
	if (native_init() != 0)
		return 2;
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		static struct test_case probe;
		unsigned bad;

		if (only && strcmp(only, isa_rows[row].mnemonic) != 0)
			continue;
		if (!host_has_row(row) || ((isa_rows[row].attr & ISA_AVX512X) && !native_has_avx512())) {
			printf("SKIP %s: not in this processor\n", isa_rows[row].mnemonic);
			skipped++;
			continue;
		}
		if (is_portable && is_approximate(isa_rows[row].mnemonic)) {
			printf("SKIP %s: approximate (fp_providers, fp_x87_providers measure it)\n", isa_rows[row].mnemonic);
			skipped++;
			continue;
		}
		if (is_approximate_half(isa_rows[row].mnemonic)) {
			printf("SKIP %s: approximate (avx512fp16 bounds its error)\n", isa_rows[row].mnemonic);
			skipped++;
			continue;
		}
		if (!encode_case(row, &probe)) {
			never++;
			continue;
		}
		rows++;
		bad = check_row(row, cases, seed);
		bad_rows += bad != 0;
		agreed[isa_rows[row].feature] += !bad && (isa_rows[row].attr & ISA_AVX512X) ? cases : 0;
		if (bad)
			printf("%s: %u of %u cases differ\n", isa_rows[row].mnemonic, bad, cases);
	}
	printf("oracle: %u rows of the table, %u run, %u cases each, %u skipped, %u not for this test, %u rows differ\n",
	       ISA_COUNT - 1, rows, cases, skipped, never, bad_rows);
	if (repeated)
		printf("%u cases run again, since a context switch had zeroed FOP, FIP or FDP\n", repeated);
	vendor_report(stdout);
	if (getenv("ORACLE_RECORD"))
		record();
	return bad_rows != 0;
}

static int check_encodings(void)
{
	unsigned encodings, bad;

	emulated_init();
	if (native_init() != 0)
		return 2;
	if (!native_has_avx())
		return 77; /* meson: skipped */
	bad = sweep_vex(&encodings);
	printf("oracle: %u VEX encodings, %u differ in being valid\n", encodings, bad);
	vendor_report(stdout);
	return bad != 0;
}

static int check_evex_encodings(bool all)
{
	unsigned encodings, bad;

	emulated_init();
	if (native_init() != 0)
		return 2;
	if (!native_has_avx512())
		return 77; /* meson: skipped */
	bad = sweep_evex(all, &encodings);
	printf("oracle: %u EVEX encodings, %u differ in being valid, ", encodings, bad);
	vendor_report(stdout);
	return bad != 0;
}

int main(int argc, char **argv)
{
	const unsigned cases = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 1000;
	const uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	int status;
	pid_t child;

	child = fork();
	if (child < 0)
		return 2;
	if (child == 0) {
		alarm(argc > 2 && strcmp(argv[2], "all") == 0 ? 0 : TIME_LIMIT_S);
		setvbuf(stdout, NULL, _IOLBF, 0);
		if (argc > 1 && strcmp(argv[1], "vex") == 0)
			exit(check_encodings());
		if (argc > 1 && strcmp(argv[1], "evex") == 0)
			exit(check_evex_encodings(argc > 2));
		exit(check_all(cases, seed, argc > 3 ? argv[3] : NULL));
	}
	if (waitpid(child, &status, 0) != child)
		return 2;
	if (WIFSIGNALED(status))
		printf("oracle: killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}
