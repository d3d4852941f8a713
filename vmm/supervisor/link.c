/* SPDX-License-Identifier: MIT */
/* Connections between the two halves of virtio devices: see link.h. */
#include "link.h"
#include "proc.h"
#include "tell.h"
#include "vm.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK BULKHEAD__MESSAGE_TYPE__MSG_LINK

static struct proc *front_of(struct vm *vm, unsigned n)
{
	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].kind->virtio == KIND_VIRTIO_FRONT && vm->procs[i].instance == n)
			return &vm->procs[i];
	return NULL;
}

static struct proc *back_of(struct vm *vm, unsigned n)
{
	const struct backend_list *list = &vm->config->backends;

	for (unsigned i = PROC_FIRST_DEVICE; i < PROCS; i++)
		if (vm->procs[i].kind - kind_rows == list->of[n].kind && vm->procs[i].instance == list->of[n].instance)
			return &vm->procs[i];
	return NULL;
}

/* Whoever does not take its end is as good as dead, and that will be seen. */
static void hand_out(struct proc *p, int fd)
{
	int rc = proc_request(p, LINK, NULL, &fd, fd >= 0);

	if (rc)
		vm_log(p->vm, 1, "%s cannot be connected: %s", proc_name(p), strerror(-rc));
}

/* A paused machine goes on only with the device that it was paused for. */
static void tell_forsaken(struct vm *vm, unsigned n)
{
	struct proc *front = front_of(vm, n);

	if (vm->virtio[n].forsaken || vm->paused || front->state != PROC_READY)
		return;
	vm->virtio[n].forsaken = true;
	hand_out(front, -1);
}

static void make(struct vm *vm, unsigned n)
{
	struct proc *front = front_of(vm, n), *back = back_of(vm, n);
	int pair[2];

	if (back->recovery.health == DEVICE_GIVEN_UP)
		tell_forsaken(vm, n);
	if (vm->virtio[n].linked || front->state != PROC_READY || back->state != PROC_READY)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		vm_log(vm, 1, "%s and %s cannot be connected: %s", proc_name(front), proc_name(back), strerror(errno));
		return;
	}
	vm->virtio[n].linked = true;
	vm->virtio[n].forsaken = false;
	hand_out(back, pair[1]);
	hand_out(front, pair[0]);
	close(pair[0]);
	close(pair[1]);
}

void link_update(struct vm *vm)
{
	for (unsigned n = 0; n < vm->config->backends.count && vm->guest_runs; n++)
		make(vm, n);
}

void link_lost(struct proc *p)
{
	for (unsigned n = 0; n < p->vm->config->backends.count; n++) {
		if (p == front_of(p->vm, n))
			p->vm->virtio[n].forsaken = false; /* the next one does not know it */
		if (p == front_of(p->vm, n) || p == back_of(p->vm, n))
			p->vm->virtio[n].linked = false;
	}
}

void link_again(struct proc *front)
{
	front->vm->virtio[front->instance].linked = false;
	link_update(front->vm);
}

/* One that is dead does nothing, and the next incarnation is connected when the next guest runs. */
bool link_part(struct vm *vm)
{
	bool over = true;

	vm->guest_runs = false;
	for (unsigned n = 0; n < vm->config->backends.count; n++) {
		struct proc *back = back_of(vm, n);

		if (vm->virtio[n].linked && back->state == PROC_READY)
			hand_out(back, -1);
		vm->virtio[n].linked = false;
		over = over && !(back->state == PROC_READY && proc_owes(back, LINK));
	}
	return over;
}
