/* SPDX-License-Identifier: MIT */
/* What happens to a machine: news.h. */
#include "news.h"
#include "proc.h"
#include "vm.h"

#include "../../proto/probe.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct news *next(struct vm *vm, const char *what, const char *text)
{
	struct news *n = &vm->news.last[vm->news.count % NEWS_KEPT];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*n = (struct news){ .number = ++vm->news.count, .what = what, .monotonic_ns = clock_ns() };
	n->realtime_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
	snprintf(n->text, sizeof(n->text), "%s", text);
	return n;
}

static void publish(struct vm *vm, const struct news *n)
{
	PROBE4(news, vm->config->name, n->what, n->device, n->text);
	vm->hooks->news(vm);
}

void news_add(struct vm *vm, const char *what, const struct proc *device, const char *text)
{
	struct news *n = next(vm, what, text);

	if (device) {
		snprintf(n->device, sizeof(n->device), "%s", proc_name(device));
		n->incarnation = device->incarnation;
	}
	publish(vm, n);
}

void news_ended(struct vm *vm)
{
	struct news *n = next(vm, "ended", vm->exit_reason);

	n->has_code = true;
	n->code = vm->exit_code;
	publish(vm, n);
}

const struct news *news_after(const struct news_ring *ring, uint64_t after)
{
	uint64_t oldest = ring->count > NEWS_KEPT ? ring->count - NEWS_KEPT : 0;
	uint64_t at = after > oldest ? after : oldest;

	return at < ring->count ? &ring->last[at % NEWS_KEPT] : NULL;
}

void news_message(const struct news *n, Bulkhead__News *out)
{
	bulkhead__news__init(out);
	out->has_number = out->has_realtime_ns = out->has_monotonic_ns = true;
	out->number = n->number;
	out->realtime_ns = (int64_t)n->realtime_ns;
	out->monotonic_ns = (int64_t)n->monotonic_ns;
	out->what = (char *)n->what;
	out->device = (char *)(n->device[0] ? n->device : NULL);
	out->has_incarnation = n->device[0] != 0;
	out->incarnation = n->incarnation;
	out->text = (char *)n->text;
	out->has_code = n->has_code;
	out->code = n->code;
}
