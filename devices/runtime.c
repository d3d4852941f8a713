/* SPDX-License-Identifier: MIT */
/* The life of a device daemon: see runtime.h. */
#include "runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "replay.h"
#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/log.h"
#include "proto/spin.h"

enum { BATCH = RING_SLOTS, EXIT_FAILED = 1, HEAP_RESERVE = 64 * 1024 };
#define HEARTBEAT_NS CLOCK_NS_PER_S
#define NAP_NS CLOCK_NS_PER_MS
#define LEAVE_NS (500 * CLOCK_NS_PER_MS)	  /* for whoever is replaced; less than the supervisor waits */
#define LAST_WORDS_NS (2 * CLOCK_NS_PER_S)	  /* at the machine's end: for each piece that a reader takes */
#define LAST_WORDS_MAX_NS (10 * CLOCK_NS_PER_S) /* and for all of them; less than the supervisor waits */
#define NAP_AFTER_NS (10 * CLOCK_NS_PER_MS) /* after that without a request, a daemon sleeps properly */
#define POLL_NS 50000ull /* how often descriptors are looked at while requests keep coming */

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x

void runtime_touch(struct runtime *rt)
{
	rt->dirty = true;
}

int runtime_watch(struct runtime *rt, struct event *ev, int fd, short what, event_callback_fn callback, void *arg)
{
	if (event_assign(ev, rt->base, fd, what, callback, arg) < 0 || event_add(ev, NULL) < 0)
		return -EIO;
	return 0;
}

/* A pipe without writers would be readable for ever; nobody can ring it any more. */
static bool empty_pipe(int fd, struct event *event)
{
	char buf[256];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n == 0)
		event_del(event);
	return n > 0;
}

static void on_bell(evutil_socket_t fd, short what, void *arg)
{
	struct runtime_bell *bell = arg;

	(void)what;
	if (empty_pipe(fd, &bell->event))
		runtime_touch(bell->rt);
}

int runtime_watch_bell(struct runtime *rt, struct runtime_bell *bell, int fd)
{
	bell->rt = rt;
	return runtime_watch(rt, &bell->event, fd, EV_READ | EV_PERSIST, on_bell, bell);
}

/* The ring itself says what there is to do; the byte only woke us. */
static void on_doorbell(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;

	(void)what;
	empty_pipe(fd, &rt->doorbell_event);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;
	uint64_t expirations;
	ssize_t n = read(fd, &expirations, sizeof(expirations));

	(void)n;
	(void)what;
	rt->armed_ns = UINT64_MAX;
}

/* What libevent will ever allocate later (a few hundred bytes per console client) comes out of memory that the heap has
 * already, so that the run-time list of system calls needs neither brk nor mmap. */
static void reserve_heap(void)
{
	void *volatile p = malloc(HEAP_RESERVE);

	free(p);
}

static int create_loop(struct runtime *rt)
{
	struct event_config *config = event_config_new();

	if (!config)
		return -ENOMEM;
	reserve_heap();
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	rt->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!rt->base)
		return -EIO;
	rt->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (rt->timer_fd < 0)
		return -errno;
	rt->armed_ns = UINT64_MAX;
	return runtime_watch(rt, &rt->timer_event, rt->timer_fd, EV_READ | EV_PERSIST, on_timer, rt);
}

