/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-traced: makes text of what a vcpu process records (proto/trace.h). The keeper starts it, with everything open
 * that it needs, before the machine has a process; it is a dynamic program, for Zydis is a shared library only, and closes
 * its fence when that is loaded. From then on it reads two objects and two pipes and writes to files that are open.
 */
#include "insn_text.h"
#include "io_text.h"
#include "last.h"
#include "profile.h"
#include "traced.h"

#include "proto/clock.h"
#include "proto/ring.h"
#include "proto/sandbox.h"
#include "proto/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAP_MS = 50, BATCH = 4096 };

struct tracer {
	const char *name; /* of the machine */
	unsigned threads;
	struct trace_reader reader[TRACE_THREADS];
	struct traced_object *traced;
	struct sink insns, io, text, json, folded;
	struct last last;
	bool profiles, crashed, broken;
	struct profile profile;
	struct symbols symbols;
	uint64_t told; /* which sinks' errors have been told, a bit each */
};

static struct tracer the_tracer;

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int open_or_none(int fd)
{
	return is_open(fd) ? fd : -1;
}

static void complain(const struct tracer *t, const char *what, const char *why)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "<4>bulkhead: %.60s: traced: %s: %s; the guest goes on without it\n", t->name, what,
			 why);
	ssize_t done = write(STDERR_FILENO, line, (size_t)n);

	(void)done;
}

/* ---- records --------------------------------------------------------------------------------------------------- */

static void dump_last(struct tracer *t)
{
	static _Alignas(8) uint8_t record[TRACE_RECORD_MAX];

	while (last_take(&t->last, (struct trace_head *)record))
		insn_text(&t->insns, (const struct trace_insn *)record);
}

static void take_insn(struct tracer *t, const struct trace_head *h)
{
	if (t->last.most)
		last_add(&t->last, h);
	else
		insn_text(&t->insns, (const struct trace_insn *)h);
}

static void take(struct tracer *t, const struct trace_head *h)
{
	switch ((enum trace_kind)h->kind) {
	case TRACE_INSN:
	case TRACE_FAULT:
	case TRACE_INTERRUPT:
		take_insn(t, h);
		break;
	case TRACE_IO:
		io_text(&t->io, (const struct trace_io *)h);
		break;
	case TRACE_SAMPLE:
		if (t->profiles)
			profile_add(&t->profile, (const struct trace_sample *)h);
		break;
	case TRACE_CRASH:
		t->crashed = true;
		break;
	case TRACE_PAD:
	case TRACE_KINDS:
		break;
	}
}

/* Those that are waiting for room are told. */
static bool read_ring(struct tracer *t, unsigned n)
{
	static _Alignas(8) uint8_t record[TRACE_RECORD_MAX];
	struct trace_head *h = (struct trace_head *)record;
	unsigned count = 0;
	int rc = 0;

	while (count < BATCH && !(rc = trace_read(&t->reader[n], h))) {
		take(t, h);
		count++;
	}
	t->broken |= rc == -EPROTO;
	if (!count)
		return false;
	atomic_store_explicit(&t->traced->head[n], t->reader[n].head, memory_order_release);
	atomic_fetch_add(&t->traced->beat, 1);
	futex_wake(&t->traced->beat, TRACE_THREADS);
	return true;
}

static bool read_all(struct tracer *t)
{
	bool any = false;

	for (unsigned n = 0; n < t->threads && !t->broken; n++)
		any |= read_ring(t, n);
	return any;
}

/* ---- the loop -------------------------------------------------------------------------------------------------- */

static bool is_useless(struct tracer *t, const struct sink *s, unsigned bit, const char *what)
{
	if (s->fd < 0)
		return true;
	if (s->error && !(t->told >> bit & 1)) {
		t->told |= 1u << bit;
		complain(t, what, s->error == ETIMEDOUT ? "nobody reads it" : strerror(s->error));
	}
	return s->error;
}

/* Is there nobody left to write for? A profile is written at the end. */
static bool is_done(struct tracer *t)
{
	bool insns = is_useless(t, &t->insns, 0, "--trace"), io = is_useless(t, &t->io, 1, "--trace-io");

	if (t->broken)
		complain(t, "records", "they are broken");
	return t->broken || (insns && io && !t->profiles);
}

/* True: the machine has ended. What comes there before that says that it has crashed. */
static bool wait(struct tracer *t)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	struct pollfd fds[] = { { .fd = TRACED_BELL, .events = POLLIN }, { .fd = TRACED_END, .events = POLLIN } };
	char bytes[512];

	ppoll(fds, 2, &nap, NULL);
	if (fds[0].revents & POLLIN && read(TRACED_BELL, bytes, sizeof(bytes)) < 0)
		return false;
	if (!(fds[1].revents & (POLLIN | POLLHUP)))
		return false;
	return read(TRACED_END, bytes, sizeof(bytes)) <= 0;
}

