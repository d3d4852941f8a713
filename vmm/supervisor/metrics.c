/* SPDX-License-Identifier: MIT */
/* A machine as metrics: metrics.h. */
#include "metrics.h"
#include "counted.h"
#include "cpu_time.h"
#include "proc.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Names of machines and processes have no character that would have to be escaped. */
enum { PAGE_BYTES = 96 * 1024, HEAD_BYTES = 256 };
struct page {
	size_t len;
	char text[PAGE_BYTES];
};

static void __attribute__((format(printf, 2, 3))) put(struct page *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->len, sizeof(p->text) - p->len, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(p->text) - p->len)
		p->len += (size_t)n;
}

static void head(struct page *p, const char *name, const char *type, const char *help)
{
	put(p, "# HELP bulkhead_%s %s\n# TYPE bulkhead_%s %s\n", name, help, name, type);
}

static void number(struct page *p, const char *name, const char *type, const char *help, uint64_t value)
{
	head(p, name, type, help);
	put(p, "bulkhead_%s %llu\n", name, (unsigned long long)value);
}

static void machine(struct page *p, const struct vm *vm, const struct counted *c)
{
	head(p, "info", "gauge", "1; what the machine is, in labels.");
	put(p, "bulkhead_info{name=\"%s\",engine=\"%s\",version=\"%s\"} 1\n", vm->config->name, vm->engine_kvm ? "kvm" : "emu",
	    BULKHEAD_VERSION);
	head(p, "uptime_seconds", "gauge", "Since the machine was started.");
	put(p, "bulkhead_uptime_seconds %.3f\n", (double)c->uptime_ns / 1e9);
	number(p, "running", "gauge", "1 if the guest runs.", vm->state == VM_RUNNING && !vm->paused);
	number(p, "guest_memory_bytes", "gauge", "Memory of the guest.", vm->config->ram_bytes);
	number(p, "resets_total", "counter", "Resets that the guest asked for.", vm->reboots);
	number(p, "sandbox_missing", "gauge", "Parts of the sandbox that this host or the user refuses; 0: it is complete.",
	       vm->missing.count);
}

static void counts(struct page *p, const struct counted *c)
{
	for (unsigned n = 0; n < COUNTERS; n++) {
		char name[64];

		snprintf(name, sizeof(name), "%s_total", counter_names[n]);
		head(p, name, "counter", counter_texts[n]);
		for (unsigned v = 0; v < c->vcpus; v++)
			put(p, "bulkhead_%s{vcpu=\"%u\"} %llu\n", name, v, (unsigned long long)c->vcpu[v][n]);
	}
	head(p, "interrupts_total", "counter", "Interrupts by vector.");
	for (unsigned n = 0; n < COUNTERS_VECTORS; n++)
		if (c->vector[n])
			put(p, "bulkhead_interrupts_total{vector=\"%u\"} %llu\n", n, (unsigned long long)c->vector[n]);
}

static void requests(struct page *p, const struct counted *c)
{
	head(p, "device_requests_total", "counter", "Accesses of the guest, by how they were answered.");
	for (unsigned n = 0; n < c->device_count; n++) {
		const struct counted_device *d = &c->device[n];
		const char *name = proc_name(d->proc);

		put(p, "bulkhead_device_requests_total{device=\"%s\",way=\"posted\"} %llu\n", name,
		    (unsigned long long)d->posted);
		put(p, "bulkhead_device_requests_total{device=\"%s\",way=\"synchronous\"} %llu\n", name,
		    (unsigned long long)d->synchronous);
		put(p, "bulkhead_device_requests_total{device=\"%s\",way=\"shadow\"} %llu\n", name,
		    (unsigned long long)d->shadowed);
	}
}

/* Bounds from a quarter of a microsecond to four seconds are enough for a picture. */
enum { FIRST_BOUND = 8, LAST_BOUND = 32 };

static void round_trips(struct page *p, const struct counted *c)
{
	head(p, "device_round_trip_seconds", "histogram", "How long the guest's processor waited for an answer.");
	for (unsigned n = 0; n < c->device_count; n++) {
		const struct counted_device *d = &c->device[n];
		const char *name = proc_name(d->proc);
		uint64_t below = 0;

		for (unsigned b = 0; b < COUNTERS_BUCKETS; b++) {
			below += d->rounds[b];
			if (b >= FIRST_BOUND && b <= LAST_BOUND)
				put(p, "bulkhead_device_round_trip_seconds_bucket{device=\"%s\",le=\"%.9f\"} %llu\n", name,
				    (double)(1ull << b) / 1e9, (unsigned long long)below);
		}
		put(p, "bulkhead_device_round_trip_seconds_bucket{device=\"%s\",le=\"+Inf\"} %llu\n", name,
		    (unsigned long long)below);
		put(p, "bulkhead_device_round_trip_seconds_sum{device=\"%s\"} %.9f\n", name, (double)d->round_ns / 1e9);
		put(p, "bulkhead_device_round_trip_seconds_count{device=\"%s\"} %llu\n", name, (unsigned long long)below);
	}
}

static void devices(struct page *p, const struct counted *c)
{
	static const struct {
		const char *name, *type, *help;
	} rows[] = {
		{ "device_up", "gauge", "1 if its process serves." },
		{ "device_given_up", "gauge", "1 if it was given up: its reads are all-ones." },
		{ "device_deaths_total", "counter", "Unexpected ends of its process." },
		{ "device_requests_skipped_total", "counter", "Requests that killed it twice and were skipped." },
	};

	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		head(p, rows[r].name, rows[r].type, rows[r].help);
		for (unsigned n = 0; n < c->device_count; n++) {
			const struct proc *d = c->device[n].proc;
			const uint64_t values[] = { d->state == PROC_READY, d->recovery.health == DEVICE_GIVEN_UP,
						    d->recovery.deaths, d->recovery.poison_count };

			put(p, "bulkhead_%s{device=\"%s\"} %llu\n", rows[r].name, proc_name(d), (unsigned long long)values[r]);
		}
	}
}

static void processes(struct page *p, const struct vm *vm)
{
	const Bulkhead__Stats *console = &vm->procs[PROC_SERIALD].stats;

	head(p, "process_cpu_seconds_total", "counter", "Processor time of a process's present incarnation.");
	for (unsigned i = 0; i < PROCS; i++)
		if (vm->procs[i].pid && vm->procs[i].state == PROC_READY)
			put(p, "bulkhead_process_cpu_seconds_total{process=\"%s\"} %.6f\n", proc_name(&vm->procs[i]),
			    (double)cpu_time_ns(vm->procs[i].pid) / 1e9);
	head(p, "console_bytes_total", "counter", "Bytes of the console.");
	put(p, "bulkhead_console_bytes_total{direction=\"out\"} %llu\n", (unsigned long long)console->console_bytes_out);
	put(p, "bulkhead_console_bytes_total{direction=\"in\"} %llu\n", (unsigned long long)console->console_bytes_in);
}

const char *metrics_answer(const struct vm *vm, size_t *len)
{
	static struct page body;
	static char answer[HEAD_BYTES + PAGE_BYTES];
	static struct counted c;
	int n;

	body.len = 0;
	counted_read(vm, &c);
	machine(&body, vm, &c);
	counts(&body, &c);
	requests(&body, &c);
	round_trips(&body, &c);
	devices(&body, &c);
	processes(&body, vm);
	n = snprintf(answer, sizeof(answer),
		     "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n"
		     "Connection: close\r\n\r\n",
		     body.len);
	memcpy(answer + n, body.text, body.len);
	*len = (size_t)n + body.len;
	return answer;
}
