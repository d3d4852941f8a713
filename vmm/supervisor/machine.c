/* SPDX-License-Identifier: MIT */
/*
 * The life of a machine:
 *
 *   STARTING  loader, vcpu and daemons start side by side; the loader's answer goes to the vcpu; when all are behind
 *             their run-time fence: MSG_RUN
 *   RUNNING   a reset ends vcpu process and memory and comes back here through the loader; daemons stay
 *   STOPPING  the power button was pressed, a timer runs
 *   ENDED     vcpu dead, the console's last bytes delivered, waiting clients answered, exit
 */
#include "vm.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"

#include "../../proto/control_check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The console daemon delivers what the guest printed last for as long as somebody reads it (devices/runtime.c, at most
 * ten seconds). We look whether it lives: its heart beats every second.
 */
enum { DRAIN_LOOK_MS = 3000, DRAIN_LOOKS = 4 };

/* Whoever does not want to wait for that gets what can be delivered in this time. */
enum { HURRY_MS = 1000 };

static bool is_alive(const struct proc *p)
{
	return p->state != PROC_NONE && p->state != PROC_GONE;
}

static bool is_device(const struct proc *p)
{
	return (int)p->id >= PROC_FIRST_DEVICE;
}

/* ---- end ------------------------------------------------------------------------------------------------------- */

static void finish(struct vm *vm)
{
	if (vm->finished)
		return;
	vm->finished = true;
	vm_trace(vm, "ended: %s, code %u", vm->exit_reason, vm->exit_code);
	control_ended(vm);
	vm_tell_keeper(vm, NOTE_ENDED, vm->exit_code, vm->exit_text[0] ? vm->exit_text : vm->exit_reason);
	if (vm->base)
		event_base_loopbreak(vm->base);
}

/*
 * The guest's last words are in the console's ring when it turns itself off: posted, not awaited. So the vcpu is ended
 * first, then the console daemon finishes its ring, and only then does everything else go (with us: we are its init).
 */
static void drain(struct vm *vm)
{
	struct proc *serial = &vm->procs[PROC_SERIALD];
	Bulkhead__Quiesce q = BULKHEAD__QUIESCE__INIT;

	if (is_alive(&vm->procs[PROC_VCPU]))
		return;
	if (!is_alive(serial)) {
		finish(vm);
		return;
	}
	if (serial->state == PROC_READY) {
		serial->state = PROC_LEAVING;
		q.has_last_words = q.last_words = true;
		if (proc_request(serial, BULKHEAD__MESSAGE_TYPE__MSG_QUIESCE, &q.base, NULL, 0))
			finish(vm);
	} else if (serial->state == PROC_STARTING) {
		finish(vm);
	}
}

static void set_timer(struct vm *vm, struct event **timer, uint32_t ms, event_callback_fn callback)
{
	struct timeval tv = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	if (!*timer)
		*timer = evtimer_new(vm->base, callback, vm);
	if (*timer)
		evtimer_add(*timer, &tv);
	else
		callback(-1, 0, vm);
}

static uint64_t console_heartbeat(const struct vm *vm)
{
	const struct ring_rsp *rsp = vm->procs[PROC_SERIALD].recovery.rsp;

	return rsp ? atomic_load_explicit(&rsp->heartbeat_ns, memory_order_relaxed) : 0;
}

static void on_drain_look(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	uint64_t beat = console_heartbeat(vm);

	if (beat == vm->drain_beat || ++vm->drain_looks == DRAIN_LOOKS) {
		finish(vm);
		return;
	}
	vm->drain_beat = beat;
	set_timer(vm, &vm->end_timer, DRAIN_LOOK_MS, on_drain_look);
}

