/* SPDX-License-Identifier: MIT */
/* `monitor ...`: what gdb has no command for. */
#include "session.h"
#include "tlb.h"

#include "vmm/vcpu/dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLES_MAX = 4096, WORDS = 4 };

struct text {
	char *at;
	size_t left;
	struct session *session;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, t->left, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < t->left) {
		t->at += n;
		t->left -= (size_t)n;
	}
}

static void add_error(struct text *t, int err)
{
	*t->at = 0;
	add(t, "%s\n", strerror(-err));
}

static const struct engine_state *state_of(struct text *t)
{
	static struct engine_state state;
	const struct target *g = t->session->target;
	int err = g->get(g->ctx, t->session->vcpu, &state);

	if (err)
		add_error(t, err);
	return err ? NULL : &state;
}

/* ---- info ------------------------------------------------------------------------------------------------------ */

static void info_registers(struct text *t)
{
	const struct engine_state *s = state_of(t);
	char dump[2048];

	if (!s)
		return;
	entry_dump(&s->cpu, dump, sizeof(dump));
	add(t, "%s\n", dump);
	for (unsigned n = 0; n < 8; n++)
		if (n != 4 && n != 5)
			add(t, "DR%u=%016llx%c", n, (unsigned long long)s->cpu.dr[n], n % 4 == 3 ? '\n' : ' ');
	add(t, "XCR0=%llx PKRU=%08x MXCSR=%08x FCW=%04x FSW=%04x\n", (unsigned long long)s->cpu.xcr0, s->cpu.pkru, s->cpu.mxcsr,
	    s->cpu.fpu.cw, s->cpu.fpu.sw);
	add(t, "TSC=%llu\n", (unsigned long long)s->tsc);
}

static bool read_physical(void *ctx, uint64_t gpa, void *out, size_t size)
{
	const struct target *g = ((struct text *)ctx)->session->target;
	size_t got = 0;

	return !g->read(g->ctx, 0, true, gpa, out, size, &got) && got == size;
}

static bool show_range(void *ctx, const struct tlb_range *r)
{
	struct text *t = ctx;

	if (t->left < 160)
		return false;
	add(t, "%016llx-%016llx -> %010llx %c%c%c\n", (unsigned long long)r->linear,
	    (unsigned long long)(r->linear + r->size - 1), (unsigned long long)r->gpa, r->user ? 'u' : '-',
	    r->writable ? 'w' : '-', r->executable ? 'x' : '-');
	return true;
}

static void info_tlb(struct text *t)
{
	const struct engine_state *s = state_of(t);

	if (s && !tlb_walk_all(&s->cpu, TABLES_MAX, read_physical, show_range, t))
		add(t, "... and more\n");
}

/* Vectors whose bits are set in eight registers of the local APIC (SDM vol. 3, 10.8.4). */
static void show_vectors(struct text *t, const char *name, const uint32_t *reg)
{
	add(t, "%-4s", name);
	for (unsigned v = 0; v < 256; v++)
		if (reg[v / 32] >> (v % 32) & 1)
			add(t, " %02x", v);
	add(t, "\n");
}

static void info_apic(struct text *t)
{
	/* SDM vol. 3, table 10-1: register n stands at offset 16 * n. */
	static const struct {
		const char *name;
		uint8_t at;
	} rows[] = {
		{ "ID", 0x02 },	       { "VERSION", 0x03 },	  { "TPR", 0x08 },
		{ "PPR", 0x0a },       { "LDR", 0x0d },		  { "DFR", 0x0e },
		{ "SVR", 0x0f },       { "ESR", 0x28 },		  { "ICR", 0x30 },
		{ "ICR2", 0x31 },      { "LVT timer", 0x32 },	  { "LVT thermal", 0x33 },
		{ "LVT perf", 0x34 },  { "LVT LINT0", 0x35 },	  { "LVT LINT1", 0x36 },
		{ "LVT error", 0x37 }, { "initial count", 0x38 }, { "divide", 0x3e },
	};
	const struct engine_state *s = state_of(t);

	if (!s)
		return;
	add(t, "%-14s %llx\n", "APIC_BASE", (unsigned long long)s->cpu.msr.apic_base);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		add(t, "%-14s %08x\n", rows[i].name, s->apic.reg[rows[i].at]);
	add(t, "%-14s %llu\n", "TSC deadline", (unsigned long long)s->apic.tsc_deadline);
	show_vectors(t, "ISR", &s->apic.reg[0x10]);
	show_vectors(t, "TMR", &s->apic.reg[0x18]);
	show_vectors(t, "IRR", &s->apic.reg[0x20]);
}

