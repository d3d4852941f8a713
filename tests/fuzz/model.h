/* SPDX-License-Identifier: MIT */
/*
 * A device model under operations and time from the input. What must hold stands in tests/unit/model_fuzz.h; beside
 * that, single bytes of the state are overwritten, as a crashed daemon may have left them: a state that validate()
 * accepts must then stay valid, do no harm and ask for no storm.
 */
#ifndef BULKHEAD_TESTS_FUZZ_MODEL_H
#define BULKHEAD_TESTS_FUZZ_MODEL_H

#include "fuzz.h"

#define MODEL_FUZZ_ASSERTS
#define cr_assert CHECK
#define cr_assert_eq(a, b, ...) CHECK((a) == (b), __VA_ARGS__)
#define cr_assert_lt(a, b, ...) CHECK((a) < (b), __VA_ARGS__)
#define cr_assert_leq(a, b, ...) CHECK((a) <= (b), __VA_ARGS__)
#define cr_assert_geq(a, b, ...) CHECK((a) >= (b), __VA_ARGS__)
#define cr_assert_not_null(a, ...) CHECK((a) != NULL, __VA_ARGS__)
#include "tests/unit/model_fuzz.h"

struct model_target {
	const struct device_model *model;
	/* Inputs beside accesses and time (characters, wires, buttons). May be NULL. */
	void (*special)(void *state, struct input *in, uint64_t now);
	uint64_t slack_ns;   /* how late a periodic source may be seen */
	unsigned most_wakes; /* in a millisecond */
};

struct model_run {
	const struct model_target *t;
	struct input in;
	void *state, *copy, *other;
	uint64_t now;
	bool corrupted;
};

enum { MODEL_OPS_MAX = 200 };

static inline void model_access(struct model_run *r, bool write)
{
	const struct device_model *m = r->t->model;
	unsigned index = take_below(&r->in, m->range_count);
	const struct model_range *range = &m->ranges[index];
	unsigned how = (unsigned)take(&r->in, 1), size = 1u << (how & 3);
	uint32_t offset;

	if (how & 0x80 && range->reg_count)
		offset = range->regs[(how >> 2 & 0x1f) % range->reg_count].offset;
	else
		offset = (uint32_t)(take(&r->in, range->len > 256 ? 2 : 1) % range->len);
	if (write)
		m->write(r->state, index, offset, take(&r->in, size), size, r->now);
	else
		m->read(r->state, index, offset, size, r->now);
}

/* A byte of the state is whatever; if validate() finds it, nothing has happened. */
static inline void model_corrupt(struct model_run *r)
{
	const struct device_model *m = r->t->model;
	const char *field = NULL;

	memcpy(r->copy, r->state, m->state_size);
	for (unsigned n = 1 + take_below(&r->in, 3); n > 0; n--)
		take_poke(&r->in, r->copy, m->state_size);
	if (m->validate(r->copy, &field) != 0) {
		CHECK(field != NULL);
		return;
	}
	memcpy(r->state, r->copy, m->state_size);
	r->corrupted = true;
}

static inline void model_operation(struct model_run *r)
{
	unsigned op = (unsigned)take(&r->in, 1);

	switch (op & 7) {
	case 0 ... 2:
		model_access(r, true);
		break;
	case 3:
		model_access(r, false);
		break;
	case 4:
		r->now += take(&r->in, 2) << (op >> 3);
		break;
	case 5:
		r->now += take(&r->in, 1);
		break;
	case 6:
		if (r->t->special)
			r->t->special(r->state, &r->in, r->now);
		break;
	case 7:
		if (op & 0x80)
			model_corrupt(r);
		break;
	}
}

/* After each operation; the dear ones only now and then. */
static inline void model_check(struct model_run *r, bool thorough)
{
	const struct device_model *m = r->t->model;
	uint64_t next = m->advance(r->state, r->now);
	uint32_t words[MODEL_LINES];

	CHECK(next >= r->now + MODEL_MIN_STEP_NS);
	fuzz_check_valid(m, r->state);
	fuzz_lines(m, r->state, words);
	if (r->corrupted)
		return;
	fuzz_check_shadow(m, r->state, r->copy, r->now);
	if (!thorough)
		return;
	fuzz_check_quiet(m, r->state, r->copy, r->now, next, r->t->slack_ns);
	fuzz_check_steps(m, r->state, r->copy, r->other, r->now);
}

static inline int model_input(const struct model_target *t, const uint8_t *data, size_t size)
{
	struct model_run r = { .t = t, .in = { data, size }, .now = 1000000000 };
	struct model_config config = { 0 };

	config.ram_low = take(&r.in, 2) << 16;
	config.realtime_ns = (int64_t)(take(&r.in, 4) * 1000000000);
	config.vcpus = (uint8_t)(1 + take_below(&r.in, 32));
	fuzz_seed = take(&r.in, 1);
	r.state = fuzz_alloc(t->model->state_size);
	r.copy = fuzz_alloc(t->model->state_size);
	r.other = fuzz_alloc(t->model->state_size);
	t->model->reset(r.state, &config, r.now);
	for (unsigned i = 0; i < MODEL_OPS_MAX && r.in.left > 0; i++) {
		model_operation(&r);
		model_check(&r, i % 8 == 7);
	}
	CHECK(fuzz_wakes(t->model, r.state, r.now) <= t->most_wakes);
	fuzz_check_valid(t->model, r.state);
	free(r.state), free(r.copy), free(r.other);
	return 0;
}

#endif
