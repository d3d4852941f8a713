/* SPDX-License-Identifier: MIT */
/* See daemon_harness.h. */
#include "daemon_harness.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "model_at.h"
#include "proto/code_map.h"
#include "proto/control_check.h"
#include "proto/gpu.h"
#include "proto/kind.h"
#include "proto/screen.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x
#define ROLE(x) BULKHEAD__ROLE__ROLE_##x

#ifdef __SANITIZE_ADDRESS__
#define SANDBOX "off" /* a sanitizer needs calls that no daemon may make */
#else
#define SANDBOX "on"
#endif

static void make_listener(struct daemon *d)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	/* abstract, named by the kernel */
	d->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(d->listen, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
	cr_assert_eq(listen(d->listen, 16), 0);
}

void daemon_make(struct daemon *d, Bulkhead__Role role)
{
	memset(d, 0, offsetof(struct daemon, frame));
	d->role = role;
	d->pid = -1;
	test_object_make(&d->req, "req", sizeof(struct ring_req));
	test_object_make(&d->rsp, "rsp", sizeof(struct ring_rsp));
	test_object_make(&d->shadow, "shadow", sizeof(struct shadow_page));
	test_object_make(&d->line, "line", sizeof(struct line_page));
	test_object_make(&d->store, "store", sizeof(struct gpu_store));
	test_object_make(&d->journal, "journal", sizeof(struct journal_object));
	test_object_make(&d->backlog, "backlog", sizeof(struct backlog));
	test_object_make(&d->msi, "msi", sizeof(struct msi_page));
	test_object_make(&d->ram, "ram", DAEMON_RAM);
	test_object_make(&d->map, "map", code_map_bytes(DAEMON_RAM >> CODE_MAP_PAGE_SHIFT, 2));
	test_object_make(&d->screen, "screen", LAYOUT_FRAME_BUFFER_BYTES);
	test_object_make(&d->mailbox, "mailbox", LAYOUT_FRAME_MAILBOX_BYTES);
	test_object_make(&d->legacy, "legacy", LAYOUT_VGA_BYTES);
	test_object_make(&d->framebuffer, "framebuffer", LAYOUT_SCREEN_BYTES);
	test_object_make(&d->picture, "picture", sizeof(struct picture));
	test_object_make(&d->vectors, "vectors", sizeof(struct virtio_vectors));
	for (unsigned i = 0; i < VIRTIO_PIPES; i++)
		cr_assert_eq(pipe2(d->pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(pipe2(d->doorbell, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(pipe2(d->irqd_bell, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, d->debug), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, d->stash), 0);
	cr_assert_eq(pipe2(d->vcpu_bell, O_CLOEXEC | O_NONBLOCK), 0);
	make_listener(d);
	cr_assert_eq(ring_attach(&d->producer, d->req.rw, d->rsp.ro, d->doorbell[1], 0), 0);
	d->producer.clock = machine_clock_at(clock_ns(), DAEMON_AGE_NS);
}

void daemon_free(struct daemon *d)
{
	daemon_kill(d);
	ring_detach(&d->producer);
	test_object_free(&d->req);
	test_object_free(&d->rsp);
	test_object_free(&d->shadow);
	test_object_free(&d->line);
	test_object_free(&d->journal);
	test_object_free(&d->backlog);
	test_object_free(&d->msi);
	test_object_free(&d->ram);
	test_object_free(&d->map);
	test_object_free(&d->screen);
	test_object_free(&d->mailbox);
	test_object_free(&d->legacy);
	test_object_free(&d->framebuffer);
	test_object_free(&d->picture);
	test_object_free(&d->vectors);
	test_object_free(&d->store);
	for (unsigned i = 0; i < VIRTIO_PIPES; i++) {
		close(d->pipes[i][0]);
		close(d->pipes[i][1]);
	}
	for (int i = 0; i < 2; i++) {
		close(d->doorbell[i]);
		close(d->irqd_bell[i]);
		close(d->debug[i]);
		close(d->vcpu_bell[i]);
		close(d->stash[i]);
	}
	close(d->listen);
}

static void exec_daemon(const struct daemon *d, int control, int event)
{
	char path[512], control_text[16], event_text[16];

	snprintf(path, sizeof(path), DAEMON_DIR "/bulkhead-%s", control_role_name(d->role));
	snprintf(control_text, sizeof(control_text), "%d", control);
	snprintf(event_text, sizeof(event_text), "%d", event);
	fcntl(control, F_SETFD, 0);
	fcntl(event, F_SETFD, 0);
	execl(path, path, "--control-fd", control_text, "--event-fd", event_text, "--sandbox", SANDBOX, NULL);
	_exit(127);
}

static void hello(struct daemon *d)
{
	Bulkhead__Hello h = BULKHEAD__HELLO__INIT;
	char vm[] = "test";

	h.has_proto_major = h.has_role = h.has_incarnation = h.has_log_level = true;
	h.proto_major = CONTROL_MAJOR;
	h.role = d->role;
	h.incarnation = ++d->incarnation;
	h.log_level = 4;
	h.vm = vm;
	cr_assert_eq(frame_call(d->control, &d->frame, TYPE(HELLO), ++d->next_id, &h.base, NULL, 0, 5000), 0);
	cr_assert_eq(d->frame.header.type, TYPE(OK));
}

void daemon_spawn(struct daemon *d)
{
	int control[2], event[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, event), 0);
	d->pid = fork();
	if (d->pid == 0)
		exec_daemon(d, control[1], event[1]);
	close(control[1]);
	close(event[1]);
	d->control = control[0];
	d->event = event[0];
	hello(d);
}

/* In the order of control.proto: kicks are read, calls written, and read while their vector is off. */
static unsigned add_front_fds(const struct daemon *d, int *fds, unsigned n)
{
	fds[n++] = d->vectors.fd;
	fds[n++] = d->vcpu_bell[1];
	for (unsigned i = 0; i < VIRTIO_QUEUES; i++)
		fds[n++] = d->pipes[i][0];
	for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
		fds[n++] = d->pipes[VIRTIO_QUEUES + i][1];
	for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
		fds[n++] = d->pipes[VIRTIO_QUEUES + i][0];
	fds[n++] = d->pipes[VIRTIO_ERRORS][1];
	fds[n++] = d->pipes[VIRTIO_ERRORS][0];
	return n;
}

static unsigned add_own_fds(struct daemon *d, int *fds, unsigned n)
{
	const struct kind_row *kind = kind_of_role(d->role);
	const int shared[KIND_FDS] = {
		[KIND_FD_MSI] = d->msi.fd,
		[KIND_FD_VCPU_BELL] = d->vcpu_bell[1],
		[KIND_FD_CONSOLE] = d->listen,
		[KIND_FD_DEBUG_READ] = d->debug[0],
		[KIND_FD_DEBUG_WRITE] = d->debug[1],
		[KIND_FD_BACKLOG] = d->backlog.fd,
		[KIND_FD_STASH_WRITE] = d->stash[0],
		[KIND_FD_STASH_READ] = d->stash[1],
		[KIND_FD_SCREEN] = d->screen.ro_fd,
		[KIND_FD_MAILBOX] = d->mailbox.fd,
		[KIND_FD_PICTURE] = d->picture.fd,
		[KIND_FD_LEGACY] = d->legacy.ro_fd,
		[KIND_FD_FRAMEBUFFER] = d->framebuffer.fd,
	};

	if (!kind->collects)
		fds[n++] = d->irqd_bell[1];
	if (kind->virtio == KIND_VIRTIO_FRONT)
		n = add_front_fds(d, fds, n);
	if (kind->virtio == KIND_VIRTIO_BACK)
		fds[n++] = kind->virtio_id == 16 ? d->store.fd : d->line.fd; /* as good an image as any */
	for (unsigned i = 0; i < kind->fd_count; i++)
		fds[n++] = shared[kind->fds[i]];
	if (kind->collects) {
		fds[n++] = d->source ? d->source->line.ro_fd : d->line.ro_fd;
		fds[n++] = d->source ? d->source->irqd_bell[0] : d->irqd_bell[0];
	}
	if (kind_holds_ram(kind->memory))
		fds[n++] = kind->memory == KIND_MEMORY_WRITES ? d->ram.fd : d->ram.ro_fd;
	if (kind->memory == KIND_MEMORY_WRITES)
		fds[n++] = d->map.ro_fd;
	return n;
}

int daemon_setup(struct daemon *d, bool recover)
{
	Bulkhead__SetupDevice s = BULKHEAD__SETUP_DEVICE__INIT;
	Bulkhead__MachineConfig m = BULKHEAD__MACHINE_CONFIG__INIT;
	Bulkhead__Disk disk = BULKHEAD__DISK__INIT;
	Bulkhead__LineSource source = BULKHEAD__LINE_SOURCE__INIT, *sources[] = { &source };
	int fds[FRAME_FDS_MAX] = { d->req.ro_fd, d->rsp.fd, d->shadow.fd, d->line.fd, d->journal.fd, d->doorbell[0] };
	unsigned nfds = add_own_fds(d, fds, 6);

	m.has_ram_bytes = m.has_vcpus = m.has_clock_offset_ns = true;
	m.clock_offset_ns = d->producer.clock.offset_ns;
	m.ram_bytes = DAEMON_RAM;
	m.vcpus = 2;
	s.machine = &m;
	s.has_recover = s.has_spin_ns = true;
	s.recover = recover;
	s.spin_ns = d->spin_ns;
	s.has_console_clients_max = true;
	s.console_clients_max = 2;
	s.has_drop_to = d->has_drop_to;
	s.drop_to = d->drop_to;
	s.has_reset = s.reset = d->reset;
	source.has_lines = true;
	source.lines = d->source_lines;
	s.sources = sources;
	s.n_sources = d->role == ROLE(IRQD);
	if (kind_of_role(d->role)->virtio == KIND_VIRTIO_BACK)
		s.disk = &disk;
	s.has_virtio_id = kind_of_role(d->role)->virtio == KIND_VIRTIO_FRONT;
	s.virtio_id = 2;
	s.has_has_code_map = true;
	s.has_code_map = kind_of_role(d->role)->memory == KIND_MEMORY_WRITES;
#ifdef __SANITIZE_ADDRESS__
	s.has_sandbox = true;
	s.sandbox = 2;
#endif
	cr_assert_eq(frame_call(d->control, &d->frame, TYPE(SETUP_DEVICE), ++d->next_id, &s.base, fds, nfds, 5000), 0);
	return d->frame.header.type;
}

void daemon_start(struct daemon *d, Bulkhead__Role role)
{
	daemon_make(d, role);
	daemon_spawn(d);
	cr_assert_eq(daemon_setup(d, false), TYPE(OK));
}

int daemon_request(struct daemon *d, uint16_t type)
{
	Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	cr_assert_eq(frame_call(d->control, &d->frame, type, ++d->next_id, &empty.base, NULL, 0, 5000), 0);
	return d->frame.header.type;
}

void daemon_link(struct daemon *d, int fd)
{
	Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	cr_assert_eq(frame_call(d->control, &d->frame, TYPE(LINK), ++d->next_id, &empty.base, &fd, fd >= 0, 5000), 0);
	cr_assert_eq(d->frame.header.type, TYPE(OK));
	if (fd >= 0)
		close(fd);
}

int daemon_wait(struct daemon *d)
{
	int status = -1;

	if (d->pid > 0) {
		waitpid(d->pid, &status, 0);
		close(d->control);
		close(d->event);
	}
	d->pid = -1;
	return status;
}

void daemon_kill(struct daemon *d)
{
	if (d->pid > 0)
		kill(d->pid, SIGKILL);
	daemon_wait(d);
}

struct io_slot daemon_slot(const struct daemon *d, enum io_op op, enum model_space space, uint64_t addr, unsigned size,
			   uint64_t data)
{
	return model_slot_at(device_models[kind_of_role(d->role) - kind_rows], op, space, addr, size, data);
}

uint64_t port_in(struct daemon *d, uint16_t port, unsigned size)
{
	struct io_slot s = daemon_slot(d, IO_READ, MODEL_PORT, port, size, 0);
	struct ring_reply r;

	cr_assert_eq(ring_call(&d->producer, &s, &r), 0, "port %x", port);
	return r.data;
}

void port_out(struct daemon *d, uint16_t port, unsigned size, uint64_t data)
{
	struct io_slot s = daemon_slot(d, IO_WRITE, MODEL_PORT, port, size, data);

	cr_assert_eq(ring_call(&d->producer, &s, NULL), 0, "port %x", port);
}

void port_post(struct daemon *d, uint16_t port, unsigned size, uint64_t data, uint8_t classes)
{
	struct io_slot s = daemon_slot(d, IO_WRITE, MODEL_PORT, port, size, data);

	cr_assert_eq(ring_post(&d->producer, &s, classes), 0, "port %x", port);
}

const Bulkhead__Event *daemon_event(struct daemon *d)
{
	for (;;) {
		struct pollfd p = { .fd = d->event, .events = POLLIN };
		const Bulkhead__Event *e;

		cr_assert_eq(poll(&p, 1, 5000), 1, "an event");
		cr_assert_eq(frame_recv(d->event, &d->frame), 0);
		e = (const Bulkhead__Event *)d->frame.msg;
		if (e->type != BULKHEAD__EVENT_TYPE__EVENT_LOG)
			return e;
	}
}
