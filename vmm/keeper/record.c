/* SPDX-License-Identifier: MIT */
/* The record of a machine's end: record.h. */
#include "record.h"

#include "keeper.h"

#include "../common/ended.h"
#include "../common/exit_codes.h"
#include "../common/limits.h"
#include "../common/say.h"

#include "../../devices/backlog.h"
#include "../../proto/clock.h"
#include "../../proto/shm.h"
#include "../../proto/text.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The keeper has no heap behind its fence. This is made before, and nobody else has it. */
static struct scratch {
	char arena[ENDED_BYTES_MAX], json[ENDED_BYTES_MAX], utf8[3 * REPORT_CONSOLE], log[2 * REPORT_LOG], console[REPORT_CONSOLE];
} *scratch;
static size_t arena_used;

static void *take(size_t size)
{
	size_t rounded = (size + 15) & ~(size_t)15;

	if (rounded < size || rounded > sizeof(scratch->arena) - arena_used)
		return NULL;
	arena_used += rounded;
	return scratch->arena + arena_used - rounded;
}

static void give_back(void *p)
{
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- what is in it --------------------------------------------------------------------------------------------- */

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

/* Bytes of somebody else. */
static json_t *bytes(const void *from, size_t len)
{
	return json_stringn(scratch->utf8, text_to_utf8(from, len, scratch->utf8));
}

static json_t *text(const char *s, size_t size)
{
	return bytes(s, strnlen(s, size));
}

static json_t *text_or_null(const char *s, size_t size)
{
	return s && *s ? text(s, size) : json_null();
}

/* The supervisor's lines, then ours. */
static json_t *log_lines(const struct keeper *k)
{
	char *lines = scratch->log;
	size_t len = log_tail_copy(&k->launch.report->log, lines);

	return bytes(lines, len + log_tail_copy(&k->log, lines + len));
}

/* Its writer is gone, or never to be believed: any position will do. */
static void add_console(json_t *j, const struct backlog *b)
{
	uint64_t written = atomic_load_explicit(&b->written, memory_order_acquire);
	uint64_t len = written < REPORT_CONSOLE ? written : REPORT_CONSOLE;

	for (uint64_t i = 0; i < len; i++)
		scratch->console[i] = (char)b->data[(written - len + i) % BACKLOG_BYTES];
	json_object_set_new(j, "console_bytes", number(written));
	json_object_set_new(j, "console", bytes(scratch->console, len));
}

static json_t *devices(const struct report *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->device_count && i < DEVICES_MAX; i++) {
		const struct report_device *d = &r->devices[i];
		json_t *j = json_object();

		json_object_set_new(j, "name", text(d->name, sizeof(d->name)));
		json_object_set_new(j, "deaths", number(d->deaths));
		json_object_set_new(j, "fruitless_deaths", number(d->fruitless));
		json_object_set_new(j, "given_up", json_boolean(d->gave_up));
		json_object_set_new(j, "last_reason", text_or_null(d->last_reason, sizeof(d->last_reason)));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *captures(const struct keeper *k)
{
	const struct report *r = k->launch.report;
	char path[RUNDIR_PATH_MAX + 80];
	json_t *list = json_array();

	for (unsigned n = 0; n < r->capture_count && n < REPORT_CAPTURES; n++) {
		snprintf(path, sizeof(path), "%.*s" RUNDIR_ENDED "/%s.%u" ENDED_CAPTURE,
			 (int)(strlen(k->rundir.path) - strlen(k->rundir.name)), k->rundir.path, k->config.name, n + 1);
		if (k->capture_fd[n] >= 0)
			json_array_append_new(list, text(path, sizeof(path)));
	}
	return list;
}

/* Of a machine of which the supervisor has said nothing, we say how that ended. */
static const char *reason_of(const struct keeper *k, int code)
{
	if (k->launch.report->reason[0])
		return k->launch.report->reason;
	return code == EXIT_SANDBOX ? "sandbox" : "failure";
}

static json_t *begin(const struct keeper *k, const char *state)
{
	json_t *j = json_object();

	json_object_set_new(j, "schema", number(1));
	json_object_set_new(j, "name", json_string(k->config.name));
	json_object_set_new(j, "state", json_string(state));
	json_object_set_new(j, "keeper_pid", number((uint64_t)k->pid));
	json_object_set_new(j, "started_ns", number(k->started_realtime_ns));
	return j;
}

static void add_end(json_t *j, const struct keeper *k, int code)
{
	const struct report *r = k->launch.report;
	bool told = r->reason[0];

	json_object_set_new(j, "reason", text(reason_of(k, code), REPORT_WORD));
	json_object_set_new(j, "text", told ? text(r->text, sizeof(r->text)) : json_string(k->last_words));
	json_object_set_new(j, "exit_code", number((uint64_t)code));
	json_object_set_new(j, "guest_code", r->has_guest_code ? number(r->guest_code) : json_null());
	json_object_set_new(j, "ended_ns", number(k->ended_realtime_ns));
	json_object_set_new(j, "uptime_ns", number(k->uptime_ns));
}

static void add_machine(json_t *j, const struct keeper *k)
{
	const struct report *r = k->launch.report;
	const char *kernel = config_image(&k->config);

	json_object_set_new(j, "engine", json_string(r->is_kvm ? "kvm" : "emu"));
	json_object_set_new(j, "kernel", text(kernel, strlen(kernel) < 4096 ? strlen(kernel) : 4096));
	json_object_set_new(j, "ram_bytes", number(k->config.ram_bytes));
	json_object_set_new(j, "reboots", number(r->reboots));
	json_object_set_new(j, "devices", devices(r));
	json_object_set_new(j, "captures", captures(k));
	json_object_set_new(j, "registers", text_or_null(r->registers, sizeof(r->registers)));
	json_object_set_new(j, "log", log_lines(k));
	add_console(j, k->backlog);
}

/* ---- where it goes --------------------------------------------------------------------------------------------- */

/* How many bytes of scratch->json it takes; 0: it did not come out. */
static size_t render(json_t *j)
{
	size_t len = j ? json_dumpb(j, scratch->json, sizeof(scratch->json) - 1, JSON_INDENT(2)) : 0;

	arena_used = 0;
	if (!len || len > sizeof(scratch->json) - 1)
		return 0;
	scratch->json[len] = '\n';
	return len + 1;
}

/* Whoever reads a pipe gets a second; nobody else is ever waited for. */
static bool has_room(int fd)
{
	static const struct timespec patience = { .tv_sec = 1 };
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return ppoll(&p, 1, &patience, NULL) > 0 && (p.revents & POLLOUT);
}

static int write_all(int fd, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, scratch->json + at, len - at);

		if (n < 0 && (errno == EINTR || (errno == EAGAIN && has_room(fd))))
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		at += (size_t)n;
	}
	return 0;
}

