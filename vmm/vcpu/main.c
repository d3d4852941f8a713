/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-vcpu: the CPU core of one virtual machine. The main thread takes the supervisor's messages and irqd's
 * interrupts; one thread per vCPU runs guest code.
 */
#include "vcpu.h"

#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/log.h"
#include "proto/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct vcpu_process process = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.msi_doorbell_fd = -1,
	.debug.fd = -1,
};

static bool is_kvm(const struct vcpu_process *p)
{
	return p->engine->ops == &engine_kvm;
}

static int start_threads(struct vcpu_process *p)
{
	for (unsigned i = 0; i < p->vcpus; i++) {
		struct vcpu_arg *arg = malloc(sizeof(*arg));
		int err;

		if (!arg)
			return -ENOMEM;
		*arg = (struct vcpu_arg){ p, i };
		err = pthread_create(&p->thread[i], NULL, vcpu_thread, arg);
		if (err) {
			free(arg);
			return -err;
		}
	}
	return 0;
}

/* A thread's first steps (rseq, robust list, signal mask) are calls that the run-time filter does not know. */
static void wait_for_threads(struct vcpu_process *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->started < p->vcpus)
		pthread_cond_wait(&p->changed, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

/* Threads first: afterwards no filter lets any be made. Then the final sandbox; from here on the guest may run. */
static int enter_run(struct vcpu_process *p, enum sandbox_mode mode, const char **field)
{
	int err = start_threads(p);

	if (err) {
		*field = "a thread for each processor";
		return err;
	}
	wait_for_threads(p);
	return sandbox_enter_run(is_kvm(p) ? SANDBOX_VCPU_KVM : SANDBOX_VCPU_EMU, mode);
}

static void report_ready(struct vcpu_process *p, uint32_t id)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	char *missing[SANDBOX_MISSING_MAX], *names[CPUF_COUNT];
	struct cpu_feature_set features;

	p->engine->ops->features(p->engine, &features);
	for (unsigned f = CPUF_NONE + 1; f < CPUF_COUNT; f++)
		if (cpu_has(&features, f))
			names[ok.n_cpu_features++] = (char *)cpu_features[f].name;
	ok.cpu_features = names;
	for (unsigned i = 0; i < p->missing.count; i++)
		missing[i] = p->missing.missing[i];
	ok.n_sandbox_missing = p->missing.count;
	ok.sandbox_missing = missing;
	frame_send(p->child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, id, &ok.base, NULL, 0);
}

static void on_setup(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__SetupVcpu *m = (const Bulkhead__SetupVcpu *)f->msg;
	const char *field = NULL;
	char why[320] = "";
	int err = -EALREADY;

	if (!p->engine)
		err = vcpu_setup(p, m, f, why, sizeof(why), &field);
	if (!err) {
		field = "sandbox";
		err = enter_run(p, (enum sandbox_mode)m->sandbox, &field);
	}
	if (err) {
		frame_reply_error(p->child.control_fd, f->header.id, -err, field, "%s", why[0] ? why : strerror(-err));
		return;
	}
	report_ready(p, f->header.id);
}

/* A vCPU that waits for its device stops at the end of that instruction: PAUSE is answered then, or with the next RUN. */
static void finish_pause(struct vcpu_process *p, bool at_once)
{
	if (!p->pausing || (!at_once && vcpu_any_runs(p)))
		return;
	p->pausing = false;
	frame_reply_ok(p->child.control_fd, p->pause_id);
}

static void on_run(struct vcpu_process *p, struct frame *f)
{
	if (state_is_incomplete(p)) {
		frame_reply_error(p->child.control_fd, f->header.id, EPROTO, "state", "not all of the state was restored");
		return;
	}
	finish_pause(p, true);
	pthread_mutex_lock(&p->lock);
	p->want_run = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	frame_reply_ok(p->child.control_fd, f->header.id);
}

static void on_pause(struct vcpu_process *p, struct frame *f)
{
	finish_pause(p, true);
	p->pausing = true;
	p->pause_id = f->header.id;
	pthread_mutex_lock(&p->lock);
	p->want_run = false;
	for (unsigned i = 0; i < p->vcpus; i++)
		if (p->state[i] == RUN_RUNNING)
			p->engine->ops->kick(p->engine, i);
	pthread_mutex_unlock(&p->lock);
}

