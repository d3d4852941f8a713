/* SPDX-License-Identifier: MIT */
/* Who hangs, who starves, who is fine (vmm/supervisor/watch.h): processes of every kind, looked at ten times a second. */
#include <criterion/criterion.h>

#include "proto/clock.h"
#include "proto/watch_time.h"
#include "vmm/supervisor/watch.h"

#define MS CLOCK_NS_PER_MS
#define S CLOCK_NS_PER_S
enum { LOOK_MS = 100 };

static struct watch w;
static struct watch_sample s;
static const struct watch_limits *limits;
static bool wakes;

/* What the process does between two looks. */
static void (*lives)(void);

static void begin(const struct watch_limits *l, enum watch_phase phase, void (*life)(void))
{
	limits = l;
	lives = life;
	s = (struct watch_sample){ .phase = phase, .now_ns = 77 * S };
	watch_begin(&w, &s);
	wakes = false;
}

/* NULL, or what is said of it within so many ms. */
static const char *watch_for(uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed += LOOK_MS) {
		const char *why;

		s.now_ns += LOOK_MS * MS;
		lives();
		why = watch_look(&w, limits, &s, &wakes);
		if (why)
			return why;
	}
	return NULL;
}

static void expect(const char *why, const char *part)
{
	cr_expect(why && strstr(why, part), "%s", why ? why : "nothing");
}

/* ---- lives ---- */

static void beat_each_second(void)
{
	if (s.now_ns % S == 0) {
		s.beat++;
		s.cpu_ns += MS / 10;
	}
}

/* Sleeps, and when it is woken looks for work that it does not see. */
static void sleeps(void)
{
	s.cpu_ns += wakes ? MS / 50 : 0;
}

/* Is ready to run all the time, and is not let. */
static void starves(void)
{
}

/* Gets a moment now and then: too little to finish anything. */
static void starves_nearly(void)
{
	if (s.now_ns / (LOOK_MS * MS) % 3 == 0)
		s.cpu_ns += MS;
}

static void works_for_ever(void)
{
	s.cpu_ns += LOOK_MS * MS;
}

static void serves(void)
{
	beat_each_second();
	s.head++;
	s.cpu_ns += 20 * MS;
}

static void beats_only(void)
{
	s.beat++;
	sleeps();
}

/* ---- devices ---- */

Test(watch, device_that_is_well)
{
	begin(&watch_device, WATCH_SERVES, beat_each_second);
	cr_expect_null(watch_for(3600000), "idle for an hour");
	s.has_work = true;
	lives = serves;
	cr_expect_null(watch_for(3600000), "busy for an hour");
}

Test(watch, device_that_hangs)
{
	begin(&watch_device, WATCH_SERVES, sleeps);
	s.has_work = true;
	expect(watch_for(1500), "does not read its requests");
	begin(&watch_device, WATCH_SERVES, works_for_ever);
	s.has_work = true;
	expect(watch_for(1500), "one request");
	begin(&watch_device, WATCH_SERVES, sleeps);
	expect(watch_for(4000), "no sign of life");
	begin(&watch_device, WATCH_SERVES, beats_only);
	s.has_work = true;
	expect(watch_for(1500), "does not read its requests");
}

/* It is left alone for as long as the next incarnation would not fare better; ten seconds. */
Test(watch, device_that_starves)
{
	begin(&watch_device, WATCH_SERVES, starves);
	s.has_work = true;
	cr_expect_null(watch_for(9900));
	cr_expect(wakes, "it was tried to wake it");
	expect(watch_for(200), "hang");
	begin(&watch_device, WATCH_SERVES, starves_nearly);
	s.has_work = true;
	cr_expect_null(watch_for(5900));
	begin(&watch_device, WATCH_RESTARTS, starves);
	cr_expect_null(watch_for(9900));
}

Test(watch, device_that_does_not_start)
{
	begin(&watch_device, WATCH_STARTS, sleeps);
	cr_expect_null(watch_for(5500));
	expect(watch_for(1500), "did not start");
	begin(&watch_device, WATCH_RESTARTS, sleeps);
	expect(watch_for(1500), "did not start");
	begin(&watch_device, WATCH_RESTARTS, works_for_ever);
	expect(watch_for(500), "did not start");
}

/* ---- stops ---- */

Test(watch, stopped_and_continued)
{
	static const struct watch_limits *const all[] = { &watch_device, &watch_vcpu, &watch_loader };

	for (unsigned i = 0; i < 3; i++) {
		begin(all[i], WATCH_SERVES, beat_each_second);
		s.stopped = true;
		cr_expect_null(watch_for(LOOK_MS));
		s.stopped = false;
		cr_expect_null(watch_for(20000));
		s.stopped = true;
		expect(watch_for(1200), "stopped by a signal");
	}
}

/* ---- vcpu process and loader ---- */

/* Guests sleep, spin, and wait for devices, for ever: the helper thread's heart beats on. */
Test(watch, vcpu_that_is_well)
{
	begin(&watch_vcpu, WATCH_SERVES, beat_each_second);
	cr_expect_null(watch_for(3600000));
	lives = serves;
	cr_expect_null(watch_for(3600000));
	begin(&watch_vcpu, WATCH_WAITS, starves);
	cr_expect_null(watch_for(3600000), "the loader has not answered yet: there is nothing that it could do");
}

Test(watch, vcpu_that_hangs)
{
	begin(&watch_vcpu, WATCH_SERVES, sleeps);
	cr_expect_null(watch_for(9900));
	expect(watch_for(1000), "no sign of life");
	begin(&watch_vcpu, WATCH_SERVES, works_for_ever);
	cr_expect_null(watch_for(9800));
	expect(watch_for(1000), "works and gives no sign");
}

/* What it has would be lost with it. */
Test(watch, vcpu_that_starves)
{
	begin(&watch_vcpu, WATCH_SERVES, starves);
	cr_expect_null(watch_for(59900));
	expect(watch_for(200), "hang");
	begin(&watch_vcpu, WATCH_SERVES, starves_nearly);
	cr_expect_null(watch_for(600000), "it gets a hundredth of a processor");
}

Test(watch, loader)
{
	begin(&watch_loader, WATCH_SERVES, works_for_ever);
	cr_expect_null(watch_for(59000), "it unpacks");
	expect(watch_for(2000), "works and gives no sign");
	begin(&watch_loader, WATCH_SERVES, sleeps);
	expect(watch_for(11000), "no sign of life");
	begin(&watch_loader, WATCH_SERVES, beats_only);
	cr_expect_null(watch_for(3600000), "it reads from a slow disk");
}

/* ---- watch time ---- */

/* Whatever the clock does between two looks: never back, never faster than the clock, never more than a step at once. */
Test(watch, time)
{
	const uint64_t step = 150 * MS;
	uint64_t clock = 1, random = 88172645463325252ull;
	struct watch_time t = { 0, clock };

	for (unsigned i = 0; i < 100000; i++) {
		uint64_t before = t.ns, passed;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		passed = random >> 24 >> (random & 31);
		clock += passed;
		cr_assert_eq(watch_time_at(&t, clock, step), before + (passed < step ? passed : step));
		cr_assert_eq(watch_time_look(&t, clock, step), before + (passed < step ? passed : step));
		cr_assert_eq(watch_time_at(&t, clock, step), t.ns);
	}
}
