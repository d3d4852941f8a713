/* SPDX-License-Identifier: MIT */
/* Processor models: what --cpu says (features.h). */
#include "features.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct cpu_base_row cpu_bases[CPU_BASES] = {
	[CPU_BASE_MAX] = { "max", "everything the engine has (the emulator's default)" },
	[CPU_BASE_V2] = { "x86-64-v2", "SSE4.2, POPCNT, CMPXCHG16B: what processors since 2009 have" },
	[CPU_BASE_V3] = { "x86-64-v3", "the same and AVX2, FMA, BMI: what processors since 2013 have" },
	[CPU_BASE_V4] = { "x86-64-v4", "the same and AVX-512 F, BW, CD, DQ, VL" },
	[CPU_BASE_HOST] = { "host", "everything KVM offers on this host (KVM's default, and only there)" },
};

static struct cpu_feature_set up_to(enum cpu_feature_level level, bool hidden)
{
	struct cpu_feature_set s = { { 0 } };

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_features[f].level <= level && (hidden || (cpu_features[f].status & CPUF_STATUS) != CPUF_HIDDEN))
			cpu_add(&s, f);
	return s;
}

static void set_base(struct cpu_model *m, enum cpu_base base)
{
	static const uint8_t levels[CPU_BASES] = {
		[CPU_BASE_MAX] = CPUF_MAX, [CPU_BASE_V2] = CPUF_V2,    [CPU_BASE_V3] = CPUF_V3,
		[CPU_BASE_V4] = CPUF_V4,   [CPU_BASE_HOST] = CPUF_MAX,
	};

	*m = (struct cpu_model){ .base = base, .possible = up_to(levels[base], base == CPU_BASE_HOST) };
	/* What only a kernel cares about may be missing under KVM, what a level names may not. */
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT && !cpu_model_is_open(m); f++)
		if (cpu_has(&m->possible, f) && cpu_features[f].level != CPUF_KERNEL)
			cpu_add(&m->wanted, f);
}

/* ---- words ------------------------------------------------------------------------------------------------------ */

struct word {
	const char *text;
	size_t len;
	bool on;
};

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* How many letters must be changed, added or taken away (Levenshtein); long words count as far away. */
static unsigned distance(const char *name, const char *text, size_t len)
{
	enum { LONGEST = 24 };
	unsigned row[LONGEST + 1], left, corner;
	size_t n = strlen(name);

	if (n > LONGEST || len > LONGEST)
		return LONGEST;
	for (unsigned j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned i = 1; i <= n; i++) {
		corner = row[0];
		row[0] = left = i;
		for (unsigned j = 1; j <= len; j++) {
			left = min3(row[j] + 1, left + 1, corner + (name[i - 1] != text[j - 1]));
			corner = row[j];
			row[j] = left;
		}
	}
	return row[len];
}

/* One or two letters off, or one begins with the other. */
static bool is_near(const char *name, const struct word *w)
{
	size_t n = strlen(name), shorter = n < w->len ? n : w->len;

	return distance(name, w->text, w->len) <= (w->len < 4 ? 1 : 2) || (shorter >= 3 && !strncmp(name, w->text, shorter));
}

static int unknown_feature(const struct word *w, char *error)
{
	enum { NEAR_MAX = 4 };
	int at = snprintf(error, CPU_MODEL_ERROR_MAX, "unknown feature %.*s", (int)(w->len < 40 ? w->len : 40), w->text);
	unsigned found = 0;

	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT && found < NEAR_MAX; f++)
		if (is_near(cpu_features[f].name, w))
			at += snprintf(error + at, CPU_MODEL_ERROR_MAX - (size_t)at, "%s%s",
				       found++ ? ", " : "; near it: ", cpu_features[f].name);
	snprintf(error + at, CPU_MODEL_ERROR_MAX - (size_t)at, "; --cpu help lists them");
	return -EINVAL;
}

static int find_base(const struct word *w, enum cpu_base *base, char *error)
{
	int at;

	for (unsigned b = 0; b < CPU_BASES; b++)
		if (strlen(cpu_bases[b].name) == w->len && !strncmp(cpu_bases[b].name, w->text, w->len)) {
			*base = (enum cpu_base)b;
			return 0;
		}
	at = snprintf(error, CPU_MODEL_ERROR_MAX, "unknown model %.*s; one of", (int)(w->len < 40 ? w->len : 40), w->text);
	for (unsigned b = 0; b < CPU_BASES; b++)
		at += snprintf(error + at, CPU_MODEL_ERROR_MAX - (size_t)at, "%s %s", b ? "," : "", cpu_bases[b].name);
	return -EINVAL;
}

/* +feature, -feature, feature=on, feature=off */
static int read_switch(struct word *w, char *error)
{
	const char *equals = memchr(w->text, '=', w->len);

	if (w->len > 1 && (w->text[0] == '+' || w->text[0] == '-') && !equals) {
		w->on = w->text[0] == '+';
		w->text++;
		w->len--;
		return 0;
	}
	if (equals) {
		size_t name = (size_t)(equals - w->text), rest = w->len - name - 1;

		w->on = rest == 2 && !strncmp(equals + 1, "on", 2);
		w->len = name;
		if (name && (w->on || (rest == 3 && !strncmp(equals + 1, "off", 3))))
			return 0;
	}
	snprintf(error, CPU_MODEL_ERROR_MAX, "%.*s is not a feature turned on or off; write +%.*s, -%.*s, or %.*s=on",
		 (int)(w->len < 24 ? w->len : 24), w->text, (int)(w->len < 24 ? w->len : 24), w->text,
		 (int)(w->len < 24 ? w->len : 24), w->text, (int)(w->len < 24 ? w->len : 24), w->text);
	return -EINVAL;
}

