/* SPDX-License-Identifier: MIT */
/*
 * A machine that stands still, so that all of its state can be had. In this order:
 *
 *   irqd looks away from its lines: it would merge ticks of a processor that stands still; those that came while it did not
 *   look it presents one by one
 *   its vCPUs stop between two instructions, each behind the answer to its last access
 *   devices finish their rings, commit, and leave
 *   the vcpu process takes irqd's last messages, and hands out its processors
 *   what is in the objects now is all there is: rings, lines, journals, messages, history
 *
 * No device knows of this: it leaves as for a restart. And the machine goes on as after one: a new incarnation of each goes
 * on with the same objects. So whoever wanted the state has it and its guest memory as long as the machine stands still, and
 * a machine whose requester dies is none the worse.
 */
#include "take.h"
#include "ending.h"
#include "proc.h"
#include "recovery.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include "../../devices/backlog.h"

#include "../../proto/journal.h"
#include "../../proto/line.h"
#include "../../proto/msi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TAKE_MS = 20000, DEBUG_TEXT_MAX = 512 * 1024 };

static struct proc *device(struct vm *vm, unsigned n)
{
	struct proc *p = &vm->procs[PROC_FIRST_DEVICE + n];

	return proc_exists(p) ? p : NULL;
}

static bool is_well(const struct proc *p)
{
	return p->state == PROC_READY && p->recovery.health == DEVICE_SERVING && !p->recovery.leaving_ns && !p->recovery.on_trial;
}

/* NULL, or why it cannot be done now. */
static const char *obstacle(struct vm *vm)
{
	if (vm->take.step != TAKE_NOT || vm->handover.step != HANDOVER_NOT)
		return "its state is being taken already";
	if (vm->state != VM_RUNNING || vm->rebooting || vm->question != QUESTION_NONE || vm->paused)
		return "the machine does not run";
	if (vm->config->platform == PLATFORM_FRAME)
		return "a frame machine keeps its framebuffer elsewhere, and cannot be taken yet";
	if (vm->config->display.kind != DISPLAY_NONE)
		return "it has a display, whose memory does not go along yet";
	if (vm->config->backends.count)
		return "it has virtio devices, and what these keep outside the machine does not go along yet";
	for (unsigned n = 0; n < DEVICES; n++)
		if (device(vm, n) && device(vm, n)->external)
			return "somebody else serves one of its devices (--device)";
	for (unsigned n = 0; n < DEVICES; n++)
		if (device(vm, n) && !is_well(device(vm, n)))
			return "a device is being restarted, or was given up; try again when it serves";
	return NULL;
}

struct client *take_client(struct vm *vm)
{
	for (unsigned i = 0; i < VM_CLIENTS; i++)
		if (vm->clients[i].fd >= 0 && vm->clients[i].takes)
			return &vm->clients[i];
	return NULL;
}

bool take_is_going_on(const struct vm *vm)
{
	return vm->take.step != TAKE_NOT;
}

void take_hold_lines(struct vm *vm, bool hold)
{
	Bulkhead__HoldLines m = BULKHEAD__HOLD_LINES__INIT;

	m.has_hold = true;
	m.hold = hold;
	if (vm->procs[PROC_IRQD].state == PROC_READY)
		proc_request(&vm->procs[PROC_IRQD], BULKHEAD__MESSAGE_TYPE__MSG_HOLD_LINES, &m.base, NULL, 0);
}

/* ---- back to normal -------------------------------------------------------------------------------------------- */

static void give_back_text(struct vm *vm)
{
	struct state_part part;
	const void *text = state_find(vm->state_memory, STATE_DEBUG_TEXT, 0, 0, &part);

	if (text)
		give_debug_text(vm, text, part.bytes);
}

void take_end(struct vm *vm)
{
	enum take_step was = vm->take.step;
	struct client *c = take_client(vm);

	if (was == TAKE_NOT)
		return;
	vm->take.step = TAKE_NOT;
	if (c)
		c->takes = false;
	if (vm->take.timer)
		evtimer_del(vm->take.timer);
	if (was == TAKE_HELD)
		give_back_text(vm);
	proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_RUN, NULL, NULL, 0);
	take_hold_lines(vm, false);
	for (unsigned n = 0; n < DEVICES; n++) {
		struct proc *p = device(vm, n);

		if (p && p->taken)
			recovery_respawn(p);
		if (p)
			p->taken = false;
	}
}

