/* SPDX-License-Identifier: MIT */
/* Holding and letting go, memory, registers: debug.h. */
#include "vcpu.h"

#include "emu/core/debugger.h"
#include "emu/core/state.h"

#include <errno.h>
#include <string.h>

enum { PAGE = 4096, INFO_MAX = 8192 };

/* Requests come one by one, and gdbd takes each answer: what does not fit is an answer to nobody. */
static void answer(struct vcpu_process *p, const struct frame *f, const void *state, size_t bytes)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	ok.has_state = bytes > 0;
	ok.state = (ProtobufCBinaryData){ .len = bytes, .data = (uint8_t *)(uintptr_t)state };
	frame_send_dontwait(p->debug.fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base);
}

static void refuse(struct vcpu_process *p, const struct frame *f, int err, const char *why)
{
	Bulkhead__Error error = BULKHEAD__ERROR__INIT;

	error.has_code = true;
	error.code = -err;
	error.text = (char *)(uintptr_t)(why ? why : strerror(-err));
	frame_send_dontwait(p->debug.fd, BULKHEAD__MESSAGE_TYPE__MSG_ERROR, f->header.id, &error.base);
}

/* ---- holding --------------------------------------------------------------------------------------------------- */

static void kick_others(struct vcpu_process *p, unsigned self)
{
	for (unsigned i = 0; i < p->vcpus; i++)
		if (i != self && p->state[i] == RUN_RUNNING)
			p->engine->ops->kick(p->engine, i);
}

/* Nobody is in the engine: what it put into the guest's memory is taken back before anybody looks there. */
static void disarm(struct vcpu_process *p)
{
	static const struct engine_debug nothing;
	unsigned which;

	if (p->debug.armed)
		p->engine->ops->debug(p->engine, &nothing, &which);
	p->debug.armed = false;
}

void debug_tell_held(struct vcpu_process *p)
{
	struct debug_door *d = &p->debug;
	Bulkhead__DebugHeld m = BULKHEAD__DEBUG_HELD__INIT;
	Bulkhead__DebugPoint point = BULKHEAD__DEBUG_POINT__INIT;

	if (d->fd < 0 || !d->hold || d->told || d->releasing || vcpu_any_runs_locked(p))
		return;
	disarm(p);
	m.has_vcpu = m.has_why = true;
	m.vcpu = d->hit_by;
	m.why = d->has_hit ? d->hit.why : ENGINE_HIT_NONE;
	point.has_kind = point.has_address = point.has_size = true;
	point.kind = d->hit.point.kind;
	point.address = d->hit.point.address;
	point.size = d->hit.point.size;
	m.point = d->has_hit && d->hit.why == ENGINE_HIT_POINT ? &point : NULL;
	d->told = !frame_send_dontwait(d->fd, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_HELD, 0, &m.base);
}

void debug_stopped(struct vcpu_process *p, unsigned vcpu)
{
	struct debug_door *d = &p->debug;

	pthread_mutex_lock(&p->lock);
	if (!d->has_hit) {
		d->has_hit = true;
		d->hit_by = vcpu;
		p->engine->ops->debug_hit(p->engine, vcpu, &d->hit);
	}
	d->hold = true;
	kick_others(p, vcpu);
	pthread_mutex_unlock(&p->lock);
}

static void hold(struct vcpu_process *p)
{
	pthread_mutex_lock(&p->lock);
	p->debug.hold = true;
	p->debug.told = false;
	kick_others(p, ENGINE_MAX_VCPUS);
	debug_tell_held(p);
	pthread_mutex_unlock(&p->lock);
}

/* Helper thread; nobody else lets vCPUs go that a debugger holds. */
static bool is_held(struct vcpu_process *p)
{
	return p->debug.hold && !vcpu_any_runs(p);
}

