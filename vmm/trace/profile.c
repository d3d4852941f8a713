/* SPDX-License-Identifier: MIT */
/* Adding up samples: profile.h. */
#include "profile.h"
#include "disasm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 40, PROBES = 64 };

int profile_init(struct profile *p)
{
	memset(p, 0, sizeof(*p));
	p->block = calloc(PROFILE_BLOCKS, sizeof(*p->block));
	p->stack = calloc(PROFILE_STACKS, sizeof(*p->stack));
	return p->block && p->stack ? 0 : -ENOMEM;
}

static uint64_t hash(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* Its place, or a free one. NULL: no room near where it belongs. */
static struct profile_block *find_block(struct profile *p, uint64_t linear)
{
	uint64_t at = hash(1, linear);

	for (unsigned n = 0; n < PROBES; n++) {
		struct profile_block *b = &p->block[(at + n) % PROFILE_BLOCKS];

		if (!b->samples || b->linear == linear)
			return b;
	}
	return NULL;
}

static void add_block(struct profile *p, const struct trace_sample *s)
{
	struct profile_block *b = find_block(p, s->linear);

	if (!b) {
		p->lost++;
		return;
	}
	if (!b->samples) {
		b->linear = s->linear;
		b->code_bytes = s->code_bytes;
		b->code_size = s->code_size;
		b->cpl = s->cpl;
		memcpy(b->code, s->code, sizeof(b->code));
	}
	b->samples++;
	b->weight += s->weight;
}

static void add_stack(struct profile *p, const struct trace_sample *s)
{
	struct profile_stack k = { .depth = (uint8_t)(s->frames + 1), .cpl = s->cpl, .frame = { s->linear } };
	uint64_t at = hash(s->frames, s->linear);

	for (unsigned n = 0; n < s->frames; n++) {
		k.frame[n + 1] = s->frame[n];
		at = hash(at, s->frame[n]);
	}
	for (unsigned n = 0; n < PROBES; n++) {
		struct profile_stack *f = &p->stack[(at + n) % PROFILE_STACKS];

		if (!f->depth)
			*f = k;
		if (f->depth == k.depth && f->cpl == k.cpl && !memcmp(f->frame, k.frame, sizeof(k.frame))) {
			f->weight += s->weight;
			return;
		}
	}
	p->lost++;
}

void profile_add(struct profile *p, const struct trace_sample *s)
{
	p->samples++;
	p->weight += s->weight;
	add_block(p, s);
	add_stack(p, s);
}

/*
 * Heap sort, behind the fence: qsort(3) asks for the host's memory in a way that the filter does not know. `swap` and
 * `less` take indexes; the largest comes first.
 */
struct sorter {
	void *of;
	bool (*less)(void *of, size_t a, size_t b);
	void (*swap)(void *of, size_t a, size_t b);
};

/* The smallest of a heap is at its top, so that it is put to the end. */
static void sift(const struct sorter *s, size_t at, size_t count)
{
	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		child += child + 1 < count && s->less(s->of, child + 1, child);
		if (!s->less(s->of, child, at))
			return;
		s->swap(s->of, child, at);
	}
}

static void sort(const struct sorter *s, size_t count)
{
	for (size_t n = count / 2; n--;)
		sift(s, n, count);
	for (size_t n = count; n > 1;) {
		s->swap(s->of, 0, --n);
		sift(s, 0, n);
	}
}

static bool less_block(void *of, size_t a, size_t b)
{
	const struct profile_block *block = of;

	return block[a].weight < block[b].weight;
}

static void swap_blocks(void *of, size_t a, size_t b)
{
	struct profile_block *block = of, kept = block[a];

	block[a] = block[b];
	block[b] = kept;
}

static bool less_mnemonic(void *of, size_t a, size_t b)
{
	const struct profile_mnemonic *m = of;

	return m[a].weight < m[b].weight;
}

static void swap_mnemonics(void *of, size_t a, size_t b)
{
	struct profile_mnemonic *m = of, kept = m[a];

	m[a] = m[b];
	m[b] = kept;
}

static void add_mnemonic(struct profile *p, const char *name, uint64_t weight)
{
	unsigned n = 0;

	while (n < p->mnemonics && p->mnemonic[n].name != name)
		n++;
	if (n == PROFILE_MNEMONICS)
		return;
	p->mnemonics += n == p->mnemonics;
	p->mnemonic[n].name = name;
	p->mnemonic[n].weight += weight;
}

/* Calls `visit` for each instruction of a block; returns how many there are. */
static unsigned each_insn(const struct profile_block *b, void (*visit)(void *ctx, uint64_t at, const struct disasm *d), void *ctx)
{
	unsigned at = 0, count = 0;
	struct disasm d;

	do {
		disasm(b->code + at, b->code_bytes - at, b->code_size, b->linear + at, &d);
		if (!d.len)
			break;
		if (visit)
			visit(ctx, b->linear + at, &d);
		at += d.len;
		count++;
	} while (!d.ends && at < b->code_bytes);
	return count;
}

