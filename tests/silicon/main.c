/* SPDX-License-Identifier: MIT */
/*
 * silicon [--seconds N | --forever] [--seed S] [--encodings N] [--only MNEMONIC] [--vectors] [--quiet] [--record]
 * silicon --vex | --evex | --evex-all
 *
 * Rounds over all rows of the instruction table, in children: what kills one is a result, too. Each round draws other
 * cases. --vectors: only rows of x87, vectors, and their state. --vex, --evex: which encodings exist. Exit code 0 if nothing differs, 77 if this host cannot take part. SIGINT ends it with the summary.
 */
#include "elsewhere.h"
#include "silicon.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"
#include "emu/decode/decode.h"
#include "emu/sem/fp/provider.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHOWN_PER_ROW = 1, ROWS_PER_CHILD = 128, STATES = 2, AGAIN = 2, CHILD_CPU_S = 60 };

/* Shared with the children. */
struct tally {
	uint64_t encodings, states, faults, bad;
	uint32_t shown;
};
static struct shared {
	struct tally rows[ISA_COUNT];
	volatile sig_atomic_t stop;
	unsigned row;	/* the one that is running */
	const char *unable;
} *shared;

static uint64_t seed = 1;
static const char *only;
static bool vectors_only, is_portable, forever, quiet, recorded;
static enum { ROWS, VEX, EVEX, EVEX_ALL } what;
static double seconds;
static unsigned encodings_per_row = 200;

static void on_interrupt(int sig)
{
	shared->stop = 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Its feature, and the system that saves its registers. */
static bool is_here(unsigned row)
{
	return host_has_row(row) && (native_has_avx512() || !(isa_rows[row].attr & ISA_AVX512X));
}

static const char *skip_reason(unsigned row)
{
	if (!is_here(row))
		return "not in this processor";
	if (is_portable && is_approximate(row))
		return "approximate: fp_providers, fp_x87_providers";
	return not_run(row);
}

static bool is_wanted(unsigned row)
{
	const struct isa_row *r = &isa_rows[row];
	const bool vectors = (r->attr & (ISA_FP | ISA_MMXX | ISA_SSEX | ISA_AVXX | ISA_AVX512X)) || r->feature == FEAT_FXSR ||
			     r->feature == FEAT_XSAVE || r->feature == FEAT_XSAVEOPT || r->feature == FEAT_XSAVEC;

	return (!vectors_only || vectors) && (!only || strcmp(only, r->mnemonic) == 0) && !skip_reason(row);
}

/* The case again: FOP, FIP and FDP may have been lost to a context switch on the way. */
static bool run_again(struct test_case *t, struct outcome *native)
{
	restore_memory();
	return native_run(t, native);
}

/* Does the case tell about x87 pointers that a context switch can zero? */
static bool is_fleeting(const struct test_case *t)
{
	return ((isa_rows[t->row].attr & ISA_FP) || t->bytes > t->length) && native_loses_pointers();
}

static void run_tier(unsigned tier, struct test_case *t, struct outcome *native, struct tally *count)
{
	static struct outcome emulated;
	unsigned seen;

	emulated_run(tier, t, &emulated);
	seen = native ? judge(tier, t, native, &emulated, false) : 0;
	for (unsigned n = 0; n < AGAIN && seen > 1 && is_fleeting(t); n++)
		seen = run_again(t, native) ? judge(tier, t, native, &emulated, false) : 0;
	count->states += seen != 0;
	if (seen > 1 && !judge_excuses(tier, t, native, &emulated)) {
		judge(tier, t, native, &emulated, count->shown++ < SHOWN_PER_ROW);
		count->bad++;
	}
	/* The next case begins with what the processor left. */
	if (seen != 1)
		make_equal(tier);
}

static void run_state(struct test_case *t, struct tally *count)
{
	static struct outcome native;
	bool ended;

	prepare(t);
	if (is_fleeting(t))
		keep_memory();
	ended = native_run(t, &native);
	count->faults += native.vector != VEC_GP;
	for (unsigned tier = 0; tier < TIERS; tier++)
		run_tier(tier, t, ended ? &native : NULL, count);
}

/* Mostly 64-bit code; rows that it does not have in the others. */
static unsigned any_mode(const struct isa_row *r)
{
	const unsigned k = rnd_below(8);

	if (r->modes & ISA_MODE_ONLY64)
		return 8;
	if (r->modes & ISA_MODE_NO64)
		return k < 5 ? 4 : 2;
	return k < 5 ? 8 : k < 7 ? 4 : 2;
}

static void run_row(unsigned row, uint64_t round)
{
	struct tally *count = &shared->rows[row];
	static struct test_case t;

	shared->row = row;
	rnd_seed((seed + round) * 0x9e3779b97f4a7c15ull + row * 0xd1342543de82ef95ull);
	for (unsigned n = 0; n < encodings_per_row; n++) {
		if (!generate(row, any_mode(&isa_rows[row]), &t))
			continue;
		count->encodings++;
		for (unsigned k = 0; k < STATES; k++)
			run_state(&t, count);
	}
}

static void fill_pages(void)
{
	uint8_t page[PAGE];

	for (unsigned n = 0; n < DATA_PAGES + STACK_PAGES; n++) {
		random_bytes(page, PAGE);
		put_memory(n < DATA_PAGES ? DATA + n * PAGE : STACK + (n - DATA_PAGES) * PAGE, page, PAGE);
	}
}

/* The number of the CPU is in a descriptor that cases can load. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	sched_setaffinity(0, sizeof(here), &here);
}

#ifdef __SANITIZE_ADDRESS__
static const bool has_strange_memory = true;
#else
static const bool has_strange_memory = false;
#endif

static void prepare_child(void)
{
	signal(SIGINT, SIG_IGN);
	stay_here();
	find_global();
	emulated_init();
	atexit(emulated_fini);
	decode_init(NULL, NULL); /* all rows, whatever the guest's CPUID offers */
	shared->unable = has_strange_memory ? "AddressSanitizer has memory where cases expect none" : native_init();
	if (shared->unable) {
		printf("SKIP silicon: %s\n", shared->unable);
		exit(77);
	}
	rnd_seed(seed);
	fill_pages();
}

