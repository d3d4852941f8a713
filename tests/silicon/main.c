/* SPDX-License-Identifier: MIT */
/*
 * silicon [--seconds N | --forever] [--seed S] [--only MNEMONIC] [--quiet] [--record]
 *
 * Rounds over all rows of the instruction table, in children: what kills one is a result, too. Each round draws other
 * cases. Exit code 0 if nothing differs, 77 if this host cannot take part. SIGINT ends it with the summary.
 */
#include "elsewhere.h"
#include "silicon.h"
#include "tests/host/features.h"
#include "tests/host/processor.h"
#include "emu/decode/decode.h"

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

enum { SHOWN_PER_ROW = 1, ROWS_PER_CHILD = 128, STATES = 2, CHILD_CPU_S = 60 };

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
	return is_here(row) ? not_run(row) : "not in this processor";
}

/* Leaves out what cannot be compared, of copies: 0 if nothing is left, else one more than the number of differences. */
static unsigned look(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated,
		     bool show)
{
	struct outcome n = *native, e = *emulated;

	return forgive(tier, t, &n, &e) ? 1 + compare(t, &n, &e, tier, show) : 0;
}

/* A difference: is it only where this processor has never been seen to do as the emulator does? */
static bool is_doubtful(unsigned tier, const struct test_case *t, const struct outcome *native, const struct outcome *emulated)
{
	bool same;

	points_doubt(true);
	same = look(tier, t, native, emulated, false) <= 1;
	if (same)
		points_report_difference();
	points_doubt(false);
	return same;
}

static void run_tier(unsigned tier, const struct test_case *t, const struct outcome *native, struct tally *count)
{
	static struct outcome emulated;
	unsigned seen;

	emulated_run(tier, t, &emulated);
	seen = native ? look(tier, t, native, &emulated, false) : 0;
	count->states += seen != 0;
	if (seen > 1 && !is_doubtful(tier, t, native, &emulated)) {
		look(tier, t, native, &emulated, count->shown++ < SHOWN_PER_ROW);
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

static void child(unsigned first, uint64_t round)
{
	const struct rlimit limit = { CHILD_CPU_S, CHILD_CPU_S + 1 };

	signal(SIGINT, SIG_IGN);
	setrlimit(RLIMIT_CPU, &limit);
	stay_here();
	find_global();
	emulated_init();
	decode_init(NULL, NULL); /* all rows, whatever the guest's CPUID offers */
	shared->unable = native_init();
	if (shared->unable) {
		printf("SKIP silicon: %s\n", shared->unable);
		exit(77);
	}
	rnd_seed(seed + round);
	fill_pages();
	for (unsigned row = first; row < first + ROWS_PER_CHILD && row < ISA_COUNT && !shared->stop; row++) {
		if (!skip_reason(row) && (!only || strcmp(only, isa_rows[row].mnemonic) == 0))
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

static void print_skipped(bool quiet)
{
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		const char *why = skip_reason(row);

		if (why && !quiet)
			printf("SKIP %s (%02x): %s\n", isa_rows[row].mnemonic, isa_rows[row].opcode, why);
	}
}

static int summary(double seconds, bool quiet)
{
	uint64_t encodings = 0, states = 0, faults = 0, bad = 0;
	unsigned rows = 0, lacking = 0, elsewhere = 0, never = 0, bad_rows = 0;

	print_skipped(quiet);
	for (unsigned row = 1; row < ISA_COUNT; row++) {
		const struct tally *c = &shared->rows[row];

		lacking += !is_here(row);
		elsewhere += is_here(row) && not_run(row);
		rows += c->states != 0;
		encodings += c->encodings;
		states += c->states;
		faults += c->faults;
		bad += c->bad;
		bad_rows += c->bad != 0;
		if (c->bad)
			printf("%s (%u, %02x): %lu of %lu differ\n", isa_rows[row].mnemonic, row, isa_rows[row].opcode, c->bad, c->states);
		if (!skip_reason(row) && !c->states && !only) {
			printf("%s %s (%02x)\n", c->encodings ? "NOT COMPARED, this processor differs:" : "NEVER DRAWN",
			       isa_rows[row].mnemonic, isa_rows[row].opcode);
			never += !c->encodings;
		}
	}
	printf("silicon: seed %lu: %u rows of the table, %u run, %u not in this processor, %u elsewhere, %u never; %lu "
	       "encodings, %lu states compared (%lu faults but #GP), %lu differ in %u rows; %.1f s\n",
	       seed, ISA_COUNT - 1, rows, lacking, elsewhere, never, encodings, states, faults, bad, bad_rows, seconds);
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

int main(int argc, char **argv)
{
	double start = now(), seconds = 0;
	bool forever = false, quiet = false, recorded = false;
	int r = 0;

	for (int n = 1; n < argc; n++) {
		if (strcmp(argv[n], "--forever") == 0)
			forever = true;
		else if (strcmp(argv[n], "--quiet") == 0)
			quiet = true;
		else if (strcmp(argv[n], "--record") == 0)
			recorded = true;
		else if (n + 1 < argc && strcmp(argv[n], "--seconds") == 0)
			seconds = strtod(argv[++n], NULL);
		else if (n + 1 < argc && strcmp(argv[n], "--seed") == 0)
			seed = strtoull(argv[++n], NULL, 0);
		else if (n + 1 < argc && strcmp(argv[n], "--encodings") == 0)
			encodings_per_row = (unsigned)strtoul(argv[++n], NULL, 0);
		else if (n + 1 < argc && strcmp(argv[n], "--only") == 0)
			only = argv[++n];
		else
			return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	points_share();
	signal(SIGINT, on_interrupt);
	for (uint64_t round = 0; r == 0 && !shared->stop; round++) {
		r = run_round(round);
		if (!forever && now() - start >= seconds)
			break;
	}
	if (recorded && r == 0)
		record();
	return r ? r : summary(now() - start, quiet);
}
