/* SPDX-License-Identifier: MIT */
/*
 * The end of a machine, in two steps.
 *
 * First the question. A processor that halted or faulted three times, or a user who stops the machine, ends it; but the
 * guest may have asked for something else just before, by a write that waits in platformd's ring, with platformd dead at
 * that moment. So the vcpu process is ended, platformd is waited for, and asked (FENCE) whether that was all; what it
 * reports meanwhile counts. A reset asks it too, so that nothing of the old guest's is left for the new one. If there is an
 * inputd, whose keyboard controller has the processor's reset line as well, it is asked first.
 *
 * Then the drain. The guest's last words are requests that nobody has waited for: in platformd's ring (debug ports), then
 * in seriald's, then in the console's sockets. Each of them finishes its ring and leaves; one that dies over it is started
 * again, as at any other time. Only then everything else goes (with us: we are its init), and the code is known: a machine
 * that has lost a device or output on its way does not end with 0.
 */
#include "ending.h"
#include "news.h"
#include "proc.h"
#include "report.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	HURRY_MS = 1000,     /* a forced end takes no longer, whatever is left undone */
	QUESTION_MS = 1000,  /* so long a user who stops a machine waits for what its guest may have asked for */
	DRAIN_LOOK_MS = 3000, /* a daemon's heart beats every second */
	DRAIN_LOOKS = 4,     /* of one incarnation: it delivers for at most ten seconds (devices/runtime.c) */
	DRAIN_LOOKS_ALL = 6,
};

/* In this order: debug text goes from platformd to seriald. The others have nothing to deliver. */
static const enum proc_id drained_last[] = { PROC_PLATFORMD, PROC_SERIALD };
enum { DRAINED_LAST = sizeof(drained_last) / sizeof(drained_last[0]) };

static bool is_alive(const struct proc *p)
{
	return p->state != PROC_NONE && p->state != PROC_GONE;
}

void machine_timer(struct vm *vm, struct event **timer, uint32_t ms, event_callback_fn callback)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (!*timer)
		*timer = evtimer_new(vm->base, callback, vm);
	if (*timer)
		evtimer_add(*timer, &tv);
	else
		callback(-1, 0, vm);
}

static void stop_timer(struct event *timer)
{
	if (timer)
		evtimer_del(timer);
}

/* ---- the code -------------------------------------------------------------------------------------------------- */

static void spoil(struct vm *vm, uint32_t code, const char *reason, const char *what)
{
	vm_log(vm, 0, "%s", what);
	if (vm->exit_code)
		return;
	vm->exit_code = code;
	snprintf(vm->exit_text, sizeof(vm->exit_text), "%s; the guest itself ended well (%s)", what, vm->exit_reason);
	snprintf(vm->exit_reason, sizeof(vm->exit_reason), "%s", reason);
}

static const struct proc *find_given_up(const struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].recovery.gave_up)
			return &vm->procs[i];
	return NULL;
}

/* What is in the ring of somebody who should have been drained. */
static unsigned count_unserved(const struct vm *vm)
{
	unsigned n = 0;

	for (unsigned i = 0; i < DRAINED_LAST; i++) {
		const struct proc *p = &vm->procs[drained_last[i]];
		int left = p->recovery.rsp ? ring_backlog(p->recovery.req, p->recovery.rsp) : 0;

		n += left > 0 && !p->recovery.gave_up ? (unsigned)left : 0;
	}
	return n;
}

static bool needs_drain(const struct proc *p)
{
	return p->vm->ran && !p->drained && p->recovery.health != DEVICE_GIVEN_UP;
}

/* Who should have delivered the guest's last words, and has not said that it did. */
static const struct proc *find_undrained(const struct vm *vm)
{
	for (unsigned i = 0; i < DRAINED_LAST; i++)
		if (needs_drain(&vm->procs[drained_last[i]]))
			return &vm->procs[drained_last[i]];
	return NULL;
}

static void settle_code(struct vm *vm)
{
	const struct proc *lost = find_given_up(vm), *undrained = find_undrained(vm);
	unsigned unserved = vm->ran ? count_unserved(vm) : 0;
	char text[160];

	if (lost) {
		snprintf(text, sizeof(text), "%s was given up, and what the guest asked of it was lost", proc_name(lost));
		spoil(vm, EXIT_QUARANTINE, "device-lost", text);
	}
	if (unserved) {
		snprintf(text, sizeof(text), "%u requests of the guest were not served before the end", unserved);
		spoil(vm, EXIT_OUTPUT, "output-lost", text);
	}
	if (undrained && !vm->hurry_timer) {
		snprintf(text, sizeof(text), "%s did not finish in time: output of the guest may be lost", proc_name(undrained));
		spoil(vm, EXIT_OUTPUT, "output-lost", text);
	}
	if (vm->undelivered) {
		snprintf(text, sizeof(text), "%u bytes of console output were not delivered: nobody read them", vm->undelivered);
		spoil(vm, EXIT_OUTPUT, "output-lost", text);
	}
}