static void child(unsigned first, uint64_t round)
{
	const struct rlimit limit = { CHILD_CPU_S, CHILD_CPU_S + 1 };

	setrlimit(RLIMIT_CPU, &limit);
	prepare_child();
	for (unsigned row = first; row < first + ROWS_PER_CHILD && row < ISA_COUNT && !shared->stop; row++) {
		if (is_wanted(row))
			run_row(row, round);
	}
	exit(0);
}

/* 0, or the exit code of the program. *next is the row to go on with. */
static int run_batch(unsigned first, uint64_t round, unsigned *next)
{
	int status;
	pid_t pid;

	*next = first + ROWS_PER_CHILD;
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return 2;
	if (pid == 0)
		child(first, round);
	while (waitpid(pid, &status, 0) != pid) {
		if (errno != EINTR)
			return 2;
	}
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	printf("  %s: killed by signal %d\n", isa_rows[shared->row].mnemonic, WTERMSIG(status));
	shared->rows[shared->row].bad++;
	*next = shared->row + 1;
	return 0;
}

static int run_round(uint64_t round)
{
	int r = 0;

	for (unsigned row = 1; row < ISA_COUNT && r == 0 && !shared->stop;)
		r = run_batch(row, round, &row);
	return r;
}

static void print_skipped(void)
{
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		const char *why = skip_reason(row);

		if (why && !quiet)
			printf("SKIP %s (%02x): %s\n", isa_rows[row].mnemonic, isa_rows[row].opcode, why);
	}
}

static int summary(double took)
{
	uint64_t encodings = 0, states = 0, faults = 0, bad = 0;
	unsigned rows = 0, lacking = 0, elsewhere = 0, never = 0, bad_rows = 0;

	print_skipped();
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		const struct tally *c = &shared->rows[row];

		lacking += !is_here(row);
		elsewhere += is_here(row) && skip_reason(row);
		rows += c->states != 0;
		encodings += c->encodings;
		states += c->states;
		faults += c->faults;
		bad += c->bad;
		bad_rows += c->bad != 0;
		if (c->bad)
			printf("%s (%u, %02x): %lu of %lu differ\n", isa_rows[row].mnemonic, row, isa_rows[row].opcode, c->bad,
			       c->states);
		if (is_wanted(row) && !c->states && !only) {
			printf("%s %s (%02x)\n", c->encodings ? "NOT COMPARED, this processor differs:" : "NEVER DRAWN",
			       isa_rows[row].mnemonic, isa_rows[row].opcode);
			never += !c->encodings;
		}
	}
	printf("silicon: seed %lu: %u rows of the table, %u run, %u not in this processor, %u elsewhere, %u never; %lu "
	       "encodings, %lu states compared (%lu faults but #GP), %lu differ in %u rows; %.1f s\n",
	       seed, ISA_COUNT - 1, rows, lacking, elsewhere, never, encodings, states, faults, bad, bad_rows, took);
	if (!native_has_avx512())
		printf("silicon: ZMM and opmask registers not compared: not in this processor\n");
	points_report(stdout);
	return bad || (never && !shared->stop);
}

