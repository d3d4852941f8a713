/* SPDX-License-Identifier: MIT */
/* Starts gdbd, and brings it together with whom it needs: debug.h. */
#include "debug.h"
#include "proc.h"
#include "tell.h"
#include "vm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct proc *gdbd(struct vm *vm)
{
	return &vm->procs[PROC_GDBD];
}

static bool is_there(const struct proc *p)
{
	return p->state == PROC_STARTING || p->state == PROC_READY;
}

static void close_pair(struct vm *vm)
{
	for (unsigned i = 0; i < 2; i++) {
		if (vm->debug_fd[i] >= 0)
			close(vm->debug_fd[i]);
		vm->debug_fd[i] = -1;
	}
}

static int tell_channel(struct vm *vm, struct proc *p, int fd, bool hold)
{
	Bulkhead__DebugChannel m = BULKHEAD__DEBUG_CHANNEL__INIT;

	m.has_hold = m.has_kvm = m.has_vcpus = true;
	m.hold = hold;
	m.kvm = vm->engine_kvm;
	m.vcpus = vm_cpus(vm);
	return proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CHANNEL, &m.base, &fd, 1);
}

/* A pair for each vcpu process, whose end goes there at once. Our own copy of the other one waits for gdbd, and for the
 * next one if that dies. */
static int make_pair(struct vm *vm, bool hold)
{
	int rc;

	if (vm->debug_fd[0] >= 0)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, vm->debug_fd) < 0)
		return -errno;
	rc = tell_channel(vm, &vm->procs[PROC_VCPU], vm->debug_fd[0], hold);
	if (rc)
		close_pair(vm);
	return rc;
}

static int start(struct vm *vm)
{
	struct proc *p = gdbd(vm);
	int rc = make_pair(vm, false);

	if (!rc)
		rc = proc_spawn(p);
	return rc ? rc : tell_channel(vm, p, vm->debug_fd[1], false);
}

static int admit(struct vm *vm, int fd)
{
	int rc = 0;

	/* Between two guests there is nobody to be debugged. */
	if (vm->state == VM_ENDED || vm->rebooting || !is_there(&vm->procs[PROC_VCPU]))
		return -EAGAIN;
	if (!is_there(gdbd(vm)))
		rc = start(vm);
	return rc ? rc : proc_request(gdbd(vm), BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_CLIENT, NULL, &fd, 1);
}

void debug_client(struct vm *vm, int fd)
{
	int rc = admit(vm, fd);

	if (rc)
		vm_log(vm, 1, "a debugger was turned away: %s", strerror(-rc));
	close(fd);
}

/* With --gdb the first guest waits for its debugger; after a reset it waits if there is one, which sets its points again. */
int debug_vcpu_born(struct vm *vm)
{
	bool first = vm->config->gdb && !vm->reboots, attached = is_there(gdbd(vm));
	int rc;

	close_pair(vm);
	if (!first && !attached)
		return 0;
	rc = make_pair(vm, true);
	return rc || !attached ? rc : tell_channel(vm, gdbd(vm), vm->debug_fd[1], false);
}

void debug_gone(struct proc *p)
{
	struct proc *vcpu = &p->vm->procs[PROC_VCPU];

	if (p->vm->state == VM_ENDED)
		return;
	vm_log(p->vm, 1, "the debugger's process has ended; the guest goes on");
	if (is_there(vcpu))
		proc_request(vcpu, BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_END, NULL, NULL, 0);
}

void debug_machine_ends(struct vm *vm)
{
	if (is_there(gdbd(vm)))
		proc_request(gdbd(vm), BULKHEAD__MESSAGE_TYPE__MSG_DEBUG_END, NULL, NULL, 0);
}