void machine_end(struct vm *vm, uint32_t code, const char *reason, const char *fmt, ...)
{
	va_list ap;

	if (vm->state == VM_ENDED)
		return;
	vm->state = VM_ENDED;
	vm->exit_code = code;
	snprintf(vm->exit_reason, sizeof(vm->exit_reason), "%s", reason);
	va_start(ap, fmt);
	vsnprintf(vm->exit_text, sizeof(vm->exit_text), fmt, ap);
	va_end(ap);
	if (vm->stop_timer)
		evtimer_del(vm->stop_timer);
	if (vm->last_timer)
		evtimer_del(vm->last_timer);
	proc_kill(&vm->procs[PROC_VCPU]);
	proc_kill(&vm->procs[PROC_BOOT]);
	vm->drain_beat = console_heartbeat(vm);
	set_timer(vm, &vm->end_timer, DRAIN_LOOK_MS, on_drain_look);
	drain(vm);
}

static void on_hurry(evutil_socket_t fd, short what, void *ctx)
{
	finish(ctx);
}

void machine_hurry(struct vm *vm)
{
	if (!vm->finished && !vm->hurry_timer)
		set_timer(vm, &vm->hurry_timer, HURRY_MS, on_hurry);
}

static void on_stop_timeout(evutil_socket_t fd, short what, void *ctx)
{
	machine_end(ctx, EXIT_OK, "stopped", "the guest did not power off in time and was ended");
}

void machine_stop(struct vm *vm, uint32_t timeout_ms)
{
	struct proc *platform = &vm->procs[PROC_PLATFORMD];

	if (vm->state == VM_ENDED)
		return;
	if (!timeout_ms || vm->state == VM_STARTING || platform->state != PROC_READY) {
		machine_end(vm, EXIT_OK, "stopped", "%s", "");
		return;
	}
	if (vm->state == VM_RUNNING) {
		vm_tell_keeper(vm, NOTE_STATUS, 0, "stopping");
		vm_log(vm, 2, "asking the guest to power off");
		proc_request(platform, BULKHEAD__MESSAGE_TYPE__MSG_POWER_BUTTON, NULL, NULL, 0);
		vm->state = VM_STOPPING;
	}
	set_timer(vm, &vm->stop_timer, timeout_ms, on_stop_timeout);
}

enum { QUIET_LOOK_MS = 5 };

/* ---- start and reboot ------------------------------------------------------------------------------------------ */

/* Fresh memory, a loader for it, and a vcpu process that will run what the loader put there. */
static int start_guest(struct vm *vm)
{
	int rc = objects_fresh_ram(vm);

	vm->rebooting = vm->run_sent = vm->boot_done = false;
	if (!rc)
		rc = proc_spawn(&vm->procs[PROC_BOOT]);
	if (!rc)
		rc = setup_boot(&vm->procs[PROC_BOOT]);
	return rc ? rc : proc_spawn(&vm->procs[PROC_VCPU]);
}

int machine_start(struct vm *vm)
{
	int rc = objects_create(vm);

	if (!rc)
		rc = start_guest(vm);
	for (unsigned i = PROC_FIRST_DEVICE; !rc && i < PROCS; i++) {
		if (!proc_exists(&vm->procs[i]))
			continue;
		rc = recovery_init(&vm->procs[i], &vm->devices[i - PROC_FIRST_DEVICE]);
		if (!rc)
			rc = proc_spawn(&vm->procs[i]);
		if (!rc)
			rc = setup_device(&vm->procs[i], false);
	}
	vm_trace(vm, "all processes cloned");
	return rc ? rc : watchdog_start(vm);
}

void machine_maybe_run(struct vm *vm)
{
	if (vm->run_sent || vm->state == VM_ENDED || vm->rebooting || vm->paused)
		return;
	for (unsigned i = PROC_VCPU; i < PROCS; i++)
		if (proc_exists(&vm->procs[i]) && vm->procs[i].state != PROC_READY &&
		    vm->procs[i].recovery.health != DEVICE_GIVEN_UP)
			return;
	vm->run_sent = true;
	recovery_tell_vcpu(vm);
	vm_trace(vm, "all processes behind their fences");
	if (proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_RUN, NULL, NULL, 0))
		machine_end(vm, EXIT_VMM, "failure", "the vcpu process does not take requests");
}