static void on_stats(struct vcpu_process *p, struct frame *f)
{
	Bulkhead__Stats s = BULKHEAD__STATS__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	for (unsigned i = 0; i < p->bus.channel_count; i++) {
		struct ring_stats *r = &p->bus.channels[i].ring.stats;

		s.posted += atomic_load(&r->posted);
		s.synchronous += atomic_load(&r->synchronous);
		s.doorbells += atomic_load(&r->doorbells);
		s.sleeps += atomic_load(&r->sleeps);
		s.waited_ns += atomic_load(&r->waited_ns);
		s.protocol_errors += atomic_load(&r->protocol_errors);
	}
	s.requests = s.posted + s.synchronous;
	s.shadow_reads = bus_count_shadowed(&p->bus);
	s.unclaimed = bus_count(&p->bus, COUNTER_UNCLAIMED);
	s.interrupts = bus_count_interrupts(&p->bus);
	for (unsigned i = 0; i < p->vcpus; i++)
		s.instructions += p->engine->ops->instructions(p->engine, i);
	s.log_suppressed = log_suppressed_total();
	s.has_requests = s.has_posted = s.has_synchronous = s.has_doorbells = s.has_sleeps = s.has_waited_ns = 1;
	s.has_protocol_errors = s.has_shadow_reads = s.has_unclaimed = s.has_interrupts = s.has_instructions = 1;
	s.has_log_suppressed = 1;
	ok.stats = &s;
	frame_send(p->child.control_fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, f->header.id, &ok.base, NULL, 0);
}

static void on_device_state(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__DeviceState *m = (const Bulkhead__DeviceState *)f->msg;
	struct channel *c = m->has_device ? bus_channel(&p->bus, m->device, m->instance) : NULL;

	if (c)
		ring_give_up(&c->ring, m->given_up);
	frame_reply_ok(p->child.control_fd, f->header.id);
}

static void on_route_add(struct vcpu_process *p, struct frame *f)
{
	const Bulkhead__RouteAdd *m = (const Bulkhead__RouteAdd *)f->msg;
	struct control_complaint c = { .field = "base_address" };
	int err = control_check_route_add(m, &c);

	if (!err)
		err = bus_add_route(&p->bus, m);
	if (err)
		frame_reply_error(p->child.control_fd, f->header.id, -err, c.field, "ROUTE_ADD: %s",
				  c.why ? c.why : strerror(-err));
	else
		frame_reply_ok(p->child.control_fd, f->header.id);
}

/* Returns false when the supervisor is gone: everything ends with it. */
static bool serve_control(struct vcpu_process *p)
{
	static const struct {
		uint16_t type;
		bool needs_engine;
		void (*serve)(struct vcpu_process *, struct frame *);
	} requests[] = {
		{ BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU, false, on_setup },
		{ BULKHEAD__MESSAGE_TYPE__MSG_RUN, true, on_run },
		{ BULKHEAD__MESSAGE_TYPE__MSG_PAUSE, true, on_pause },
		{ BULKHEAD__MESSAGE_TYPE__MSG_STATS, true, on_stats },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_STATE, true, on_device_state },
		{ BULKHEAD__MESSAGE_TYPE__MSG_ROUTE_ADD, true, on_route_add },
		{ BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VIRTIO, false, virtio_setup },
		{ BULKHEAD__MESSAGE_TYPE__MSG_SAVE, true, state_save },
		{ BULKHEAD__MESSAGE_TYPE__MSG_RESTORE, true, state_restore },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CHANNEL, false, debug_channel },
		{ BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_END, false, debug_end },
	};
	struct frame *f = &p->child.frame;
	int err = frame_recv(p->child.control_fd, f);

	if (err == -ECONNRESET)
		return false;
	if (err)
		return true;
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (requests[i].type == f->header.type && (p->engine || !requests[i].needs_engine)) {
			requests[i].serve(p, f);
			frame_close_fds(f);
			return true;
		}
	frame_reply_error(p->child.control_fd, f->header.id, ENOSYS, "type", "%s is not for a vcpu process, or not now",
			  frame_type_name(f->header.type));
	frame_close_fds(f);
	return true;
}

