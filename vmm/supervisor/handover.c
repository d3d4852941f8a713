/* SPDX-License-Identifier: MIT */
/*
 * From one engine to the other, in this order:
 *
 *   irqd looks away from its lines, so that no tick is merged with another
 *   the vCPUs stop between two instructions, each behind the answer to its last access
 *   the vcpu process hands out its processors, with their local APICs, and ends
 *   another one is set up with the other engine, behind that engine's own fence, and brought the parts
 *   the guest goes on, and irqd looks again
 *
 * Devices serve all the while, and do not know of it: rings, lines and journals stay as they are. If the other engine refuses,
 * because it lacks something that the guest has seen of its processor, say, a third process goes on with the first engine.
 */
#include "handover.h"
#include "debug.h"
#include "ending.h"
#include "news.h"
#include "objects.h"
#include "proc.h"
#include "setup.h"
#include "take.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HANDOVER_MS = 20000 };

static struct proc *vcpu(struct vm *vm)
{
	return &vm->procs[PROC_VCPU];
}

static const char *engine_name(bool kvm)
{
	return kvm ? "kvm" : "emu";
}

/* NULL, or why it cannot be done now. */
static const char *obstacle(struct vm *vm, bool to_kvm)
{
	const struct proc *gdbd = &vm->procs[PROC_GDBD];

	if (vm->handover.step != HANDOVER_NOT || take_is_going_on(vm))
		return "it is on its way to another engine, or its state is being taken";
	if (vm->state != VM_RUNNING || vm->rebooting || vm->question != QUESTION_NONE || vm->paused || !vm->run_sent)
		return "the machine does not run";
	if (to_kvm && vm->launch->kvm_fd < 0)
		return "KVM was not there, or was not wanted, when the machine was started: start it with --engine auto where "
		       "/dev/kvm can be opened";
	if (gdbd->state == PROC_STARTING || gdbd->state == PROC_READY)
		return "a debugger is attached; end its session first";
	if (to_kvm && (vm->config->trace || vm->config->profile))
		return "instructions are being traced, or counted, which KVM cannot do";
	return NULL;
}

static void over(struct vm *vm, const char *error)
{
	vm->handover.step = HANDOVER_NOT;
	if (vm->handover.timer)
		evtimer_del(vm->handover.timer);
	take_hold_lines(vm, false);
	vm->hooks->engine_changed(vm, error);
}

/* Before anything has changed: it goes on as it was. */
static void give_up(struct vm *vm, const char *why)
{
	vm_log(vm, 1, "the guest stays on engine %s: %s", engine_name(vm->engine_kvm), why);
	proc_request(vcpu(vm), BULKHEAD__MESSAGE_TYPE__MSG_RUN, NULL, NULL, 0);
	over(vm, why);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;

	if (vm->handover.step < HANDOVER_END)
		give_up(vm, "its processors did not stop in time");
	else if (vm->handover.step != HANDOVER_NOT)
		machine_end(vm, EXIT_VMM, "failure", "the other engine's process did not begin in time");
}

static void ask_processor(struct vm *vm)
{
	Bulkhead__StatePart m = BULKHEAD__STATE_PART__INIT;

	m.has_vcpu = vm->handover.part < vm_cpus(vm);
	m.vcpu = vm->handover.part;
	if (proc_request(vcpu(vm), BULKHEAD__MESSAGE_TYPE__MSG_SAVE, &m.base, NULL, 0))
		give_up(vm, "the vcpu process does not take requests");
}

/* ---- from process to process ----------------------------------------------------------------------------------- */

static void end_first(struct vm *vm)
{
	vm->handover.step = HANDOVER_END;
	proc_kill(vcpu(vm));
}

static int begin_other(struct vm *vm)
{
	const Bulkhead__EntryState entry = BULKHEAD__ENTRY_STATE__INIT; /* as after a reset; RESTORE brings the rest */
	int rc = vm->engine_kvm ? 0 : objects_fresh_code_map(vm);

	vm->handover.step = HANDOVER_BEGIN;
	vm->restored_part = 0;
	vm->run_sent = false;
	if (!rc)
		rc = proc_spawn(vcpu(vm));
	if (!rc)
		rc = debug_vcpu_born(vm);
	return rc ? rc : setup_vcpu(vcpu(vm), &entry);
}

bool handover_gone(struct vm *vm)
{
	int rc;

	if (vm->handover.step != HANDOVER_END)
		return false;
	vm->engine_kvm = !vm->engine_kvm;
	rc = begin_other(vm);
	if (rc)
		machine_end(vm, EXIT_VMM, "failure", "no vcpu process for engine %s: %s", engine_name(vm->engine_kvm),
			    strerror(-rc));
	return true;
}

/* All parts as a state of their own: restore_next() finds them there. */
static bool keep_parts(struct vm *vm)
{
	const int64_t bytes = state_end(&vm->handover.writer);

	if (bytes < 0)
		return false;
	vm->restored = malloc((size_t)bytes);
	if (vm->restored)
		memcpy(vm->restored, vm->state_memory, (size_t)bytes);
	return vm->restored != NULL;
}

