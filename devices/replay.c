/* SPDX-License-Identifier: MIT */
/* A daemon without a machine: see replay.h. */
#include "replay.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backlog.h"
#include "devices/virtio_model.h"
#include "proto/disk.h"
#include "proto/gpu.h"
#include "proto/capture.h"
#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/msi.h"
#include "proto/screen.h"
#include "proto/shadow.h"
#include "proto/shm.h"
#include "proto/text.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x

enum { CPU_LIMIT_S = 20, FDS = 32 };

static struct {
	_Alignas(8) uint8_t file[CAPTURE_MAX];
	struct capture_view view;
	const struct kind_row *kind;
	const struct journal_object *journal; /* the daemon's own */
	int control_fd, event_fd;	      /* our ends */
	int fds[FDS];
	unsigned fd_count;
	struct frame frame;
} replay;

static int unusable(const char *path, const char *why)
{
	fprintf(stderr, "%s: %s cannot be replayed: %s\n", replay.kind->program, path, why);
	return REPLAY_UNUSABLE;
}

/* ---- its end --------------------------------------------------------------------------------------------------- */

static char *put(char *p, const char *text)
{
	return stpcpy(p, text);
}

static char *put_number(char *p, unsigned long v)
{
	char digits[24];
	unsigned n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	while (n)
		*p++ = digits[--n];
	return p;
}

/* Only what a handler may call, and what the fence allows. A debugger sees the signal before we do. */
static void on_death(int sig)
{
	char line[200], *p = put(line, replay.kind->program);
	ssize_t n;
	uint32_t seq;

	p = sig == SIGXCPU ? put(p, ": does not come to an end") : put_number(put(p, ": died of signal "), (unsigned long)sig);
	if (journal_attempted(replay.journal, &seq))
		p = put_number(put(p, " in request "), seq);
	p = put(p, "\n");
	n = write(STDERR_FILENO, line, (size_t)(p - line));
	(void)n;
	_exit(REPLAY_DIED);
}

/* On a stack of its own: the daemon's may be what it ran out of. A loop is found by the processor time that it takes, so that
 * one may stand in a debugger for as long as one likes. */
static void expect_death(void)
{
	static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGXCPU };
	static char stack[64 * 1024];
	const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction sa = { .sa_handler = on_death, .sa_flags = SA_ONSTACK };

#if defined(__SANITIZE_ADDRESS__)
	return; /* it tells more, and ends with the same code */
#endif
	sigaltstack(&alternate, NULL);
	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i], &sa, NULL);
	setrlimit(RLIMIT_CPU, &(struct rlimit){ CPU_LIMIT_S, RLIM_INFINITY });
}

/* ---- its objects ----------------------------------------------------------------------------------------------- */

static int give(int fd)
{
	if (fd < 0)
		return fd;
	if (replay.fd_count == FDS)
		return -EMFILE;
	replay.fds[replay.fd_count++] = fd;
	return 0;
}

/* `view`: ours. */
static int give_object(const char *name, size_t size, bool read_only, void **view)
{
	int fd, ro, rc = shm_create(name, size, &fd);

	if (!rc && view)
		rc = shm_map_rw(fd, size, view);
	if (!rc && read_only)
		rc = shm_reopen_readonly(fd, &ro);
	return rc ? rc : give(read_only ? ro : fd);
}

static int give_pipe(bool reads)
{
	int fds[2];

	return pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : give(fds[reads ? 0 : 1]);
}

/* Both ends, one here and one in the next call: they stand beside each other in devices.def. */
static int give_pair_end(int type, int *other)
{
	int pair[2], fd = *other;

	if (fd >= 0) {
		*other = -1;
		return give(fd);
	}
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*other = pair[1];
	return give(pair[0]);
}

/* At a name that the kernel chooses, where nobody looks. */
static int give_listener(void)
{
	const struct sockaddr_un nowhere = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere.sun_family)) < 0 || listen(fd, 1) < 0)
		return -errno;
	return give(fd);
}

