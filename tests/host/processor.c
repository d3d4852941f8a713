/* SPDX-License-Identifier: MIT */
/* Who this processor is, what is known of it, and what was left out because of it. */
#include "processor.h"
#include "probe.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum kind { OPEN, PROBED, SEEN };
static const struct {
	enum kind kind;
	const char *name, *rule, *other;
} points[POINT_COUNT] = {
#define POINT(name, kind, rule, other) [PT_##name] = { kind, #name, rule, other },
#include "points.def"
#undef POINT
};

const struct seen seen_rows[] = {
#define SEEN(name, vendor, family, model, fip, fdp, mask, alike, otherwise)                                               \
	{ { vendor, family, model, alike, otherwise, fip, fdp, mask }, name },
#include "seen.def"
#undef SEEN
};
const unsigned seen_count = sizeof(seen_rows) / sizeof(seen_rows[0]);

static struct processor here;
static const struct seen *row;
static bool is_known, in_doubt;
static uint64_t doubted; /* points left out for doubt alone in this comparison */
static struct counts {
	unsigned long left[POINT_COUNT], differing[POINT_COUNT];
} own_counts, *counts = &own_counts;

/* ---- who it is -------------------------------------------------------------------------------------------- */

static void identify(struct processor *p)
{
#ifdef __x86_64__
	unsigned a, name[3], b, c, d;

	__cpuid(0, a, name[0], name[2], name[1]);
	memcpy(p->vendor, name, sizeof(name));
	__cpuid(1, a, b, c, d);
	p->family = a >> 8 & 15;
	p->model = a >> 4 & 15;
	if (p->family == 6 || p->family == 15)
		p->model += (a >> 16 & 15) << 4;
	if (p->family == 15)
		p->family += a >> 20 & 255;
#else
	memcpy(p->vendor, "none", 5);
#endif
}

static const struct seen *find_row(const struct processor *p)
{
	for (unsigned n = 0; n < seen_count; n++) {
		const struct processor *s = &seen_rows[n].as;

		if (strcmp(s->vendor, p->vendor) == 0 && s->family == p->family && s->model == p->model)
			return &seen_rows[n];
	}
	return NULL;
}

/* What could not be measured is as its row says. */
static void adopt(const struct seen *s)
{
	const uint64_t measured = here.alike | here.otherwise;

	row = s;
	if (!s)
		return;
	here.alike |= s->as.alike & ~measured;
	here.otherwise |= s->as.otherwise & ~measured;
	here.fip_bits = here.fip_bits ? here.fip_bits : s->as.fip_bits;
	here.fdp_bits = here.fdp_bits ? here.fdp_bits : s->as.fdp_bits;
	here.mxcsr_mask = here.mxcsr_mask ? here.mxcsr_mask : s->as.mxcsr_mask;
}

const struct processor *processor(void)
{
	const char *hook = getenv("BULKHEAD_TEST_HOST");

	if (is_known)
		return &here;
	is_known = true;
	identify(&here);
	if (!hook || strcmp(hook, "blind") != 0)
		probe_processor(&here);
	adopt(hook ? NULL : find_row(&here));
	return &here;
}

void processor_set(const struct processor *p)
{
	here = *p;
	adopt(find_row(p));
	is_known = true;
	in_doubt = false;
	memset(counts, 0, sizeof(*counts));
}

const struct seen *processor_row(void)
{
	processor();
	return row;
}

bool processor_differs(enum point p, bool unknown)
{
	const struct processor *h = processor();

	if ((h->alike | h->otherwise) >> p & 1)
		return h->otherwise >> p & 1;
	return unknown;
}

/* ---- what is left out -------------------------------------------------------------------------------------- */

/* Somebody has seen what it does: a rule that applies to it applies without doubt, and no other one does. */
static bool is_certain(enum point p)
{
	return row && (row->as.alike | row->as.otherwise) >> p & 1;
}

bool point_doubted(enum point p)
{
	if (!in_doubt || is_certain(p))
		return false;
	doubted |= 1ull << p;
	return true;
}

