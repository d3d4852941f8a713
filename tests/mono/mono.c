/* SPDX-License-Identifier: MIT */
/*
 * The whole machine in one process and without a sandbox: the emulator, the loader library and the four device models
 * called directly. It is no product: bring-up, profiling, and the yardstick for "a device in the same process" in the
 * benchmarks. The console is stdin and stdout.
 */
#include "boot/boot.h"
#include "devices/irq_model.h"
#include "devices/platform_model.h"
#include "devices/serial_model.h"
#include "emu/jit/jit.h"
#include "emu/run/engine_emu.h"
#include "emu/core/engine.h"
#include "emu/core/machine.h"
#include "proto/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { SERIAL, TIMER, IRQ, PLATFORM, MODELS };

static const struct device_model *const models[MODELS] = {&serial_model, &timer_model, &irq_model, &platform_model};

struct mono {
	pthread_mutex_t lock; /* everything below: the vCPU, the timer thread and main share the models */
	void *state[MODELS];
	uint64_t deadline_ns;
	int timer_fd; /* eventfd: the deadline moved closer */
	struct engine *engine;
	atomic_bool intr;   /* the 8259's output, for the cheap poll */
	uint32_t pic_seq;
	atomic_int exit_code; /* -1: running */
	unsigned cpus;
	uint64_t accesses;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void drain_console(struct mono *m)
{
	uint8_t buf[512];
	size_t n;

	for (unsigned unit = 0; unit < 4; unit++) {
		while ((n = serial_model_take(m->state[SERIAL], unit, buf, sizeof(buf))) > 0)
			if (unit == 0 && write(STDOUT_FILENO, buf, n) < 0)
				return;
		serial_model_set_credit(m->state[SERIAL], unit, 4096);
	}
	while ((n = platform_model_take_debug(m->state[PLATFORM], buf, sizeof(buf))) > 0)
		if (write(STDERR_FILENO, buf, n) < 0)
			return;
}

static void drain_platform(struct mono *m)
{
	struct platform_event ev;

	while ((ev = platform_model_take_event(m->state[PLATFORM])).type != PLATFORM_NONE) {
		if (ev.type == PLATFORM_SLEEP)
			continue;
		m->exit_code = ev.type == PLATFORM_EXIT	   ? ev.code
			       : ev.type == PLATFORM_RESET ? 32
			       : ev.type == PLATFORM_PANIC ? 35
							   : 0;
		m->engine->ops->kick(m->engine, 0);
	}
}

static void drain_irq(struct mono *m)
{
	uint32_t words[MODEL_LINES] = { 0 }, own[MODEL_LINES];
	struct irq_message msg;
	struct pic_output out;

	for (unsigned d = 0; d < MODELS; d++) {
		if (d == IRQ)
			continue;
		memset(own, 0, sizeof(own));
		models[d]->get_lines(m->state[d], own);
		for (unsigned l = 0; l < MODEL_LINES; l++)
			if (models[d]->lines & (1u << l))
				words[l] = own[l];
	}
	irq_model_set_lines(m->state[IRQ], words);
	while (irq_model_take_message(m->state[IRQ], &msg)) {
		if (msg.type == IRQ_MSG_MSI)
			m->engine->ops->signal_msi(m->engine, msg.addr, msg.data);
		else
			m->engine->ops->set_route(m->engine, msg.pin, msg.addr, msg.data, msg.masked);
	}
	out = irq_model_pic_output(m->state[IRQ]);
	m->pic_seq = out.seq;
	if (atomic_exchange(&m->intr, out.intr) != out.intr)
		m->engine->ops->extint_changed(m->engine);
}

/* After anything has touched a model: move outputs on, and tell the timer thread about an earlier deadline. */
static void settle(struct mono *m, uint64_t now)
{
	uint64_t next = UINT64_MAX, one = 1;

	for (unsigned d = 0; d < MODELS; d++) {
		uint64_t t = models[d]->advance(m->state[d], now);

		next = t < next ? t : next;
	}
	drain_console(m);
	drain_platform(m);
	drain_irq(m);
	if (next < m->deadline_ns && write(m->timer_fd, &one, sizeof(one)) < 0)
		perror("eventfd");
	m->deadline_ns = next;
}

struct place {
	int model; /* -1: nobody answers */
	unsigned range;
	uint32_t offset;
};

static struct place find(enum io_space io_space, uint64_t addr)
{
	enum model_space space = io_space == IO_PORT ? MODEL_PORT : MODEL_MMIO;

