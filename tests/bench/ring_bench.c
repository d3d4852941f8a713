/* SPDX-License-Identifier: MIT */
/*
 * What a device access costs: round trips by spinning and by sleeping, posted writes, shadow reads, journal commits.
 * Runs the real bulkhead-seriald behind its fence and prints medians; nothing is asserted.
 *
 *   ring_bench DAEMON UNJOURNALLED
 *
 * DAEMON is bulkhead-device, UNJOURNALLED the same without a journal (no_journal.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devices/backlog.h"
#include "devices/serial_model.h"
#include "proto/reg.h"
#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/frame.h"
#include "proto/journal.h"
#include "proto/layout.h"
#include "proto/line.h"
#include "proto/ring.h"
#include "proto/shadow.h"
#include "proto/shm.h"

enum { SAMPLES = 2001, FD_COUNT = 12 };

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x

static struct frame frame;

struct bench {
	pid_t pid;
	int control;
	struct ring_producer producer;
	const struct shadow_page *shadow;
	int fds[FD_COUNT];
};

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "ring_bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int make_object(size_t size, int *ro)
{
	int fd;

	must(shm_create("bench", size, &fd) == 0, "memfd");
	must(shm_reopen_readonly(fd, ro) == 0, "re-open");
	return fd;
}

static int listener(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (struct sockaddr *)&addr, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0, "listen");
	return fd;
}

static void make_objects(struct bench *b)
{
	int req_ro, rsp_ro, shadow_ro, unused, bell[2], irqd[2], debug[2], stash[2];
	int req = make_object(sizeof(struct ring_req), &req_ro), rsp = make_object(sizeof(struct ring_rsp), &rsp_ro);
	int shadow = make_object(sizeof(struct shadow_page), &shadow_ro);
	void *req_map = NULL;
	const void *rsp_map = NULL, *shadow_map = NULL;

	must(pipe2(bell, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(irqd, O_CLOEXEC) == 0 && pipe2(debug, O_CLOEXEC) == 0, "pipe");
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, stash) == 0, "socketpair");
	must(shm_map_rw(req, sizeof(struct ring_req), &req_map) == 0, "map");
	must(shm_map_ro(rsp_ro, sizeof(struct ring_rsp), &rsp_map) == 0, "map");
	must(shm_map_ro(shadow_ro, sizeof(struct shadow_page), &shadow_map) == 0, "map");
	must(ring_attach(&b->producer, req_map, rsp_map, bell[1], 0) == 0, "attach");
	b->shadow = shadow_map;
	memcpy(b->fds,
	       (int[]){ req_ro, rsp, shadow, make_object(sizeof(struct line_page), &unused),
			make_object(sizeof(struct journal_object), &unused), bell[0], irqd[1], listener(), debug[0],
			make_object(sizeof(struct backlog), &unused), stash[0], stash[1] },
	       sizeof(b->fds));
}

static void start(struct bench *b, const char *program, uint32_t spin_ns)
{
	Bulkhead__Hello h = BULKHEAD__HELLO__INIT;
	Bulkhead__SetupDevice s = BULKHEAD__SETUP_DEVICE__INIT;
	Bulkhead__MachineConfig m = BULKHEAD__MACHINE_CONFIG__INIT;
	char fd_text[16], vm[] = "bench";
	int sock[2];

	make_objects(b);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) == 0, "socketpair");
	snprintf(fd_text, sizeof(fd_text), "%d", sock[1]);
	b->pid = fork();
	if (b->pid == 0) {
		fcntl(sock[1], F_SETFD, 0);
		execl(program, "bulkhead-seriald", "--control-fd", fd_text, NULL);
		_exit(127);
	}
	close(sock[1]);
	b->control = sock[0];
	h.has_proto_major = h.has_role = true;
	h.proto_major = CONTROL_MAJOR;
	h.role = BULKHEAD__ROLE__ROLE_SERIALD;
	h.vm = vm;
	must(frame_call(b->control, &frame, TYPE(HELLO), 1, &h.base, NULL, 0, 5000) == 0 && frame.header.type == TYPE(OK),
	     "HELLO");
	m.has_ram_bytes = m.has_vcpus = s.has_spin_ns = true;
	m.ram_bytes = 64 << 20;
	m.vcpus = 1;
	s.machine = &m;
	s.spin_ns = spin_ns;
	must(frame_call(b->control, &frame, TYPE(SETUP_DEVICE), 2, &s.base, b->fds, FD_COUNT, 5000) == 0 &&
		     frame.header.type == TYPE(OK),
	     "SETUP_DEVICE");
}

/* Returns the processor time that the daemon has used, in ns. */
static double stop(struct bench *b)
{
	struct rusage used;

	kill(b->pid, SIGKILL);
	wait4(b->pid, NULL, 0, &used);
	close(b->control);
	ring_detach(&b->producer);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void print(const char *what, uint64_t *samples, double per)
{
	qsort(samples, SAMPLES, sizeof(*samples), by_value);
	printf("%-66s %9.3f us   (90%%: %.3f)\n", what, (double)samples[SAMPLES / 2] / per / 1000,
	       (double)samples[SAMPLES * 9 / 10] / per / 1000);
}

static void round_trip(const char *program, const char *what, uint32_t spin_ns, int daemon_cpu, unsigned pause_us)
{
	static uint64_t samples[SAMPLES];
	struct io_slot s = { .op = IO_READ, .size = 1, .offset = 7, .addr = LAYOUT_COM1 + 7 };
	struct bench b = { 0 };

	start(&b, program, spin_ns);
	pin(b.pid, daemon_cpu);
	pin(0, 0);
	b.producer.spin_ns = spin_ns;
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t t;

		if (pause_us)
			usleep(pause_us);
		t = clock_ns();
		must(ring_call(&b.producer, &s, NULL) == 0, "ring_call");
		samples[i] = clock_ns() - t;
	}
	print(what, samples, 1);
	stop(&b);
}