bool point_leaves(enum point p)
{
	if (points[p].kind != OPEN && !processor_differs(p, false))
		return point_doubted(p);
	counts->left[p] += !in_doubt;
	return true;
}

/* The low 47 bits of an address mean the same to all. */
static uint64_t pointer_mask(unsigned here_bits, unsigned seen_bits)
{
	const bool certain = here_bits && here_bits == seen_bits, doubtful = in_doubt && !certain;
	const unsigned bits = !here_bits || doubtful ? 47 : here_bits;

	doubted |= doubtful ? PT(POINTER_BITS) : 0;
	return bits > 63 ? UINT64_MAX : (1ull << bits) - 1;
}

uint64_t point_fip_mask(void)
{
	return pointer_mask(processor()->fip_bits, row ? row->as.fip_bits : 0);
}

uint64_t point_fdp_mask(void)
{
	return pointer_mask(processor()->fdp_bits, row ? row->as.fdp_bits : 0);
}

void points_doubt(bool on)
{
	in_doubt = on;
	doubted = 0;
}

void points_report_difference(void)
{
	for (unsigned p = 0; p < POINT_COUNT; p++)
		counts->differing[p] += doubted >> p & 1;
}

bool point_excuses(enum point p)
{
	bool excuses;

	points_doubt(true);
	excuses = point_doubted(p);
	points_report_difference();
	points_doubt(false);
	return excuses;
}

void points_share(void)
{
	struct counts *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	processor(); /* once for all children */
	if (shared == MAP_FAILED)
		return;
	*shared = *counts;
	counts = shared;
}

/* ---- report ------------------------------------------------------------------------------------------------ */

static void print_set(FILE *out, uint64_t set)
{
	const char *between = "";

	for (unsigned p = 0; p < POINT_COUNT; p++) {
		if (!(set >> p & 1))
			continue;
		fprintf(out, "%sPT(%s)", between, points[p].name);
		between = " | ";
	}
	fprintf(out, "%s", *between ? "" : "0");
}

static void print_row(FILE *out)
{
	uint64_t differed = 0;

	for (unsigned p = 0; p < POINT_COUNT; p++)
		differed |= counts->differing[p] ? 1ull << p : 0;
	fprintf(out, "  SEEN(\"...\", \"%s\", %u, %u, %u, %u, 0x%x,\n       ", here.vendor, here.family, here.model,
		here.fip_bits, here.fdp_bits, here.mxcsr_mask);
	print_set(out, here.alike & ~differed);
	fprintf(out, ",\n       ");
	print_set(out, here.otherwise | differed);
	fprintf(out, ")\n");
}

/* Does it do what its row says? Another microcode, or a hypervisor, may make it do otherwise. */
static void print_changed(FILE *out)
{
	const uint64_t changed = (row->as.alike & here.otherwise) | (row->as.otherwise & here.alike);

	for (unsigned p = 0; p < POINT_COUNT; p++)
		if (changed >> p & 1)
			fprintf(out, "  NOTE: not as its row says: %s\n", points[p].name);
}

unsigned long points_differences(void)
{
	unsigned long sum = 0;

	for (unsigned p = 0; p < POINT_COUNT; p++)
		sum += counts->differing[p];
	return sum;
}

void points_report(FILE *out)
{
	const struct processor *h = processor();

	fprintf(out, "processor: %s, family %u, model %u: %s\n", h->vendor, h->family, h->model,
		row ? row->name : "not seen before, measured");
	if (row)
		print_changed(out);
	else
		print_row(out);
	for (unsigned p = 0; p < POINT_COUNT; p++)
		if (counts->left[p])
			fprintf(out, "  %8lu not compared: %s; others: %s\n", counts->left[p], points[p].rule, points[p].other);
	for (unsigned p = 0; p < POINT_COUNT; p++)
		if (counts->differing[p])
			fprintf(out, "  %8lu DIFFER, reported only: %s\n", counts->differing[p], points[p].rule);
}
