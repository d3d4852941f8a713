/* SPDX-License-Identifier: MIT */
/* The machine's shared memory objects and doorbell pipes: one writer each, see design.md section 2. */
#include "objects.h"
#include "proc.h"
#include "vm.h"

#include "../../devices/backlog.h"

#include "../../proto/code_map.h"
#include "../../proto/counters.h"
#include "../../proto/journal.h"
#include "../../proto/line.h"
#include "../../proto/msi.h"
#include "../../proto/ring.h"
#include "../../proto/screen.h"
#include "../../proto/shadow.h"
#include "../../proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Our root is empty, so the read-only handle is opened through the fd directory that we kept. */
static int reopen_readonly(struct vm *vm, int fd, int *out)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", fd);
	*out = openat(vm->self_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return *out < 0 ? -errno : 0;
}

static int make_object(struct vm *vm, const char *name, size_t size, struct object *out)
{
	int rc = shm_create(name, size, &out->rw);

	return rc ? rc : reopen_readonly(vm, out->rw, &out->ro);
}

/* The same, and our view of it. */
static int make_viewed(struct vm *vm, const char *name, size_t size, struct object *out, const void **view)
{
	int rc = make_object(vm, name, size, out);

	return rc ? rc : shm_map_ro(out->ro, size, view);
}

/* Both ends non-blocking: a full doorbell is a rung one. */
static int make_pipe(struct pipe_ends *out)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	*out = (struct pipe_ends){ .rd = fds[0], .wr = fds[1] };
	return 0;
}

/* Objects are called after their device, which /proc/PID/maps then shows. */
static int make_device(struct vm *vm, const struct proc *p, struct device_objects *d)
{
	const struct {
		const char *kind;
		size_t size;
		struct object *object;
	} objects[] = {
		{ "req", sizeof(struct ring_req), &d->req },
		{ "rsp", sizeof(struct ring_rsp), &d->rsp },
		{ "shadow", sizeof(struct shadow_page), &d->shadow },
		{ "journal", sizeof(struct journal_object), &d->journal },
	};
	const void *lines = NULL;
	char name[48];
	int rc = 0;

	for (unsigned i = 0; !rc && i < sizeof(objects) / sizeof(objects[0]); i++) {
		snprintf(name, sizeof(name), "bulkhead-%s.%s", objects[i].kind, proc_name(p));
		rc = make_object(vm, name, objects[i].size, objects[i].object);
	}
	snprintf(name, sizeof(name), "bulkhead-line.%s", proc_name(p));
	if (!rc)
		rc = make_viewed(vm, name, sizeof(struct line_page), &d->line, &lines);
	d->lines = lines;
	if (!rc)
		rc = make_pipe(&d->doorbell);
	return rc ? rc : make_pipe(&d->irq_bell);
}

static int make_virtio(struct vm *vm, unsigned n)
{
	struct virtio_objects *v = &vm->virtio[n];
	char name[48];
	int rc;

	snprintf(name, sizeof(name), "bulkhead-vectors.%u", n);
	rc = make_object(vm, name, sizeof(struct virtio_vectors), &v->vectors);
	for (unsigned i = 0; i < VIRTIO_QUEUES && !rc; i++)
		rc = make_pipe(&v->kick[i]);
	for (unsigned i = 0; i < VIRTIO_VECTORS && !rc; i++) {
		rc = make_pipe(&v->call[i]);
		if (!rc)
			rc = reopen_readonly(vm, v->call[i].rd, &v->taken[i]);
	}
	return rc ? rc : make_pipe(&v->error);
}

/* A stream socket and not a pipe: what is read from it can stay in it until it is safe elsewhere (devices/seriald.c). */
static int make_debug(int *fds)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -errno;
	fds[KIND_FD_DEBUG_READ] = pair[0];
	fds[KIND_FD_DEBUG_WRITE] = pair[1];
	return 0;
}