/* A pipe or a terminal hears only of the end. */
static void write_begin(const struct keeper *k, int fd)
{
	size_t len = render(begin(k, "running"));
	ssize_t n = fd >= 0 ? pwrite(fd, scratch->json, len, 0) : 0;

	(void)n; /* no room now: there may be some at the end */
}

/* A file that is not to be opened is a mistake of the user's; one that is the machine's own is told, and done without. */
static int open_files(struct keeper *k)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	const char *file = k->config.result_file;

	if (file) {
		k->result_fd = open(file, flags, 0600);
		if (k->result_fd < 0)
			return keeper_fail(k, EXIT_USAGE, "--result %.150s: %s", file, strerror(errno));
	}
	k->record_fd = ended_create(&k->rundir, k->config.group);
	if (k->record_fd >= 0)
		ended_create_captures(&k->rundir, k->capture_fd);
	if (k->record_fd < 0)
		keeper_warn(k, "how it ends will not be kept in %.90s/../" RUNDIR_ENDED ": %s", k->rundir.path,
			    strerror(-k->record_fd));
	return 0;
}

/* Shared, so that it does not count as data (RLIMIT_DATA). */
static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Ours to read, and the supervisor's to hand to whoever writes it. */
static int share_backlog(struct keeper *k)
{
	const void *view;
	int rc = shm_create("bulkhead-backlog", sizeof(struct backlog), &k->launch.backlog_fd);

	if (!rc)
		rc = shm_map_ro(k->launch.backlog_fd, sizeof(struct backlog), &view);
	if (rc)
		return rc;
	k->backlog = view;
	return madvise((void *)view, sizeof(struct backlog), MADV_DONTFORK) < 0 ? -errno : 0;
}