/* For docs/isa-verified.txt, by feature. */
static void record(void)
{
	for (unsigned feature = 0; feature < FEAT_COUNT; feature++) {
		uint64_t encodings = 0, states = 0;

		for (unsigned row = 1; row < ISA_COUNT; row++) {
			const struct tally *c = &shared->rows[row];

			if (isa_rows[row].feature != feature || c->bad)
				continue;
			encodings += c->states ? c->encodings : 0;
			states += c->states;
		}
		if (states)
			printf("RECORD silicon %s %lu %lu\n", isa_feature_name(feature), encodings, states);
	}
}

/* Which encodings exist: in a child, as well. */
static int sweep(void)
{
	unsigned encodings, bad;
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return 2;
	if (pid == 0) {
		prepare_child();
		if (what == VEX ? !native_has_avx() : !native_has_avx512()) {
			printf("SKIP silicon: not in this processor\n");
			exit(77); /* meson: skipped */
		}
		bad = what == VEX ? sweep_vex(&encodings) : sweep_evex(what == EVEX_ALL, &encodings);
		printf("silicon: %u %s encodings, %u differ in being valid\n", encodings, what == VEX ? "VEX" : "EVEX", bad);
		points_report(stdout);
		exit(bad != 0);
	}
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	if (WIFSIGNALED(status))
		printf("silicon: killed by signal %d\n", WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

static bool parse_flag(const char *arg)
{
	const struct {
		const char *name;
		bool *to;
	} flags[] = {
		{ "--forever", &forever }, { "--quiet", &quiet }, { "--record", &recorded }, { "--vectors", &vectors_only }
	};

	for (unsigned n = 0; n < sizeof(flags) / sizeof(flags[0]); n++) {
		if (strcmp(arg, flags[n].name) == 0)
			return *flags[n].to = true;
	}
	what = strcmp(arg, "--vex") == 0	? VEX
	       : strcmp(arg, "--evex") == 0	? EVEX
	       : strcmp(arg, "--evex-all") == 0 ? EVEX_ALL
						: what;
	return what != ROWS;
}

static bool parse_value(const char *arg, const char *value)
{
	if (strcmp(arg, "--seconds") == 0)
		seconds = strtod(value, NULL);
	else if (strcmp(arg, "--seed") == 0)
		seed = strtoull(value, NULL, 0);
	else if (strcmp(arg, "--encodings") == 0)
		encodings_per_row = (unsigned)strtoul(value, NULL, 0);
	else if (strcmp(arg, "--only") == 0)
		only = value;
	else
		return false;
	return true;
}

static bool parse(int argc, char **argv)
{
	for (int n = 1; n < argc; n++) {
		if (parse_flag(argv[n]))
			continue;
		if (n + 1 >= argc || !parse_value(argv[n], argv[n + 1]))
			return false;
		n++;
	}
	return true;
}

int main(int argc, char **argv)
{
	const double start = now();
	int r = 0;

	if (!parse(argc, argv))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	points_share();
	fp_provider_init();
	is_portable = strcmp(fp_provider_name(), "portable") == 0;
	printf("silicon: floating point by provider \"%s\"\n", fp_provider_name());
	if (what != ROWS)
		return sweep();
	signal(SIGINT, on_interrupt);
	for (uint64_t round = 0; r == 0 && !shared->stop; round++) {
		r = run_round(round);
		if (!forever && now() - start >= seconds)
			break;
	}
	if (recorded && r == 0)
		record();
	return r ? r : summary(now() - start);
}