/* The next word up to a comma; false at the end. */
static bool next_word(const char **text, struct word *w)
{
	if (!*text)
		return false;
	w->text = *text;
	w->len = strcspn(*text, ",");
	*text = w->text[w->len] ? w->text + w->len + 1 : NULL;
	return true;
}

/* ---- models ----------------------------------------------------------------------------------------------------- */

struct switches {
	struct cpu_feature_set on, off; /* as named */
};

static int take_switch(struct switches *s, struct word w, char *error)
{
	enum cpu_feature f;

	if (read_switch(&w, error))
		return -EINVAL;
	f = cpu_feature_find(w.text, w.len);
	if (f == CPUF_NONE)
		return unknown_feature(&w, error);
	if (!w.on && cpu_features[f].level == CPUF_BASELINE) {
		snprintf(error, CPU_MODEL_ERROR_MAX, "%s cannot be turned off: every x86-64 processor has it",
			 cpu_features[f].name);
		return -EINVAL;
	}
	cpu_add(w.on ? &s->on : &s->off, f);
	return 0;
}

/* The members of `a` that `b` has not. */
static struct cpu_feature_set without(struct cpu_feature_set a, const struct cpu_feature_set *b)
{
	for (unsigned n = 0; n < sizeof(a.bits) / sizeof(a.bits[0]); n++)
		a.bits[n] &= ~b->bits[n];
	return a;
}

static struct cpu_feature_set both(struct cpu_feature_set a, const struct cpu_feature_set *b)
{
	for (unsigned n = 0; n < sizeof(a.bits) / sizeof(a.bits[0]); n++)
		a.bits[n] |= b->bits[n];
	return a;
}

static enum cpu_feature first(const struct cpu_feature_set *s)
{
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(s, f))
			return (enum cpu_feature)f;
	return CPUF_NONE;
}

/* What is turned on may not need what is turned off. */
static int check_conflicts(const struct switches *s, char *error)
{
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++) {
		struct cpu_feature_set needs = { { 0 } }, clash;
		enum cpu_feature missing;

		if (!cpu_has(&s->on, f))
			continue;
		cpu_add(&needs, f);
		cpu_close_over_needs(&needs);
		clash = without(needs, &s->off);
		clash = without(needs, &clash);
		missing = first(&clash);
		if (missing == CPUF_NONE)
			continue;
		if (missing == f)
			snprintf(error, CPU_MODEL_ERROR_MAX, "%s is turned on and off", cpu_features[f].name);
		else
			snprintf(error, CPU_MODEL_ERROR_MAX, "%s needs %s, which is turned off", cpu_features[f].name,
				 cpu_features[missing].name);
		return -EINVAL;
	}
	return 0;
}

static void apply(struct cpu_model *m, const struct switches *s)
{
	struct cpu_feature_set on = s->on;

	cpu_close_over_needs(&on);
	m->possible = without(both(m->possible, &on), &s->off);
	cpu_drop_unmet(&m->possible);
	m->wanted = both(m->wanted, &on);
	/* What went with something that was turned off is not missed. */
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (!cpu_has(&m->possible, f))
			cpu_remove(&m->wanted, f);
}

int cpu_model_parse(struct cpu_model *m, const char *text, char error[CPU_MODEL_ERROR_MAX])
{
	struct switches s = { .on = { { 0 } } };
	enum cpu_base base;
	struct word w;
	int rc;

	if (strlen(text) > CPU_MODEL_TEXT_MAX) {
		snprintf(error, CPU_MODEL_ERROR_MAX, "longer than %d characters", CPU_MODEL_TEXT_MAX);
		return -EINVAL;
	}
	next_word(&text, &w);
	rc = find_base(&w, &base, error);
	while (!rc && next_word(&text, &w))
		rc = take_switch(&s, w, error);
	if (!rc)
		rc = check_conflicts(&s, error);
	if (rc)
		return rc;
	set_base(m, base);
	apply(m, &s);
	return 0;
}

int cpu_model_resolve(const struct cpu_model *m, const struct cpu_feature_set *available, const char *who,
		      struct cpu_feature_set *out, char error[CPU_MODEL_ERROR_MAX])
{
	struct cpu_feature_set missing = without(m->possible, available);
	unsigned count = 0;
	int at;

	*out = without(m->possible, &missing);
	cpu_drop_unmet(out);
	missing = without(m->wanted, out);
	if (first(&missing) == CPUF_NONE)
		return 0;
	at = snprintf(error, CPU_MODEL_ERROR_MAX, "%s does not have", who);
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT && count < 6; f++)
		if (cpu_has(&missing, f))
			at += snprintf(error + at, CPU_MODEL_ERROR_MAX - (size_t)at, "%s %s", count++ ? "," : "",
				       cpu_features[f].name);
	return -ENOTSUP;
}
