/* SPDX-License-Identifier: MIT */
/*
 * The life of a machine:
 *
 *   STARTING  loader, vcpu and daemons start side by side; the loader's answer goes to the vcpu; when all are behind
 *             their run-time fence: MSG_RUN
 *   RUNNING   a reset ends vcpu process and memory and comes back here through the loader; daemons stay
 *   STOPPING  the power button was pressed, or is as soon as platformd is there; a timer runs
 *   ENDED     vcpu dead, the guest's last bytes delivered, waiting clients answered, exit: ending.c
 */
#include "machine.h"
#include "debug.h"
#include "ending.h"
#include "giving_up.h"
#include "handover.h"
#include "link.h"
#include "news.h"
#include "objects.h"
#include "proc.h"
#include "recovery.h"
#include "report.h"
#include "restore.h"
#include "setup.h"
#include "take.h"
#include "tell.h"
#include "vm.h"
#include "watchdog.h"

#include "../common/exit_codes.h"
#include "../common/limits.h"

#include "../../proto/control_check.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_device(const struct proc *p)
{
	return (int)p->id >= PROC_FIRST_DEVICE;
}

enum { QUIET_LOOK_MS = 5 };

/* ---- start and reboot ------------------------------------------------------------------------------------------ */

/* The new vcpu process resets all devices but those that it is told are given up. */
static void owe_resets(struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].recovery.health == DEVICE_GIVEN_UP)
			vm->procs[i].recovery.must_reset = true;
}

/* Fresh memory, a loader for it, and a vcpu process that will run what the loader put there. */
static int start_guest(struct vm *vm)
{
	int rc = objects_fresh_ram(vm);

	handover_cancel(vm, "the guest was reset meanwhile");
	vm->rebooting = vm->run_sent = vm->boot_done = false;
	owe_resets(vm);
	if (!rc)
		rc = proc_spawn(&vm->procs[PROC_BOOT]);
	if (!rc)
		rc = setup_boot(&vm->procs[PROC_BOOT]);
	if (!rc)
		rc = proc_spawn(&vm->procs[PROC_VCPU]);
	return rc ? rc : debug_vcpu_born(vm);
}

static int start_device(struct proc *p)
{
	int rc = p->external ? recovery_dial(p) : proc_spawn(p);

	if (p->external)
		return rc; /* the rest when there is a connection */

	return rc ? rc : setup_device(p, p->vm->launch->taken_fd[FRAME_TAKE_STATE] >= 0);
}

static int view_devices(struct vm *vm)
{
	int rc = 0;

	for (unsigned i = PROC_FIRST_DEVICE; !rc && i < PROCS; i++)
		if (proc_exists(&vm->procs[i]))
			rc = recovery_init(&vm->procs[i], &vm->devices[i - PROC_FIRST_DEVICE]);
	return rc;
}

static int start_devices(struct vm *vm)
{
	int rc = 0;

	for (unsigned i = PROC_FIRST_DEVICE; !rc && i < PROCS; i++)
		if (proc_exists(&vm->procs[i]))
			rc = start_device(&vm->procs[i]);
	return rc;
}

static int start_all(struct vm *vm)
{
	int rc = start_guest(vm);

	return rc || vm->restored ? rc : start_devices(vm);
}

int machine_start(struct vm *vm)
{
	int rc = objects_create(vm);

	if (!rc && vm->launch->taken_fd[FRAME_TAKE_STATE] >= 0)
		rc = restore_objects(vm);
	if (!rc)
		rc = view_devices(vm);
	if (!rc)
		rc = start_all(vm);
	vm_trace(vm, "all processes cloned");
	news_add(vm, "started", NULL, "its processes are being started");
	machine_limit_time(vm);
	return rc ? rc : watchdog_start(vm);
}