static void serve(struct tracer *t)
{
	bool ended = false;

	while (!ended && !is_done(t)) {
		if (read_all(t))
			continue;
		sink_flush(&t->insns);
		sink_flush(&t->io);
		atomic_store(&t->traced->sleeping, 1);
		ended = wait(t);
		atomic_store(&t->traced->sleeping, 0);
	}
	while (ended && !is_done(t) && read_all(t))
		;
	atomic_store(&t->traced->ended, 1);
	atomic_fetch_add(&t->traced->beat, 1);
	futex_wake(&t->traced->beat, TRACE_THREADS);
}

static void finish(struct tracer *t)
{
	if (t->last.most && t->crashed)
		dump_last(t);
	if (t->profiles) {
		profile_finish(&t->profile);
		profile_text(&t->profile, &t->symbols, &t->text);
		profile_json(&t->profile, &t->symbols, &t->json);
		profile_folded(&t->profile, &t->symbols, &t->folded);
	}
	sink_close(&t->insns);
	sink_close(&t->io);
	sink_close(&t->text);
	sink_close(&t->json);
	sink_close(&t->folded);
	is_done(t);
	is_useless(t, &t->text, 2, "--profile");
	is_useless(t, &t->json, 3, "--profile, as JSON");
	is_useless(t, &t->folded, 4, "--profile, folded stacks");
}

/* ---- set-up ---------------------------------------------------------------------------------------------------- */

static int map_objects(struct tracer *t)
{
	const void *rings;
	void *traced;
	int rc = shm_map_ro(TRACED_RINGS, trace_object_size(t->threads), &rings);

	if (!rc)
		rc = shm_map_rw(TRACED_HEADS, sizeof(struct traced_object), &traced);
	if (rc)
		return rc;
	t->traced = traced;
	for (unsigned n = 0; n < t->threads; n++)
		t->reader[n].ring = (const struct trace_ring *)rings + n;
	return 0;
}

static int read_symbols(struct tracer *t)
{
	struct stat st;
	char *text;

	if (!is_open(TRACED_SYMBOLS) || fstat(TRACED_SYMBOLS, &st) < 0 || st.st_size <= 0)
		return 0;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, TRACED_SYMBOLS, 0);
	return text == MAP_FAILED ? -errno : symbols_read(&t->symbols, text, (size_t)st.st_size);
}

static int open_sinks(struct tracer *t, bool zstd)
{
	int rc = sink_open(&t->insns, open_or_none(TRACED_INSNS), zstd);

	if (!rc)
		rc = sink_open(&t->io, open_or_none(TRACED_IO), false);
	if (!rc)
		rc = sink_open(&t->text, open_or_none(TRACED_TEXT), false);
	if (!rc)
		rc = sink_open(&t->json, open_or_none(TRACED_JSON), false);
	if (!rc)
		rc = sink_open(&t->folded, open_or_none(TRACED_FOLDED), false);
	t->profiles = t->text.fd >= 0;
	return rc || !t->profiles ? rc : profile_init(&t->profile);
}

/* traced NAME THREADS LAST ZSTD SANDBOX: from the keeper, in this order. */
int main(int argc, char **argv)
{
	struct tracer *t = &the_tracer;
	int rc = argc == 6 ? 0 : -EINVAL;

	if (rc) {
		fprintf(stderr, "bulkhead-traced: started by a machine's keeper; see bulkhead(1), --trace\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a failed write */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	prctl(PR_SET_NAME, "bh-traced", 0, 0, 0);
	t->name = argv[1];
	t->threads = (unsigned)strtoul(argv[2], NULL, 10);
	if (t->threads > TRACE_THREADS)
		rc = -EINVAL;
	if (!rc)
		rc = last_init(&t->last, (uint32_t)strtoul(argv[3], NULL, 10));
	if (!rc)
		rc = open_sinks(t, !strcmp(argv[4], "1"));
	if (!rc)
		rc = map_objects(t);
	if (!rc)
		rc = read_symbols(t);
	if (!rc)
		rc = sandbox_enter_setup(SANDBOX_TRACED, (enum sandbox_mode)strtoul(argv[5], NULL, 10), NULL);
	if (rc) {
		complain(t, "set-up", strerror(-rc));
		return 1;
	}
	serve(t);
	finish(t);
	_exit(0);
}
