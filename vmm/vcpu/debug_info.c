/* SPDX-License-Identifier: MIT */
/* What this process knows of devices, and how often the guest left it for them: text for a debugger's user. */
#include "vcpu.h"

#include "proto/control_check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *at;
	size_t left;
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

static void devices(struct vcpu_process *p, struct text *t)
{
	char name[KIND_NAME_MAX];

	add(t, "%-12s %12s %12s  %s\n", "DEVICE", "POSTED", "WAITED FOR", "STATE");
	for (unsigned i = 0; i < p->bus.channel_count; i++) {
		struct channel *c = &p->bus.channels[i];

		control_process_name(c->role, c->instance, name);
		add(t, "%-12s %12llu %12llu  %s\n", name, (unsigned long long)atomic_load(&c->ring.stats.posted),
		    (unsigned long long)atomic_load(&c->ring.stats.synchronous),
		    atomic_load(&c->ring.given_up) ? "given up" : "serves");
	}
}

static void exits(struct vcpu_process *p, struct text *t)
{
	uint64_t posted = 0, synchronous = 0, waited_ns = 0, instructions = 0;

	for (unsigned i = 0; i < p->bus.channel_count; i++) {
		struct ring_stats *r = &p->bus.channels[i].ring.stats;

		posted += atomic_load(&r->posted);
		synchronous += atomic_load(&r->synchronous);
		waited_ns += atomic_load(&r->waited_ns);
	}
	for (unsigned i = 0; i < p->vcpus; i++)
		instructions += p->engine->ops->instructions(p->engine, i);
	add(t, "posted requests       %llu\n", (unsigned long long)posted);
	add(t, "requests waited for   %llu\n", (unsigned long long)synchronous);
	add(t, "time slept in them    %llu us\n", (unsigned long long)waited_ns / 1000);
	add(t, "shadow registers read %llu\n", (unsigned long long)bus_count_shadowed(&p->bus));
	add(t, "nobody answered       %llu\n", (unsigned long long)bus_count(&p->bus, COUNTER_UNCLAIMED));
	add(t, "interrupts            %llu\n", (unsigned long long)bus_count_interrupts(&p->bus));
	if (instructions)
		add(t, "instructions          %llu\n", (unsigned long long)instructions);
}

int debug_info(struct vcpu_process *p, const char *what, char *text, size_t len)
{
	static const struct {
		const char *name;
		void (*tell)(struct vcpu_process *p, struct text *t);
	} rows[] = { { "devices", devices }, { "exits", exits } };
	struct text t = { text, len };

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].name, what)) {
			rows[i].tell(p, &t);
			return 0;
		}
	return -ENOENT;
}
