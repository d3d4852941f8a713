/* SPDX-License-Identifier: MIT */
/* A device that nobody starts again: giving_up.h. */
#include "giving_up.h"
#include "ending.h"
#include "link.h"
#include "news.h"
#include "proc.h"
#include "tell.h"
#include "vm.h"

#include "../common/exit_codes.h"

#include <unistd.h>

static const char *on_failure_name(enum on_device_failure policy)
{
	switch (policy) {
	case ON_DEVICE_FAILURE_RESTART:
	case ON_DEVICE_FAILURE_DEGRADE:
		return "the machine goes on without it";
	case ON_DEVICE_FAILURE_PAUSE:
		return "the machine is paused";
	case ON_DEVICE_FAILURE_STOP:
		return "the machine is ended";
	}
	return "?";
}

static void tell_vcpu(struct proc *p, bool given_up)
{
	Bulkhead__DeviceState m = BULKHEAD__DEVICE_STATE__INIT;
	struct proc *vcpu = &p->vm->procs[PROC_VCPU];

	m.has_device = m.has_given_up = true;
	m.device = proc_role(p);
	m.has_instance = p->instance != 0;
	m.instance = p->instance;
	m.given_up = given_up;
	if (vcpu->state == PROC_READY)
		proc_request(vcpu, BULKHEAD__MESSAGE_TYPE__MSG_DEVICE_STATE, &m.base, NULL, 0);
}

void giving_up_tell_vcpu(struct vm *vm)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].recovery.health == DEVICE_GIVEN_UP)
			tell_vcpu(&vm->procs[i], true);
}

/* In ring slots: nobody can say how many more would have come. */
static void log_loss(struct proc *p)
{
	int left = ring_backlog(p->recovery.req, p->recovery.rsp);

	news_add(p->vm, "device-given-up", p, p->last_reason);
	vm_log(p->vm, 0,
	       "%s is given up after %u deaths, the last %u without progress: %s; lost from now on: %u requests in its "
	       "ring, every write to it; its reads are all-ones; bulkhead device restart %s %s tries again",
	       proc_name(p), p->recovery.deaths, p->recovery.restart.fruitless, on_failure_name(p->vm->config->on_device_failure),
	       left > 0 ? (unsigned)left : 0, p->vm->config->name, proc_name(p));
}

static void on_unread_text(evutil_socket_t fd, short what, void *ctx)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	(void)n;
}

/* Text of the debug ports goes to the console's daemon. Without a reader platformd would keep its guest waiting. */
static void read_in_its_place(struct proc *p, bool read)
{
	struct vm *vm = p->vm;

	for (unsigned i = 0; i < p->kind->fd_count; i++) {
		if (p->kind->fds[i] != KIND_FD_DEBUG_READ)
			continue;
		if (!vm->unread_text)
			vm->unread_text =
				event_new(vm->base, vm->shared_fd[KIND_FD_DEBUG_READ], EV_READ | EV_PERSIST, on_unread_text, vm);
		if (vm->unread_text)
			read ? event_add(vm->unread_text, NULL) : event_del(vm->unread_text);
	}
}

void giving_up(struct proc *p)
{
	enum on_device_failure policy = p->vm->config->on_device_failure;
	struct vm *vm = p->vm;

	p->recovery.health = DEVICE_GIVEN_UP;
	p->recovery.gave_up = true;
	log_loss(p);
	read_in_its_place(p, true);
	vm->hooks->device_changed(vm, p, "the device was given up");
	if (policy == ON_DEVICE_FAILURE_STOP) {
		machine_end(vm, EXIT_QUARANTINE, "device", "%s was given up: %s", proc_name(p), p->last_reason);
	} else if (policy == ON_DEVICE_FAILURE_PAUSE && vm->state != VM_ENDED) {
		vm->paused = true;
		proc_request(&vm->procs[PROC_VCPU], BULKHEAD__MESSAGE_TYPE__MSG_PAUSE, NULL, NULL, 0);
	}
	tell_vcpu(p, true);
	link_update(vm);
	vm->hooks->maybe_run(vm);
	machine_device_settled(p);
}

void giving_up_take_back(struct proc *p)
{
	struct recovery *r = &p->recovery;

	read_in_its_place(p, false);
	r->drops = true;
	r->drop_to = atomic_load_explicit(&r->req->tail, memory_order_relaxed);
}

void giving_up_over(struct proc *p)
{
	tell_vcpu(p, false);
}