static void reboot(struct vm *vm)
{
	if (vm->rebooting)
		return;
	if (vm->config->no_reboot) {
		machine_end(vm, EXIT_GUEST_RESET, "reset", "the guest asked for a reset");
		return;
	}
	if (vm->last_timer)
		evtimer_del(vm->last_timer);
	vm->rebooting = true;
	vm->reboots++;
	vm_log(vm, 2, "the guest reboots");
	proc_kill(&vm->procs[PROC_VCPU]);
}

/* What the old guest has asked of devices that write its memory is done before the new one's is put there. */
static bool is_memory_quiet(const struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++) {
		const struct proc *p = &vm->procs[i];

		if (proc_exists(p) && p->kind->memory == KIND_MEMORY_WRITES && p->recovery.health != DEVICE_GIVEN_UP &&
		    ring_backlog(p->recovery.req, p->recovery.rsp) > 0)
			return false;
	}
	return true;
}

static void on_quiet_look(evutil_socket_t fd, short what, void *ctx);

static void continue_reboot(struct vm *vm)
{
	int rc;

	if (!vm->rebooting || vm->state == VM_ENDED || is_alive(&vm->procs[PROC_VCPU]) || is_alive(&vm->procs[PROC_BOOT]))
		return;
	if (!is_memory_quiet(vm)) {
		set_timer(vm, &vm->quiet_timer, QUIET_LOOK_MS, on_quiet_look);
		return;
	}
	rc = start_guest(vm);
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "could not start again after a reset: %s", strerror(-rc));
}

static void on_quiet_look(evutil_socket_t fd, short what, void *ctx)
{
	continue_reboot(ctx);
}

/* ---- replies --------------------------------------------------------------------------------------------------- */

static void note_missing(struct proc *p, const Bulkhead__Ok *ok)
{
	for (size_t i = 0; i < ok->n_sandbox_missing && i < SANDBOX_MISSING_MAX; i++)
		vm_note_missing(p->vm, ok->sandbox_missing[i]);
}

static void ready(struct proc *p, const Bulkhead__Ok *ok)
{
	note_missing(p, ok);
	if (p->state == PROC_STARTING)
		p->state = PROC_READY;
	vm_trace(p->vm, "%s ready", proc_name(p));
	if (is_device(p))
		recovery_ready(p);
	if (p->vm->state == VM_ENDED)
		drain(p->vm);
	/* The one that should have pressed the button may have died over it. */
	if (p->vm->state == VM_STOPPING && p->id == PROC_PLATFORMD && p->recovery.deaths)
		proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_POWER_BUTTON, NULL, NULL, 0);
	machine_maybe_run(p->vm);
}

static void booted(struct proc *p, const Bulkhead__Ok *ok)
{
	struct vm *vm = p->vm;
	struct control_complaint complaint;
	int rc = -EBADMSG;

	note_missing(p, ok);
	if (ok->entry && !control_check_entry(ok->entry, &complaint)) {
		vm_trace(vm, "image loaded (%s)", ok->entry->format ? ok->entry->format : "?");
		if (ok->entry->note && ok->entry->note[0])
			vm_trace(vm, "%s", ok->entry->note);
		vm->boot_done = true;
		rc = setup_vcpu(&vm->procs[PROC_VCPU], ok->entry);
	}
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "the loader's result could not be used: %s", strerror(-rc));
}

static void greeted(struct proc *p, const Bulkhead__Ok *ok)
{
	const Bulkhead__Hello *h = ok->hello;

	if (h && h->has_proto_major && h->proto_major == CONTROL_MAJOR && h->has_role && h->role == proc_role(p))
		return;
	if (is_device(p) && p->recovery.on_trial) {
		proc_blame(p, "it speaks another protocol");
		return;
	}
	machine_end(p->vm, EXIT_VMM, "failure", "%s speaks another protocol (its version: %.20s, ours: %s); reinstall bulkhead",
		    proc_name(p), h && h->version ? h->version : "unknown", BULKHEAD_VERSION);
}