/* Bytes as printk sends them: poll LSR until THRE, write THR. */
static void console_bytes(const char *program, const char *what, uint32_t spin_ns, int daemon_cpu)
{
	enum { BYTES = 200000 };
	struct io_slot thr = { .op = IO_WRITE, .size = 1, .addr = LAYOUT_COM1, .data = 'x' };
	struct io_slot lsr = { .op = IO_READ, .size = 1, .offset = 5, .addr = LAYOUT_COM1 + 5 };
	struct bench b = { 0 };
	uint64_t t, shadowed = 0, value;

	start(&b, program, spin_ns);
	pin(b.pid, daemon_cpu);
	pin(0, 0);
	b.producer.spin_ns = spin_ns;
	ring_call(&b.producer, &lsr, NULL);
	t = clock_ns();
	for (int i = 0; i < BYTES; i++) {
		struct ring_reply r;

		do {
			if (ring_is_applied(&b.producer, CLASS_CONFIG) &&
			    shadow_read(b.shadow, 0, &b.producer.clock, &value) == 0) {
				shadowed++;
			} else {
				must(ring_call(&b.producer, &lsr, &r) == 0, "LSR");
				value = r.data;
			}
		} while (!(value & 0x20));
		ring_post(&b.producer, &thr, CLASS_TXDATA);
	}
	ring_call(&b.producer, &lsr, NULL);
	t = clock_ns() - t;
	printf("%-66s %9.3f us   (daemon's processor time %.3f us; %.1f%% of LSR reads from shadow; per 1000 bytes: "
	       "%.1f doorbells, %.1f waits for room)\n",
	       what, (double)t / BYTES / 1000, stop(&b) / BYTES / 1000, 100.0 * (double)shadowed / BYTES,
	       1000.0 * (double)b.producer.stats.doorbells / BYTES, 1000.0 * (double)b.producer.stats.full / BYTES);
}