	for (unsigned d = 0; d < MODELS; d++)
		for (unsigned r = 0; r < models[d]->range_count; r++) {
			const struct model_range *range = &models[d]->ranges[r];

			if (range->space == space && addr - range->base < range->len)
				return (struct place){ (int)d, r, (uint32_t)(addr - range->base) };
		}
	return (struct place){ .model = -1 };
}

static uint64_t bus_read(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	struct mono *m = ctx;
	struct place p = find(space, addr);
	uint64_t now, v;

	if (p.model < 0)
		return ~0ull >> (64 - 8 * size);
	pthread_mutex_lock(&m->lock);
	now = now_ns();
	m->accesses++;
	v = models[p.model]->read(m->state[p.model], p.range, p.offset, size, now);
	settle(m, now);
	pthread_mutex_unlock(&m->lock);
	return v;
}

static void bus_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
	struct mono *m = ctx;
	struct place p = find(space, addr);
	uint64_t now;

	if (p.model < 0)
		return;
	pthread_mutex_lock(&m->lock);
	now = now_ns();
	m->accesses++;
	models[p.model]->write(m->state[p.model], p.range, p.offset, data, size, now);
	settle(m, now);
	pthread_mutex_unlock(&m->lock);
}

static void bus_read_string(void *ctx, unsigned vcpu, uint16_t port, void *buf, uint32_t count, unsigned size)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = bus_read(ctx, vcpu, IO_PORT, port, size);

		memcpy((uint8_t *)buf + (size_t)i * size, &v, size);
	}
}

static void bus_write_string(void *ctx, unsigned vcpu, uint16_t port, const void *buf, uint32_t count,
			     unsigned size)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t v = 0;

		memcpy(&v, (const uint8_t *)buf + (size_t)i * size, size);
		bus_write(ctx, vcpu, IO_PORT, port, v, size);
	}
}

static bool bus_extint_pending(void *ctx, unsigned vcpu)
{
	return vcpu == 0 && atomic_load_explicit(&((struct mono *)ctx)->intr, memory_order_relaxed);
}

static int bus_intack(void *ctx, unsigned vcpu)
{
	struct mono *m = ctx;
	int vector = -EAGAIN;

	pthread_mutex_lock(&m->lock);
	if (atomic_load(&m->intr))
		vector = irq_model_intack(m->state[IRQ], m->pic_seq);
	settle(m, now_ns());
	pthread_mutex_unlock(&m->lock);
	return vector;
}

static void bus_eoi(void *ctx, unsigned vcpu, uint8_t vector)
{
	struct mono *m = ctx;

	pthread_mutex_lock(&m->lock);
	irq_model_eoi(m->state[IRQ], vector);
	settle(m, now_ns());
	pthread_mutex_unlock(&m->lock);
}

static void bus_log(void *ctx, unsigned vcpu, const char *line)
{
	fprintf(stderr, "mono: vcpu%u: %s\n", vcpu, line);
}

