/* SPDX-License-Identifier: MIT */
/* Numbers for people: picture.h. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Counts by the second, or as they are. */
static double scale(const struct sample *s, bool rates)
{
	return rates && s->uptime_ns ? 1e9 / (double)s->uptime_ns : 1;
}

bool picture_has_color(FILE *out)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") && isatty(fileno(out));
}

void picture_sandbox(FILE *out, const char *sandbox, bool color)
{
	bool red = color && strcmp(sandbox, "on");

	fprintf(out, "%s%s%s", red ? "\033[31m" : "", sandbox, red ? "\033[0m" : "");
}

static const char *time_text(uint64_t ns, char out[24])
{
	if (!ns)
		return "-";
	if (ns < 10000)
		snprintf(out, 24, "%llu ns", (unsigned long long)ns);
	else if (ns < 10000000)
		snprintf(out, 24, "%llu us", (unsigned long long)ns / 1000);
	else
		snprintf(out, 24, "%llu ms", (unsigned long long)ns / 1000000);
	return out;
}

static const char *bytes_text(uint64_t bytes, char out[24])
{
	snprintf(out, 24, bytes < (10ull << 20) ? "%llu K" : "%llu M",
		 (unsigned long long)(bytes < (10ull << 20) ? bytes >> 10 : bytes >> 20));
	return out;
}

static bool is_exit(const char *name)
{
	return !strncmp(name, "exit_", 5);
}

static uint64_t count_exits(const struct sample *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->counter_count; i++)
		n += is_exit(s->counter_name[i]) ? s->counter[i] : 0;
	return n;
}

static uint64_t count_interrupts(const struct sample *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < SAMPLE_VECTORS; i++)
		n += s->vector[i];
	return n;
}

/* Several on a line. */
struct columns {
	FILE *out;
	unsigned at;
};

static void put_count(struct columns *c, const char *name, double n)
{
	fprintf(c->out, "%s  %-18.18s %12.0f", c->at && c->at % 2 == 0 ? "\n" : c->at ? "    " : "", name, n);
	c->at++;
}

static void put_counters(FILE *out, const struct sample *s, bool exits, double factor)
{
	struct columns c = { out, 0 };

	for (unsigned n = 0; n < s->counter_count; n++)
		if (is_exit(s->counter_name[n]) == exits && s->counter[n])
			put_count(&c, s->counter_name[n] + (exits ? 5 : 0), (double)s->counter[n] * factor);
	fputs(c.at ? "\n" : "  none\n", out);
}

static void put_vectors(FILE *out, const struct sample *s, double factor)
{
	struct columns c = { out, 0 };
	char name[24];

	for (unsigned n = 0; n < SAMPLE_VECTORS; n++)
		if (s->vector[n]) {
			snprintf(name, sizeof(name), "vector %u (%02xh)", n, n);
			put_count(&c, name, (double)s->vector[n] * factor);
		}
	fputs(c.at ? "\n" : "  none\n", out);
}

static void put_devices(FILE *out, const struct sample *s, double factor)
{
	char a[24], b[24], c[24];

	fprintf(out, "\n%-10s %-8s %10s %10s %10s %8s %8s %8s %4s\n", "DEVICE", "STATE", "POSTED", "WAITED", "SHADOW", "P50",
		"P90", "P99", "DIED");
	for (unsigned n = 0; n < s->device_count; n++) {
		const struct sample_device *d = &s->device[n];

		fprintf(out, "%-10s %-8.8s %10.0f %10.0f %10.0f %8s %8s %8s %4u\n", d->name, d->state, (double)d->posted * factor,
			(double)d->synchronous * factor, (double)d->shadowed * factor,
			time_text(counters_quantile(d->rounds, 500), a), time_text(counters_quantile(d->rounds, 900), b),
			time_text(counters_quantile(d->rounds, 990), c), d->deaths);
	}
}

static void put_processes(FILE *out, const struct sample *s, bool rates)
{
	char rss[24], pss[24];

	fprintf(out, "\n%-12s %8s %10s %10s %10s\n", "PROCESS", "PID", rates ? "CPU %" : "CPU s", "RSS", "PSS");
	for (unsigned n = 0; n < s->usage.count; n++) {
		const struct usage_row *row = &s->usage.of[n];
		double cpu = (double)row->cpu_ns / 1e9 * scale(s, rates) * (rates ? 100 : 1);

		fprintf(out, "%-12s %8d %10.1f %10s %10s\n", row->name, row->pid, cpu, bytes_text(row->rss_bytes, rss),
			row->has_pss ? bytes_text(row->pss_bytes, pss) : "-");
	}
}

static void put_all(FILE *out, const struct sample *s, bool rates, bool color)
{
	double factor = scale(s, rates);
	const char *by = rates ? " a second" : "";

	fprintf(out, "%s: %s, engine %s, sandbox ", s->name, s->state, s->engine);
	picture_sandbox(out, s->sandbox, color);
	fprintf(out, ", %s %.1f s, resets %u\n", rates ? "over" : "up", (double)s->uptime_ns / 1e9, s->reboots);
	if (s->vcpus && sample_counter(s, "instructions"))
		fprintf(out, "%.2f million instructions%s\n", (double)sample_counter(s, "instructions") * factor / 1e6, by);
	fprintf(out, "\n%.0f EXITS%s\n", (double)count_exits(s) * factor, by);
	put_counters(out, s, true, factor);
	fprintf(out, "\n%.0f INTERRUPTS%s\n", (double)count_interrupts(s) * factor, by);
	put_vectors(out, s, factor);
	put_devices(out, s, factor);
	put_processes(out, s, rates);
	if (!rates) {
		fprintf(out, "\nCOUNTED\n");
		put_counters(out, s, false, factor);
	}
}

void picture_machine(FILE *out, const struct sample *difference, bool color)
{
	put_all(out, difference, true, color);
}

void picture_counts(FILE *out, const struct sample *s, bool color)
{
	put_all(out, s, false, color);
}

void picture_head(FILE *out)
{
	fprintf(out, "%-16s %-10s %-8s %8s %10s %10s %6s %8s %8s %5s\n", "NAME", "STATE", "SANDBOX", "MIPS", "EXITS/s", "IRQ/s",
		"CPU %", "RSS", "P99", "DIED");
}

void picture_line(FILE *out, const struct sample *s, bool color)
{
	double factor = scale(s, true);
	uint64_t cpu = 0, rss = 0, rounds[COUNTERS_BUCKETS] = { 0 };
	unsigned deaths = 0;
	char a[24], b[24];

	for (unsigned n = 0; n < s->usage.count; n++) {
		cpu += s->usage.of[n].cpu_ns;
		rss += s->usage.of[n].rss_bytes;
	}
	for (unsigned n = 0; n < s->device_count; n++) {
		deaths += s->device[n].deaths;
		for (unsigned k = 0; k < COUNTERS_BUCKETS; k++)
			rounds[k] += s->device[n].rounds[k];
	}
	fprintf(out, "%-16s %-10.10s ", s->name, s->state);
	picture_sandbox(out, s->sandbox, color);
	fprintf(out, "%*s %8.2f %10.0f %10.0f %6.1f %8s %8s %5u\n", (int)(8 - (strlen(s->sandbox) < 8 ? strlen(s->sandbox) : 8)),
		"", (double)sample_counter(s, "instructions") * factor / 1e6, (double)count_exits(s) * factor,
		(double)count_interrupts(s) * factor, (double)cpu / 1e7 * factor, bytes_text(rss, a),
		time_text(counters_quantile(rounds, 990), b), deaths);
}