static void finish(struct vm *vm)
{
	if (vm->finished)
		return;
	vm->finished = true;
	settle_code(vm);
	vm_trace(vm, "ended: %s, code %u", vm->exit_reason, vm->exit_code);
	report_end(vm);
	news_ended(vm);
	vm->hooks->ended(vm);
	vm_tell_keeper(vm, NOTE_ENDED, vm->exit_code, vm->exit_text[0] ? vm->exit_text : vm->exit_reason);
	if (vm->base)
		event_base_loopbreak(vm->base);
}

/* ---- the drain ------------------------------------------------------------------------------------------------- */

static struct proc *next_to_drain(struct vm *vm)
{
	const struct proc *p = find_undrained(vm);

	return p ? &vm->procs[p->id] : NULL;
}

bool machine_wants(const struct proc *p)
{
	if (p->vm->state != VM_ENDED)
		return true;
	return (p->id == PROC_PLATFORMD || p->id == PROC_SERIALD) && needs_drain(p);
}

/* One that is not ready leads back here when it is, or when it ends. */
static void drain(struct vm *vm)
{
	Bulkhead__Quiesce q = BULKHEAD__QUIESCE__INIT;
	struct proc *p = next_to_drain(vm);

	if (is_alive(&vm->procs[PROC_VCPU]))
		return;
	if (!p) {
		finish(vm);
		return;
	}
	if (p->state != PROC_READY)
		return;
	p->state = PROC_LEAVING;
	q.has_last_words = q.last_words = true;
	if (proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_QUIESCE, &q.base, NULL, 0))
		finish(vm);
}

static uint64_t heartbeat(const struct proc *p)
{
	return p->recovery.rsp ? atomic_load_explicit(&p->recovery.rsp->heartbeat_ns, memory_order_relaxed) : 0;
}

/* Everything about the one that is being drained that changes while there is hope. */
static void on_drain_look(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	const struct proc *p = next_to_drain(vm);
	struct drain_look *l = &vm->look, now = { .all = l->all + 1 };

	if (p) {
		now.beat = heartbeat(p);
		now.process = (uint64_t)p->id << 32 | p->incarnation;
	}
	now.looks = now.process == l->process ? l->looks + 1 : 0;
	if (!p || (now.looks && now.beat == l->beat) || now.looks == DRAIN_LOOKS || now.all == DRAIN_LOOKS_ALL) {
		finish(vm);
		return;
	}
	*l = now;
	machine_timer(vm, &vm->end_timer, DRAIN_LOOK_MS, on_drain_look);
}

void machine_end(struct vm *vm, uint32_t code, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (vm->state == VM_ENDED)
		return;
	vm->hooks->ends(vm); /* what it has still to say needs its devices */
	vm->state = VM_ENDED;
	vm->question = QUESTION_NONE;
	vm->exit_code = code;
	snprintf(vm->exit_reason, sizeof(vm->exit_reason), "%s", reason);
	va_start(ap, fmt);
	vsnprintf(vm->exit_text, sizeof(vm->exit_text), fmt, ap);
	va_end(ap);
	stop_timer(vm->stop_timer);
	proc_kill(&vm->procs[PROC_VCPU]);
	proc_kill(&vm->procs[PROC_BOOT]);
	machine_timer(vm, &vm->end_timer, DRAIN_LOOK_MS, on_drain_look);
	drain(vm);
}

/* ---- the question ---------------------------------------------------------------------------------------------- */

static void pronounce(struct vm *vm)
{
	if (vm->verdict.code == EXIT_TRIPLE_FAULT) {
		report_registers(vm, vm->verdict.text);
		vm_say(vm, 0, "bulkhead: %s: triple fault: the guest's processor shut down\n%s", vm->config->name,
		       vm->verdict.text);
	}
	machine_end(vm, vm->verdict.code, vm->verdict.reason, "%s", vm->verdict.text);
}

static void answered(struct vm *vm)
{
	enum question question = vm->question;

	vm->question = QUESTION_NONE;
	switch (question) {
	case QUESTION_NONE:
		break;
	case QUESTION_END:
		pronounce(vm);
		break;
	case QUESTION_REBOOT:
		vm->hooks->start_again(vm);
		break;
	}
}

/* Who may know what the guest has asked for. */
static const enum proc_id asked[] = { PROC_INPUTD, PROC_PLATFORMD };
enum { ASKED = sizeof(asked) / sizeof(asked[0]) };

static bool can_answer(const struct proc *p)
{
	return p->vm->ran && proc_exists(p) && p->recovery.health != DEVICE_GIVEN_UP;
}

/* NULL: all have answered. */
static struct proc *next_to_ask(struct vm *vm)
{
	while (vm->heard < ASKED && !can_answer(&vm->procs[asked[vm->heard]]))
		vm->heard++;
	return vm->heard < ASKED ? &vm->procs[asked[vm->heard]] : NULL;
}

/* When nothing more can come from the guest, and who is asked is there. */
static void put_question(struct vm *vm)
{
	struct proc *p;

	if (vm->question == QUESTION_NONE || is_alive(&vm->procs[PROC_VCPU]) || is_alive(&vm->procs[PROC_BOOT]))
		return;
	p = next_to_ask(vm);
	if (!p)
		answered(vm);
	else if (p->state == PROC_READY)
		proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_FENCE, NULL, NULL, 0);
}