/* Device time and console input. */
static void *timer_thread(void *arg)
{
	struct mono *m = arg;
	bool input = true;

	for (;;) {
		struct pollfd fds[2] = { { .fd = m->timer_fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN } };
		struct timespec ts, *wait = NULL;
		uint64_t now = now_ns(), n;
		uint8_t buf[16];

		pthread_mutex_lock(&m->lock);
		if (m->deadline_ns <= now)
			settle(m, now);
		if (m->deadline_ns != UINT64_MAX) {
			uint64_t left = m->deadline_ns > now ? m->deadline_ns - now : 0;

			ts = (struct timespec){ (time_t)(left / 1000000000), (long)(left % 1000000000) };
			wait = &ts;
		}
		pthread_mutex_unlock(&m->lock);
		ppoll(fds, input ? 2 : 1, wait, NULL);
		if ((fds[0].revents & POLLIN) && read(m->timer_fd, &n, sizeof(n)) < 0)
			continue;
		if (input && fds[1].revents) {
			ssize_t got = read(STDIN_FILENO, buf, 1);

			input = got > 0;
			while (got > 0) {
				pthread_mutex_lock(&m->lock);
				n = serial_model_offer(m->state[SERIAL], 0, buf, (size_t)got, now_ns());
				settle(m, now_ns());
				pthread_mutex_unlock(&m->lock);
				got -= (ssize_t)n;
				if (got)
					usleep(1000);
			}
		}
	}
	return NULL;
}

static struct boot_image map_file(const char *path)
{
	struct boot_image img = { .name = path };
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0) {
		perror(path);
		exit(2);
	}
	img.size = (size_t)st.st_size;
	img.data = mmap(NULL, img.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	return img;
}

static struct termios saved_tty;

static void restore_tty(void)
{
	tcsetattr(STDIN_FILENO, TCSANOW, &saved_tty);
}

static void raw_tty(void)
{
	struct termios t;

	if (tcgetattr(STDIN_FILENO, &saved_tty) < 0)
		return;
	t = saved_tty;
	cfmakeraw(&t);
	tcsetattr(STDIN_FILENO, TCSANOW, &t);
	atexit(restore_tty);
}

static void dump(const struct cpu *c)
{
	static const char *const names[] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					     "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

	for (unsigned i = 0; i < 16; i++)
		fprintf(stderr, "%s=%016lx%c", names[i], (unsigned long)c->gpr[i], i % 4 == 3 ? '\n' : ' ');
	fprintf(stderr, "rip=%016lx rflags=%lx cr0=%lx cr2=%lx cr3=%lx cr4=%lx efer=%lx\n", (unsigned long)c->rip,
		(unsigned long)c->rflags, (unsigned long)c->cr0, (unsigned long)c->cr2, (unsigned long)c->cr3,
		(unsigned long)c->cr4, (unsigned long)c->msr.efer);
	for (unsigned i = 0; i < SEG_COUNT; i++)
		fprintf(stderr, "seg%u=%04x base=%lx limit=%x attr=%x\n", i, c->seg[i].selector, (unsigned long)c->seg[i].base,
			c->seg[i].limit, c->seg[i].attr);
}

static void print_counts(struct mono *m, unsigned vcpu)
{
	const struct jit_counts c = jit_counts(engine_emu_vcpu(m->engine, vcpu));

	fprintf(stderr,
		"\nmono: vcpu%u: %lu blocks translated (%lu not), %lu KiB, %lu calls of C, %lu entries, %lu and %lu flushes",
		vcpu, c.blocks, c.refused, c.bytes >> 10, c.calls, c.entries, c.flushes, c.code_flushes);
}

static unsigned long counted(const struct mono *m, enum counter which)
{
	return counter_get(&engine_emu_vcpu(m->engine, 0)->counters->of[which]);
}

