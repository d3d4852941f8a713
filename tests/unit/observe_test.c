/* SPDX-License-Identifier: MIT */
/* Counters, samples and requests for metrics: the parts that are pure. */
#include "proto/counters.h"
#include "vmm/cli/sample.h"
#include "vmm/cli/usage.h"
#include "vmm/common/say.h"
#include "vmm/supervisor/scrape.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* counters.h: bucket n holds those below 2^n ns and not below 2^(n-1). */
Test(observe, buckets)
{
	cr_expect_eq(counters_bucket(0), 0);
	for (unsigned n = 1; n < COUNTERS_BUCKETS; n++) {
		cr_expect_eq(counters_bucket(1ull << (n - 1)), n, "2^%u", n - 1);
		cr_expect_eq(counters_bucket((1ull << n) - 1), n, "2^%u - 1", n);
	}
	cr_expect_eq(counters_bucket(UINT64_MAX), COUNTERS_BUCKETS - 1);
}

Test(observe, quantiles_are_upper_bounds)
{
	uint64_t rounds[COUNTERS_BUCKETS] = { 0 };

	cr_expect_eq(counters_quantile(rounds, 500), 0, "there were none");
	rounds[10] = 98;
	rounds[20] = 2;
	cr_expect_eq(counters_quantile(rounds, 500), 1024);
	cr_expect_eq(counters_quantile(rounds, 980), 1024);
	cr_expect_eq(counters_quantile(rounds, 981), 1048576);
	cr_expect_eq(counters_quantile(rounds, 1000), 1048576);
	rounds[COUNTERS_BUCKETS - 1] = UINT64_MAX / 2;
	cr_expect_eq(counters_quantile(rounds, 990), 1ull << (COUNTERS_BUCKETS - 1), "sums may be as large as they like");
}

Test(observe, one_page_for_each_thread)
{
	cr_expect_eq(sizeof(struct counters) % 4096, 0, "threads share no cache line");
}

/* proc(5), /proc/pid/stat: fields 1 pid, 2 (comm), 4 ppid, 14 utime, 15 stime, 24 rss. */
Test(observe, stat_line)
{
	const char *line = "12 (bh-a) b) S 7 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0 1 0 100 4096 5 18446744073709551615";
	struct usage_row row;
	uint64_t tick = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);

	cr_assert(usage_parse_stat(line, &row));
	cr_expect_eq(row.pid, 12);
	cr_expect_eq(row.parent, 7);
	cr_expect_str_eq(row.name, "a) b", "brackets in a name");
	cr_expect_eq(row.cpu_ns, 42 * tick);
	cr_expect_eq(row.rss_bytes, 5 * (uint64_t)sysconf(_SC_PAGESIZE));
	cr_expect_not(usage_parse_stat("12 (a", &row));
	cr_expect_not(usage_parse_stat("", &row));
	cr_expect_not(usage_parse_stat("1 ) ( S 1", &row));
	cr_expect_not(usage_parse_stat("1 (a) S 1 2 3", &row));
}

/* RFC 9112, 2.1: the head of a request ends with an empty line; lone line feeds are as good. */
Test(observe, request_ends)
{
	static const struct {
		const char *text;
		bool ends;
	} rows[] = {
		{ "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", true },
		{ "GET / HTTP/1.0\n\n", true },
		{ "GET / HTTP/1.0\r\nHost: x\r\n", false },
		{ "GET / HTTP/1.0", false },
		{ "\r\r\r\r", false },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned tail = 0, alone = 0;
		bool ends = false;

		cr_expect_eq(scrape_ends(&tail, rows[i].text, strlen(rows[i].text)), rows[i].ends, "%s", rows[i].text);
		for (const char *c = rows[i].text; *c && !ends; c++)
			ends = scrape_ends(&alone, c, 1);
		cr_expect_eq(ends, rows[i].ends, "byte by byte: %s", rows[i].text);
	}
}

static struct sample *new_sample(void)
{
	struct sample *s = calloc(1, sizeof(*s));