static int give_own(enum kind_fd what)
{
	static int debug = -1, stash = -1;

	switch (what) {
	case KIND_FD_MSI:
		return give_object("msi", sizeof(struct msi_page), false, NULL);
	case KIND_FD_VCPU_BELL:
		return give_pipe(false);
	case KIND_FD_CONSOLE:
		return give_listener();
	case KIND_FD_DEBUG_READ:
	case KIND_FD_DEBUG_WRITE:
		return give_pair_end(SOCK_STREAM, &debug);
	case KIND_FD_BACKLOG:
		return give_object("backlog", sizeof(struct backlog), false, NULL);
	case KIND_FD_STASH_WRITE:
	case KIND_FD_STASH_READ:
		return give_pair_end(SOCK_SEQPACKET, &stash);
	case KIND_FD_SCREEN:
		return give_object("screen", LAYOUT_FRAME_BUFFER_BYTES, true, NULL);
	case KIND_FD_MAILBOX:
		return give_object("mailbox", LAYOUT_FRAME_MAILBOX_BYTES, false, NULL);
	case KIND_FD_LEGACY:
		return give_object("legacy", LAYOUT_VGA_BYTES, true, NULL);
	case KIND_FD_FRAMEBUFFER:
		return give_object("framebuffer", LAYOUT_SCREEN_BYTES, false, NULL);
	case KIND_FD_PICTURE:
		return give_object("picture", sizeof(struct picture), false, NULL);
	case KIND_FD_VARIABLES:
		return give(open("/dev/null", O_RDWR | O_CLOEXEC));
	case KIND_FDS:
		break;
	}
	return -EINVAL;
}

/* A shared folder's exporter says nothing; images are empty. */
static int give_back_end(Bulkhead__SetupDevice *m)
{
	static Bulkhead__Disk disk = BULKHEAD__DISK__INIT;
	static Bulkhead__Share share = BULKHEAD__SHARE__INIT;
	static char tag[] = "replayed";

	m->disk = &disk;
	if (replay.kind->virtio_id == VIRTIO_ID_FS) {
		share.tag = tag;
		m->share = &share;
		return give_pipe(true);
	}
	return give_object("image", replay.kind->virtio_id == VIRTIO_ID_GPU ? sizeof(struct gpu_store) : DISK_SECTOR, false,
			   NULL);
}

/* A virtio device's halves are without each other. */
static int give_virtio(Bulkhead__SetupDevice *m)
{
	unsigned n = 0;
	int rc;

	if (replay.kind->virtio == KIND_VIRTIO_BACK)
		return give_back_end(m);
	m->has_virtio_id = true;
	m->virtio_id = VIRTIO_ID_BLOCK; /* what it was stands in its state */
	rc = give_object("vectors", sizeof(struct virtio_vectors), false, NULL);
	while (!rc && ++n < VIRTIO_FRONT_FDS) {
		bool kicks = n > 1 && n <= 1 + VIRTIO_QUEUES, called = n > 1 + VIRTIO_QUEUES + VIRTIO_VECTORS;

		rc = give_pipe(kicks || (called && n != VIRTIO_FRONT_FDS - 2));
	}
	return rc;
}

/* The lines of those that the capture has, which are those that its machine had. */
static int give_sources(Bulkhead__SetupDevice *m)
{
	static Bulkhead__LineSource rows[DEVICES_MAX], *list[DEVICES_MAX];
	static char names[DEVICES_MAX][KIND_NAME_MAX];
	int rc = 0;

	m->sources = list;
	for (unsigned i = 0; !rc && i < DEVICES_MAX; i++) {
		unsigned instance;
		const struct kind_row *kind = kind_of_number(i, &instance);
		const void *lines = capture_lines(replay.file, kind, instance);
		Bulkhead__LineSource *row = &rows[m->n_sources];
		void *page;

		if (!lines)
			continue;
		rc = give_object("line", sizeof(struct line_page), true, &page);
		if (rc)
			break;
		memcpy(page, lines, sizeof(struct line_page));
		rc = give_pipe(true);
		bulkhead__line_source__init(row);
		kind_process_name(kind, instance, names[i]);
		row->device = names[i];
		row->has_lines = true;
		row->lines = kind->lines;
		list[m->n_sources++] = row;
	}
	return rc;
}

