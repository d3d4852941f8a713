/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-virtiod: the front-end of one virtio device. It knows registers, and nothing of guest memory; it tells a back-end
 * over vhost-user which queues there are. Notifications and interrupts go past it (proto/virtio.h). When either side dies, its
 * supervisor makes another connection, and the queues are started again as the journal has them.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemons.h"
#include "devices/vhost_front.h"
#include "proto/log.h"
#include "proto/shm.h"
#include "virtio_model.h"

enum { FD_VECTORS, FD_BELL, FD_KICKS, FD_CALLS = FD_KICKS + VIRTIO_QUEUES, FD_CALLED = FD_CALLS + VIRTIO_VECTORS,
       FD_ERROR_WRITE = FD_CALLED + VIRTIO_VECTORS, FD_ERROR_READ, OWN_FDS };
enum { BLOCK_CONFIG_BYTES = 60, PIPE_BYTES = 65536 };

struct called {
	struct runtime *rt;
	struct event event;
	int fd;
	unsigned vector;
	bool watched;
};

static struct vhost_front front;
static struct vhost_ends ends;
static struct called called[VIRTIO_VECTORS];
static struct virtio_vectors *vectors;
static struct virtio_message told[VIRTIO_VECTORS];
static struct event link_event, error_event;
static int bell_fd = -1;
static bool told_any;
static bool forsaken; /* the back-end was given up */
static bool unsuited; /* the back-end was hung up on: it is not what the guest has negotiated with */
static int error_fd = -1;

/* A pipe's ends belong to us; full or empty, nobody waits. */
static int take(int *fds, unsigned index)
{
	int fd = fds[index];

	fds[index] = -1;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* Nobody else looks at this vector's calls while it is off. */
static void on_called(evutil_socket_t fd, short what, void *arg)
{
	struct called *c = arg;
	uint8_t buf[256];

	(void)what;
	if (read(fd, buf, sizeof(buf)) <= 0)
		return;
	virtio_model_called(c->rt->state, c->vector);
	runtime_touch(c->rt);
}

static int watch_calls(struct runtime *rt, int *fds)
{
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++) {
		struct called *c = &called[n];

		*c = (struct called){ .rt = rt, .fd = take(fds, FD_CALLED + n), .vector = n };
		if (event_assign(&c->event, rt->base, c->fd, EV_READ | EV_PERSIST, on_called, c) < 0)
			return -EIO;
	}
	return 0;
}

/* What the back-end has said of the driver before is not said of the next one. True: it has said something. */
static bool take_errors(void)
{
	uint8_t buf[256];
	bool any = false;

	for (unsigned n = 0; n < PIPE_BYTES / sizeof(buf) && read(error_fd, buf, sizeof(buf)) > 0; n++)
		any = true;
	return any;
}

/* The guest's driver has broken a queue, says the back-end. */
static void on_error(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;

	(void)fd;
	(void)what;
	if (!take_errors() || front.step != VHOST_RUNS)
		return;
	virtio_model_break(rt->state);
	runtime_touch(rt);
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	void *page;
	int err;

	(void)setup;
	if (nfds != OWN_FDS)
		return -EINVAL;
	err = shm_map_rw(fds[FD_VECTORS], sizeof(*vectors), &page);
	if (err)
		return err;
	vectors = page;
	bell_fd = take(fds, FD_BELL);
	for (unsigned n = 0; n < VIRTIO_QUEUES; n++)
		ends.kick[n] = take(fds, FD_KICKS + n);
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
		ends.call[n] = take(fds, FD_CALLS + n);
	ends.error = take(fds, FD_ERROR_WRITE);
	vhost_front_init(&front);
	error_fd = take(fds, FD_ERROR_READ);
	err = watch_calls(rt, fds);
	return err ? err : runtime_watch(rt, &error_event, error_fd, EV_READ | EV_PERSIST, on_error, rt);
}

static void hang_up(const char *why)
{
	if (front.step == VHOST_ABSENT)
		return;
	log_info("the back-end is gone: %s", why);
	event_del(&link_event);
	vhost_front_detach(&front);
}

/* A reset that waits for a back-end which is gone is over: what it was doing has ended with it. */
static void lose(struct runtime *rt, const char *why)
{
	hang_up(why);
	virtio_model_stopped(rt->state);
	runtime_touch(rt);
}

static void take_description(struct runtime *rt)
{
	int err = virtio_model_describe(rt->state, &front.description);

	if (err != -EPROTO)
		return;
	lose(rt, "it lacks a feature or a queue that the guest uses");
	virtio_model_break(rt->state);
	unsuited = true;
}

/* All that it had to say of the guest's driver it has said before it answered. */
static void stopped(struct runtime *rt)
{
	take_errors();
	virtio_model_stopped(rt->state);
}

static void on_link(evutil_socket_t fd, short what, void *arg)
{
	struct runtime *rt = arg;
	const char *why = "";
	int rc = vhost_front_read(&front, &why);

	(void)fd;
	(void)what;
	if (rc < 0)
		lose(rt, why);
	else if (rc == 1)
		take_description(rt);
	else if (rc == 2)
		stopped(rt);
	if (rc)
		runtime_touch(rt);
}

