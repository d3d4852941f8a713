/* SPDX-License-Identifier: MIT */
/* Requests to the vcpu process: channel.h. */
#include "channel.h"

#include "proto/clock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum { ANSWER_MS = 5000 };

static void take_held(struct channel *c)
{
	const Bulkhead__DebugHeld *m = (const Bulkhead__DebugHeld *)c->frame.msg;

	c->has_held = true;
	c->held_by = m->vcpu;
	c->held = (struct engine_hit){ .why = m->why <= ENGINE_HIT_POINT ? (enum engine_hit_why)m->why : ENGINE_HIT_NONE };
	if (!m->point)
		return;
	c->held.point = (struct engine_point){ (uint8_t)(m->point->kind < ENGINE_POINT_KINDS ? m->point->kind : 0),
					       (uint8_t)m->point->size, m->point->address };
}

static int receive(struct channel *c)
{
	int err = frame_recv(c->fd, &c->frame);

	if (err)
		return err;
	frame_close_fds(&c->frame);
	if (c->frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_HELD)
		take_held(c);
	return 0;
}

int channel_listen(struct channel *c)
{
	int err = receive(c);

	return err == -EAGAIN ? 0 : err;
}

static bool is_answer(const struct channel *c)
{
	return c->frame.header.id == c->id && (c->frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_OK ||
					       c->frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_ERROR);
}

static int wait_for_answer(struct channel *c)
{
	const uint64_t end = clock_ns() + ANSWER_MS * CLOCK_NS_PER_MS;

	for (;;) {
		const uint64_t now = clock_ns(), left = now < end ? end - now : 0;
		const struct timespec ts = { (time_t)(left / CLOCK_NS_PER_S), (long)(left % CLOCK_NS_PER_S) };
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		int err;

		if (!left)
			return -ETIMEDOUT;
		if (ppoll(&p, 1, &ts, NULL) <= 0)
			continue;
		err = receive(c);
		if (err)
			return err;
		if (is_answer(c))
			return 0;
	}
}

/* What an error says is a number from a process that the guest may have taken over. */
static int call(struct channel *c, uint16_t type, const ProtobufCMessage *msg)
{
	int err = c->fd < 0 ? -ENOTCONN : frame_send_dontwait(c->fd, type, ++c->id, msg);

	if (!err)
		err = wait_for_answer(c);
	if (err || c->frame.header.type == BULKHEAD__MESSAGE_TYPE__MSG_OK)
		return err;
	err = ((const Bulkhead__Error *)c->frame.msg)->code;
	return err > 0 && err < 256 ? -err : -EIO;
}

static const ProtobufCBinaryData *answered(const struct channel *c)
{
	return &((const Bulkhead__Ok *)c->frame.msg)->state;
}

int channel_hold(struct channel *c)
{
	Bulkhead__Empty m = BULKHEAD__EMPTY__INIT;

	return call(c, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_HOLD, &m.base);
}

/* News from before the answer is of before it went on. */
int channel_go(struct channel *c, const struct engine_debug *want)
{
	Bulkhead__DebugGo m = BULKHEAD__DEBUG_GO__INIT;
	Bulkhead__DebugPoint points[ENGINE_MAX_POINTS], *list[ENGINE_MAX_POINTS];
	int err;

	m.has_step = m.has_stay = true;
	m.step = want->step;
	m.stay = want->stay;
	m.points = list;
	for (unsigned i = 0; i < want->count; i++) {
		bulkhead__debug_point__init(&points[i]);
		points[i].has_kind = points[i].has_address = points[i].has_size = true;
		points[i].kind = want->point[i].kind;
		points[i].address = want->point[i].address;
		points[i].size = want->point[i].size;
		list[m.n_points++] = &points[i];
	}
	err = call(c, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_GO, &m.base);
	if (!err)
		c->has_held = false;
	return err;
}

static int call_state(struct channel *c, Bulkhead__StatePart *m, unsigned vcpu)
{
	int err;

	m->has_vcpu = true;
	m->vcpu = vcpu;
	err = call(c, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_STATE, &m->base);
	return err || answered(c)->len == sizeof(struct engine_state) ? err : -EPROTO;
}

int channel_get(struct channel *c, unsigned vcpu, struct engine_state *out)
{
	Bulkhead__StatePart m = BULKHEAD__STATE_PART__INIT;
	int err = call_state(c, &m, vcpu);

	if (!err)
		memcpy(out, answered(c)->data, sizeof(*out));
	return err;
}

int channel_set(struct channel *c, unsigned vcpu, const struct engine_state *in)
{
	Bulkhead__StatePart m = BULKHEAD__STATE_PART__INIT;

	m.has_state = true;
	m.state = (ProtobufCBinaryData){ sizeof(*in), (uint8_t *)(uintptr_t)in };
	return call_state(c, &m, vcpu);
}

static int call_memory(struct channel *c, Bulkhead__DebugMemory *m, unsigned vcpu, bool physical, uint64_t address)
{
	m->has_vcpu = m->has_physical = m->has_address = true;
	m->vcpu = vcpu;
	m->physical = physical;
	m->address = address;
	return call(c, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_MEMORY, &m->base);
}

int channel_read(struct channel *c, unsigned vcpu, bool physical, uint64_t address, void *out, size_t size, size_t *got)
{
	Bulkhead__DebugMemory m = BULKHEAD__DEBUG_MEMORY__INIT;
	int err;

	m.has_size = true;
	m.size = size < FRAME_DEBUG_BYTES ? (uint32_t)size : FRAME_DEBUG_BYTES;
	*got = 0;
	err = call_memory(c, &m, vcpu, physical, address);
	if (err)
		return err;
	if (answered(c)->len > size)
		return -EPROTO;
	*got = answered(c)->len;
	if (*got)
		memcpy(out, answered(c)->data, *got);
	return 0;
}

int channel_write(struct channel *c, unsigned vcpu, bool physical, uint64_t address, const void *in, size_t size)
{
	Bulkhead__DebugMemory m = BULKHEAD__DEBUG_MEMORY__INIT;

	m.has_data = true;
	m.data = (ProtobufCBinaryData){ size, (uint8_t *)(uintptr_t)in };
	return call_memory(c, &m, vcpu, physical, address);
}

int channel_info(struct channel *c, const char *what, char *text, size_t len)
{
	Bulkhead__DebugInfo m = BULKHEAD__DEBUG_INFO__INIT;
	int err;

	m.what = (char *)(uintptr_t)what;
	err = call(c, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_INFO, &m.base);
	if (err)
		return err;
	if (answered(c)->len < len)
		len = answered(c)->len + 1;
	if (len > 1)
		memcpy(text, answered(c)->data, len - 1);
	text[len - 1] = 0;
	return 0;
}