static void post_and_shadow(const char *program)
{
	static uint64_t samples[SAMPLES];
	struct io_slot thr = { .op = IO_WRITE, .size = 1, .addr = LAYOUT_COM1, .data = 'x' };
	struct io_slot fence = { .op = IO_FENCE };
	struct bench b = { 0 };
	uint64_t value, t;

	start(&b, program, 1000000);
	pin(b.pid, 1);
	pin(0, 0);
	b.producer.spin_ns = 1000000;
	for (int i = 0; i < SAMPLES; i++) {
		ring_call(&b.producer, &fence, NULL);
		t = clock_ns();
		for (int k = 0; k < 32; k++)
			ring_post(&b.producer, &thr, CLASS_TXDATA);
		samples[i] = clock_ns() - t;
	}
	print("posted write, daemon awake: what the vCPU pays", samples, 32);
	for (int i = 0; i < SAMPLES; i++) {
		t = clock_ns();
		for (int k = 0; k < 100; k++) {
			if (ring_is_applied(&b.producer, CLASS_CONFIG))
				shadow_read(b.shadow, 0, &b.producer.clock, &value);
		}
		samples[i] = clock_ns() - t;
	}
	print("register read from shadow", samples, 100);
	stop(&b);
}

/* The yardstick: the chip's model called by whoever executes the guest, no process between. */
static void same_process(void)
{
	static uint64_t samples[SAMPLES];
	const struct device_model *m = &serial_model;
	const struct model_config config = { .ram_low = 64 << 20, .vcpus = 1 };
	void *state = calloc(1, m->state_size);
	uint8_t out[1024];

	must(state != NULL, "calloc");
	m->reset(state, &config, clock_ns());
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t t = clock_ns();

		for (int k = 0; k < 100; k++) {
			m->read(state, 0, 5, 1, t);
			m->write(state, 0, 0, 'x', 1, t);
			m->advance(state, t);
		}
		serial_model_take(state, 0, out, sizeof(out));
		serial_model_set_credit(state, 0, sizeof(out));
		samples[i] = clock_ns() - t;
	}
	print("console byte (LSR, THR), device in the same process", samples, 100);
	free(state);
}

static void commits(size_t size, const char *what)
{
	static uint64_t samples[SAMPLES];
	static uint8_t state[JOURNAL_STATE_MAX];
	struct journal_id id = { .role = 6, .version = 1, .part_size = { (uint32_t)size, 0 } };
	const void *const parts[] = { state, NULL };
	struct journal_mark mark = { 0 };
	struct journal j;
	void *object = NULL;
	int ro, fd = make_object(sizeof(struct journal_object), &ro);

	must(shm_map_rw(fd, sizeof(struct journal_object), &object) == 0, "map");
	must(journal_open(&j, object, &id) == 0, "journal");
	journal_format(&j, &id);
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t t = clock_ns();

		for (int k = 0; k < 100; k++) {
			state[(size_t)k % size]++;
			mark.head++;
			journal_commit(&j, parts, &mark);
		}
		samples[i] = clock_ns() - t;
	}
	print(what, samples, 100);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "Usage: ring_bench DAEMON UNJOURNALLED\n");
		return 2;
	}
	round_trip(argv[1], "round trip, both spin, two cores", 1000000, 1, 0);
	round_trip(argv[2], "the same without a journal", 1000000, 1, 0);
	round_trip(argv[1], "round trip, both sleep, one core", 0, 0, 0);
	round_trip(argv[2], "the same without a journal", 0, 0, 0);
	round_trip(argv[1], "round trip, both sleep, two cores", 0, 1, 0);
	round_trip(argv[1], "round trip, both sleep, two cores, idle for 1 ms before", 0, 1, 1000);
	round_trip(argv[1], "round trip, both sleep, one core, idle for 1 ms before", 0, 0, 1000);
	post_and_shadow(argv[1]);
	same_process();
	console_bytes(argv[1], "console byte (LSR, THR), daemon spins 5 us, two cores", 5000, 1);
	console_bytes(argv[1], "console byte (LSR, THR), daemon sleeps, two cores", 0, 1);
	console_bytes(argv[1], "console byte (LSR, THR), daemon sleeps, one core", 0, 0);
	console_bytes(argv[2], "the same without a journal", 0, 0);
	commits(1200, "journal commit, 1.2 KiB state, one byte changed");
	commits(4096, "journal commit, 4 KiB state, one byte changed");
	return 0;
}