static void keep_stats(struct proc *p, const Bulkhead__Ok *ok)
{
	if (ok && ok->stats)
		p->stats = *ok->stats; /* numbers only: trust_message() has cut the pointers into the frame */
	p->stats_wanted = p->stats_late = false;
	control_stats_changed(p->vm);
}

static void refused(struct proc *p, uint16_t request, const Bulkhead__Error *error)
{
	struct vm *vm = p->vm;
	const char *text = error->text && error->text[0] ? error->text : strerror(error->code);

	if (request == BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT && !vm->reboots)
		machine_end(vm, EXIT_USAGE, "image", "%s%s", text, limits_hint(error->code));
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU && error->field && !strcmp(error->field, "cpu"))
		machine_end(vm, EXIT_USAGE, "cpu", "--cpu: %s", text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_STATS)
		keep_stats(p, NULL);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_POWER_BUTTON)
		vm_log(vm, 1, "the power button could not be pressed: %s", text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_QUIESCE)
		proc_kill(p);
	else if (is_device(p) && p->recovery.deaths + p->recovery.on_trial)
		proc_blame(p, text);
	else
		machine_end(vm, EXIT_VMM, "failure", "%s: %s%s%s%s", proc_name(p), text, error->field ? ": " : "",
			    error->field ? error->field : "", limits_hint(error->code));
}

/* Names that are not in the table are nobody's business. */
static void keep_cpu_features(struct vm *vm, const Bulkhead__Ok *ok)
{
	vm->cpu_features = (struct cpu_feature_set){ { 0 } };
	for (size_t i = 0; i < ok->n_cpu_features; i++)
		cpu_add(&vm->cpu_features, cpu_feature_find(ok->cpu_features[i], strlen(ok->cpu_features[i])));
	cpu_remove(&vm->cpu_features, CPUF_NONE);
}