struct share {
	struct profile *p;
	uint64_t weight;
};

static void count_insn(void *ctx, uint64_t at, const struct disasm *d)
{
	const struct share *s = ctx;

	add_mnemonic(s->p, d->mnemonic, s->weight);
}

/* A block's instructions share what it weighs. */
void profile_finish(struct profile *p)
{
	for (unsigned n = 0; n < PROFILE_BLOCKS; n++) {
		unsigned insns = p->block[n].samples ? each_insn(&p->block[n], NULL, NULL) : 0;
		struct share s = { p, insns ? p->block[n].weight / insns : 0 };

		if (insns)
			each_insn(&p->block[n], count_insn, &s);
	}
	sort(&(struct sorter){ p->block, less_block, swap_blocks }, PROFILE_BLOCKS);
	sort(&(struct sorter){ p->mnemonic, less_mnemonic, swap_mnemonics }, p->mnemonics);
}

static double percent(const struct profile *p, uint64_t weight)
{
	return p->weight ? 100.0 * (double)weight / (double)p->weight : 0;
}

static void put_insn(void *ctx, uint64_t at, const struct disasm *d)
{
	sink_print(ctx, "              0x%016llx  %s\n", (unsigned long long)at, d->text);
}

void profile_text(const struct profile *p, const struct symbols *s, struct sink *out)
{
	char name[160];

	sink_print(out, "%llu samples of %llu instructions; %llu had no room\n\nHOT BLOCKS\n", (unsigned long long)p->samples,
		   (unsigned long long)p->weight, (unsigned long long)p->lost);
	for (unsigned n = 0; n < SHOWN && p->block[n].samples; n++) {
		const struct profile_block *b = &p->block[n];

		sink_print(out, "%6.2f%% %8u  0x%016llx  ring %u  %s\n", percent(p, b->weight), b->samples,
			   (unsigned long long)b->linear, b->cpl, symbols_name(s, b->linear, 1, name, sizeof(name)));
		each_insn(b, put_insn, out);
	}
	sink_print(out, "\nMNEMONICS\n");
	for (unsigned n = 0; n < p->mnemonics; n++)
		sink_print(out, "%6.2f%%  %s\n", percent(p, p->mnemonic[n].weight), p->mnemonic[n].name);
}

struct json_list {
	struct sink *out;
	const char *separator;
};

static void put_json_insn(void *ctx, uint64_t at, const struct disasm *d)
{
	struct json_list *l = ctx;

	/* Zydis writes no character that would have to be escaped. */
	sink_print(l->out, "%s\"%s\"", l->separator, d->text);
	l->separator = ",";
}

void profile_json(const struct profile *p, const struct symbols *s, struct sink *out)
{
	char name[160];

	sink_print(out, "{\"schema\":1,\"samples\":%llu,\"instructions\":%llu,\"lost\":%llu,\"blocks\":[",
		   (unsigned long long)p->samples, (unsigned long long)p->weight, (unsigned long long)p->lost);
	for (unsigned n = 0; n < PROFILE_BLOCKS && p->block[n].samples; n++) {
		const struct profile_block *b = &p->block[n];
		struct json_list l = { out, "" };

		sink_print(out,
			   "%s\n{\"address\":%llu,\"symbol\":\"%s\",\"ring\":%u,\"samples\":%u,\"instructions\":%llu,\"code\":[",
			   n ? "," : "", (unsigned long long)b->linear, symbols_name(s, b->linear, 1, name, sizeof(name)), b->cpl,
			   b->samples, (unsigned long long)b->weight);
		each_insn(b, put_json_insn, &l);
		sink_print(out, "]}");
	}
	sink_print(out, "],\"mnemonics\":{");
	for (unsigned n = 0; n < p->mnemonics; n++)
		sink_print(out, "%s\n\"%s\":%llu", n ? "," : "", p->mnemonic[n].name, (unsigned long long)p->mnemonic[n].weight);
	sink_print(out, "}}\n");
}

void profile_folded(const struct profile *p, const struct symbols *s, struct sink *out)
{
	char name[160];

	for (unsigned n = 0; n < PROFILE_STACKS; n++) {
		const struct profile_stack *k = &p->stack[n];

		if (!k->depth)
			continue;
		sink_print(out, "%s", k->cpl == 3 ? "user" : "kernel");
		for (unsigned f = k->depth; f--;)
			sink_print(out, ";%s", symbols_name(s, k->frame[f], 0, name, sizeof(name)));
		sink_print(out, " %llu\n", (unsigned long long)k->weight);
	}
}
