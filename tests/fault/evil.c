/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-evild, for tests only: a device daemon that has been taken over. It is installed under the name of a real one
 * (BULKHEAD_LIBEXEC), speaks HELLO and SETUP like it, takes whatever role it is given, and then does what its mode says.
 * It never enters the run-time fence, so it can do more than a real daemon that was taken over.
 *
 * There is no way to give an argument to a daemon, so the mode stands in the name of the machine: evil-MODE[-more].
 */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "devices/runtime.h"
#include "proto/clock.h"

static struct evil evil;

uint64_t evil_random(struct evil *e)
{
	e->seed ^= e->seed << 13;
	e->seed ^= e->seed >> 7;
	e->seed ^= e->seed << 17;
	return e->seed;
}

static void *map(int fd, int prot, size_t *len)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, prot, MAP_SHARED, fd, 0);
	*len = (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

/* Every object that lets itself be mapped for writing is one to write to; the others are tried in mode "truncate". */
static void map_all(struct evil *e)
{
	size_t len;

	for (unsigned i = 0; i < e->fd_count; i++) {
		struct evil_object *o = &e->objects[e->object_count];

		o->words = map(e->fds[i], PROT_READ | PROT_WRITE, &o->len);
		if (o->words)
			e->object_count++;
	}
	e->req = map(e->fds[SETUP_FD_REQ], PROT_READ, &len);
	e->rsp = map(e->fds[SETUP_FD_RSP], PROT_READ | PROT_WRITE, &len);
}

static void take_fds(struct evil *e)
{
	struct frame *f = &e->child.frame;

	e->fd_count = f->fd_count;
	for (unsigned i = 0; i < f->fd_count; i++) {
		e->fds[i] = f->fds[i];
		f->fds[i] = -1;
	}
	f->fd_count = 0;
}

static int set_up(struct evil *e)
{
	struct frame *f = &e->child.frame;
	int err = frame_recv(e->child.control_fd, f);

	if (err || f->header.type != BULKHEAD__MESSAGE_TYPE__MSG_SETUP_DEVICE)
		return err ? err : -EPROTO;
	take_fds(e);
	map_all(e);
	return frame_reply_ok(e->child.control_fd, f->header.id);
}

int main(int argc, char **argv)
{
	struct evil *e = &evil;
	/* The role is not known before HELLO, and a real daemon insists on its own; this one is anybody. */
	int code = child_start(&e->child, evil_role(argv[0]), "bulkhead-evild", "a hostile daemon for tests", argc, argv);

	if (code >= 0)
		return code;
	e->seed = clock_ns() | 1;
	if (child_hello(&e->child) || set_up(e))
		return 1;
	evil_serve(e);
	return 0;
}
