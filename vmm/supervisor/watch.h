/* SPDX-License-Identifier: MIT */
/*
 * Is a process that lives, and does not do its work, to blame for it? No clock and no process in here: watchdog.c looks,
 * wakes and ends.
 *
 * A process that waits for a processor looks much like one that waits for ever. It is not ended for that: the next one
 * would wait as long, and the guest's request would count as what killed it. So two things have to be told apart.
 *
 * Is the whole host slow? All times here are watch time (proto/watch_time.h).
 *
 * Is it that one process? One that sleeps can be woken, and then runs, if only for microseconds; one that is queued
 * behind others, or whose virtual processor the host has taken away, does not. Its processor time tells which. And one
 * that has used a good deal of it is not asleep: if it may have much to do, it is left in peace until that is too much.
 */
#ifndef BULKHEAD_VMM_WATCH_H
#define BULKHEAD_VMM_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum watch_phase {
	WATCH_WAITS,	/* it has nothing to do until we say so */
	WATCH_STARTS,	/* for the first time: nobody waits for it yet */
	WATCH_RESTARTS, /* the guest waits for it */
	WATCH_SERVES,
};

struct watch_limits {
	uint64_t late_ns;    /* with requests, or before it serves: it is woken from here on, again and again */
	uint64_t stopped_ns; /* by a signal */
	uint64_t start_ns;   /* until it serves; when the guest waits for it, as for a request */
	uint64_t busy_ns;    /* processor time on one request, or on starting again */
	uint64_t blocked_ns; /* has requests, runs when it is woken, and lets them be */
	uint64_t silent_ns;  /* no sign of life, although it runs when it is woken */
	uint64_t toil_ns;    /* processor time without a sign of life */
	uint64_t asleep_ns;  /* has used less: it has been asleep */
	uint64_t absent_ns;  /* it does not even run: an uninterruptible sleep, or a host that is beyond help */
	const char *silent;  /* what is said of it */
};

/* A device has nothing to compute. What a vcpu process or a loader loses is lost, so they are given more time. */
extern const struct watch_limits watch_device, watch_vcpu, watch_loader;

/* What is seen of a process at a look. */
struct watch_sample {
	enum watch_phase phase;
	uint64_t now_ns; /* watch time */
	uint64_t cpu_ns; /* processor time that it has used so far */
	bool stopped;	 /* by a signal */
	bool has_work;	 /* its ring holds requests */
	uint32_t head;	 /* moves with each that it finishes */
	uint64_t beat;	 /* changes with each sign of life */
};

struct watch {
	enum watch_phase phase;
	uint64_t born_ns;
	uint64_t head_ns, head_cpu_ns; /* since when the head stands, or there was nothing to do; processor time then */
	uint64_t beat_ns, beat_cpu_ns; /* the same for signs of life */
	uint64_t stopped_ns;	       /* 0: it is not */
	uint64_t beat, woken_cpu_ns;
	uint32_t head;
	bool woken;	/* it is late, and was woken at the last look */
	unsigned awake; /* how many times in a row it ran after that */
};

/* A new process; of the sample only times and counters matter. */
void watch_begin(struct watch *w, const struct watch_sample *s);

/*
 * One more look. NULL, or why it is to be ended. *wake: it is late; wake it, so that the next look can tell whether it
 * runs at all.
 */
const char *watch_look(struct watch *w, const struct watch_limits *l, const struct watch_sample *s, bool *wake);

#endif