static int give_channel(const struct capture_view *v)
{
	void *req = NULL, *rsp = NULL, *journal = NULL;
	const char *why = NULL;
	int rc = give_object("req", sizeof(struct ring_req), true, &req);

	if (!rc)
		rc = give_object("rsp", sizeof(struct ring_rsp), false, &rsp);
	if (!rc)
		rc = give_object("shadow", sizeof(struct shadow_page), false, NULL);
	if (!rc)
		rc = give_object("line", sizeof(struct line_page), false, NULL);
	if (!rc)
		rc = give_object("journal", sizeof(struct journal_object), false, &journal);
	if (!rc)
		rc = ring_restore(req, rsp, &v->ring, v->info.vcpus);
	if (!rc && v->journal)
		rc = journal_restore(journal, replay.kind->role, v->journal, v->journal_bytes, &why);
	replay.journal = journal;
	return rc ? rc : give_pipe(true);
}

static int give_all(Bulkhead__SetupDevice *m)
{
	const struct kind_row *kind = replay.kind;
	int rc = give_channel(&replay.view);

	if (!rc && !kind->collects)
		rc = give_pipe(false);
	if (!rc && kind->virtio != KIND_VIRTIO_NONE)
		rc = give_virtio(m);
	for (unsigned i = 0; !rc && i < kind->fd_count; i++)
		rc = give_own((enum kind_fd)kind->fds[i]);
	if (!rc && kind->collects)
		rc = give_sources(m);
	if (!rc && kind_holds_ram(kind->memory))
		rc = give_object("ram", replay.view.info.ram_bytes, kind->memory == KIND_MEMORY_READS, NULL);
	return rc;
}

/* ---- what is said to it ---------------------------------------------------------------------------------------- */

static int say_hello(void)
{
	Bulkhead__Hello m = BULKHEAD__HELLO__INIT;

	m.has_proto_major = m.has_proto_minor = m.has_role = m.has_incarnation = m.has_log_level = true;
	m.proto_major = CONTROL_MAJOR;
	m.proto_minor = CONTROL_MINOR;
	m.role = (Bulkhead__Role)replay.kind->role;
	m.vm = (char *)"replay";
	m.incarnation = replay.view.info.incarnation; /* whose death is to come again */
	m.log_level = 2;
	return frame_send(replay.control_fd, TYPE(HELLO), 1, &m.base, NULL, 0);
}

static int say_setup(void)
{
	const struct capture_info *i = &replay.view.info;
	const struct machine_clock clock = machine_clock_at(clock_ns(), i->time_ns);
	Bulkhead__MachineConfig machine = BULKHEAD__MACHINE_CONFIG__INIT;
	Bulkhead__SetupDevice m = BULKHEAD__SETUP_DEVICE__INIT;
	int rc;

	machine.has_ram_bytes = machine.has_vcpus = machine.has_rtc_offset_s = machine.has_realtime_ns = machine.has_no_vga =
		machine.has_frame = machine.has_display = machine.has_display_width = machine.has_display_height = true;
	machine.has_clock_offset_ns = true;
	machine.ram_bytes = i->ram_bytes;
	machine.vcpus = i->vcpus;
	machine.rtc_offset_s = i->rtc_offset_s;
	machine.realtime_ns = i->realtime_ns;
	machine.no_vga = i->no_vga;
	machine.frame = i->frame;
	machine.display = i->display;
	machine.display_width = i->display_width;
	machine.display_height = i->display_height;
	machine.clock_offset_ns = clock.offset_ns;
	m.machine = &machine;
	m.has_recover = m.has_strict = true;
	m.recover = m.strict = replay.view.journal != NULL;
	rc = give_all(&m);
	return rc ? rc : frame_send(replay.control_fd, TYPE(SETUP_DEVICE), 2, &m.base, replay.fds, replay.fd_count);
}

