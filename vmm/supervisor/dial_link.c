/* SPDX-License-Identifier: MIT */
/* Asks the dialler for connections: dial_link.h. */
#include "dial_link.h"
#include "tell.h"
#include "vm.h"

#include "../common/packet.h"

#include <errno.h>
#include <unistd.h>

static void on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct vm *vm = ctx;
	struct dial_answer answer;
	int fds[PACKET_FDS], rc = packet_recv(fd, &answer, sizeof(answer), fds, false);

	if (rc == -EAGAIN)
		return;
	for (unsigned i = 1; i < PACKET_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (rc) {
		event_del(vm->on_dialled);
		vm_log(vm, 0,
		       "the dialler has ended: a device that somebody else serves cannot be reached any more when that ends");
		return;
	}
	vm->hooks->dialled(vm, &answer, fds[0]);
}

int dial_watch(struct vm *vm)
{
	if (vm->launch->dialler_fd < 0)
		return 0;
	vm->on_dialled = event_new(vm->base, vm->launch->dialler_fd, EV_READ | EV_PERSIST, on_answer, vm);
	return vm->on_dialled && !event_add(vm->on_dialled, NULL) ? 0 : -ENOMEM;
}

int dial(struct vm *vm, unsigned device)
{
	const struct dial_request request = { .device = device };

	return packet_send(vm->launch->dialler_fd, &request, sizeof(request), NULL, 0);
}
