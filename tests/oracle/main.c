/* SPDX-License-Identifier: MIT */
/*
 * oracle [cases-per-row] [seed] [mnemonic]: compares rows of the instruction table with this host's processor.
 * oracle vex: which VEX encodings are valid; oracle evex [all]: which EVEX encodings are.
 * Exit code 0 if nothing differs. Runs in a child, so that a crash is a result, too.
 */
#include "tests/host/features.h"
#include "tests/host/processor.h"
#include "oracle.h"
#include "emu/sem/fp/provider.h"
#include "tests/silicon/elsewhere.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHOWN_PER_ROW = 3, TIME_LIMIT_S = 240 };

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

	emulated_run(t, emulated);
	for (unsigned n = 0; n < tries; n++) {
		native_run(t, native);
		if (!judge_same(t, native, emulated))
			continue;
		repeated += n != 0;
		return true;
	}
	return judge_excuses(t, native, emulated);
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
		if (bad++ < SHOWN_PER_ROW)
			judge_show(&t, &native, &emulated);
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
	points_report(stdout);
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
	points_report(stdout);
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
	printf("oracle: %u EVEX encodings, %u differ in being valid\n", encodings, bad);
	points_report(stdout);
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
