/* SPDX-License-Identifier: MIT */
/* design.md, "Shadow registers". */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "proto/clock.h"
#include "proto/shadow.h"
#include "proto_harness.h"

static const struct machine_clock host;

Test(shadow, values_and_withdrawal)
{
	struct test_object o;
	struct shadow_writer w;
	struct shadow_value v[2] = { { .valid = true, .value = 0x60 }, { .valid = false, .value = 9 } };
	uint64_t got;

	test_object_make(&o, "shadow", sizeof(struct shadow_page));
	shadow_writer_init(&w, o.rw);
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), -EAGAIN);
	shadow_publish(&w, v, 2);
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), 0);
	cr_assert_eq(got, 0x60);
	cr_assert_eq(shadow_read(o.ro, 1, &host, &got), -EAGAIN);
	cr_assert_eq(shadow_read(o.ro, MODEL_MAX_SHADOW, &host, &got), -EAGAIN);
	v[0].valid = false;
	shadow_publish(&w, v, 2);
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), -EAGAIN);
	v[0] = (struct shadow_value){ .valid = true, .value = 1 };
	shadow_publish(&w, v, 2);
	shadow_writer_init(&w, o.rw); /* the next incarnation */
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), -EAGAIN, "an incarnation says nothing until it knows");
	test_object_free(&o);
}

/* ACPI 4.8.2.1: the PM timer counts at 3.579545 MHz and is 24 bits wide here. */
Test(shadow, time_function)
{
	struct test_object o;
	struct shadow_writer w;
	uint64_t base = clock_ns() - CLOCK_NS_PER_S, low, got;
	struct machine_clock clock;
	struct shadow_value v = { true, 0xfffff0, base, 3579545, 0xffffff };

	test_object_make(&o, "shadow", sizeof(struct shadow_page));
	shadow_writer_init(&w, o.rw);
	shadow_publish(&w, &v, 1);
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), 0);
	low = (0xfffff0 + 3579545) & 0xffffff;
	cr_assert_geq(got, low, "at least the second that has passed since base");
	v.base_ns = clock_ns() + 3600 * CLOCK_NS_PER_S;
	shadow_publish(&w, &v, 1);
	cr_assert_eq(shadow_read(o.ro, 0, &host, &got), 0);
	cr_assert_eq(got, 0xfffff0, "a base in the future counts as now");
	v.base_ns = 0;
	shadow_publish(&w, &v, 1);
	clock = machine_clock_at(clock_ns() + 3600 * CLOCK_NS_PER_S, 0);
	cr_assert_eq(shadow_read(o.ro, 0, &clock, &got), 0);
	cr_assert_neq(got, 0xfffff0, "times are the machine's");
	test_object_free(&o);
}

static atomic_bool stop;

static void *writer(void *arg)
{
	struct shadow_writer *w = arg;

	for (uint64_t i = 1; !atomic_load(&stop); i++) {
		struct shadow_value v = { true, i, ~i, 0, i };

		shadow_publish(w, &v, 1);
	}
	return NULL;
}

Test(shadow, halves_of_two_values_are_never_combined, .timeout = 60)
{
	struct test_object o;
	struct shadow_writer w;
	pthread_t thread;
	uint64_t got, last = 0;

	test_object_make(&o, "shadow", sizeof(struct shadow_page));
	shadow_writer_init(&w, o.rw);
	atomic_store(&stop, false);
	pthread_create(&thread, NULL, writer, &w);
	for (int i = 0; i < 200000; i++) {
		if (shadow_read(o.ro, 0, &host, &got))
			continue;
		cr_assert_geq(got, last, "values never go back");
		last = got;
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	test_object_free(&o);
}

Test(shadow, garbage_gives_values_and_nothing_worse)
{
	struct test_object o;
	unsigned seed = 3;

	test_object_make(&o, "shadow", sizeof(struct shadow_page));
	for (int round = 0; round < 2000; round++) {
		uint64_t got;

		for (size_t i = 0; i < o.size / 4; i++)
			((uint32_t *)o.rw)[i] = (uint32_t)rand_r(&seed) * 3u & (i % 16 ? ~0u : ~1u);
		for (unsigned i = 0; i < MODEL_MAX_SHADOW; i++)
			shadow_read(o.ro, i, &host, &got);
	}
	test_object_free(&o);
}
