/* SPDX-License-Identifier: MIT */
/*
 * Random accesses and passing time against a device model, with what must hold whatever a guest does:
 *  - a deadline is at least MODEL_MIN_STEP_NS away, and no line rises before it;
 *  - how often the model is woken in between changes nothing: one long step gives the same state as many short ones;
 *  - a value in shared memory is what a read would return, now and later;
 *  - every state that can come about validates; a corrupted one that still validates does no harm.
 */
#ifndef BULKHEAD_TESTS_MODEL_FUZZ_H
#define BULKHEAD_TESTS_MODEL_FUZZ_H

#ifndef MODEL_FUZZ_ASSERTS /* tests/fuzz has its own */
#include <criterion/criterion.h>
#endif
#include <stdlib.h>
#include <string.h>

#include "devices/chips/ticks.h"
#include "devices/model.h"

static uint64_t fuzz_seed;

static inline uint64_t fuzz_random(void)
{
	uint64_t z = fuzz_seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static inline unsigned fuzz_below(unsigned n)
{
	return (unsigned)(fuzz_random() % n);
}

/* Lengths of time from nanoseconds to hours, most of them short. */
static inline uint64_t fuzz_time(void)
{
	return fuzz_random() >> (63 - fuzz_below(43));
}

static inline void fuzz_access(const struct device_model *m, void *state, uint64_t now)
{
	unsigned range = fuzz_below(m->range_count);
	const struct model_range *r = &m->ranges[range];
	unsigned size = 1u << (r->space == MODEL_PORT && fuzz_below(8) ? 0 : fuzz_below(4));
	uint32_t offset = fuzz_below(r->len);
	uint64_t data = fuzz_random() >> fuzz_below(64);

	if (r->space == MODEL_MMIO && r->reg_count && fuzz_below(8)) {
		const struct reg_desc *reg = &r->regs[fuzz_below(r->reg_count)];

		offset = reg->offset;
		size = fuzz_below(2) ? 8 : 4;
	}
	if (fuzz_below(3))
		m->write(state, range, offset, data, size, now);
	else
		m->read(state, range, offset, size, now);
}

static inline uint64_t fuzz_shadow_at(const struct shadow_value *v, uint64_t now)
{
	if (v->hz == 0)
		return v->value;
	return (v->value + (uint64_t)((unsigned __int128)(now - v->base_ns) * v->hz / 1000000000)) & v->mask;
}

/* Each valid shadow entry against a read of its register in a copy of the state at `now`. */
static inline void fuzz_check_shadow(const struct device_model *m, const void *state, void *copy, uint64_t now)
{
	struct shadow_value values[MODEL_MAX_SHADOW];
	unsigned count = m->get_shadow(state, values), n = 0;

	for (unsigned i = 0; i < m->range_count; i++) {
		const struct model_range *r = &m->ranges[i];

		for (unsigned j = 0; j < r->reg_count; j++) {
			const struct reg_desc *reg = &r->regs[j];

			if (reg->shadow == REG_ROUND_TRIP)
				continue;
			cr_assert_lt(n, count);
			memcpy(copy, state, m->state_size);
			if (values[n].valid)
				cr_assert_eq(fuzz_shadow_at(&values[n], now), m->read(copy, i, reg->offset, reg->size, now), "%s",
					     reg->name);
			n++;
		}
	}
	cr_assert_eq(n, count);
}

static inline void fuzz_lines(const struct device_model *m, const void *state, uint32_t words[MODEL_LINES])
{
	memset(words, 0, MODEL_LINES * sizeof(words[0]));
	m->get_lines(state, words);
	for (unsigned i = 0; i < MODEL_LINES; i++)
		cr_assert(words[i] == 0 || m->lines >> i & 1, "line %u is not ours", i);
}

/* Until `next` no line rises and no shadow entry changes; periodic sources may be up to `slack_ns` late. */
static inline void fuzz_check_quiet(const struct device_model *m, const void *state, void *copy, uint64_t now,
				    uint64_t next, uint64_t slack_ns)
{
	uint32_t before[MODEL_LINES], after[MODEL_LINES];
	uint64_t until = now + fuzz_random() % (next - now < 1ull << 44 ? next - now : 1ull << 44);

	if (next <= now + slack_ns)
		return;
	fuzz_check_shadow(m, state, copy, until);
	memcpy(copy, state, m->state_size);
	m->advance(copy, until);
	fuzz_lines(m, state, before);
	fuzz_lines(m, copy, after);
	for (unsigned i = 0; i < MODEL_LINES; i++)
		cr_assert_eq(before[i] >> 1, after[i] >> 1, "line %u rose before the deadline", i);
}

static inline void fuzz_check_steps(const struct device_model *m, const void *state, void *one, void *many, uint64_t now)
{
	uint64_t length = fuzz_time() % 900000000 + 1, t = now;

	memcpy(one, state, m->state_size);
	memcpy(many, state, m->state_size);
	m->advance(one, now + length);
	for (unsigned i = 0; i < 8; i++)
		m->advance(many, t += (now + length - t) / (1 + fuzz_below(4)));
	m->advance(many, now + length);
	cr_assert_eq(memcmp(one, many, m->state_size), 0, "waking up in between made a difference");
}

static inline void fuzz_check_valid(const struct device_model *m, const void *state)
{
	const char *field = "?";

	cr_assert_eq(m->validate(state, &field), 0, "%s", field);
}

static inline void fuzz_run(const struct device_model *m, const struct model_config *config, unsigned rounds,
			    uint64_t slack_ns)
{
	void *state = malloc(m->state_size), *copy = malloc(m->state_size), *other = malloc(m->state_size);
	uint64_t now = 1000000000;

	m->reset(state, config, now);
	fuzz_check_valid(m, state);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t next;

		for (unsigned n = fuzz_below(8); n > 0; n--)
			fuzz_access(m, state, now);
		next = m->advance(state, now);
		cr_assert_geq(next, now + MODEL_MIN_STEP_NS);
		fuzz_check_valid(m, state);
		fuzz_check_shadow(m, state, copy, now);
		fuzz_check_quiet(m, state, copy, now, next, slack_ns);
		fuzz_check_steps(m, state, copy, other, now);
		now = next - now < 1ull << 44 && fuzz_below(2) ? next : now + fuzz_time();
		m->advance(state, now);
	}
	free(state), free(copy), free(other);
}