static void fail(struct vm *vm, int code, const char *why)
{
	struct client *c = take_client(vm);
	uint32_t id = vm->take.id;

	take_end(vm);
	vm_log(vm, 1, "the state of the machine could not be taken: %s", why);
	if (c)
		c->vm->hooks->refuse(c, id, code, why);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	fail(ctx, ETIMEDOUT, "the machine did not come to a standstill in time; it goes on");
}

bool take_leave(struct client *c)
{
	struct vm *vm = c->vm;

	if (!c->takes || vm->take.step != TAKE_HELD)
		return false;
	vm->take.step = TAKE_NOT;
	c->takes = false;
	vm->ran = false; /* what it ran is not ours any more */
	machine_end(vm, EXIT_OK, "moved", "it goes on elsewhere");
	return true;
}

/* ---- what is told ---------------------------------------------------------------------------------------------- */

size_t take_debug_text(struct vm *vm, void *out, size_t size)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < size && n > 0) {
		n = read(vm->shared_fd[KIND_FD_DEBUG_READ], (uint8_t *)out + done, size - done);
		done += n > 0 ? (size_t)n : 0;
	}
	return done;
}

void give_debug_text(struct vm *vm, const void *text, size_t len)
{
	size_t done = 0;
	ssize_t n = 1;

	while (done < len && n > 0) {
		n = write(vm->shared_fd[KIND_FD_DEBUG_WRITE], (const uint8_t *)text + done, len - done);
		done += n > 0 ? (size_t)n : 0;
	}
	if (done < len)
		vm_log(vm, 0, "%zu bytes of debug text found no room and are lost", len - done);
}

static void tell_machine(struct vm *vm)
{
	struct state_machine m = { .ram_bytes = vm->config->ram_bytes,
				   .time_ns = machine_ns(&vm->clock),
				   .vcpus = topology_word(&vm->config->cpus) };
	const struct state_part part = { .kind = STATE_MACHINE, .version = 1, .bytes = sizeof(m) };

	for (unsigned n = 0; n < DEVICES; n++)
		m.devices += device(vm, n) != NULL;
	snprintf(m.cpu, sizeof(m.cpu), "%s", config_cpu(vm->config));
	state_add(&vm->take.writer, &part, &m);
}

static const char *tell_journal(struct state_writer *w, const struct proc *p, struct state_part part)
{
	const char *why = "too large";
	int64_t bytes = -ENOSPC;
	void *to;

	part.kind = STATE_JOURNAL;
	part.bytes = JOURNAL_IMAGE_MAX;
	to = state_reserve(w, &part);
	if (to)
		bytes = journal_save(p->recovery.journal, part.role, to, &why);
	if (bytes < 0)
		return why ? why : "a journal cannot be read";
	state_shorten(w, to, (uint32_t)bytes);
	return NULL;
}

/* NULL, or what is wrong with it. */
static const char *tell_device(struct vm *vm, const struct proc *p)
{
	struct state_part part = { .kind = STATE_RING, .version = 1, .role = proc_role(p), .instance = p->instance };
	struct state_writer *w = &vm->take.writer;
	struct ring_image ring;

	if (ring_save(p->recovery.req, p->recovery.rsp, &ring))
		return "a device has broken its ring";
	part.bytes = sizeof(ring);
	state_add(w, &part, &ring);
	part.kind = STATE_LINES;
	part.bytes = sizeof(struct line_page);
	state_add(w, &part, vm->devices[p->id - PROC_FIRST_DEVICE].lines);
	return tell_journal(w, p, part);
}

static const char *tell_messages(struct vm *vm)
{
	const struct state_part part = { .kind = STATE_MESSAGES, .version = 1, .bytes = sizeof(struct msi_image) };
	uint32_t head = atomic_load_explicit(&vm->procs[PROC_IRQD].recovery.req->msi_head, memory_order_acquire);
	struct msi_image m;

	if (msi_save(vm->msi_view, head, &m))
		return "irqd has broken its page of messages";
	state_add(&vm->take.writer, &part, &m);
	return NULL;
}

static void tell_console(struct vm *vm)
{
	struct state_part part = { .kind = STATE_CONSOLE, .version = 1, .bytes = BACKLOG_IMAGE_MAX };
	struct state_writer *w = &vm->take.writer;
	void *to = state_reserve(w, &part);

	if (to)
		state_shorten(w, to, (uint32_t)backlog_save(vm->backlog_view, to));
}

/* The last thing: from here on somebody has to put it back. */
static void tell_debug_text(struct vm *vm)
{
	struct state_part part = { .kind = STATE_DEBUG_TEXT, .version = 1, .bytes = DEBUG_TEXT_MAX };
	struct state_writer *w = &vm->take.writer;
	void *to = state_reserve(w, &part);

	if (to)
		state_shorten(w, to, (uint32_t)take_debug_text(vm, to, DEBUG_TEXT_MAX));
}

