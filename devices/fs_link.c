/* SPDX-License-Identifier: MIT */
/* A shared folder's connection to the program that has its files: see fs_link.h. */
#include "devices/fs_link.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/offer.h"
#include "proto/log.h"

bool fs_is_linked(const struct fs *f)
{
	return f->fds[DISK_FD_LINK] >= 0;
}

void fs_ask(struct fs *f)
{
	const struct share_ask m = { .number = f->number + 1, .fresh = f->fresh };

	if (f->asked)
		return;
	f->asked = send(f->exporter_fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(m);
	f->number += f->asked;
	if (!f->asked)
		f->above->refused(f); /* the exporter is gone */
}

static void unlink_all(struct fs *f)
{
	if (f->memory) {
		event_del(&f->on_link);
		event_del(&f->on_call);
		munmap(f->memory, SHARE_OFFER_BYTES);
	}
	f->memory = NULL;
	offer_close(f->fds);
}

void fs_hang_up(struct fs *f, const char *why)
{
	log_info("virtiofsd is gone: %s", why);
	unlink_all(f);
	f->fresh = true;
	f->above->lost(f);
}

/* It has nothing to say to us. */
static void on_link(evutil_socket_t fd, short what, void *arg)
{
	uint8_t byte;
	ssize_t n = read(fd, &byte, 1);

	(void)what;
	if (n < 0 && errno == EAGAIN)
		return;
	fs_hang_up(arg, n > 0 ? "it says what nobody has asked for" : "it hung up");
}

static void on_call(evutil_socket_t fd, short what, void *arg)
{
	struct fs *f = arg;
	uint64_t calls;

	(void)what;
	if (read(fd, &calls, sizeof(calls)) < 0)
		return;
	if (f->above->called(f))
		fs_hang_up(f, "it answers what makes no sense");
	else if (!f->busy)
		f->above->wake(f);
}

static int watch(struct fs *f)
{
	struct event_base *base = f->back->base;
	void *p = mmap(NULL, SHARE_OFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, f->fds[DISK_FD_MEMORY], 0);

	if (p == MAP_FAILED)
		return -errno;
	f->memory = p;
	event_assign(&f->on_link, base, f->fds[DISK_FD_LINK], EV_READ | EV_PERSIST, on_link, f);
	event_assign(&f->on_call, base, f->fds[DISK_FD_CALL], EV_READ | EV_PERSIST, on_call, f);
	event_add(&f->on_link, NULL);
	event_add(&f->on_call, NULL);
	return f->above->up(f);
}

static void take_offer(struct fs *f, int fds[DISK_FDS])
{
	unlink_all(f);
	offer_move(f->fds, fds);
	f->fresh = false;
	if (!watch(f)) {
		f->above->wake(f);
		return;
	}
	fs_hang_up(f, "its queue cannot be so");
	f->above->refused(f);
}

static void on_offer(evutil_socket_t fd, short what, void *arg)
{
	struct fs *f = arg;
	struct share_offer offer;
	int fds[DISK_FDS];
	ssize_t n = offer_receive(fd, &offer, sizeof(offer), fds);

	(void)what;
	if (n == 0)
		event_del(&f->on_offer); /* the machine is ending */
	if (n == sizeof(offer) && f->asked && offer.number == f->number) {
		f->asked = false;
		if (!offer.error && fds[0] >= 0)
			take_offer(f, fds);
		else
			f->above->refused(f);
	}
	offer_close(fds);
}

int fs_attach(struct fs *f, struct vhost_back *back)
{
	f->back = back;
	if (event_assign(&f->on_offer, back->base, f->exporter_fd, EV_READ | EV_PERSIST, on_offer, f) < 0)
		return -EIO;
	return event_add(&f->on_offer, NULL) < 0 ? -EIO : 0;
}