static int report(struct mono *m, enum engine_stop stop, uint64_t start)
{
	static struct cpu cpu;
	double seconds = (double)(now_ns() - start) / 1e9;
	uint64_t insns = 0;

	for (unsigned n = 0; n < m->cpus; n++) {
		insns += m->engine->ops->instructions(m->engine, n);
		print_counts(m, n);
	}
	if (counted(m, COUNTER_TRANSLATED_INSNS))
		fprintf(stderr,
			"\nmono: %lu guest instructions translated, %lu ns each; %lu in translated code, %lu in single steps",
			counted(m, COUNTER_TRANSLATED_INSNS),
			counted(m, COUNTER_TRANSLATION_NS) / counted(m, COUNTER_TRANSLATED_INSNS), counted(m, COUNTER_TRANSLATED),
			counted(m, COUNTER_STEPPED));
	fprintf(stderr, "\nmono: about %lu ms in translated code, %lu in blocks, %lu in single steps",
		counted(m, COUNTER_TRANSLATED_NS) / 1000000, counted(m, COUNTER_BLOCK_NS) / 1000000,
		counted(m, COUNTER_STEP_NS) / 1000000);
	fprintf(stderr, "\nmono: %.3f s, %.1f M instructions, %.1f MIPS, %lu device accesses\n", seconds, (double)insns / 1e6,
		(double)insns / 1e6 / seconds, (unsigned long)m->accesses);
	if (stop == ENGINE_KICKED)
		return m->exit_code;
	fprintf(stderr, "mono: stopped: %s\n",
		stop == ENGINE_TRIPLE_FAULT ? "triple fault"
		: stop == ENGINE_HALTED	    ? "halted with interrupts off"
					    : m->engine->ops->last_error(m->engine));
	m->engine->ops->get_state(m->engine, 0, &cpu);
	dump(&cpu);
	return stop == ENGINE_TRIPLE_FAULT ? 34 : stop == ENGINE_HALTED ? 0 : 33;
}

/* EMU_VERIFY=N: each Nth stretch of translated code. */
static unsigned verify_every(void)
{
	const char *n = getenv("EMU_VERIFY");

	return n && atoi(n) > 0 ? (unsigned)atoi(n) : 1;
}

static struct mono mono = {.lock = PTHREAD_MUTEX_INITIALIZER, .deadline_ns = UINT64_MAX, .exit_code = -1};
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = 1;
	mono.engine->ops->kick(mono.engine, 0);
}

/* A further processor, which waits for its start. */
static void *cpu_thread(void *arg)
{
	const unsigned vcpu = (unsigned)(uintptr_t)arg;
	enum engine_stop stop;

	do {
		stop = engine_emu.run(mono.engine, vcpu);
	} while (stop == ENGINE_KICKED && mono.exit_code < 0 && !interrupted);
	if (stop != ENGINE_KICKED) {
		mono.exit_code = stop == ENGINE_TRIPLE_FAULT ? 34 : 0;
		fprintf(stderr, "mono: vcpu%u stopped: %d\n", vcpu, stop);
	}
	return NULL;
}