static void info_of_vcpu(struct text *t, const char *what)
{
	const struct target *g = t->session->target;
	int err = g->info(g->ctx, what, t->at, t->left);

	if (err)
		add_error(t, err);
}

static void run_info(struct text *t, char *const words[WORDS])
{
	static const struct {
		const char *name;
		void (*tell)(struct text *t);
	} rows[] = { { "registers", info_registers }, { "tlb", info_tlb }, { "apic", info_apic } };
	const char *what = words[1] ? words[1] : "";

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, what)) {
			rows[i].tell(t);
			return;
		}
	if (!strcmp(what, "exits") || !strcmp(what, "devices"))
		info_of_vcpu(t, what);
	else
		add(t, "monitor info registers, tlb, apic, exits or devices\n");
}

/* ---- physical memory ------------------------------------------------------------------------------------------- */

static void run_physical(struct text *t, char *const words[WORDS])
{
	if (words[1] && !strcmp(words[1], "on"))
		t->session->physical = true;
	else if (words[1] && !strcmp(words[1], "off"))
		t->session->physical = false;
	else if (words[1]) {
		add(t, "monitor physical on or off\n");
		return;
	}
	add(t, "gdb's commands take %s addresses\n", t->session->physical ? "guest-physical" : "linear");
}

/* xp ADDRESS [BYTES] */
static void run_xp(struct text *t, char *const words[WORDS])
{
	uint64_t at = words[1] ? strtoull(words[1], NULL, 0) : 0, size = words[2] ? strtoull(words[2], NULL, 0) : 16;
	uint8_t bytes[1024];

	if (!words[1] || !size || size > sizeof(bytes)) {
		add(t, "monitor xp ADDRESS [BYTES, at most %zu]\n", sizeof(bytes));
		return;
	}
	if (!read_physical(t, at, bytes, (size_t)size)) {
		add(t, "there is no memory\n");
		return;
	}
	for (size_t i = 0; i < size; i++) {
		if (i % 16 == 0)
			add(t, "%s%010llx:", i ? "\n" : "", (unsigned long long)(at + i));
		add(t, " %02x", bytes[i]);
	}
	add(t, "\n");
}

static void run_help(struct text *t, char *const words[WORDS])
{
	add(t, "monitor info registers|tlb|apic|exits|devices\n"
	       "monitor physical on|off      gdb's memory commands take guest-physical addresses\n"
	       "monitor xp ADDRESS [BYTES]   guest-physical memory\n");
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

static void cut(char *line, char *words[WORDS])
{
	char *rest = line;

	for (unsigned n = 0; n < WORDS; n++)
		words[n] = strtok_r(n ? NULL : line, " \t", &rest);
}

void monitor_run(struct session *s, const char *command, char *out, size_t len)
{
	static const struct {
		const char *name;
		void (*run)(struct text *t, char *const words[WORDS]);
	} rows[] = { { "info", run_info }, { "physical", run_physical }, { "xp", run_xp }, { "help", run_help } };
	struct text t = { .at = out, .left = len, .session = s };
	char line[256], *words[WORDS];

	out[0] = 0;
	snprintf(line, sizeof(line), "%s", command);
	cut(line, words);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (words[0] && !strcmp(rows[i].name, words[0])) {
			rows[i].run(&t, words);
			return;
		}
	run_help(&t, words);
}