static void arm_timer(struct runtime *rt, uint64_t deadline_ns)
{
	struct itimerspec spec = { 0 };
	uint64_t host_ns = machine_to_host_ns(&rt->clock, deadline_ns);

	if (deadline_ns == rt->armed_ns)
		return;
	rt->armed_ns = deadline_ns;
	spec.it_value.tv_sec = (time_t)(host_ns / CLOCK_NS_PER_S);
	spec.it_value.tv_nsec = (long)(host_ns % CLOCK_NS_PER_S);
	if (host_ns == 0) /* which would turn it off */
		spec.it_value.tv_nsec = 1;
	timerfd_settime(rt->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static uint64_t next_deadline(const struct runtime *rt)
{
	uint64_t next = rt->model_ns < rt->shell_ns ? rt->model_ns : rt->shell_ns;

	return rt->leaving_ns && rt->leaving_ns < next ? rt->leaving_ns : next;
}

/*
 * Control channel
 */

static void fill_stats(struct runtime *rt, Bulkhead__Stats *s)
{
	s->has_requests = s->has_synchronous = s->has_posted = s->has_sleeps = true;
	s->has_protocol_errors = s->has_unclaimed = s->has_log_suppressed = true;
	s->requests = rt->requests;
	s->synchronous = rt->synchronous;
	s->posted = rt->requests - rt->synchronous;
	s->sleeps = rt->sleeps;
	s->protocol_errors = rt->protocol_errors;
	s->unclaimed = rt->unclaimed;
	s->log_suppressed = log_suppressed_total();
	if (rt->shell->stats)
		rt->shell->stats(rt, s);
}

static int answer_stats(struct runtime *rt, uint32_t id)
{
	Bulkhead__Stats stats = BULKHEAD__STATS__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	fill_stats(rt, &stats);
	ok.stats = &stats;
	return frame_send(rt->child.control_fd, TYPE(OK), id, &ok.base, NULL, 0);
}

static int set_log(struct runtime *rt, uint32_t id, const Bulkhead__SetLog *m)
{
	struct control_complaint c;
	int err = control_check_set_log(m, &c);

	if (err)
		return frame_reply_error(rt->child.control_fd, id, err, c.field, "SET_LOG: %s %s", c.field, c.why);
	log_set_level((enum log_level)m->level);
	return frame_reply_ok(rt->child.control_fd, id);
}

static int power_button(struct runtime *rt, uint32_t id)
{
	int err = rt->shell->power_button ? rt->shell->power_button(rt) : -ENOTSUP;

	if (err)
		return frame_reply_error(rt->child.control_fd, id, err, NULL, "no power button here");
	runtime_touch(rt);
	return frame_reply_ok(rt->child.control_fd, id);
}

static int hold_lines(struct runtime *rt, uint32_t id, const Bulkhead__HoldLines *m)
{
	if (!rt->shell->hold_lines)
		return frame_reply_error(rt->child.control_fd, id, ENOTSUP, NULL, "no lines are looked at here");
	rt->shell->hold_lines(rt, m->has_hold && m->hold);
	runtime_touch(rt);
	return frame_reply_ok(rt->child.control_fd, id);
}

static int link_other_half(struct runtime *rt, struct frame *f)
{
	int fd = f->fd_count == 1 ? f->fds[0] : -1, err;

	if (!rt->shell->link || f->fd_count > 1)
		return frame_reply_error(rt->child.control_fd, f->header.id, ENOTSUP, NULL, "nobody is linked to this");
	if (fd >= 0)
		f->fds[0] = -1;
	err = rt->shell->link(rt, fd);
	if (err)
		return frame_reply_error(rt->child.control_fd, f->header.id, -err, NULL, "LINK: %s", strerror(-err));
	return frame_reply_ok(rt->child.control_fd, f->header.id);
}

/*
 * Everything applied so far is committed after each slot and step. What is still in the ring is applied before we leave
 * (a guest's last words are posted, and it turns itself off right after them), and readers of output get a moment.
 */
static int quiesce(struct runtime *rt, uint32_t id, const Bulkhead__Quiesce *q)
{
	uint64_t now = machine_ns(&rt->clock);
	bool last_words = q->has_last_words && q->last_words;

	runtime_touch(rt);
	rt->patience_ns = last_words ? LAST_WORDS_NS : 0;
	rt->gone_ns = now + (last_words ? LAST_WORDS_MAX_NS : LEAVE_NS);
	rt->leaving_ns = now + (last_words ? LAST_WORDS_NS : LEAVE_NS);
	return frame_reply_ok(rt->child.control_fd, id);
}

static void stay_longer(struct runtime *rt)
{
	uint64_t then;

	if (!rt->leaving_ns || !rt->patience_ns)
		return;
	then = machine_ns(&rt->clock) + rt->patience_ns;
	rt->leaving_ns = then < rt->gone_ns ? then : rt->gone_ns;
}

void runtime_output_moved(struct runtime *rt)
{
	runtime_touch(rt);
	stay_longer(rt);
}

static bool may_leave(struct runtime *rt, uint64_t now)
{
	if (!rt->leaving_ns)
		return false;
	return now >= rt->leaving_ns || !rt->shell->has_output || !rt->shell->has_output(rt);
}

static int handle_request(struct runtime *rt, struct frame *f)
{
	switch ((int)f->header.type) {
	case TYPE(STATS):
		return answer_stats(rt, f->header.id);
	case TYPE(QUIESCE):
		return quiesce(rt, f->header.id, (const Bulkhead__Quiesce *)f->msg);
	case TYPE(POWER_BUTTON):
		return power_button(rt, f->header.id);
	case TYPE(FENCE):
		rt->fence_id = f->header.id;
		return 0;
	case TYPE(HOLD_LINES):
		return hold_lines(rt, f->header.id, (const Bulkhead__HoldLines *)f->msg);
	case TYPE(CONSOLE_CLIENT):
		if (rt->shell->admit)
			return rt->shell->admit(rt, f);
		return frame_reply_error(rt->child.control_fd, f->header.id, ENOTSUP, NULL, "no console here");
	case TYPE(LINK):
		return link_other_half(rt, f);
	case TYPE(SET_LOG):
		return set_log(rt, f->header.id, (const Bulkhead__SetLog *)f->msg);
	default:
		return frame_reply_error(rt->child.control_fd, f->header.id, EPROTO, NULL, "%s is not expected now",
					 frame_type_name(f->header.type));
	}
}

/* Whatever ends the control channel ends us: without a supervisor nobody would restart, stop or collect us. */
static void on_control(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;
	int err = frame_recv(fd, &rt->child.frame);

	(void)what;
	if (err == -EAGAIN)
		return;
	if (!err) {
		err = handle_request(rt, &rt->child.frame);
		frame_close_fds(&rt->child.frame);
	}
	if (err) {
		rt->stop = true;
		rt->exit_code = err == -ECONNRESET ? 0 : EXIT_FAILED;
	}
}

/*
 * Serving
 */

static void protocol_error(struct runtime *rt)
{
	rt->protocol_errors++;
	log_error("the vCPU process broke the ring protocol at request %u: the ring is not read any more", rt->ring.head);
	child_event(&rt->child, BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL, 0, BULKHEAD__ROLE__ROLE_VCPU,
		    "request ring broken by the vCPU process");
}

static void skip(struct runtime *rt, const struct io_slot *slot)
{
	runtime_skip(rt, slot);
	rt->skips = false;
	log_error("request %u was skipped: it has killed this device twice", slot->seq);
}

/* What the guest asked for is lost; that the machine was reset meanwhile is not. */
static bool is_dropped(const struct runtime *rt, const struct io_slot *slot)
{
	return rt->drops && slot->op != IO_RESET && (int32_t)(rt->drop_to - slot->seq) > 0;
}

static bool is_full(struct runtime *rt)
{
	bool full = rt->shell->is_full && rt->shell->is_full(rt);

	ring_hold(&rt->ring, full);
	return full;
}

static bool drain(struct runtime *rt)
{
	struct io_slot slot;
	unsigned n;
	int err = 0;

	if (rt->ring.broken)
		return false;
	for (n = 0; n < BATCH && !is_full(rt); n++) {
		err = ring_peek(&rt->ring, &slot);
		if (err)
			break;
		if (rt->skips && slot.seq == rt->skip_seq)
			skip(rt, &slot);
		else if (is_dropped(rt, &slot))
			runtime_skip(rt, &slot);
		else
			runtime_apply(rt, &slot);
	}
	if (err == -EPROTO)
		protocol_error(rt);
	return n > 0;
}

static void beat(struct runtime *rt, uint64_t now)
{
	if (now < rt->heartbeat_ns)
		return;
	rt->heartbeat_ns = now + HEARTBEAT_NS;
	atomic_store_explicit(&rt->ring.rsp->heartbeat_ns, now, memory_order_relaxed);
}

/* Nobody has anything to say any more: the ring is empty, events are sent, and both are committed. */
static void answer_fence(struct runtime *rt)
{
	if (!rt->fence_id || rt->dirty || is_full(rt) || (rt->shell->has_news && rt->shell->has_news(rt)))
		return;
	frame_reply_ok(rt->child.control_fd, rt->fence_id);
	rt->fence_id = 0;
}

/* Sleeps until a request, a descriptor or a deadline. False: there was work, no sleep. */
static bool sleep_once(struct runtime *rt, uint64_t now)
{
	bool nap = now - rt->busy_ns < NAP_AFTER_NS && rt->shell->can_nap && rt->shell->can_nap(rt);
	uint64_t deadline = nap ? now + NAP_NS : rt->heartbeat_ns;

	is_full(rt); /* the last step may have made room */
	if (!ring_sleep(&rt->ring, nap ? RING_NAPPING : RING_ASLEEP))
		return false;
	arm_timer(rt, deadline < next_deadline(rt) ? deadline : next_deadline(rt));
	rt->sleeps++;
	event_base_loop(rt->base, EVLOOP_ONCE);
	ring_awake(&rt->ring);
	return true;
}

/*
 * What is ready now, once. EVLOOP_NONBLOCK alone would go on for as long as anything is ready, and some things stay ready
 * until the next step: what was typed lies in the socket until it is in the journal (console.c). We would never leave.
 */
static void poll_once(struct runtime *rt)
{
	event_base_loop(rt->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
}

/*
 * The device's time does not go on before what lies in the ring has been applied at the time at which the guest asked for
 * it, which may be long ago if a predecessor died. A comparator that the guest set to a moment which has passed since
 * would else be behind the counter when it arrives, and never match: Linux would wait seven minutes for its next tick.
 */
static void serve(struct runtime *rt)
{
	uint64_t polled_ns = machine_ns(&rt->clock);

	rt->busy_ns = polled_ns;
	rt->dirty = true;
	if (rt->recovered) {
		runtime_publish(rt);
		runtime_ring_bell(rt->irqd_doorbell_fd);
	}
	while (!rt->stop) {
		bool worked = drain(rt);
		uint64_t now = runtime_now(rt);

		if (worked || rt->dirty || now >= next_deadline(rt))
			runtime_step(rt);
		if (worked) {
			rt->busy_ns = now;
			stay_longer(rt);
		}
		if ((!worked || now >= rt->leaving_ns) && may_leave(rt, now))
			break;
		if (!worked)
			answer_fence(rt);
		beat(rt, now);
		if (now - rt->busy_ns >= rt->spin_ns && sleep_once(rt, now)) {
			polled_ns = now;
		} else if (now - polled_ns >= POLL_NS) {
			polled_ns = now;
			poll_once(rt);
		} else {
			spin_pause();
		}
	}
}

/*
 * Start
 */

static int wait_for_setup(struct runtime *rt)
{
	struct frame *f = &rt->child.frame;
	int err = frame_recv(rt->child.control_fd, f);

	if (err)
		return err;
	if (f->header.type == TYPE(SETUP_DEVICE))
		return runtime_setup(rt);
	frame_reply_error(rt->child.control_fd, f->header.id, EPROTO, NULL, "expected SETUP_DEVICE, not %s",
			  frame_type_name(f->header.type));
	frame_close_fds(f);
	return -EPROTO;
}

static int report_ready(struct runtime *rt, uint32_t id, struct sandbox_report *report)
{
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	char *missing[SANDBOX_MISSING_MAX];

	for (unsigned i = 0; i < report->count; i++)
		missing[i] = report->missing[i];
	ok.n_sandbox_missing = report->count;
	ok.sandbox_missing = missing;
	return frame_send(rt->child.control_fd, TYPE(OK), id, &ok.base, NULL, 0);
}

static int watch_peers(struct runtime *rt)
{
	int err = runtime_watch(rt, &rt->control_event, rt->child.control_fd, EV_READ | EV_PERSIST, on_control, rt);

	if (!err)
		err = runtime_watch(rt, &rt->doorbell_event, rt->doorbell_fd, EV_READ | EV_PERSIST, on_doorbell, rt);
	return err;
}

static enum sandbox_mode run_mode(const struct runtime *rt, const Bulkhead__SetupDevice *setup)
{
	return setup->has_sandbox ? (enum sandbox_mode)setup->sandbox : rt->child.sandbox;
}

/*
 * What a daemon may do from here on: use the descriptors it has, tell the time, sleep. Its list of system calls stands in
 * proto/sandbox_table.c.
 */
static int enter_run(struct runtime *rt, struct sandbox_report *report)
{
	const struct frame *f = &rt->child.frame;
	enum sandbox_mode mode = run_mode(rt, (const Bulkhead__SetupDevice *)f->msg);
	int err = sandbox_enter_run(sandbox_of_kind(rt->shell->kind), mode);

	if (!err)
		return report_ready(rt, f->header.id, report);
	frame_reply_error(rt->child.control_fd, f->header.id, err, "sandbox", "cannot enter the sandbox: %s", strerror(-err));
	return err;
}

static int start(struct runtime *rt, struct sandbox_report *report)
{
	int err = create_loop(rt);

	if (!err)
		err = sandbox_enter_setup(sandbox_of_kind(rt->shell->kind), rt->child.sandbox, report);
	if (!err)
		err = child_hello(&rt->child);
	if (!err)
		err = wait_for_setup(rt);
	if (!err)
		err = watch_peers(rt);
	if (!err)
		err = enter_run(rt, report);
	return err;
}

int runtime_main(const struct daemon_shell *shell, int argc, char **argv)
{
	static struct runtime rt;
	static struct sandbox_report report;
	const struct kind_row *kind = &kind_rows[shell->kind];
	int code = child_start(&rt.child, (Bulkhead__Role)kind->role, kind->program, kind->summary, argc, argv);
	int err;

	if (code < 0 && rt.child.replay)
		code = replay_begin(&rt.child, kind, rt.child.replay);
	if (code >= 0)
		return code;
	rt.shell = shell;
	rt.doorbell_fd = rt.irqd_doorbell_fd = -1;
	rt.model_ns = rt.shell_ns = UINT64_MAX;
	err = start(&rt, &report);
	if (err && rt.child.replay)
		return replay_end(err);
	if (err) {
		log_error("%s: cannot start: %s", kind->program, strerror(-err));
		return EXIT_FAILED;
	}
	serve(&rt);
	if (rt.patience_ns && shell->leave)
		shell->leave(&rt);
	return rt.child.replay ? replay_end(0) : rt.exit_code;
}