void machine_maybe_run(struct vm *vm)
{
	if (vm->run_sent || vm->state == VM_ENDED || vm->rebooting || vm->paused || vm->restored)
		return;
	for (unsigned i = PROC_VCPU; i < PROCS; i++)
		if (proc_exists(&vm->procs[i]) && vm->procs[i].state != PROC_READY &&
		    vm->procs[i].recovery.health != DEVICE_GIVEN_UP)
			return;
	vm->run_sent = vm->ran = true;
	giving_up_tell_vcpu(vm);
	vm_trace(vm, "all processes behind their fences");
	if (proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_RUN, NULL, NULL, 0))
		machine_end(vm, EXIT_VMM, "failure", "the vcpu process does not take requests");
}

/* Not before platformd has nothing more to say for the guest that was: ending.c. */
static void reboot(struct vm *vm)
{
	if (vm->config->no_reboot) {
		machine_end(vm, EXIT_GUEST_RESET, "reset", "the guest asked for a reset");
		return;
	}
	vm->rebooting = true;
	vm->reboots++;
	vm_log(vm, 2, "the guest reboots");
	news_add(vm, "reset", NULL, "the guest asked for a reset");
	machine_ask(vm, QUESTION_REBOOT);
}

/* What the old guest has asked of devices that write its memory is done before the new one's is put there. */
static bool is_memory_quiet(const struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++) {
		const struct proc *p = &vm->procs[i];

		if (proc_exists(p) && kind_writes_memory(p->kind->memory) && p->recovery.health != DEVICE_GIVEN_UP &&
		    ring_backlog(p->recovery.req, p->recovery.rsp) > 0)
			return false;
	}
	return true;
}

static void on_quiet_look(evutil_socket_t fd, short what, void *ctx)
{
	machine_start_again(ctx);
}

void machine_start_again(struct vm *vm)
{
	int rc;

	if (!vm->rebooting || vm->state == VM_ENDED)
		return;
	if (!link_part(vm) || !is_memory_quiet(vm)) {
		machine_timer(vm, &vm->quiet_timer, QUIET_LOOK_MS, on_quiet_look);
		return;
	}
	rc = start_guest(vm);
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "could not start again after a reset: %s", strerror(-rc));
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
	/* The one that should have pressed the button was away, or has died over it. */
	if (p->id == PROC_PLATFORMD)
		machine_press_button(p->vm);
	machine_device_settled(p);
	machine_maybe_run(p->vm);
	link_update(p->vm);
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
		if (vm->restored)
			restore_clock(vm);
		rc = setup_vcpu(&vm->procs[PROC_VCPU], ok->entry);
	}
	if (!rc && vm->restored)
		rc = start_devices(vm);
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "the loader's result could not be used: %s", strerror(-rc));
}

static void greeted(struct proc *p, const Bulkhead__Ok *ok)
{
	char why[PROC_LINE];
	const Bulkhead__Hello *h = ok->hello;

	snprintf(p->version, sizeof(p->version), "%s", h && h->version ? h->version : "");
	if (p->external && h)
		p->host_pid = h->has_pid ? (pid_t)h->pid : 0;
	if (h && h->has_proto_major && h->proto_major == CONTROL_MAJOR && h->has_role && h->role == proc_role(p)) {
		if (p->external)
			recovery_greeted(p);
		return;
	}
	if (p->external || (is_device(p) && p->recovery.on_trial)) {
		snprintf(why, sizeof(why), "it speaks another protocol, or is another device's (its version: %.20s, ours: %s)",
			 p->version[0] ? p->version : "unknown", BULKHEAD_VERSION);
		proc_blame(p, why);
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
	p->vm->hooks->stats_changed(p->vm);
}

static void refused(struct proc *p, uint16_t request, const Bulkhead__Error *error)
{
	struct vm *vm = p->vm;
	const char *text = error->text && error->text[0] ? error->text : strerror(error->code);

	if (handover_replied(vm, request, NULL, text))
		return;
	if (request == BULKHEAD__MESSAGE_TYPE__MSG_SAVE || request == BULKHEAD__MESSAGE_TYPE__MSG_PAUSE ||
	    request == BULKHEAD__MESSAGE_TYPE__MSG_HOLD_LINES)
		take_replied(vm, request, NULL, text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT)
		vm->hooks->console_answered(p, NULL, error);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_RESTORE)
		machine_end(vm, EXIT_USAGE, "state", "the state of the processors cannot be restored: %s", text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT && !vm->reboots)
		machine_end(vm, EXIT_USAGE, "image", "%s%s", text, limits_hint(error->code));
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU && error->field && !strcmp(error->field, "cpu"))
		machine_end(vm, EXIT_USAGE, "cpu", "--cpu: %s", text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_STATS)
		keep_stats(p, NULL);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_POWER_BUTTON)
		vm_log(vm, 1, "the power button could not be pressed: %s", text);
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_FENCE)
		machine_fenced(p); /* it does not know the question */
	else if (request == BULKHEAD__MESSAGE_TYPE__MSG_QUIESCE) {
		p->drained = true;
		proc_kill(p);
	} else if (p->external || p->id == PROC_GDBD ||
		   (is_device(p) && (p->state == PROC_READY || p->recovery.deaths + p->recovery.on_trial)))
		proc_blame(p, text); /* one that serves and refuses its other half, say, ends no machine */
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