/* All leave the engine, which the first one does when it hears of the end. */
static void join(pthread_t *threads, unsigned count)
{
	for (unsigned n = 1; n < count; n++) {
		engine_emu.kick(mono.engine, n);
		pthread_join(threads[n], NULL);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kernel", required_argument, NULL, 'k' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "cmdline", required_argument, NULL, 'c' },
		{ "memory", required_argument, NULL, 'm' },
		{ "format", required_argument, NULL, 'f' },
		{ "cpus", required_argument, NULL, 'n' },
		{ "single-step", no_argument, NULL, 's' },
		{ "tier", required_argument, NULL, 'T' },
		{ "seconds", required_argument, NULL, 't' },
		{ "code-cache", required_argument, NULL, 'C' },
		{ 0 },
	};
	struct engine_bus bus = { &mono,      bus_read, bus_write, bus_read_string, bus_write_string, bus_extint_pending,
				  bus_intack, bus_eoi,	bus_log };
	struct engine_config config = { .bus = &bus, .vcpus = 1, .kvm_fd = -1, .host_lacks = getenv("EMU_HOST_LACKS") };
	struct boot_request req = { .cmdline = "console=ttyS0", .vcpus = 1 };
	struct model_config mc = { .vcpus = 1 };
	static struct boot_result res;
	uint64_t mem = 512ull << 20, start;
	enum engine_stop stop;
	struct timespec ts;
	pthread_t thread, cpus[ENGINE_MAX_VCPUS];
	int opt, err, status;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'k':
			req.kernel = map_file(optarg);
			break;
		case 'i':
			req.initrd[0] = map_file(optarg);
			break;
		case 'c':
			req.cmdline = optarg;
			break;
		case 'm':
			mem = strtoull(optarg, NULL, 0) << 20;
			break;
		case 'n':
			config.vcpus = req.vcpus = (unsigned)atoi(optarg);
			mc.vcpus = (uint8_t)config.vcpus;
			break;
		case 's':
			config.single_step = true;
			break;
		case 'T':
			config.single_step = !strcmp(optarg, "step");
			config.no_translator = !strcmp(optarg, "block");
			config.translate_after = !strcmp(optarg, "jit") ? 1 : config.translate_after;
			config.check_ranges = !strcmp(optarg, "check");
			config.verify_every = !strcmp(optarg, "verify") ? verify_every() : 0;
			break;
		case 'C':
			config.code_cache_bytes = strtoull(optarg, NULL, 0) << 20;
			break;
		case 't':
			alarm((unsigned)atoi(optarg));
			break;
		case 'f':
			if (boot_format_parse(optarg, &req.format) == 0)
				break;
			__attribute__((fallthrough));
		default:
			fprintf(stderr,
				"usage: mono --kernel K [--initrd I] [--cmdline S] [--memory MIB] [--format F] [--cpus N]"
				" [--single-step] [--tier step|block|jit|check|verify] [--code-cache MIB] [--seconds N]\n");
			return 2;
		}
	}
	req.ram.low_size = mem;
	req.ram.low = mmap(NULL, mem, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	config.ram[0] = (struct engine_ram){ 0, mem, req.ram.low };
	config.ram_count = 1;
	mc.ram_low = mem;
	clock_gettime(CLOCK_REALTIME, &ts);
	mc.realtime_ns = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec - (int64_t)now_ns();
	mono.timer_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	for (unsigned d = 0; d < MODELS; d++) {
		mono.state[d] = calloc(1, models[d]->state_size);
		models[d]->reset(mono.state[d], &mc, now_ns());
	}
	drain_console(&mono);
	start = now_ns();
	err = boot_load(&req, &res);
	if (err) {
		fprintf(stderr, "mono: %s (%s)\n", res.error, strerror(-err));
		return 2;
	}
	fprintf(stderr, "mono: %s loaded in %.1f ms, entry %lx\n", boot_format_name(res.format), (double)(now_ns() - start) / 1e6,
		(unsigned long)res.cpu.rip);
	err = engine_emu.create(&config, &mono.engine);
	if (err || (err = engine_emu.set_state(mono.engine, 0, &res.cpu))) {
		fprintf(stderr, "mono: engine: %s\n", strerror(-err));
		return 1;
	}
	signal(SIGALRM, on_signal);
	raw_tty();
	pthread_create(&thread, NULL, timer_thread, &mono);
	mono.cpus = config.vcpus;
	for (unsigned n = 1; n < mono.cpus; n++)
		pthread_create(&cpus[n], NULL, cpu_thread, (void *)(uintptr_t)n);
	start = now_ns();
	do {
		stop = engine_emu.run(mono.engine, 0);
	} while (stop == ENGINE_KICKED && mono.exit_code < 0 && !interrupted);
	if (interrupted) {
		static struct cpu cpu;

		engine_emu.get_state(mono.engine, 0, &cpu);
		dump(&cpu);
		mono.exit_code = 124;
	}
	if (mono.exit_code < 0)
		mono.exit_code = 0;
	join(cpus, mono.cpus);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	status = report(&mono, stop, start);
	engine_emu.destroy(mono.engine);
	return status;
}