/* Bounded: irqd could write as fast as we read. What is left makes the next poll return at once. */
static void drain_pipe(int fd)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	(void)n;
}

enum helper_wait { WAIT_NOT, WAIT_WORK, WAIT_SOON, WAIT_PENANCE };

/*
 * Even with interrupts to serve, the supervisor's messages are looked at: an irqd gone mad must not shut it out. After
 * irqd broke its ring, it gets a millisecond of silence. What vCPU threads do is looked at soon. Signs of life are due
 * every second.
 */
static void wait_for_work(const struct vcpu_process *p, enum helper_wait wait, struct pollfd *fds, unsigned count)
{
	static const struct timespec nothing, second = { .tv_sec = 1 }, soon = { .tv_nsec = 5000000 },
					      penance = { .tv_nsec = 1000000 };

	switch (wait) {
	case WAIT_NOT:
		ppoll(fds, count, &nothing, NULL);
		break;
	case WAIT_SOON:
		ppoll(fds, count, &soon, NULL);
		break;
	case WAIT_PENANCE:
		ppoll(fds, 1, &penance, NULL);
		break;
	case WAIT_WORK:
		ppoll(fds, count, p->engine ? &second : NULL, NULL);
		break;
	}
}

/* Is a vCPU thread about to do something that nobody rings for: begin, or stop? */
static bool is_thread_due(const struct vcpu_process *p)
{
	return p->pausing || p->debug.releasing || (p->want_run && !atomic_load(&p->begun));
}

static enum helper_wait choose_wait(struct vcpu_process *p, bool sane)
{
	if (!sane)
		return WAIT_PENANCE;
	if (atomic_load(&p->begun) && !msi_sleep(&p->msi, p->seen))
		return WAIT_NOT;
	return is_thread_due(p) ? WAIT_SOON : WAIT_WORK;
}

static int serve(struct vcpu_process *p)
{
	struct pollfd fds[3 + VIRTIO_CALLS] = { { .fd = p->child.control_fd, .events = POLLIN },
						{ .fd = -1, .events = POLLIN },
						{ .events = POLLIN } };
	bool sane = true;
	unsigned calls;

	for (;;) {
		bool begun = atomic_load(&p->begun);
		enum helper_wait wait = choose_wait(p, sane);

		fds[0].revents = fds[1].revents = fds[2].revents = 0;
		fds[2].fd = p->engine ? p->debug.fd : -1;
		fds[1].fd = begun ? p->msi_doorbell_fd : -1;
		calls = begun ? virtio_watch(p, fds + 3) : 0;
		wait_for_work(p, wait, fds, 3 + calls);
		if (p->engine)
			life_signs(p);
		if (begun) {
			msi_awake(&p->msi);
			if (fds[1].revents)
				drain_pipe(p->msi_doorbell_fd);
			sane = interrupts_take(p);
			virtio_take_calls(p, fds + 3, wait == WAIT_PENANCE ? 0 : calls);
		}
		finish_pause(p, false);
		debug_finish(p);
		if (fds[2].revents)
			debug_serve(p);
		if (fds[0].revents && !serve_control(p))
			return 0;
	}
}

/* Generated code: as much of it as the largest --code-cache has. */
enum { NATIVE_MEMORY_BYTES = 768 << 20 };

int main(int argc, char **argv)
{
	struct vcpu_process *p = &process;
	int code = child_start(&p->child, BULKHEAD__ROLE__ROLE_VCPU, "bulkhead-vcpu",
			       "the CPU core of a virtual machine: runs guest code, forwards what it touches to daemons", argc,
			       argv);
	int err;

	if (code >= 0)
		return code;
	/* Memory that will be executable can only be had before the fence; pages are taken when they are used. */
	native_memory_create(&p->native, NATIVE_MEMORY_BYTES);
	/* No capabilities, no files, no network from here on. Which engine it will be is not known yet, so the setup
	 * filter is the wider one. */
	if (sandbox_enter_setup(SANDBOX_VCPU_KVM, p->child.sandbox, &p->missing) < 0)
		return 1;
	err = child_hello(&p->child);
	if (err)
		return 1;
	return serve(p);
}