/* How often a state wants to be woken in a millisecond. */
static inline unsigned fuzz_wakes(const struct device_model *m, void *state, uint64_t now)
{
	uint64_t end = now + 1000000, next = m->advance(state, now);
	unsigned wakes = 0;

	for (; next <= end; wakes++)
		next = m->advance(state, next);
	return wakes;
}

static inline void fuzz_corrupt(const struct device_model *m, const struct model_config *config, unsigned rounds,
				unsigned most_wakes)
{
	uint8_t *state = malloc(m->state_size);
	unsigned accepted = 0, rejected = 0;
	const char *field;

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t now = 1000000000;

		m->reset(state, config, now);
		for (unsigned n = 0; n < 20; n++)
			fuzz_access(m, state, now += fuzz_time() >> 20);
		for (unsigned n = 1 + fuzz_below(3); n > 0; n--)
			state[fuzz_below((unsigned)m->state_size)] = (uint8_t)fuzz_random();
		field = NULL;
		if (m->validate(state, &field) != 0) {
			cr_assert_not_null(field);
			rejected++;
			continue;
		}
		accepted++;
		for (unsigned n = 0; n < 20; n++)
			fuzz_access(m, state, now += fuzz_time());
		cr_assert_leq(fuzz_wakes(m, state, now), most_wakes);
	}
	cr_assert(accepted > 0 && rejected > 0);
	free(state);
}

#endif