void machine_ask(struct vm *vm, enum question question)
{
	vm->question = question;
	vm->heard = 0;
	proc_kill(&vm->procs[PROC_VCPU]);
	proc_kill(&vm->procs[PROC_BOOT]);
	put_question(vm);
}

/* Its events and its answer come on two channels. */
void machine_fenced(struct proc *p)
{
	struct vm *vm = p->vm;

	proc_read_events(p);
	if (vm->question == QUESTION_NONE || vm->heard == ASKED || asked[vm->heard] != p->id)
		return;
	vm->heard++;
	put_question(vm);
}

void machine_conclude(struct vm *vm, uint32_t code, const char *reason, const char *text)
{
	if (vm->state == VM_ENDED || vm->question == QUESTION_END)
		return;
	vm->verdict.code = code;
	snprintf(vm->verdict.reason, sizeof(vm->verdict.reason), "%s", reason);
	snprintf(vm->verdict.text, sizeof(vm->verdict.text), "%s", text);
	vm->rebooting = false;
	machine_ask(vm, QUESTION_END);
}

/* ---- what happens meanwhile ------------------------------------------------------------------------------------ */

void machine_device_settled(struct proc *p)
{
	if (p->vm->state == VM_ENDED)
		drain(p->vm);
	else if (p->vm->heard < ASKED && asked[p->vm->heard] == p->id)
		put_question(p->vm);
}

bool machine_process_ended(struct proc *p, bool well)
{
	struct vm *vm = p->vm;

	if (vm->state == VM_ENDED && machine_wants(p) && !well)
		return false;
	if (vm->state == VM_ENDED) {
		p->drained = true;
		drain(vm);
		return true;
	}
	if (vm->question == QUESTION_NONE || (p->id != PROC_VCPU && p->id != PROC_BOOT))
		return false;
	put_question(vm);
	return true;
}

/* ---- stop ------------------------------------------------------------------------------------------------------ */

static void on_hurry(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	if (vm->state != VM_ENDED)
		pronounce(vm);
	finish(vm);
}

/* Whoever asks again does not put it off. */
void machine_hurry(struct vm *vm)
{
	if (!vm->hurry_timer || !evtimer_pending(vm->hurry_timer, NULL))
		machine_timer(vm, &vm->hurry_timer, HURRY_MS, on_hurry);
}

static void on_question_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	if (vm->question == QUESTION_END)
		answered(vm);
}

/* Its guest has no more say, but for what it has said already. */
static void end_in_time(struct vm *vm, uint32_t code, const char *reason, const char *text)
{
	vm->verdict.by_user = true;
	machine_conclude(vm, code, reason, text);
	if (vm->question == QUESTION_END)
		machine_timer(vm, &vm->question_timer, QUESTION_MS, on_question_timeout);
}

static void on_stop_timeout(evutil_socket_t fd, short what, void *ctx)
{
	end_in_time(ctx, EXIT_OK, "stopped", "the guest did not power off in time and was ended");
}

static void on_time_is_up(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	char text[80];

	snprintf(text, sizeof(text), "it has taken longer than %.1f s (--timeout)", vm->config->timeout_ms / 1000.0);
	end_in_time(vm, EXIT_TIMEOUT, "timeout", text);
}

void machine_limit_time(struct vm *vm)
{
	if (vm->config->timeout_ms)
		machine_timer(vm, &vm->limit_timer, vm->config->timeout_ms, on_time_is_up);
}

void machine_press_button(struct vm *vm)
{
	struct proc *platform = &vm->procs[PROC_PLATFORMD];

	if (vm->state == VM_STOPPING && vm->question == QUESTION_NONE && platform->state == PROC_READY)
		proc_request(platform, BULKHEAD__MESSAGE_TYPE__MSG_POWER_BUTTON, NULL, NULL, 0);
}

static void stop_at_once(struct vm *vm, const char *text)
{
	vm->verdict.by_user = true;
	machine_conclude(vm, EXIT_OK, "stopped", text);
	machine_hurry(vm);
}

void machine_stop(struct vm *vm, uint32_t timeout_ms)
{
	struct proc *platform = &vm->procs[PROC_PLATFORMD];

	if (!timeout_ms || vm->state == VM_STARTING) {
		stop_at_once(vm, "");
		return;
	}
	if (platform->recovery.health == DEVICE_GIVEN_UP) {
		stop_at_once(vm, "platformd was given up, so the guest could not be asked to power off");
		return;
	}
	if (vm->state == VM_RUNNING) {
		vm->state = VM_STOPPING;
		vm_tell_keeper(vm, NOTE_STATUS, 0, "stopping");
		vm_log(vm, 2, "asking the guest to power off");
		news_add(vm, "stopping", NULL, "the power button was pressed");
		machine_press_button(vm);
	}
	if (vm->state == VM_STOPPING)
		machine_timer(vm, &vm->stop_timer, timeout_ms, on_stop_timeout);
}