int record_open(struct keeper *k)
{
	int rc;

	k->launch.report = map(sizeof(*k->launch.report));
	scratch = map(sizeof(*scratch));
	if (!k->launch.report || !scratch || madvise(scratch, sizeof(*scratch), MADV_DONTFORK) < 0)
		return keeper_fail(k, EXIT_INTERNAL, "no memory for the record of the end: %s%s", strerror(errno),
				   limits_hint(errno));
	rc = share_backlog(k);
	if (rc)
		return keeper_fail(k, EXIT_INTERNAL, "no memory for the console's history: %s%s", strerror(-rc), limits_hint(rc));
	k->pid = getpid();
	k->started_ns = clock_ns();
	k->started_realtime_ns = realtime_ns();
	rc = open_files(k);
	if (rc)
		return rc;
	json_set_alloc_funcs(take, give_back);
	json_object_seed(1); /* else it opens a file for that; no key in here is a stranger's */
	write_begin(k, k->record_fd);
	write_begin(k, k->result_fd);
	say_keep(&k->log);
	return 0;
}

void record_capture(const struct keeper *k, unsigned number)
{
	const struct report_capture *c = &k->launch.report->captures[number % REPORT_CAPTURES];
	size_t len = c->len < CAPTURE_MAX ? c->len : CAPTURE_MAX;
	int fd = k->capture_fd[number % REPORT_CAPTURES];

	/* A shorter one leaves the end of the one before it behind itself, which nobody reads (proto/capture.h). */
	if (fd >= 0 && pwrite(fd, c->bytes, len, 0) != (ssize_t)len)
		say("bulkhead: %s: what a device was when it died could not be kept: %s", k->config.name, strerror(errno));
}

void record_drop(struct keeper *k)
{
	if (k->record_fd >= 0)
		ended_remove(&k->rundir);
}

static size_t render_end(const struct keeper *k, int code)
{
	json_t *j = begin(k, "ended");

	add_end(j, k, code);
	add_machine(j, k);
	return render(j);
}

static int deliver(int fd, size_t len)
{
	if (fd < 0)
		return 0;
	return len ? write_all(fd, len) : -ENOMEM;
}

int record_finish(struct keeper *k, int code)
{
	size_t len;
	int rc;

	k->ended_realtime_ns = realtime_ns();
	k->uptime_ns = clock_ns() - k->started_ns;
	len = render_end(k, code);
	rc = deliver(k->result_fd, len);
	if (rc)
		say("bulkhead: %s: --result: %s", k->config.name, strerror(-rc));
	if (rc && !code) {
		code = EXIT_OUTPUT;
		len = render_end(k, code);
	}
	rc = deliver(k->record_fd, len);
	if (rc)
		say("bulkhead: %s: how it ended could not be kept: %s", k->config.name, strerror(-rc));
	return code;
}

void record_last_line(const struct keeper *k, int code, char *out, unsigned long size)
{
	const struct report *r = k->launch.report;
	char reason[REPORT_WORD], guest[32] = "";

	snprintf(reason, sizeof(reason), "%.*s", REPORT_WORD - 1, reason_of(k, code));
	text_clean(reason, TEXT_ONE_LINE);
	if (r->has_guest_code)
		snprintf(guest, sizeof(guest), ", the guest's code %u", r->guest_code);
	snprintf(out, size, "%s%s, after %.1f s", reason, guest, (double)k->uptime_ns / 1e9);
}