/* One part after the other; behind the last one, the guest may go on. */
static void restore(struct vm *vm)
{
	int rc;

	if (!vm->restored)
		return;
	rc = restore_next(vm);
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "the state could not be restored: %s", strerror(-rc));
	machine_maybe_run(vm);
}

static void accepted(struct proc *p, uint16_t request, const Bulkhead__Ok *ok)
{
	if (handover_replied(p->vm, request, ok, NULL))
		return;
	switch (request) {
	case BULKHEAD__MESSAGE_TYPE__MSG_HELLO:
		greeted(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU:
		keep_cpu_features(p->vm, ok);
		ready(p, ok);
		restore(p->vm);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_RESTORE:
		restore(p->vm);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_HOLD_LINES:
	case BULKHEAD__MESSAGE_TYPE__MSG_PAUSE:
	case BULKHEAD__MESSAGE_TYPE__MSG_SAVE:
		take_replied(p->vm, request, ok, NULL);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_DEVICE:
		ready(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_SETUP_BOOT:
		booted(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CHANNEL:
		if (p->id == PROC_GDBD)
			ready(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT:
		p->vm->hooks->console_answered(p, ok, NULL);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_STATS:
		keep_stats(p, ok);
		break;
	case BULKHEAD__MESSAGE_TYPE__MSG_FENCE:
		machine_fenced(p);
		break;
	default:
		break; /* RUN, POWER_BUTTON, QUIESCE: nothing to take from the answer */
	}
}

void machine_reply(struct proc *p, uint16_t request, const struct frame *reply)
{
	/* A vcpu or loader of before a reset may still have an answer on its way. */
	if (p->vm->rebooting && !is_device(p) && p->id != PROC_GDBD)
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

/* A user who stops the machine meant it. */
static void on_reset(struct proc *p, const Bulkhead__Event *e)
{
	if (p->vm->question != QUESTION_END || !p->vm->verdict.by_user)
		reboot(p->vm);
}

static void on_exit_port(struct proc *p, const Bulkhead__Event *e)
{
	uint8_t code = (uint8_t)e->code;

	report_guest_code(p->vm, code);
	if (exit_code_of_guest(code) == code)
		machine_end(p->vm, code, "exit", "the guest exited with code %u", code);
	else
		machine_end(p->vm, EXIT_GUEST_CODE, "exit",
			    "the guest exited with code %u, which stands for something else: "
			    "%d stands for it",
			    code, EXIT_GUEST_CODE);
}

static void on_panic(struct proc *p, const Bulkhead__Event *e)
{
	news_add(p->vm, "panic", NULL, "the guest's kernel panicked");
	machine_end(p->vm, EXIT_PANIC, "panic", "the guest's kernel panicked");
}

static void on_triple_fault(struct proc *p, const Bulkhead__Event *e)
{
	machine_conclude(p->vm, EXIT_TRIPLE_FAULT, "triple-fault", e->text ? e->text : "");
}

static void on_halted(struct proc *p, const Bulkhead__Event *e)
{
	if (p->vm->config->on_halt == ON_HALT_WAIT) {
		if (proc_may_log(p))
			vm_log(p->vm, 1, "the guest halted with interrupts off; it waits (--on-halt wait)");
		return;
	}
	machine_conclude(p->vm, EXIT_OK, "halted", "the guest halted with interrupts off");
}

static void on_engine_error(struct proc *p, const Bulkhead__Event *e)
{
	machine_end(p->vm, EXIT_VMM, "engine", "the engine cannot go on: %s", e->text ? e->text : "no reason given");
}

static bool waits_for_guest(const struct vm *vm)
{
	return !strcmp(vm->config->ready, "guest") && !vm->is_ready;
}

static const char *state_text(const struct vm *vm)
{
	if (waits_for_guest(vm))
		return "running, the guest is not ready yet";
	return vm->engine_kvm ? "running (kvm)" : "running (emu)";
}

static void on_ready(struct proc *p, const Bulkhead__Event *e)
{
	struct vm *vm = p->vm;
	bool awaited = waits_for_guest(vm) && vm->state == VM_RUNNING;

	vm->is_ready = true;
	if (awaited)
		vm_tell_keeper(vm, NOTE_RUNNING, 0, state_text(vm));
}

static void on_running(struct proc *p, const Bulkhead__Event *e)
{
	struct vm *vm = p->vm;

	vm_trace(vm, "first guest instruction");
	vm->guest_runs = true;
	link_update(vm);
	news_add(vm, "ready", NULL, "the guest runs");
	if (vm->launch->taken_fd[FRAME_TAKE_STATE] >= 0)
		take_hold_lines(vm, false);
	handover_running(vm);
	if (vm->state == VM_STARTING) {
		vm->state = VM_RUNNING;
		vm_tell_keeper(vm, waits_for_guest(vm) ? NOTE_STATUS : NOTE_RUNNING, 0, state_text(vm));
	}
	machine_press_button(vm); /* a reset has undone it */
}

static void on_unlinked(struct proc *p, const Bulkhead__Event *e)
{
	if (p->kind && p->kind->virtio == KIND_VIRTIO_FRONT)
		link_again(p);
}

static void on_progress(struct proc *p, const Bulkhead__Event *e)
{
	/* The watchdog counts what it hears from a loader (struct proc, heard). */
}

/* The vcpu process waits for a device: in vain, if that one has broken its ring. Its word costs its own guest a restart. */
static void on_device_trouble(struct proc *p, const Bulkhead__Event *e)
{
	bool broken = e->type == BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL;
	char device[KIND_NAME_MAX] = "a device";

	if (e->has_device)
		control_process_name(e->device, e->instance, device);
	if (proc_may_log(p))
		vm_log(p->vm, 1, "%s: %s %s%s%s", proc_name(p), device,
		       broken ? "broke the ring protocol" : "has not answered for long", e->text ? ": " : "",
		       e->text ? e->text : "");
	for (unsigned i = PROC_FIRST_DEVICE; broken && p->id == PROC_VCPU && i < PROCS; i++)
		if (proc_exists(&p->vm->procs[i]) && !strcmp(proc_name(&p->vm->procs[i]), device))
			recovery_broken(&p->vm->procs[i]);
}

/* Nobody but a device that is dead, or given up, knows what the guest wrote; the platform's other events count all the same. */
static void on_unheard(struct proc *p, const Bulkhead__Event *e)
{
	char device[KIND_NAME_MAX] = "its device", text[200];

	if (e->has_device)
		control_process_name(e->device, e->instance, device);
	snprintf(text, sizeof(text),
		 "the guest left through an exit port, but %s was given up or died over that twice: its code is lost", device);
	machine_conclude(p->vm, EXIT_QUARANTINE, "exit-lost", text);
}

static void on_undelivered(struct proc *p, const Bulkhead__Event *e)
{
	if (p->vm->state == VM_ENDED)
		p->vm->undelivered = e->code;
}

static void on_debug_kill(struct proc *p, const Bulkhead__Event *e)
{
	machine_end(p->vm, EXIT_VMM, "killed", "killed by its debugger");
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
	{ BULKHEAD__EVENT_TYPE__EVENT_RESET, FROM(PLATFORMD) | FROM(INPUTD), on_reset },
	{ BULKHEAD__EVENT_TYPE__EVENT_EXIT, FROM(PLATFORMD), on_exit_port },
	{ BULKHEAD__EVENT_TYPE__EVENT_PANIC, FROM(PLATFORMD), on_panic },
	{ BULKHEAD__EVENT_TYPE__EVENT_READY, FROM(PLATFORMD), on_ready },
	{ BULKHEAD__EVENT_TYPE__EVENT_TRIPLE_FAULT, FROM(VCPU), on_triple_fault },
	{ BULKHEAD__EVENT_TYPE__EVENT_HALTED, FROM(VCPU), on_halted },
	{ BULKHEAD__EVENT_TYPE__EVENT_ENGINE_ERROR, FROM(VCPU), on_engine_error },
	{ BULKHEAD__EVENT_TYPE__EVENT_RUNNING, FROM(VCPU), on_running },
	{ BULKHEAD__EVENT_TYPE__EVENT_PROGRESS, FROM(BOOT), on_progress },
	{ BULKHEAD__EVENT_TYPE__EVENT_UNHEARD, FROM(VCPU), on_unheard },
	{ BULKHEAD__EVENT_TYPE__EVENT_DEVICE_TIMEOUT, FROM(VCPU), on_device_trouble },
	{ BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL, ~0u, on_device_trouble },
	{ BULKHEAD__EVENT_TYPE__EVENT_UNDELIVERED, FROM(SERIALD), on_undelivered },
	{ BULKHEAD__EVENT_TYPE__EVENT_DEBUG_KILL, FROM(GDBD), on_debug_kill },
	{ BULKHEAD__EVENT_TYPE__EVENT_UNLINKED, ~0u, on_unlinked },
	{ BULKHEAD__EVENT_TYPE__EVENT_LOG, ~0u, on_log_line },
};

/* What the guest did after it asked for a reset or an end no longer counts; what daemons say of themselves does. */
static bool is_too_late(const struct vm *vm, Bulkhead__EventType type)
{
	if (type == BULKHEAD__EVENT_TYPE__EVENT_LOG || type == BULKHEAD__EVENT_TYPE__EVENT_UNDELIVERED)
		return false;
	return vm->state == VM_ENDED || vm->rebooting;
}

void machine_event(struct proc *p, const Bulkhead__Event *event)
{

	for (unsigned i = 0; i < sizeof(event_rows) / sizeof(event_rows[0]); i++) {
		if (event_rows[i].type != event->type)
			continue;
		if (!(event_rows[i].from >> p->id & 1)) {
			if (proc_may_log(p))
				vm_log(p->vm, 1, "%s sent an event that is not its own (%d): ignored", proc_name(p), event->type);
		} else if (!is_too_late(p->vm, event->type))
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

	if (p->external)
		snprintf(out, len, "%s, whose process listens at %s, %s%s", proc_name(p), p->external,
			 p->blame[0] ? "was disconnected: " : "hung up", p->blame);
	else if (p->blame[0])
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

void machine_proc_gone(struct proc *p, int code, int status)
{
	struct vm *vm = p->vm;
	bool well = code == CLD_EXITED && !status, foreign = code == CLD_KILLED && status == SIGKILL && !p->blame[0];
	bool expected = p->state == PROC_LEAVING;

	p->state = PROC_GONE;
	p->host_pid = 0;
	link_lost(p);
	vm->hooks->stats_changed(vm);
	vm->hooks->console_answered(p, NULL, NULL);
	if (p->id == PROC_GDBD) {
		note_reason(p, code, status);
		debug_gone(p);
		return;
	}
	if (machine_process_ended(p, well))
		return;
	if (p->id == PROC_VCPU && handover_gone(vm))
		return;
	if (is_device(p)) {
		if (!p->recovery.leaving_ns || !well)
			note_reason(p, code, status);
		recovery_gone(p, foreign);
	} else if (p->id == PROC_BOOT && vm->boot_done && well)
		vm_trace(vm, "loader gone");
	else if (!expected)
		crashed(p, code, status);
}