/* LINK: another connection, or none, when there will be none. */
static int link_to(struct runtime *rt, int fd)
{
	int link, err;

	hang_up("another takes its place");
	forsaken = fd < 0;
	unsuited = false;
	runtime_touch(rt);
	if (fd < 0)
		return 0;
	link = dup3(fd, SANDBOX_LINK, O_CLOEXEC);
	close(fd);
	if (link < 0)
		return -errno;
	err = vhost_front_attach(&front, link, BLOCK_CONFIG_BYTES);
	if (!err)
		err = runtime_watch(rt, &link_event, link, EV_READ | EV_PERSIST, on_link, rt);
	if (err)
		vhost_front_detach(&front);
	return 0; /* a back-end that is dead already is the next link's business */
}

/* The machine starts again. Its supervisor has parted us from the back-end before, which wrote memory. */
static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	if (front.step > VHOST_READY)
		hang_up("the machine was reset");
}

/* Nobody serves its queues: a driver that looks sees it at once, and one that has reset the device, again (2.1.2). */
static void tell_forsaken(struct runtime *rt)
{
	const struct virtio_pci *v = virtio_model_common(rt->state);

	if (v->phase != VIRTIO_RUNS || v->status & VIRTIO_NEEDS_RESET)
		return;
	virtio_model_break(rt->state);
	runtime_touch(rt);
}

/* The supervisor is told when a guest that has reset the device could take the back-end as it is: it connects the two again. */
static void ask_for_link(struct runtime *rt)
{
	const struct virtio_pci *v = virtio_model_common(rt->state);

	if (v->phase != VIRTIO_IDLE || v->status & VIRTIO_FEATURES_OK)
		return;
	if (!child_event(&rt->child, BULKHEAD__EVENT_TYPE__EVENT_UNLINKED, 0, BULKHEAD__ROLE__ROLE_UNKNOWN,
			 "the guest has reset a device whose back-end did not suit it"))
		unsuited = false;
}

/* Errors that were said of an earlier start are nobody's: the back-end has hung up since, or has answered. */
static int start_queues(struct runtime *rt, const struct virtio_pci *v)
{
	take_errors();
	return vhost_front_start(&front, v, &ends, virtio_model_uses_msix(rt->state));
}

/* What the guest has asked for, of a back-end that is there. */
static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	const struct virtio_pci *v = virtio_model_common(rt->state);
	int err = 0;

	(void)now_ns;
	if (v->phase == VIRTIO_RUNS && front.step == VHOST_READY)
		err = start_queues(rt, v);
	if (v->phase == VIRTIO_STOPPING && front.step == VHOST_RUNS)
		err = vhost_front_stop(&front, v);
	if (v->phase == VIRTIO_STOPPING && front.step != VHOST_STOPPING) {
		virtio_model_stopped(rt->state);
		runtime_touch(rt);
	}
	if (err)
		lose(rt, "it takes no more messages");
	if (forsaken)
		tell_forsaken(rt);
	if (unsuited)
		ask_for_link(rt);
	return UINT64_MAX;
}

/* Before the commit: one who dies in between does it again, and an interrupt too many is none. */
static void applied(struct runtime *rt, uint64_t now_ns)
{
	static const uint64_t one = 1;
	unsigned pending = virtio_model_take_pending(rt->state);

	(void)now_ns;
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
		if (pending >> n & 1 && write(ends.call[n], &one, sizeof(one)) < 0)
			continue; /* full: it is being called */
}

/* Whose calls the vcpu process does not take, we do. */
static void watch(struct called *c, bool on)
{
	if (c->watched == on)
		return;
	c->watched = on;
	if (on)
		event_add(&c->event, NULL);
	else
		event_del(&c->event);
}

static bool is_told(unsigned n, const struct virtio_message *m)
{
	return told_any && told[n].on == m->on && told[n].addr == m->addr && told[n].data == m->data;
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	bool changed = false;

	(void)now_ns;
	for (unsigned n = 0; n < VIRTIO_VECTORS; n++) {
		struct virtio_message m = virtio_model_message(rt->state, n);

		watch(&called[n], !m.on);
		if (is_told(n, &m))
			continue;
		virtio_vector_publish(&vectors->of[n], &m);
		told[n] = m;
		changed = true;
	}
	told_any = true;
	if (changed)
		runtime_ring_bell(bell_fd);
}

/*
 * Until the back-end has said what it is, there is nothing to answer the guest. One that never will has no features, and no queue.
 * A reset is answered nevertheless: the next connection is made when the guest behind it runs, and that waits for the answer.
 */
static bool is_full(const struct runtime *rt)
{
	return !virtio_model_is_described(rt->state) && !forsaken && !ring_holds(&rt->ring, IO_RESET);
}

const struct daemon_shell virtiod_shell = {
	.kind = KIND_VIRTIOD,
	.model = &virtio_model,
	.shell_version = VIRTIOD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.applied = applied,
	.committed = committed,
	.is_full = is_full,
	.settle = settle,
	.link = link_to,
};