/* seriald keeps its clients' connections in this pair's queue (devices/stash.h). They go along with a machine. */
static int make_stash(const struct launch *l, int *fds)
{
	int pair[2];

	if (l->taken_fd[FRAME_TAKE_STASH_WRITE] >= 0) {
		fds[KIND_FD_STASH_WRITE] = l->taken_fd[FRAME_TAKE_STASH_WRITE];
		fds[KIND_FD_STASH_READ] = l->taken_fd[FRAME_TAKE_STASH_READ];
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	fds[KIND_FD_STASH_WRITE] = pair[0];
	fds[KIND_FD_STASH_READ] = pair[1];
	return 0;
}

/* History and queue of a port that is not the console's. */
static int make_serial(struct vm *vm)
{
	char name[32];
	int rc = 0;

	for (unsigned i = 1; i < SERIAL_PORTS && !rc; i++) {
		snprintf(name, sizeof(name), "bulkhead-backlog.com%u", i + 1);
		if (vm->launch->serial_kind[i] != SERIAL_NOTHING)
			rc = shm_create(name, sizeof(struct backlog), &vm->serial_backlog_fd[i]);
	}
	return rc;
}

static int make_shared(struct vm *vm)
{
	int *fds = vm->shared_fd, rc = make_debug(fds);
	const void *backlog = NULL;

	if (!rc)
		rc = make_stash(vm->launch, fds);
	if (!rc)
		rc = make_serial(vm);
	fds[KIND_FD_BACKLOG] = vm->launch->backlog_fd; /* the keeper reads it when we are gone */
	if (!rc)
		rc = shm_map_ro(fds[KIND_FD_BACKLOG], sizeof(struct backlog), &backlog);
	vm->backlog_view = backlog;
	if (rc)
		return rc;
	fds[KIND_FD_MSI] = vm->msi.rw;
	fds[KIND_FD_VCPU_BELL] = vm->vcpu_bell.wr;
	fds[KIND_FD_CONSOLE] = vm->launch->console_fd;
	fds[KIND_FD_VARIABLES] = vm->launch->variables_fd >= 0 ? vm->launch->variables_fd : vm->launch->null_fd;
	return 0;
}

/* Costs no memory until it is written. */
static int make_state(struct vm *vm)
{
	int rc = make_object(vm, "bulkhead-state", STATE_MAX, &vm->state_object);

	return rc ? rc : shm_map_rw(vm->state_object.rw, STATE_MAX, &vm->state_memory);
}

int objects_create(struct vm *vm)
{
	const void *msi = NULL, *counters = NULL;
	int rc = make_viewed(vm, "bulkhead-msi", sizeof(struct msi_page), &vm->msi, &msi);

	vm->msi_view = msi;
	if (!rc)
		rc = make_viewed(vm, "bulkhead-counters", sizeof(struct counters_page), &vm->counters, &counters);
	vm->counters_view = counters;
	for (unsigned i = 0; !rc && i < DEVICES; i++) {
		const struct proc *p = &vm->procs[PROC_FIRST_DEVICE + i];

		if (proc_exists(p))
			rc = make_device(vm, p, &vm->devices[i]);
	}
	for (unsigned n = 0; !rc && n < vm->config->backends.count; n++)
		rc = make_virtio(vm, n);
	if (!rc)
		rc = make_pipe(&vm->vcpu_bell);
	if (!rc)
		rc = make_state(vm);
	return rc ? rc : make_shared(vm);
}

/* Devices may have mapped it, so a reboot empties the object that is there. */
static int make_or_empty(struct vm *vm, const char *name, size_t size, struct object *out)
{
	if (out->rw < 0)
		return make_object(vm, name, size, out);
	return fallocate(out->rw, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0 ? -errno : 0;
}

/* Viewers keep the last picture: the screen does not turn dark by itself. */
static int make_picture(struct vm *vm)
{
	int rc = vm->picture.rw < 0 ? make_object(vm, "bulkhead-picture", sizeof(struct picture), &vm->picture) : 0;

	vm->shared_fd[KIND_FD_PICTURE] = vm->picture.rw;
	return rc;
}

static int fresh_display(struct vm *vm)
{
	int rc = make_or_empty(vm, "bulkhead-legacy", LAYOUT_VGA_BYTES, &vm->legacy);

	if (!rc)
		rc = make_or_empty(vm, "bulkhead-framebuffer", LAYOUT_SCREEN_BYTES, &vm->framebuffer);
	vm->shared_fd[KIND_FD_LEGACY] = vm->legacy.ro;
	vm->shared_fd[KIND_FD_FRAMEBUFFER] = vm->framebuffer.rw;
	return rc ? rc : make_picture(vm);
}

static int fresh_screen(struct vm *vm)
{
	int rc = make_or_empty(vm, "bulkhead-screen", LAYOUT_FRAME_BUFFER_BYTES, &vm->screen);

	if (!rc)
		rc = make_or_empty(vm, "bulkhead-mailbox", LAYOUT_FRAME_MAILBOX_BYTES, &vm->mailbox);
	vm->shared_fd[KIND_FD_SCREEN] = vm->screen.ro;
	vm->shared_fd[KIND_FD_MAILBOX] = vm->mailbox.rw;
	return rc ? rc : make_picture(vm);
}

int objects_fresh_ram(struct vm *vm)
{
	const uint64_t bytes = vm->config->ram_bytes;
	int rc = make_or_empty(vm, "bulkhead-ram", (size_t)bytes, &vm->ram);

	if (!rc && vm->config->platform == PLATFORM_FRAME)
		rc = fresh_screen(vm);
	if (!rc && vm->config->display.kind != DISPLAY_NONE)
		rc = fresh_display(vm);
	return rc ? rc : objects_fresh_code_map(vm);
}

/* Whoever begins with the emulator has decoded nothing yet. */
int objects_fresh_code_map(struct vm *vm)
{
	const uint64_t bytes = display_memory_bytes(vm->config->ram_bytes, vm->config->display.kind);

	return make_or_empty(vm, "bulkhead-map", code_map_bytes(bytes >> CODE_MAP_PAGE_SHIFT, vm_cpus(vm)), &vm->code_map);
}