static void processor_told(struct vm *vm, const Bulkhead__Ok *ok)
{
	struct handover *h = &vm->handover;
	const bool is_bus = h->part == vm_cpus(vm);
	const struct state_part part = { .kind = is_bus ? STATE_BUS : STATE_PROCESSOR,
					 .version = 1,
					 .instance = is_bus ? 0 : h->part,
					 .bytes = (uint32_t)ok->state.len };

	if (!ok->has_state) {
		give_up(vm, "the vcpu process did not tell its state");
		return;
	}
	state_add(&h->writer, &part, ok->state.data);
	h->part++;
	if (!is_bus)
		ask_processor(vm);
	else if (keep_parts(vm))
		end_first(vm);
	else
		give_up(vm, "there is no memory for its state");
}

/* ---- replies --------------------------------------------------------------------------------------------------- */

/* The other engine will not have it: back, once. */
static void refused(struct vm *vm, const char *error)
{
	struct handover *h = &vm->handover;

	if (h->back) {
		machine_end(vm, EXIT_VMM, "failure", "neither engine goes on with the guest: %s; and %s", h->error, error);
		return;
	}
	h->back = true;
	snprintf(h->error, sizeof(h->error), "%s%s", error,
		 strstr(error, "does not have") ? ": start the machine with --cpu MODEL,-NAME for each of these" : "");
	vm_log(vm, 1, "engine %s refuses the guest: %s", engine_name(vm->engine_kvm), error);
	end_first(vm);
}

static void stopped(struct vm *vm)
{
	vm->handover.step = HANDOVER_PROCESSOR;
	vm->handover.part = 0;
	state_begin(&vm->handover.writer, vm->state_memory, STATE_MAX);
	ask_processor(vm);
}

static void pause_processor(struct vm *vm)
{
	vm->handover.step = HANDOVER_PAUSE;
	if (proc_request(vcpu(vm), BULKHEAD__MESSAGE_TYPE__MSG_PAUSE, NULL, NULL, 0))
		give_up(vm, "the vcpu process does not take requests");
}

static bool is_expected(enum handover_step step, uint16_t request)
{
	switch (step) {
	case HANDOVER_NOT:
	case HANDOVER_END:
		break;
	case HANDOVER_LINES:
		return request == BULKHEAD__MESSAGE_TYPE__MSG_HOLD_LINES;
	case HANDOVER_PAUSE:
		return request == BULKHEAD__MESSAGE_TYPE__MSG_PAUSE;
	case HANDOVER_PROCESSOR:
		return request == BULKHEAD__MESSAGE_TYPE__MSG_SAVE;
	case HANDOVER_BEGIN: /* what is well there is machine.c's, as at a start */
		return request == BULKHEAD__MESSAGE_TYPE__MSG_SETUP_VCPU || request == BULKHEAD__MESSAGE_TYPE__MSG_RESTORE;
	}
	return false;
}

bool handover_replied(struct vm *vm, uint16_t request, const Bulkhead__Ok *ok, const char *error)
{
	const enum handover_step step = vm->handover.step;

	if (!is_expected(step, request))
		return false;
	if (step == HANDOVER_BEGIN && !error)
		return false;
	if (step == HANDOVER_LINES)
		pause_processor(vm); /* also if a program in irqd's place knows nothing of it */
	else if (step == HANDOVER_BEGIN)
		refused(vm, error);
	else if (error)
		give_up(vm, error);
	else if (step == HANDOVER_PAUSE)
		stopped(vm);
	else
		processor_told(vm, ok);
	return true;
}

/* ---- from outside ---------------------------------------------------------------------------------------------- */

bool handover_is_going_on(const struct vm *vm)
{
	return vm->handover.step != HANDOVER_NOT;
}

void handover_running(struct vm *vm)
{
	struct handover *h = &vm->handover;
	char text[64];

	if (h->step != HANDOVER_BEGIN)
		return;
	if (!h->back) {
		vm_log(vm, 2, "the guest goes on, on engine %s", engine_name(vm->engine_kvm));
		snprintf(vm->launch->engine_reason, sizeof(vm->launch->engine_reason), "asked for while it ran");
	}
	snprintf(text, sizeof(text), "the guest %s engine %s", h->back ? "stays on" : "goes on, on", engine_name(vm->engine_kvm));
	news_add(vm, "engine", NULL, text);
	over(vm, h->back ? h->error : NULL);
}

void handover_cancel(struct vm *vm, const char *why)
{
	if (vm->handover.step == HANDOVER_NOT)
		return;
	free(vm->restored);
	vm->restored = NULL;
	over(vm, why);
}

const char *handover_begin(struct vm *vm, bool to_kvm, bool force)
{
	const char *why = to_kvm == vm->engine_kvm ? NULL : obstacle(vm, to_kvm);
	struct handover *h = &vm->handover;

	if (why)
		return why;
	if (to_kvm == vm->engine_kvm) {
		vm->hooks->engine_changed(vm, NULL);
		return NULL;
	}
	h->back = false;
	h->forced = force;
	h->features = vm->cpu_features;
	h->step = HANDOVER_LINES;
	machine_timer(vm, &h->timer, HANDOVER_MS, on_timeout);
	take_hold_lines(vm, true);
	return NULL;
}
