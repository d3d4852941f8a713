/* SPDX-License-Identifier: MIT */
/* A machine's numbers: sample.h. */
#include "sample.h"

#include "../../proto/clock.h"

#include <stdio.h>
#include <string.h>

static void copy(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
}

static void take_counters(struct sample *s, const Bulkhead__Counters *c)
{
	for (size_t n = 0; n < c->n_names && n < SAMPLE_COUNTERS; n++) {
		copy(s->counter_name[n], SAMPLE_NAME, c->names[n]);
		s->counter_count++;
		for (size_t v = 0; v < c->n_vcpus; v++)
			s->counter[n] += n < c->vcpus[v]->n_values ? c->vcpus[v]->values[n] : 0;
	}
	for (size_t v = 0; v < c->n_vcpus && v < SAMPLE_VCPUS; v++)
		for (size_t n = 0; n < s->counter_count && n < c->vcpus[v]->n_values; n++)
			if (!strcmp(s->counter_name[n], "instructions"))
				s->instructions[v] = c->vcpus[v]->values[n];
	s->vcpus = c->n_vcpus < SAMPLE_VCPUS ? (unsigned)c->n_vcpus : SAMPLE_VCPUS;
	for (size_t n = 0; n < c->n_vectors && n < c->n_vector_counts; n++)
		if (c->vectors[n] < SAMPLE_VECTORS)
			s->vector[c->vectors[n]] = c->vector_counts[n];
}

static const Bulkhead__ProcessStatus *find_process(const Bulkhead__Status *s, const char *name)
{
	for (size_t i = 0; i < s->n_processes; i++)
		if (s->processes[i]->name && !strcmp(s->processes[i]->name, name))
			return s->processes[i];
	return NULL;
}

static void take_device(struct sample *s, const Bulkhead__DeviceCounters *from, const Bulkhead__Status *status)
{
	struct sample_device *d = &s->device[s->device_count++];
	const Bulkhead__ProcessStatus *p;

	copy(d->name, sizeof(d->name), from->name);
	p = find_process(status, d->name);
	copy(d->state, sizeof(d->state), p ? p->state : "?");
	d->deaths = p ? p->deaths : 0;
	d->posted = from->posted;
	d->synchronous = from->synchronous;
	d->shadowed = from->shadowed;
	d->round_ns = from->round_ns;
	for (size_t n = 0; n < from->n_rounds && n < COUNTERS_BUCKETS; n++)
		d->rounds[n] = from->rounds[n];
}

void sample_take(struct sample *s, const Bulkhead__Status *status, const Bulkhead__Counters *counters)
{
	memset(s, 0, sizeof(*s));
	copy(s->name, sizeof(s->name), status->name);
	copy(s->state, sizeof(s->state), status->state);
	copy(s->engine, sizeof(s->engine), status->engine);
	copy(s->sandbox, sizeof(s->sandbox), status->sandbox);
	s->reboots = status->reboots;
	s->ns = clock_ns();
	s->uptime_ns = counters->uptime_ns;
	take_counters(s, counters);
	for (size_t n = 0; n < counters->n_devices && n < DEVICES_MAX; n++)
		take_device(s, counters->devices[n], status);
}

uint64_t sample_counter(const struct sample *s, const char *name)
{
	for (unsigned n = 0; n < s->counter_count; n++)
		if (!strcmp(s->counter_name[n], name))
			return s->counter[n];
	return 0;
}

static void less(uint64_t *now, uint64_t before)
{
	*now -= *now >= before ? before : 0;
}

static void subtract_device(struct sample_device *d, const struct sample_device *before)
{
	if (strcmp(d->name, before->name))
		return;
	less(&d->posted, before->posted);
	less(&d->synchronous, before->synchronous);
	less(&d->shadowed, before->shadowed);
	less(&d->round_ns, before->round_ns);
	for (unsigned n = 0; n < COUNTERS_BUCKETS; n++)
		less(&d->rounds[n], before->rounds[n]);
}

void sample_subtract(const struct sample *now, const struct sample *before, struct sample *out)
{
	*out = *now;
	if (!before)
		return;
	out->uptime_ns = now->ns - before->ns;
	for (unsigned n = 0; n < out->counter_count; n++)
		less(&out->counter[n], before->counter[n]);
	for (unsigned v = 0; v < out->vcpus; v++)
		less(&out->instructions[v], before->instructions[v]);
	for (unsigned n = 0; n < SAMPLE_VECTORS; n++)
		less(&out->vector[n], before->vector[n]);
	for (unsigned n = 0; n < out->device_count; n++)
		subtract_device(&out->device[n], &before->device[n]);
	for (unsigned n = 0; n < out->usage.count; n++) {
		const struct usage_row *row = usage_find(&before->usage, out->usage.of[n].pid);

		less(&out->usage.of[n].cpu_ns, row ? row->cpu_ns : 0);
	}
}
