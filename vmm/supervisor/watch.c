/* SPDX-License-Identifier: MIT */
/* Who is to blame: watch.h. */
#include "watch.h"

#include "../../proto/clock.h"

#include <stddef.h>

#define MS CLOCK_NS_PER_MS
#define S CLOCK_NS_PER_S

/* One look would not do: a starving process may get a moment on a processor just then. */
enum { AWAKE = 3 };

/* No request takes a millisecond, and its heart beats every second. */
const struct watch_limits watch_device = {
	.late_ns = 200 * MS,
	.stopped_ns = 100 * MS,
	.start_ns = 6 * S,
	.busy_ns = 80 * MS,
	.blocked_ns = 600 * MS,
	.silent_ns = 3 * S,
	.toil_ns = UINT64_MAX,
	.asleep_ns = UINT64_MAX,
	.absent_ns = 10 * S,
	.silent = "hang: no sign of life for three seconds",
};

/* Its heart, too, beats every second, whatever its guest does; vcpus that do not come back it finds itself (pulse.h). */
const struct watch_limits watch_vcpu = {
	.stopped_ns = 1 * S,
	.silent_ns = 10 * S,
	.toil_ns = 10 * S,
	.asleep_ns = 50 * MS,
	.absent_ns = 60 * S,
	.silent = "hang: no sign of life for ten seconds",
};

/* It tells how it gets on while it reads; unpacking is one step, of seconds if the kernel is large and the host slow. */
const struct watch_limits watch_loader = {
	.stopped_ns = 1 * S,
	.silent_ns = 10 * S,
	.toil_ns = 60 * S,
	.asleep_ns = 50 * MS,
	.absent_ns = 60 * S,
	.silent = "hang: no sign of life for ten seconds",
};

void watch_begin(struct watch *w, const struct watch_sample *s)
{
	*w = (struct watch){
		.phase = s->phase,
		.born_ns = s->now_ns,
		.head_ns = s->now_ns,
		.beat_ns = s->now_ns,
		.head_cpu_ns = s->cpu_ns,
		.beat_cpu_ns = s->cpu_ns,
		.head = s->head,
		.beat = s->beat,
	};
}

/* What it was late with before does not count any more in a new phase. */
static void observe(struct watch *w, const struct watch_sample *s)
{
	bool news = s->phase != w->phase;

	w->phase = s->phase;
	w->woken = w->woken && !news;
	if (s->head != w->head || !s->has_work || news) {
		w->head = s->head;
		w->head_ns = s->now_ns;
		w->head_cpu_ns = s->cpu_ns;
	}
	if (s->beat != w->beat || s->phase == WATCH_WAITS || news) {
		w->beat = s->beat;
		w->beat_ns = s->now_ns;
		w->beat_cpu_ns = s->cpu_ns;
	}
}

static bool wake_if(struct watch *w, const struct watch_sample *s, bool late)
{
	w->awake = late && w->woken && s->cpu_ns != w->woken_cpu_ns ? w->awake + 1 : 0;
	w->woken = late;
	w->woken_cpu_ns = s->cpu_ns;
	return late;
}

/* It has not done its work for `idle` ns, of which `limit` are allowed: is that its own fault? */
static bool is_guilty(const struct watch *w, const struct watch_limits *l, uint64_t idle, uint64_t limit, uint64_t cpu_ns)
{
	if (cpu_ns >= l->asleep_ns)
		return false;
	return (idle >= limit && w->awake >= AWAKE) || idle >= l->absent_ns;
}

static const char *judge_stop(struct watch *w, const struct watch_limits *l, const struct watch_sample *s)
{
	if (!s->stopped) {
		w->stopped_ns = 0;
		return NULL;
	}
	if (!w->stopped_ns)
		w->stopped_ns = s->now_ns;
	return s->now_ns - w->stopped_ns >= l->stopped_ns ? "hang: it was stopped by a signal" : NULL;
}

static const char *judge_start(struct watch *w, const struct watch_limits *l, const struct watch_sample *s, bool *wake)
{
	uint64_t passed = s->now_ns - w->born_ns, limit = s->phase == WATCH_STARTS ? l->start_ns : l->blocked_ns;
	bool busy = s->phase == WATCH_RESTARTS && passed >= l->late_ns && s->cpu_ns >= l->busy_ns;

	*wake = wake_if(w, s, passed >= l->late_ns);
	return busy || is_guilty(w, l, passed, limit, 0) ? "hang: it did not start in time" : NULL;
}

static const char *judge_requests(const struct watch *w, const struct watch_limits *l, const struct watch_sample *s)
{
	uint64_t idle = s->now_ns - w->head_ns;

	if (idle >= l->late_ns && s->cpu_ns - w->head_cpu_ns >= l->busy_ns)
		return "hang: it works and works on one request";
	return is_guilty(w, l, idle, l->blocked_ns, 0) ? "hang: it does not read its requests" : NULL;
}

static const char *judge_silence(const struct watch *w, const struct watch_limits *l, const struct watch_sample *s)
{
	uint64_t toil = s->cpu_ns - w->beat_cpu_ns;

	if (toil >= l->toil_ns)
		return "hang: it works and gives no sign of life";
	return is_guilty(w, l, s->now_ns - w->beat_ns, l->silent_ns, toil) ? l->silent : NULL;
}

static const char *judge_work(struct watch *w, const struct watch_limits *l, const struct watch_sample *s, bool *wake)
{
	bool late = s->has_work && s->now_ns - w->head_ns >= l->late_ns;
	const char *why;

	*wake = wake_if(w, s, late || s->now_ns - w->beat_ns >= l->silent_ns);
	why = s->has_work ? judge_requests(w, l, s) : NULL;
	return why ? why : judge_silence(w, l, s);
}

const char *watch_look(struct watch *w, const struct watch_limits *l, const struct watch_sample *s, bool *wake)
{
	const char *why = judge_stop(w, l, s);

	*wake = false;
	if (why || w->stopped_ns)
		return why;
	observe(w, s);
	switch (s->phase) {
	case WATCH_WAITS:
		break;
	case WATCH_STARTS:
	case WATCH_RESTARTS:
		return judge_start(w, l, s, wake);
	case WATCH_SERVES:
		return judge_work(w, l, s, wake);
	}
	return NULL;
}
