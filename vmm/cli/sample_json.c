/* SPDX-License-Identifier: MIT */
/* Numbers as JSON: sample_json.h. */
#include "sample_json.h"

#include <stdio.h>
#include <string.h>

/* Counts of a sample as they are, or by the second. */
struct form {
	double seconds; /* 0: as they are */
};

static json_t *count(const struct form *f, uint64_t n)
{
	return f->seconds > 0 ? json_real((double)n / f->seconds) : json_integer((json_int_t)n);
}

static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_null();
}

static json_t *quantile(const struct sample_device *d, unsigned per_mille)
{
	uint64_t ns = counters_quantile(d->rounds, per_mille);

	return ns ? json_integer((json_int_t)ns) : json_null();
}

static json_t *device(const struct sample_device *d, const struct form *f)
{
	json_t *j = json_object(), *rounds = json_array();
	unsigned used = 0;

	for (unsigned n = 0; n < COUNTERS_BUCKETS; n++)
		if (d->rounds[n])
			used = n + 1;
	for (unsigned n = 0; n < used; n++)
		json_array_append_new(rounds, json_integer((json_int_t)d->rounds[n]));
	json_object_set_new(j, "device", text(d->name));
	json_object_set_new(j, "state", text(d->state));
	json_object_set_new(j, "deaths", json_integer(d->deaths));
	json_object_set_new(j, "posted", count(f, d->posted));
	json_object_set_new(j, "synchronous", count(f, d->synchronous));
	json_object_set_new(j, "shadow", count(f, d->shadowed));
	json_object_set_new(j, "round_trip_p50_ns", quantile(d, 500));
	json_object_set_new(j, "round_trip_p90_ns", quantile(d, 900));
	json_object_set_new(j, "round_trip_p99_ns", quantile(d, 990));
	json_object_set_new(j, "round_trip_max_ns", quantile(d, 1000));
	json_object_set_new(j, "round_trips_below_power_of_two_ns", rounds);
	return j;
}

void sample_add_usage(json_t *process, const struct usage_row *row)
{
	json_object_set_new(process, "cpu_ns", row ? json_integer((json_int_t)row->cpu_ns) : json_null());
	json_object_set_new(process, "rss_bytes", row ? json_integer((json_int_t)row->rss_bytes) : json_null());
	json_object_set_new(process, "pss_bytes", row && row->has_pss ? json_integer((json_int_t)row->pss_bytes) : json_null());
}

static json_t *processes(const struct sample *s, const struct form *f)
{
	json_t *list = json_array();

	for (unsigned n = 0; n < s->usage.count; n++) {
		const struct usage_row *row = &s->usage.of[n];
		json_t *j = json_object();

		json_object_set_new(j, "process", text(row->name));
		json_object_set_new(j, "pid", json_integer(row->pid));
		sample_add_usage(j, row);
		if (f->seconds > 0)
			json_object_set_new(j, "cpu_percent", json_real((double)row->cpu_ns / f->seconds / 1e7));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *vectors(const struct sample *s, const struct form *f)
{
	json_t *j = json_object();
	char name[8];

	for (unsigned n = 0; n < SAMPLE_VECTORS; n++)
		if (s->vector[n]) {
			snprintf(name, sizeof(name), "%u", n);
			json_object_set_new(j, name, count(f, s->vector[n]));
		}
	return j;
}

static json_t *make(const struct sample *s, const struct form *f)
{
	json_t *j = json_object(), *counters = json_object(), *devices = json_array(), *vcpus = json_array();

	json_object_set_new(j, "schema", json_integer(1));
	json_object_set_new(j, "name", text(s->name));
	json_object_set_new(j, "state", text(s->state));
	json_object_set_new(j, "engine", text(s->engine));
	json_object_set_new(j, "sandbox", text(s->sandbox));
	json_object_set_new(j, f->seconds > 0 ? "interval_ns" : "uptime_ns", json_integer((json_int_t)s->uptime_ns));
	json_object_set_new(j, "per_second", json_boolean(f->seconds > 0));
	json_object_set_new(j, "reboots", json_integer(s->reboots));
	for (unsigned n = 0; n < s->counter_count; n++)
		json_object_set_new(counters, s->counter_name[n], count(f, s->counter[n]));
	for (unsigned n = 0; n < s->vcpus; n++)
		json_array_append_new(vcpus, count(f, s->instructions[n]));
	for (unsigned n = 0; n < s->device_count; n++)
		json_array_append_new(devices, device(&s->device[n], f));
	json_object_set_new(j, "counters", counters);
	json_object_set_new(j, "vcpu_instructions", vcpus);
	json_object_set_new(j, "interrupts", vectors(s, f));
	json_object_set_new(j, "devices", devices);
	json_object_set_new(j, "processes", processes(s, f));
	return j;
}

json_t *sample_json(const struct sample *s)
{
	return make(s, &(struct form){ 0 });
}

json_t *sample_rates_json(const struct sample *difference)
{
	return make(difference, &(struct form){ difference->uptime_ns ? (double)difference->uptime_ns / 1e9 : 1 });
}