static int say_everything(void)
{
	const Bulkhead__Quiesce q = BULKHEAD__QUIESCE__INIT;
	int rc = say_hello();

	if (!rc)
		rc = say_setup();
	if (!rc)
		rc = frame_send(replay.control_fd, TYPE(QUIESCE), 3, &q.base, NULL, 0);
	for (unsigned i = 0; i < replay.fd_count; i++)
		close(replay.fds[i]);
	return rc;
}

static int make_channels(struct child *c)
{
	int control[2], event[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, event) < 0)
		return -errno;
	replay.control_fd = control[0];
	replay.event_fd = event[0];
	c->control_fd = control[1];
	c->event_fd = event[1];
	return fcntl(control[0], F_SETFL, O_NONBLOCK) < 0 || fcntl(event[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

/* ---- the file -------------------------------------------------------------------------------------------------- */

static ssize_t slurp(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = fd < 0 ? -1 : 1;

	while (n > 0 && len < sizeof(replay.file)) {
		n = read(fd, replay.file + len, sizeof(replay.file) - len);
		len += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return -errno;
	close(fd);
	return (ssize_t)len;
}

static void tell_file(const char *path)
{
	const struct capture_view *v = &replay.view;
	char words[160];

	printf("%s: of bulkhead %s, incarnation %u%s%s\n", path, v->info.version, v->info.incarnation,
	       v->info.has_died ? ": " : "", v->info.reason);
	if (!v->journal)
		printf("no state: it begins with power-on\n");
	for (uint32_t seq = v->ring.head; seq != v->ring.tail; seq++) {
		ring_describe(&v->ring.slots[seq % RING_SLOTS], words, sizeof(words));
		printf("%s\n", words);
	}
	fflush(stdout);
}

int replay_begin(struct child *c, const struct kind_row *kind, const char *path)
{
	const char *why = NULL;
	ssize_t len;
	int rc;

	replay.kind = kind;
	len = slurp(path);
	if (len < 0)
		return unusable(path, strerror((int)-len));
	if (capture_check(replay.file, (size_t)len, kind, &replay.view, &why))
		return unusable(path, why);
	tell_file(path);
	rc = make_channels(c);
	if (!rc)
		rc = say_everything();
	if (rc)
		return unusable(path, strerror(-rc));
	expect_death();
	return -1;
}

/* ---- what came of it ------------------------------------------------------------------------------------------- */

/* What it had to say; and why it would not start, if it said that. */
static bool tell_frames(int fd)
{
	struct frame *f = &replay.frame;
	bool refused = false;

	while (!frame_recv(fd, f)) {
		text_clean_message(f->msg, TEXT_ONE_LINE);
		if (f->header.type == TYPE(ERROR)) {
			fprintf(stderr, "%s: %s\n", replay.kind->program, ((const Bulkhead__Error *)f->msg)->text);
			refused = true;
		} else if (f->header.type == TYPE(EVENT) && ((const Bulkhead__Event *)f->msg)->text) {
			printf("%s\n", ((const Bulkhead__Event *)f->msg)->text);
		}
		frame_close_fds(f);
	}
	return refused;
}

int replay_end(int err)
{
	const struct journal_header *h = &replay.journal->header;
	bool refused = tell_frames(replay.control_fd) | tell_frames(replay.event_fd);

	if (err || refused) {
		fprintf(stderr, "%s: this program cannot take that state over\n", replay.kind->program);
		return REPLAY_UNUSABLE;
	}
	printf("%s: clean: state of version %u, %u bytes, and %u bytes of version %u; %u requests applied\n",
	       replay.kind->program, h->version, h->part_size[0], h->part_size[1], h->part_version,
	       replay.view.ring.tail - replay.view.ring.head);
	return REPLAY_CLEAN;
}