static void let_go(struct vcpu_process *p, uint64_t stay)
{
	pthread_mutex_lock(&p->lock);
	p->debug.stay = stay;
	p->debug.hold = p->debug.told = p->debug.has_hit = false;
	p->debug.hit_by = 0;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

static void on_hold(struct vcpu_process *p, struct frame *f)
{
	answer(p, f, NULL, 0);
	hold(p);
}

static int take_points(const Bulkhead__DebugGo *m, struct engine_debug *want)
{
	if (m->n_points > ENGINE_MAX_POINTS)
		return -ENOSPC;
	want->step = m->step;
	want->stay = m->stay;
	want->count = (unsigned)m->n_points;
	for (unsigned i = 0; i < want->count; i++) {
		const Bulkhead__DebugPoint *from = m->points[i];
		const uint32_t size = from->size;

		if (from->kind >= ENGINE_POINT_KINDS || (size != 1 && size != 2 && size != 4 && size != 8))
			return -EINVAL;
		want->point[i] = (struct engine_point){ (uint8_t)from->kind, (uint8_t)size, from->address };
	}
	return 0;
}

/* Answered before anybody moves: what DEBUG_HELD tells behind this answer is of after it. */
static void on_go(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__DebugGo *m = (const Bulkhead__DebugGo *)f->msg;
	static struct engine_debug want;
	unsigned which = 0;
	int err;

	want = (struct engine_debug){ 0 };
	err = is_held(p) ? take_points(m, &want) : -EBUSY;
	if (!err)
		err = p->engine->ops->debug(p->engine, &want, &which);
	if (err) {
		refuse(p, f, err, err == -EFAULT ? "a breakpoint lies where nothing is mapped" : NULL);
		return;
	}
	p->debug.armed = engine_debug_is_on(&want);
	answer(p, f, NULL, 0);
	let_go(p, want.stay);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

/* [address, address + size) lies in one page. NULL: there is no memory. */
static uint8_t *find_memory(struct vcpu_process *p, const Bulkhead__DebugMemory *m, uint64_t address, size_t size, uint64_t *gpa)
{
	*gpa = address;
	if (!m->physical && p->engine->ops->translate(p->engine, m->vcpu, address, gpa))
		return NULL;
	for (unsigned i = 0; i < p->ram_count; i++) {
		const struct engine_ram *r = &p->ram[i];

		if (*gpa >= r->gpa && *gpa - r->gpa < r->size && size <= r->size - (*gpa - r->gpa))
			return r->host + (*gpa - r->gpa);
	}
	return NULL;
}

/* To `out`, or from the message. How many bytes that were, up to where there is no memory. Devices are left alone: looking
 * at their registers would change them. */
static size_t move(struct vcpu_process *p, const Bulkhead__DebugMemory *m, uint8_t *out, size_t size)
{
	size_t done = 0;

	while (done < size) {
		uint64_t address = m->address + done, gpa;
		size_t room = PAGE - (address & (PAGE - 1)), n = size - done < room ? size - done : room;
		uint8_t *host = find_memory(p, m, address, n, &gpa);

		if (!host)
			break;
		if (m->has_data) {
			memcpy(host, m->data.data + done, n);
			p->engine->ops->ram_written(p->engine, gpa, n);
		} else {
			memcpy(out + done, host, n);
		}
		done += n;
	}
	return done;
}

static void on_memory(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__DebugMemory *m = (const Bulkhead__DebugMemory *)f->msg;
	static uint8_t out[FRAME_DEBUG_BYTES];
	size_t size = m->has_data ? m->data.len : m->size, done;

	if (!is_held(p) || size > sizeof(out) || m->vcpu >= p->vcpus) {
		refuse(p, f, is_held(p) ? -EINVAL : -EBUSY, NULL);
		return;
	}
	done = move(p, m, out, size);
	if (size && (!done || (m->has_data && done < size)))
		refuse(p, f, -EFAULT, NULL);
	else
		answer(p, f, out, m->has_data ? 0 : done);
}

/* ---- registers ------------------------------------------------------------------------------------------------- */

/* All of a processor comes, and its registers go back: what stands beside them in the state stays as it is here. */
static int set_registers(struct vcpu_process *p, unsigned vcpu, const ProtobufCBinaryData *in, struct engine_state *s,
			 const char **field)
{
	static struct engine_state wanted;

	*field = "size";
	if (in->len != sizeof(wanted))
		return -EINVAL;
	memcpy(&wanted, in->data, sizeof(wanted));
	s->cpu = wanted.cpu;
	return p->engine->ops->restore(p->engine, vcpu, s, field);
}

static void on_state(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__StatePart *m = (const Bulkhead__StatePart *)f->msg;
	static struct engine_state s;
	const char *field = NULL;
	int err = !is_held(p) ? -EBUSY : m->vcpu < p->vcpus ? p->engine->ops->save(p->engine, m->vcpu, &s) : -EINVAL;

	if (!err && m->has_state)
		err = set_registers(p, m->vcpu, &m->state, &s, &field);
	if (err)
		refuse(p, f, err, field);
	else
		answer(p, f, &s, sizeof(s));
}

static void on_info(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__DebugInfo *m = (const Bulkhead__DebugInfo *)f->msg;
	static char text[INFO_MAX];
	int err = m->what ? debug_info(p, m->what, text, sizeof(text)) : -EINVAL;

	if (err)
		refuse(p, f, err, NULL);
	else
		answer(p, f, text, strlen(text));
}

/* ---- the channel ----------------------------------------------------------------------------------------------- */

void debug_serve(struct vcpu_process *p)
{
	static const struct {
		uint16_t type;
		void (*serve)(struct vcpu_process *, struct frame *);
	} requests[] = {
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_HOLD, on_hold },	 { BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_GO, on_go },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_MEMORY, on_memory }, { BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_STATE, on_state },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_INFO, on_info },
	};
	struct frame *f = &p->child.frame;
	int err = frame_recv(p->debug.fd, f);

	if (err == -ECONNRESET)
		p->debug.fd = -1; /* the supervisor holds the other end, and is gone: so will we be */
	if (err)
		return;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == f->header.type) {
			requests[i].serve(p, f);
			return;
		}
	refuse(p, f, -ENOSYS, NULL);
}

/* Once in the life of the process: it could not close a second one. */
void debug_channel(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__DebugChannel *m = (const Bulkhead__DebugChannel *)f->msg;

	if (p->debug.fd >= 0) {
		frame_reply_error(p->child.control_fd, f->header.id, EALREADY, NULL, "there is a channel already");
		return;
	}
	p->debug.fd = f->fds[0];
	f->fds[0] = -1;
	pthread_mutex_lock(&p->lock);
	p->debug.hold = m->hold;
	pthread_mutex_unlock(&p->lock);
	frame_reply_ok(p->child.control_fd, f->header.id);
}

void debug_end(struct vcpu_process *p, struct frame *f)
{
	frame_reply_ok(p->child.control_fd, f->header.id);
	p->debug.releasing = true;
	hold(p);
}

void debug_finish(struct vcpu_process *p)
{
	if (!p->debug.releasing || !is_held(p))
		return;
	disarm(p);
	p->debug.releasing = false;
	let_go(p, 0);
}