static void tell_all(struct vm *vm)
{
	const int fds[FRAME_TAKE_FDS] = { vm->state_object.ro, vm->ram.ro, vm->shared_fd[KIND_FD_STASH_WRITE],
					  vm->shared_fd[KIND_FD_STASH_READ] };
	const char *why = tell_messages(vm);

	for (unsigned n = 0; !why && n < DEVICES; n++)
		if (device(vm, n))
			why = tell_device(vm, device(vm, n));
	tell_machine(vm);
	tell_console(vm);
	if (!why)
		tell_debug_text(vm);
	if (!why && state_end(&vm->take.writer) < 0)
		why = "it is larger than there is room for";
	if (why) {
		fail(vm, EIO, why);
		return;
	}
	vm->take.step = TAKE_HELD;
	evtimer_del(vm->take.timer);
	vm_log(vm, 2, "the machine stands still");
	vm->hooks->answer_take(vm, vm->take.id, fds);
}

/* ---- step by step ---------------------------------------------------------------------------------------------- */

static void ask_devices(struct vm *vm)
{
	int rc = 0;

	vm->take.step = TAKE_DEVICES;
	for (unsigned n = 0; !rc && n < DEVICES; n++)
		if (device(vm, n))
			rc = is_well(device(vm, n)) ? recovery_let_go(device(vm, n)) : -EBUSY;
	if (rc)
		fail(vm, EBUSY, "a device is being restarted; try again");
}

static void ask_processor(struct vm *vm)
{
	Bulkhead__StatePart m = BULKHEAD__STATE_PART__INIT;

	m.has_vcpu = vm->take.part < vm_cpus(vm);
	m.vcpu = vm->take.part;
	if (proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_SAVE, &m.base, NULL, 0))
		fail(vm, EIO, "the vcpu process does not take requests");
}

static void processor_told(struct vm *vm, const Bulkhead__Ok *ok)
{
	bool is_bus = vm->take.part == vm_cpus(vm);
	const struct state_part part = { .kind = is_bus ? STATE_BUS : STATE_PROCESSOR,
					 .version = 1,
					 .instance = is_bus ? 0 : vm->take.part,
					 .bytes = (uint32_t)ok->state.len };

	if (!ok->has_state) {
		fail(vm, EIO, "the vcpu process did not tell its state");
		return;
	}
	state_add(&vm->take.writer, &part, ok->state.data);
	vm->take.part++;
	if (is_bus)
		tell_all(vm);
	else
		ask_processor(vm);
}

bool take_device_gone(struct proc *p)
{
	struct vm *vm = p->vm;

	if (vm->take.step != TAKE_DEVICES)
		return false;
	p->taken = true;
	for (unsigned n = 0; n < DEVICES; n++)
		if (device(vm, n) && !device(vm, n)->taken)
			return true;
	vm->take.step = TAKE_PROCESSOR;
	vm->take.part = 0;
	state_begin(&vm->take.writer, vm->state_memory, STATE_MAX);
	ask_processor(vm);
	return true;
}

static void pause_processor(struct vm *vm)
{
	vm->take.step = TAKE_PAUSE;
	if (proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_PAUSE, NULL, NULL, 0))
		fail(vm, EIO, "the vcpu process does not take requests");
}

void take_replied(struct vm *vm, uint16_t request, const Bulkhead__Ok *ok, const char *error)
{
	enum take_step step = vm->take.step;

	if (request == BULKHEAD__MESSAGE_TYPE__MSG_HOLD_LINES) {
		if (step == TAKE_LINES)
			pause_processor(vm); /* also if a program in irqd's place knows nothing of it */
	} else if (step != (request == BULKHEAD__MESSAGE_TYPE__MSG_PAUSE ? TAKE_PAUSE : TAKE_PROCESSOR)) {
		return;
	} else if (error) {
		fail(vm, EBUSY, error);
	} else if (step == TAKE_PAUSE) {
		ask_devices(vm);
	} else {
		processor_told(vm, ok);
	}
}

void take_begin(struct client *c, uint32_t id)
{
	struct vm *vm = c->vm;
	const char *why = obstacle(vm);

	if (why) {
		c->vm->hooks->refuse(c, id, EBUSY, why);
		return;
	}
	c->takes = true;
	vm->take.id = id;
	vm->take.step = TAKE_LINES;
	machine_timer(vm, &vm->take.timer, TAKE_MS, on_timeout);
	if (vm->take.step == TAKE_LINES)
		take_hold_lines(vm, true);
}
