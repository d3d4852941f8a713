/* SPDX-License-Identifier: MIT */
/* Reading what the vcpu process counts: counted.h. */
#include "counted.h"
#include "proc.h"

#include <string.h>

static void add_device(struct counted_device *d, const struct counters_device *from)
{
	d->posted += counter_get(&from->posted);
	d->synchronous += counter_get(&from->synchronous);
	d->shadowed += counter_get(&from->shadowed);
	d->round_ns += counter_get(&from->round_ns);
	for (unsigned n = 0; n < COUNTERS_BUCKETS; n++)
		d->rounds[n] += counter_get(&from->rounds[n]);
}

/* Channels are those devices that the machine has, in this order: setup.c. */
static void read_devices(const struct vm *vm, struct counted *out)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++) {
		struct counted_device *d = &out->device[out->device_count];

		if (!proc_exists(&vm->procs[i]))
			continue;
		d->proc = &vm->procs[i];
		for (unsigned t = 0; t < COUNTERS_THREADS; t++)
			add_device(d, &vm->counters_view->thread[t].device[out->device_count]);
		out->device_count++;
	}
}

void counted_read(const struct vm *vm, struct counted *out)
{
	memset(out, 0, sizeof(*out));
	out->uptime_ns = clock_ns() - vm->launch->started_ns;
	out->vcpus = vm_cpus(vm) < COUNTERS_VCPUS ? vm_cpus(vm) : COUNTERS_VCPUS;
	for (unsigned v = 0; v < out->vcpus; v++)
		for (unsigned n = 0; n < COUNTERS; n++)
			out->vcpu[v][n] = counter_get(&vm->counters_view->thread[v].of[n]);
	for (unsigned t = 0; t < COUNTERS_THREADS; t++)
		for (unsigned n = 0; n < COUNTERS_VECTORS; n++)
			out->vector[n] += counter_get(&vm->counters_view->thread[t].vector[n]);
	read_devices(vm, out);
}

static void add_device_row(Bulkhead__Counters *out, struct counted_parts *parts, struct counted_device *d)
{
	Bulkhead__DeviceCounters *row = &parts->devices[out->n_devices];

	bulkhead__device_counters__init(row);
	row->name = (char *)proc_name(d->proc);
	row->has_posted = row->has_synchronous = row->has_shadowed = row->has_round_ns = true;
	row->posted = d->posted;
	row->synchronous = d->synchronous;
	row->shadowed = d->shadowed;
	row->round_ns = d->round_ns;
	row->n_rounds = COUNTERS_BUCKETS;
	row->rounds = d->rounds;
	parts->device_list[out->n_devices++] = row;
}

void counted_message(struct counted *c, Bulkhead__Counters *out, struct counted_parts *parts)
{
	bulkhead__counters__init(out);
	out->n_names = COUNTERS;
	out->names = (char **)counter_names;
	for (unsigned v = 0; v < c->vcpus; v++) {
		bulkhead__vcpu_counters__init(&parts->vcpus[v]);
		parts->vcpus[v].n_values = COUNTERS;
		parts->vcpus[v].values = c->vcpu[v];
		parts->vcpu_list[out->n_vcpus++] = &parts->vcpus[v];
	}
	out->vcpus = parts->vcpu_list;
	for (unsigned n = 0; n < COUNTERS_VECTORS; n++)
		if (c->vector[n]) {
			parts->vectors[out->n_vectors] = n;
			parts->vector_counts[out->n_vectors++] = c->vector[n];
		}
	out->vectors = parts->vectors;
	out->n_vector_counts = out->n_vectors;
	out->vector_counts = parts->vector_counts;
	for (unsigned n = 0; n < c->device_count; n++)
		add_device_row(out, parts, &c->device[n]);
	out->devices = parts->device_list;
	out->has_uptime_ns = true;
	out->uptime_ns = c->uptime_ns;
}

uint64_t counted_sum(const struct vm *vm, enum counter which)
{
	uint64_t sum = 0;

	for (unsigned v = 0; vm->counters_view && v < vm_cpus(vm) && v < COUNTERS_VCPUS; v++)
		sum += counter_get(&vm->counters_view->thread[v].of[which]);
	return sum;
}