static void accepted(struct proc *p, uint16_t request, const Bulkhead__Ok *ok)
{
	switch (request) {
	case BULKHEAD__MESSAGE_TYPE__MSG_HELLO:
		greeted(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU:
		keep_cpu_features(p->vm, ok);
		ready(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_DEVICE:
		ready(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT:
		booted(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_STATS:
		keep_stats(p, ok);
		break;
	default:
		break; /* RUN, POWER_BUTTON, QUIESCE: nothing to take from the answer */
	}
}

void machine_reply(struct proc *p, uint16_t request, const struct frame *reply)
{
	/* A vcpu or loader of before a reset may still have an answer on its way. */
	if (p->vm->rebooting && !is_device(p))
		return;
	if (reply->header.type == BULKHEAD__MESSAGE_TYPE__MSG_OK)
		accepted(p, request, (const Bulkhead__Ok *)reply->msg);
	else
		refused(p, request, (const Bulkhead__Error *)reply->msg);
}

/* ---- events ---------------------------------------------------------------------------------------------------- */

static void on_poweroff(struct proc *p, const Bulkhead__Event *e)
{
	machine_end(p->vm, EXIT_OK, "poweroff", "%s", "the guest powered off");
}

static void on_reset(struct proc *p, const Bulkhead__Event *e)
{
	reboot(p->vm);
}

static void on_exit_port(struct proc *p, const Bulkhead__Event *e)
{
	machine_end(p->vm, e->code & 0xff, "exit port", "the guest exited with code %u", e->code & 0xff);
}

/*
 * A guest that writes to an exit port and halts right after it: the write's event comes from platformd, the halt's from
 * the vcpu process, on different channels. What the guest asked for counts, so the halt waits a little for it.
 */
enum { LAST_EVENT_MS = 50 };

static void on_last_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	if (vm->rebooting || vm->state == VM_ENDED)
		return;
	if (vm->last_code == EXIT_TRIPLE_FAULT)
		vm_say(vm, "bulkhead: %s: triple fault: the guest's processor shut down\n%s", vm->config->name, vm->last_text);
	machine_end(vm, vm->last_code, vm->last_reason, "%s", vm->last_text);
}

static void end_soon(struct vm *vm, uint32_t code, const char *reason, const char *text)
{
	vm->last_code = code;
	snprintf(vm->last_reason, sizeof(vm->last_reason), "%s", reason);
	snprintf(vm->last_text, sizeof(vm->last_text), "%s", text);
	/* Who says it again does not put it off. */
	if (!vm->last_timer || !evtimer_pending(vm->last_timer, NULL))
		set_timer(vm, &vm->last_timer, LAST_EVENT_MS, on_last_timer);
}

static void on_triple_fault(struct proc *p, const Bulkhead__Event *e)
{
	end_soon(p->vm, EXIT_TRIPLE_FAULT, "triple fault", e->text ? e->text : "");
}

static void on_halted(struct proc *p, const Bulkhead__Event *e)
{
	if (p->vm->config->on_halt == ON_HALT_WAIT) {
		if (proc_may_log(p))
			vm_log(p->vm, 1, "the guest halted with interrupts off; it waits (--on-halt wait)");
		return;
	}
	end_soon(p->vm, EXIT_OK, "halted", "the guest halted with interrupts off");
}

static void on_engine_error(struct proc *p, const Bulkhead__Event *e)
{
	machine_end(p->vm, EXIT_VMM, "engine", "the engine cannot go on: %s", e->text ? e->text : "no reason given");
}

static void on_running(struct proc *p, const Bulkhead__Event *e)
{
	struct vm *vm = p->vm;

	vm_trace(vm, "first guest instruction");
	if (vm->state == VM_STARTING) {
		vm->state = VM_RUNNING;
		vm_tell_keeper(vm, NOTE_RUNNING, 0, vm->engine_kvm ? "running (kvm)" : "running (emu)");
	}
}

static void on_progress(struct proc *p, const Bulkhead__Event *e)
{
	/* The watchdog counts what it hears from a loader (struct proc, heard). */
}

static void on_device_trouble(struct proc *p, const Bulkhead__Event *e)
{
	char device[KIND_NAME_MAX] = "a device";

	if (!proc_may_log(p))
		return;
	if (e->has_device)
		control_process_name(e->device, e->instance, device);
	vm_log(p->vm, 1, "%s: %s %s%s%s", proc_name(p), device,
	       e->type == BULKHEAD__EVENT_TYPE__EVENT_DEVICE_TIMEOUT ? "does not answer" : "broke the ring protocol",
	       e->text ? ": " : "", e->text ? e->text : "");
}

static void on_log_line(struct proc *p, const Bulkhead__Event *e)
{
	int level = (int)(e->code < 5 ? e->code : 4);

	if ((level <= 1 || p->vm->config->verbose) && proc_may_log(p))
		vm_log(p->vm, level, "%s[%u]: %s", proc_name(p), p->incarnation, e->text ? e->text : "");
}

/* Who may say what: a console daemon that was taken over must not be able to turn the machine off. */
#define FROM(id) (1u << PROC_##id)
static const struct {
	Bulkhead__EventType type;
	uint32_t from;
	void (*handle)(struct proc *p, const Bulkhead__Event *e);
} event_rows[] = {
	{ BULKHEAD__EVENT_TYPE__EVENT_POWEROFF, FROM(PLATFORMD), on_poweroff },
	{ BULKHEAD__EVENT_TYPE__EVENT_RESET, FROM(PLATFORMD), on_reset },
	{ BULKHEAD__EVENT_TYPE__EVENT_EXIT, FROM(PLATFORMD), on_exit_port },
	{ BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT, FROM(VCPU), on_triple_fault },
	{ BULKHEAD__EVENT_TYPE__EVENT_HALTED, FROM(VCPU), on_halted },
	{ BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR, FROM(VCPU), on_engine_error },
	{ BULKHEAD__EVENT_TYPE__EVENT_RUNNING, FROM(VCPU), on_running },
	{ BULKHEAD__EVENT_TYPE__EVENT_PROGRESS, FROM(BOOT), on_progress },
	{ BULKHEAD__EVENT_TYPE__EVENT_DEVICE_TIMEOUT, FROM(VCPU), on_device_trouble },
	{ BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL, ~0u, on_device_trouble },
	{ BULKHEAD__EVENT_TYPE__EVENT_LOG, ~0u, on_log_line },
};

void machine_event(struct proc *p, const Bulkhead__Event *event)
{
	/* What the guest did after it asked for a reset or an end no longer counts; log lines do. */
	bool late = p->vm->state == VM_ENDED || p->vm->rebooting;

	for (unsigned i = 0; i < sizeof(event_rows) / sizeof(event_rows[0]); i++) {
		if (event_rows[i].type != event->type)
			continue;
		if (!(event_rows[i].from >> p->id & 1)) {
			if (proc_may_log(p))
				vm_log(p->vm, 1, "%s sent an event that is not its own (%d): ignored", proc_name(p),
				       event->type);
		} else if (!late || event->type == BULKHEAD__EVENT_TYPE__EVENT_LOG)
			event_rows[i].handle(p, event);
		return;
	}
}

/* ---- death of a process ---------------------------------------------------------------------------------------- */

static bool is_sandbox_end(int code, int status)
{
	return code == CLD_EXITED ? status == EXIT_SANDBOX : status == SIGSYS;
}

static void describe(char *out, size_t len, const struct proc *p, int code, int status)
{
	const char *words = p->last_line;

	if (p->blame[0])
		snprintf(out, len, "%s was killed by its supervisor: %s", proc_name(p), p->blame);
	else if (code == CLD_EXITED && status == EXIT_SANDBOX)
		snprintf(out, len, "%s was stopped by its sandbox%s%s", proc_name(p), *words ? ": " : "", words);
	else if (code == CLD_EXITED)
		snprintf(out, len, "%s ended unexpectedly with code %d%s%s", proc_name(p), status, *words ? ": " : "", words);
	else
		snprintf(out, len, "%s was killed by signal %d (%s)%s%s", proc_name(p), status, strsignal(status),
			 *words ? ": " : "", words);
}

static void note_reason(struct proc *p, int code, int status)
{
	char text[2 * PROC_LINE];

	describe(text, sizeof(text), p, code, status);
	snprintf(p->last_reason, sizeof(p->last_reason), "%.*s", PROC_LINE - 1, text);
}

/* Loader or vcpu: what it did cannot be taken over by anyone. */
static void crashed(struct proc *p, int code, int status)
{
	note_reason(p, code, status);
	machine_end(p->vm, is_sandbox_end(code, status) ? EXIT_SANDBOX : EXIT_VMM,
		    is_sandbox_end(code, status) ? "sandbox" : "failure", "%s", p->last_reason);
}

enum { LAST_DEATHS = 100000 }; /* the drain's own limit of time is what ends it */

void machine_proc_gone(struct proc *p, int code, int status)
{
	struct vm *vm = p->vm;
	bool expected = p->state == PROC_LEAVING;

	p->state = PROC_GONE;
	p->host_pid = 0;
	control_stats_changed(vm);
	if (is_device(p) && vm->state != VM_ENDED) {
		if (!p->recovery.leaving_ns || code != CLD_EXITED || status)
			note_reason(p, code, status);
		recovery_gone(p);
	} else if (vm->state == VM_ENDED && p->id == PROC_SERIALD && (code != CLD_EXITED || status) &&
		   p->recovery.deaths < LAST_DEATHS) {
		/* It died over the guest's last words, which are in its ring and in the backlog. */
		note_reason(p, code, status);
		recovery_gone(p);
	} else if (vm->state == VM_ENDED)
		drain(vm);
	else if (vm->rebooting && !is_device(p))
		continue_reboot(vm);
	else if (p->id == PROC_BOOT && vm->boot_done && code == CLD_EXITED && !status)
		vm_trace(vm, "loader gone");
	else if (!expected)
		crashed(p, code, status);
}