	cr_assert(s);
	s->counter_count = 1;
	strcpy(s->counter_name[0], "instructions");
	s->device_count = 1;
	strcpy(s->device[0].name, "seriald");
	s->usage.count = 1;
	s->usage.of[0].pid = 5;
	return s;
}

Test(observe, difference)
{
	struct sample *before = new_sample(), *now = new_sample(), *out = new_sample();

	before->ns = 1000;
	now->ns = 3000;
	before->counter[0] = 10;
	now->counter[0] = 30;
	before->device[0].posted = 7;
	now->device[0].posted = 8;
	before->usage.of[0].cpu_ns = 100;
	now->usage.of[0].cpu_ns = 150;
	sample_subtract(now, before, out);
	cr_expect_eq(out->uptime_ns, 2000);
	cr_expect_eq(sample_counter(out, "instructions"), 20);
	cr_expect_eq(sample_counter(out, "nothing"), 0);
	cr_expect_eq(out->device[0].posted, 1);
	cr_expect_eq(out->usage.of[0].cpu_ns, 50);
	now->usage.of[0].pid = 6; /* another process: from its own beginning on */
	now->counter[0] = 4;	  /* another machine of that name */
	sample_subtract(now, before, out);
	cr_expect_eq(out->usage.of[0].cpu_ns, 150);
	cr_expect_eq(sample_counter(out, "instructions"), 4);
	free(before);
	free(now);
	free(out);
}

/* More of everything than there is room for, and less than was announced. */
Test(observe, sample_of_an_odd_supervisor)
{
	enum { MANY = 300 };
	Bulkhead__Status status = BULKHEAD__STATUS__INIT;
	Bulkhead__Counters c = BULKHEAD__COUNTERS__INIT;
	Bulkhead__VcpuCounters vcpu = BULKHEAD__VCPU_COUNTERS__INIT, *vcpus[MANY];
	Bulkhead__DeviceCounters device = BULKHEAD__DEVICE_COUNTERS__INIT, *devices[MANY];
	struct sample *s = calloc(1, sizeof(*s));
	char *names[MANY];
	uint64_t values[MANY] = { 1, 2 };
	uint32_t vectors[MANY];

	for (unsigned n = 0; n < MANY; n++) {
		vcpus[n] = &vcpu;
		devices[n] = &device;
		names[n] = (char *)"a name that is longer than any name of a counter has a right to be";
		vectors[n] = n;
	}
	vcpu.n_values = 2;
	vcpu.values = device.rounds = c.vector_counts = values;
	device.n_rounds = MANY;
	c.n_vcpus = c.n_devices = c.n_names = c.n_vectors = MANY;
	c.n_vector_counts = 2;
	c.vcpus = vcpus;
	c.devices = devices;
	c.names = names;
	c.vectors = vectors;
	sample_take(s, &status, &c);
	cr_expect_eq(s->counter[1], 2 * MANY);
	cr_expect_eq(s->counter[2], 0);
	cr_expect_eq(s->vector[1], 2);
	cr_expect_eq(s->device_count, DEVICES_MAX);
	free(s);
}

/* As in RFC 5424: a time with milliseconds and Z, and the level that the priority of syslog(3) stands for. */
Test(observe, stamps)
{
	static const struct {
		const char *text, *level, *words;
	} rows[] = {
		{ "<3>a", " error ", "a" }, { "<4>a", " warning ", "a" }, { "a", " info ", "a" },
		{ "<7>a", " debug ", "a" }, { "<9>a", " info ", "<9>a" }, { "<3", " info ", "<3" },
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char stamp[SAY_STAMP];
		const char *words = rows[i].text;
		int y, m, d, h, min, s, ms, n = 0;

		say_stamp(stamp, &words);
		cr_expect_str_eq(words, rows[i].words);
		cr_expect_eq(sscanf(stamp, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &y, &m, &d, &h, &min, &s, &ms, &n), 7, "%s", stamp);
		cr_expect_str_eq(stamp + n, rows[i].level);
	}
}
