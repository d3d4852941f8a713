/* SPDX-License-Identifier: MIT */
/* Clients who want a console: attach.h. */
#include "attach.h"
#include "proc.h"
#include "vm.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct client *console_client(struct vm *vm)
{
	for (unsigned i = 0; i < VM_CLIENTS; i++)
		if (vm->clients[i].fd >= 0 && vm->clients[i].console_fd >= 0)
			return &vm->clients[i];
	return NULL;
}

/* EAGAIN: seriald is away, or asked for somebody else just now. Who wants a console asks again. */
static void put_off(struct client *c, uint32_t id)
{
	c->vm->hooks->refuse(c, id, EAGAIN, "the console is being started; try again");
}

static int ask_for_console(struct client *c, const Bulkhead__ConsoleAttach *m)
{
	int pair[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rc = proc_request(&c->vm->procs[PROC_SERIALD], BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT, &m->base, &pair[1], 1);
	close(pair[1]);
	if (rc)
		close(pair[0]);
	else
		c->console_fd = pair[0];
	return rc;
}

/* One at a time: the answer does not tell whose it is. */
void attach_asked(struct client *c, const struct frame *f)
{
	const struct proc *seriald = &c->vm->procs[PROC_SERIALD];
	int rc = -EAGAIN;

	if (seriald->state == PROC_READY && !proc_owes(seriald, BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT))
		rc = ask_for_console(c, (const Bulkhead__ConsoleAttach *)f->msg);
	c->console_id = f->header.id;
	if (rc)
		put_off(c, f->header.id);
}

void attach_answered(struct vm *vm, const Bulkhead__ConsoleAttached *attached, const Bulkhead__Error *error)
{
	struct client *c = console_client(vm);
	Bulkhead__ConsoleAttached copy = BULKHEAD__CONSOLE_ATTACHED__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;
	int fd = c ? c->console_fd : -1;

	if (!c)
		return; /* it is gone, and the connection with it */
	c->console_fd = -1;
	copy.has_mode = copy.has_history = true;
	copy.mode = attached ? attached->mode : 0;
	copy.history = attached ? attached->history : 0;
	ok.console = &copy;
	if (attached)
		frame_send(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, c->console_id, &ok.base, &fd,
			   1); /* one that is gone is seen to be */
	else if (error)
		c->vm->hooks->refuse(c, c->console_id, error->has_code ? error->code : EIO,
				     error->text ? error->text : "refused");
	else
		put_off(c, c->console_id);
	close(fd);
}
