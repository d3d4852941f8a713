/* SPDX-License-Identifier: MIT */
/* Clients who want a console or the screen: attach.h. */
#include "attach.h"
#include "proc.h"
#include "vm.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static struct client *client_of(const struct proc *p)
{
	for (unsigned i = 0; i < VM_CLIENTS; i++) {
		struct client *c = &p->vm->clients[i];

		if (c->fd >= 0 && c->console_fd >= 0 && c->console_of == p)
			return c;
	}
	return NULL;
}

/* EAGAIN: the daemon is away, or asked for somebody else just now. Who wants it asks again. */
static void put_off(struct client *c, uint32_t id)
{
	c->vm->hooks->refuse(c, id, EAGAIN, "its process is being started; try again");
}

static int ask(struct client *c, struct proc *p, const Bulkhead__ConsoleAttach *m)
{
	int type = p->id == PROC_SERIALD ? SOCK_STREAM : SOCK_SEQPACKET, pair[2], rc;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rc = proc_request(p, BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT, &m->base, &pair[1], 1);
	close(pair[1]);
	if (rc)
		close(pair[0]);
	else
		c->console_fd = pair[0];
	return rc;
}

/* Where a frame machine's guest has its screen, it has its keyboard. */
static enum proc_id whom_to_ask(const struct vm *vm, uint16_t type)
{
	if (type == BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE)
		return PROC_SERIALD;
	if (vm->config->platform == PLATFORM_FRAME)
		return PROC_DISPLAYD;
	if (type == BULKHEAD__MESSAGE_TYPE__MSG_INPUT)
		return PROC_INPUTD;
	return vm->config->devices[KIND_GPUD] ? PROC_GPUD : PROC_VGAD;
}

static const char *lacks(uint16_t type)
{
	return type == BULKHEAD__MESSAGE_TYPE__MSG_INPUT
		       ? "this machine has no keyboard and no mouse; --ps2 adds them"
		       : "this machine has no screen; one of --display lfb, --display vga, --gpu or --platform frame has";
}

/* One at a time: the answer does not tell whose it is. */
void attach_asked(struct client *c, const struct frame *f)
{
	static const Bulkhead__ConsoleAttach viewer = BULKHEAD__CONSOLE_ATTACH__INIT;
	const uint16_t type = f->header.type;
	const bool wants_console = type == BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE;
	struct proc *p = &c->vm->procs[whom_to_ask(c->vm, type)];
	int rc = -EAGAIN;

	if (!proc_exists(p)) {
		c->vm->hooks->refuse(c, f->header.id, ENODEV, lacks(type));
		return;
	}
	if (p->state == PROC_READY && !proc_owes(p, BULKHEAD__MESSAGE_TYPE__MSG_CONSOLE_CLIENT))
		rc = ask(c, p, wants_console ? (const Bulkhead__ConsoleAttach *)f->msg : &viewer);
	c->console_id = f->header.id;
	c->console_of = p;
	c->wants_picture = type == BULKHEAD__MESSAGE_TYPE__MSG_SCREEN;
	if (rc)
		put_off(c, f->header.id);
}

/* One that is gone is seen to be. */
static void pass_on(struct client *c, const struct proc *p, int fd, const Bulkhead__ConsoleAttached *attached)
{
	const int fds[] = { fd, p->vm->picture.ro };
	Bulkhead__ConsoleAttached copy = BULKHEAD__CONSOLE_ATTACHED__INIT;
	Bulkhead__Ok ok = BULKHEAD__OK__INIT;

	copy.has_mode = copy.has_history = true;
	copy.mode = attached ? attached->mode : 0;
	copy.history = attached ? attached->history : 0;
	ok.console = &copy;
	frame_send(c->fd, BULKHEAD__MESSAGE_TYPE__MSG_OK, c->console_id, &ok.base, fds, c->wants_picture ? 2 : 1);
}

void attach_answered(struct proc *p, const Bulkhead__Ok *ok, const Bulkhead__Error *error)
{
	struct client *c = client_of(p);
	int fd = c ? c->console_fd : -1;

	if (!c)
		return; /* it is gone, and the connection with it */
	c->console_fd = -1;
	if (ok)
		pass_on(c, p, fd, ok->console);
	else if (error)
		c->vm->hooks->refuse(c, c->console_id, error->has_code ? error->code : EIO,
				     error->text ? error->text : "refused");
	else
		put_off(c, c->console_id);
	close(fd);
}
