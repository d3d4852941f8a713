/* SPDX-License-Identifier: MIT */
/* Whole daemons behind their fence, with this test as supervisor and vCPU process (design.md, sections 2 to 5). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon_harness.h"
#include "proto/kind.h"
#include "devices/chips/hpet.h"
#include "proto/code_map.h"
#include "proto/code_notice.h"
#include "proto/reg.h"
#include "proto/clock.h"
#include "proto/layout.h"
#include "proto/route.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x
#define ROLE(x) BULKHEAD__ROLE__ROLE_##x

static struct daemon d, irq;

static void fini(void)
{
	if (d.req.rw)
		daemon_free(&d);
	if (irq.req.rw)
		daemon_free(&irq);
}

TestSuite(runtime, .fini = fini, .timeout = 60);

/*
 * Console
 */

static int connect_console(void)
{
	struct sockaddr_un addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(getsockname(d.listen, (struct sockaddr *)&addr, &len), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, len), 0);
	return fd;
}

/* Exactly `len` bytes within 5 s, else fewer. */
static size_t read_all(int fd, char *buf, size_t len)
{
	size_t got = 0;

	while (got < len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, 5000) != 1)
			break;
		n = read(fd, buf + got, len - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	return got;
}

static void guest_prints(const char *text)
{
	for (; *text; text++)
		port_post(&d, LAYOUT_COM1, 1, (uint8_t)*text, CLASS_TXDATA);
}

static void expect_text(int fd, const char *text)
{
	char buf[512] = { 0 };

	cr_assert_eq(read_all(fd, buf, strlen(text)), strlen(text), "got '%s' instead of '%s'", buf, text);
	cr_assert_str_eq(buf, text);
}

Test(runtime, console_output_is_replayed_and_followed)
{
	int a, b;

	daemon_start(&d, ROLE(SERIALD));
	guest_prints("before anyone came\r\n");
	a = connect_console();
	expect_text(a, "before anyone came\r\n");
	guest_prints("hello");
	expect_text(a, "hello");
	b = connect_console();
	expect_text(b, "before anyone came\r\nhello");
	cr_assert_eq(write(d.debug[1], "debug", 5), 5);
	expect_text(a, "debug");
	expect_text(b, "debug");
	cr_assert_eq(daemon_request(&d, TYPE(STATS)), TYPE(OK));
	cr_assert_eq(((Bulkhead__Ok *)d.frame.msg)->stats->console_bytes_out, 30);
	close(a);
	close(b);
}

Test(runtime, console_input_reaches_the_guest)
{
	char got[6] = { 0 };
	int fd;

	daemon_start(&d, ROLE(SERIALD));
	fd = connect_console();
	cr_assert_eq(write(fd, "hello", 5), 5);
	for (int i = 0; i < 5; i++) {
		while (!(port_in(&d, LAYOUT_COM1 + 5, 1) & 1)) /* LSR.DR */
			usleep(100);
		got[i] = (char)port_in(&d, LAYOUT_COM1, 1);
	}
	cr_assert_str_eq(got, "hello");
	close(fd);
}

/* A pasted novel waits in the socket, not in our memory, and nothing of it is lost. */
Test(runtime, console_input_has_back_pressure)
{
	enum { BYTES = 20000 };
	int fd, flags;
	size_t sent = 0, got = 0;

	daemon_start(&d, ROLE(SERIALD));
	fd = connect_console();
	flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (got < BYTES) {
		uint8_t byte = (uint8_t)(sent % 251);

		while (sent < BYTES && write(fd, &byte, 1) == 1)
			byte = (uint8_t)(++sent % 251);
		if (port_in(&d, LAYOUT_COM1 + 5, 1) & 1)
			cr_assert_eq(port_in(&d, LAYOUT_COM1, 1), got++ % 251);
	}
	close(fd);
}

/*
 * What is typed stays readable until it is in the journal, and the daemon gets there although it polls its descriptors
 * instead of sleeping on them: that poll ends while something is still ready.
 */
Test(runtime, console_input_while_the_daemon_spins)
{
	enum { KEYS = 200 };
	int fd;

	daemon_make(&d, ROLE(SERIALD));
	d.spin_ns = 1000000; /* the most there is; requests come faster, so that it never sleeps */
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, false), TYPE(OK));
	fd = connect_console();
	for (uint8_t key = 0; key < KEYS; key++) {
		cr_assert_eq(write(fd, &key, 1), 1);
		while (!(port_in(&d, LAYOUT_COM1 + 5, 1) & 1)) /* LSR.DR */
			;
		cr_assert_eq(port_in(&d, LAYOUT_COM1, 1), key);
	}
	close(fd);
}

/* A client that never reads costs the guest nothing; when it reads again it is told what it missed. */
Test(runtime, console_client_that_never_reads)
{
	static char buf[600000];
	int fd;
	size_t n = 0;

	daemon_start(&d, ROLE(SERIALD));
	fd = connect_console();
	for (int i = 0; i < 700000; i++)
		port_post(&d, LAYOUT_COM1, 1, 'a' + (uint64_t)i % 26, CLASS_TXDATA);
	cr_assert_eq(daemon_request(&d, TYPE(STATS)), TYPE(OK));
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 7, 1), 0, "all applied");
	port_post(&d, LAYOUT_COM1, 1, '!', CLASS_TXDATA);
	do
		n += read_all(fd, buf + n, 1);
	while (buf[n - 1] != '!' && n < sizeof(buf) - 1);
	cr_assert_not_null(strstr(buf, "bytes skipped"), "%zu bytes", n);
	cr_assert_eq(buf[n - 1], '!');
	close(fd);
}

/* Nobody reads, megabytes go by: credit must not run dry, LSR keeps saying THRE (PC16550D, Line Status Register). */
Test(runtime, console_output_without_end)
{
	enum { BYTES = 1500000 };

	daemon_start(&d, ROLE(SERIALD));
	for (int i = 0; i < BYTES; i++)
		port_post(&d, LAYOUT_COM1, 1, 'x', CLASS_TXDATA);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 5, 1) & 0x60, 0x60, "THRE, TEMT");
	cr_assert_eq(atomic_load(&((const struct backlog *)d.backlog.ro)->written), BYTES);
}

static bool impatient(void *ctx, uint64_t waited_ns, int odd)
{
	(void)ctx;
	(void)odd;
	return waited_ns < 1000000;
}

/* A guest that never stops asking cannot keep a daemon from leaving. */
Test(runtime, quiesce_under_a_flood)
{
	struct io_slot s;
	int status;

	daemon_start(&d, ROLE(SERIALD));
	s = daemon_slot(&d, IO_WRITE, MODEL_PORT, LAYOUT_COM1 + 7, 1, 0);
	cr_assert_eq(daemon_request(&d, TYPE(QUIESCE)), TYPE(OK));
	d.producer.patience = impatient;
	while (waitpid(d.pid, &status, WNOHANG) == 0)
		ring_post(&d.producer, &s, CLASS_CONFIG);
	cr_assert_eq(status, 0);
	d.pid = -1;
}

/* A client that only reads gives way, the one that was idle for longest first; one that types does not. */
Test(runtime, console_has_a_limit_of_clients)
{
	int a, b, c, refused;

	daemon_start(&d, ROLE(SERIALD)); /* two clients */
	a = connect_console();
	guest_prints("x");
	expect_text(a, "x");
	b = connect_console();
	expect_text(b, "x");
	c = connect_console();
	expect_text(a, "\r\n[bulkhead: this place goes to a client that came after you]\r\n");
	expect_text(c, "x");
	cr_assert_eq(write(b, "1", 1), 1);
	cr_assert_eq(write(c, "2", 1), 1);
	usleep(20000);
	refused = connect_console();
	expect_text(refused, "[bulkhead: too many console clients]\r\n");
	close(refused);
	close(b);
	usleep(20000);
	b = connect_console();
	expect_text(b, "x");
	close(a);
	close(b);
	close(c);
}

Test(runtime, half_closed_client_still_gets_the_answer)
{
	int fd;

	daemon_start(&d, ROLE(SERIALD));
	fd = connect_console();
	shutdown(fd, SHUT_WR);
	usleep(10000);
	guest_prints("answer");
	expect_text(fd, "answer");
	close(fd);
}

/*
 * Shadow, lines, reset
 */

Test(runtime, lsr_from_shadow_agrees_with_the_slow_path)
{
	uint64_t value;

	daemon_start(&d, ROLE(SERIALD));
	for (int i = 0; i < 200; i++) {
		port_post(&d, LAYOUT_COM1, 1, 'x', CLASS_TXDATA);
		if (ring_is_applied(&d.producer, CLASS_CONFIG) && shadow_read(d.shadow.ro, 0, &d.producer.clock, &value) == 0)
			cr_assert_eq(value, port_in(&d, LAYOUT_COM1 + 5, 1));
	}
	port_out(&d, LAYOUT_COM1 + 4, 1, 0x10); /* loop-back: LSR depends on THR now */
	cr_assert_eq(shadow_read(d.shadow.ro, 0, &d.producer.clock, &value), -EAGAIN);
}

/* PC16550D: THRE interrupt when enabled with an empty THR; the PC gates it with OUT2. */
Test(runtime, line_moves_before_the_answer)
{
	const struct line_page *line;
	char byte;

	daemon_start(&d, ROLE(SERIALD));
	line = d.line.ro;
	port_out(&d, LAYOUT_COM1 + 4, 1, 0x08);
	cr_assert_eq(line->words[4] & LINE_LEVEL, 0);
	port_out(&d, LAYOUT_COM1 + 1, 1, 0x02);
	cr_assert_eq(line->words[4], LINE_EDGE | LINE_LEVEL);
	cr_assert_eq(read(d.irqd_bell[0], &byte, 1), 1, "and irqd's doorbell rings");
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 2, 1) & 0x0f, 0x02, "IIR: THRE");
	cr_assert_eq(line->words[4], LINE_EDGE, "reading IIR has lowered it before the read came back");
}

Test(runtime, reset_is_power_on_and_unclaimed_is_all_ones)
{
	struct io_slot reset = { .op = IO_RESET }, fence = { .op = IO_FENCE };

	daemon_start(&d, ROLE(SERIALD));
	port_out(&d, LAYOUT_COM1 + 3, 1, 0x1b);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 3, 1), 0x1b);
	cr_assert_eq(ring_call(&d.producer, &reset, NULL), 0);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 3, 1), 0, "PC16550D, Table I: LCR is 0 after master reset");
	cr_assert_eq(port_in(&d, 0x1234, 4), 0xffffffff);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 7, 2), 0xffff, "reaches beyond the range");
	cr_assert_eq(ring_call(&d.producer, &fence, NULL), 0);
	guest_prints("y");
	cr_assert_eq(ring_call(&d.producer, &fence, NULL), 0);
	cr_assert_eq(((struct backlog *)d.backlog.rw)->data[0], 'y', "credit is back after a reset");
}

/*
 * Time and interrupts through two daemons
 */

/* 8254 mode 2 at 1 kHz on IRQ 0; 8259 with vectors from 30h; INTA and EOI as a CPU does them. */
Test(runtime, pit_through_pic)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} init[] = {
		{ 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xfe },
	};
	struct io_slot inta = { .op = IO_INTA };
	struct ring_reply r;

	daemon_start(&d, ROLE(TIMERD));
	daemon_make(&irq, ROLE(IRQD));
	irq.source = &d;
	irq.source_lines = timer_model.lines;
	daemon_spawn(&irq);
	cr_assert_eq(daemon_setup(&irq, false), TYPE(OK));
	for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		port_out(&irq, init[i].port, 1, init[i].value);
	port_out(&d, 0x43, 1, 0x34);
	port_post(&d, 0x40, 1, 1193 & 0xff, CLASS_CONFIG);
	port_post(&d, 0x40, 1, 1193 >> 8, CLASS_CONFIG);
	for (int tick = 0; tick < 20; tick++) {
		struct pic_output out;

		for (int i = 0; !(out = msi_get_pic(irq.msi.ro)).intr && i < 50000; i++)
			usleep(100);
		cr_assert(out.intr, "tick %d", tick);
		cr_assert_eq(out.vector, 0x30);
		inta.data = out.seq;
		cr_assert_eq(ring_call(&irq.producer, &inta, &r), 0);
		cr_assert_eq(r.data, 0x30);
		cr_assert_not(msi_get_pic(irq.msi.ro).intr, "in service");
		port_post(&irq, 0x20, 1, 0x20, CLASS_CONFIG);
	}
	inta.data = 0;
	cr_assert_eq(ring_call(&irq.producer, &inta, &r), 0);
	cr_assert_eq(r.data, 0x37, "stale: 8259A, spurious interrupts come as IR7");
}

/* 82093AA: an edge on pin 2 with vector 41h, delivered as a message. */
Test(runtime, pit_through_ioapic)
{
	struct io_slot select, window;
	struct msi_consumer c;
	struct irq_message m = { 0 };
	int got = 0;

	daemon_start(&d, ROLE(TIMERD));
	daemon_make(&irq, ROLE(IRQD));
	irq.source = &d;
	irq.source_lines = timer_model.lines;
	daemon_spawn(&irq);
	cr_assert_eq(daemon_setup(&irq, false), TYPE(OK));
	msi_consumer_init(&c, irq.msi.ro, irq.req.rw);
	select = daemon_slot(&irq, IO_WRITE, MODEL_MMIO, LAYOUT_IOAPIC_BASE, 4, 0x10 + 2 * LAYOUT_PIT_PIN);
	window = daemon_slot(&irq, IO_WRITE, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10, 4, 0x41);
	cr_assert_eq(ring_call(&irq.producer, &select, NULL), 0);
	cr_assert_eq(ring_call(&irq.producer, &window, NULL), 0);
	port_out(&d, 0x43, 1, 0x34);
	port_out(&d, 0x40, 1, 0xa9);
	port_out(&d, 0x40, 1, 0x04);
	for (int i = 0; i < 50000 && got < 20; i++) {
		while (msi_pop(&c, &m) == 0)
			got += m.type == IRQ_MSG_MSI && (m.data & 0xff) == 0x41;
		usleep(100);
	}
	cr_assert_geq(got, 20);
}

static struct pic_output wait_for_intr(void)
{
	struct pic_output out;

	for (int i = 0; !(out = msi_get_pic(irq.msi.ro)).intr && i < 50000; i++)
		usleep(100);
	return out;
}

static void move_line(unsigned line, uint32_t word)
{
	atomic_store(&((struct line_page *)irq.line.rw)->words[line], word);
	cr_assert_eq(write(irq.irqd_bell[1], "", 1), 1);
}

/*
 * 8259A: a request that comes while the same IR is in service waits for its EOI. Here the processor has acknowledged the
 * first, and its handler has served the device, which asks again, all before irqd runs.
 */
Test(runtime, edge_during_service_is_not_acknowledged)
{
	static const struct {
		uint16_t port;
		uint8_t value;
	} init[] = {
		{ 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0x21, 0xef },
	};
	struct io_slot inta = { .op = IO_INTA };
	struct ring_reply r;
	struct pic_output out;

	daemon_make(&irq, ROLE(IRQD));
	irq.source_lines = 1 << 4;
	daemon_spawn(&irq);
	cr_assert_eq(daemon_setup(&irq, false), TYPE(OK));
	for (size_t i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		port_out(&irq, init[i].port, 1, init[i].value);
	move_line(4, LINE_EDGE | LINE_LEVEL);
	out = wait_for_intr();
	cr_assert(out.intr);
	kill(irq.pid, SIGSTOP);
	move_line(4, 2 * LINE_EDGE | LINE_LEVEL);
	inta.data = out.seq;
	cr_assert_eq(ring_post(&irq.producer, &inta, CLASS_CONFIG), 0);
	kill(irq.pid, SIGCONT);
	port_out(&irq, 0x20, 1, 0x20);
	cr_assert(wait_for_intr().intr, "the second edge");
	inta.data = wait_for_intr().seq;
	cr_assert_eq(ring_call(&irq.producer, &inta, &r), 0);
	cr_assert_eq(r.data, 0x24);
	port_out(&irq, 0x20, 1, 0x20);
	cr_assert_not(msi_get_pic(irq.msi.ro).intr, "and no third one");
}

/* Nobody takes messages: irqd goes on answering, and sends when there is room again. */
Test(runtime, irqd_never_waits)
{
	struct msi_consumer c;
	struct irq_message m;
	unsigned got = 0;

	daemon_make(&irq, ROLE(IRQD));
	irq.source_lines = 1 << 5;
	daemon_spawn(&irq);
	cr_assert_eq(daemon_setup(&irq, false), TYPE(OK));
	for (uint32_t i = 0; i < 500; i++) {
		struct io_slot select = daemon_slot(&irq, IO_WRITE, MODEL_MMIO, LAYOUT_IOAPIC_BASE, 4, 0x10 + 2 * (i % 24));
		struct io_slot window =
			daemon_slot(&irq, IO_WRITE, MODEL_MMIO, LAYOUT_IOAPIC_BASE + 0x10, 4, 0x10000 | (0x40 + i % 100));

		cr_assert_eq(ring_call(&irq.producer, &select, NULL), 0);
		cr_assert_eq(ring_call(&irq.producer, &window, NULL), 0);
	}
	msi_consumer_init(&c, irq.msi.ro, irq.req.rw);
	for (int i = 0; i < 200; i++) {
		while (msi_pop(&c, &m) == 0)
			got++;
		usleep(500);
	}
	cr_assert_geq(got, MSI_SLOTS);
}

/*
 * What the guest asks of the machine
 */

Test(runtime, exit_poweroff_reset_and_debug)
{
	char buf[16] = { 0 };

	daemon_start(&d, ROLE(PLATFORMD));
	port_out(&d, 0xe9, 1, 'h');
	port_post(&d, 0xe9, 1, 'i', CLASS_CONFIG);
	cr_assert_eq(read_all(d.debug[0], buf, 2), 2);
	cr_assert_str_eq(buf, "hi");
	port_out(&d, LAYOUT_EXIT_PORT, 1, 21);
	cr_assert_eq(daemon_event(&d)->type, BULKHEAD__EVENT_TYPE__EVENT_EXIT);
	cr_assert_eq(((Bulkhead__Event *)d.frame.msg)->code, 43, "(value << 1) | 1");
	port_out(&d, LAYOUT_PM1_CNT, 2, LAYOUT_SLP_TYP_S5 << 10 | 1 << 13);
	cr_assert_eq(daemon_event(&d)->type, BULKHEAD__EVENT_TYPE__EVENT_POWEROFF);
	port_out(&d, LAYOUT_RESET_PORT, 1, LAYOUT_RESET_VALUE);
	cr_assert_eq(daemon_event(&d)->type, BULKHEAD__EVENT_TYPE__EVENT_RESET);
}

/* ACPI 4.8.3.1: PWRBTN_STS is bit 8 of PM1_STS; with PWRBTN_EN it raises the SCI. */
Test(runtime, power_button)
{
	const struct line_page *line;

	daemon_start(&d, ROLE(PLATFORMD));
	line = d.line.ro;
	port_out(&d, LAYOUT_PM1_CNT, 2, 1);
	port_out(&d, LAYOUT_PM1_EVT + 2, 2, 1 << 8);
	cr_assert_eq(daemon_request(&d, TYPE(POWER_BUTTON)), TYPE(OK));
	for (int i = 0; i < 5000 && !(line->words[LAYOUT_SCI_IRQ] & LINE_LEVEL); i++)
		usleep(1000);
	cr_assert(port_in(&d, LAYOUT_PM1_EVT, 2) & 1 << 8);
	cr_assert(line->words[LAYOUT_SCI_IRQ] & LINE_LEVEL);
	daemon_start(&irq, ROLE(TIMERD));
	cr_assert_eq(daemon_request(&irq, TYPE(POWER_BUTTON)), TYPE(ERROR));
}

/*
 * Life and death
 */

Test(runtime, quiesce_and_go_on_in_a_new_incarnation)
{
	daemon_start(&d, ROLE(SERIALD));
	port_out(&d, LAYOUT_COM1 + 3, 1, 0x1b);
	port_out(&d, LAYOUT_COM1 + 7, 1, 0x5a);
	guest_prints("one ");
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 7, 1), 0x5a);
	cr_assert_eq(daemon_request(&d, TYPE(QUIESCE)), TYPE(OK));
	cr_assert_eq(daemon_wait(&d), 0);
	guest_prints("two"); /* nobody serves; the ring keeps it */
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 3, 1), 0x1b);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 7, 1), 0x5a);
	cr_assert_eq(memcmp(((struct backlog *)d.backlog.rw)->data, "one two", 7), 0);
	cr_assert_eq(atomic_load(&((const struct ring_rsp *)d.rsp.ro)->incarnation), 2);
}

static void post_hpet(unsigned offset, uint64_t value)
{
	struct io_slot s = daemon_slot(&d, IO_WRITE, MODEL_MMIO, LAYOUT_HPET_BASE + offset, 4, value);

	cr_assert_eq(ring_post(&d.producer, &s, CLASS_CONFIG), 0);
}

/*
 * IA-PC HPET 2.3.9: a one-shot timer fires when the counter matches. The guest set it 100 ms ahead while nobody served;
 * whoever takes over 200 ms later must not find it 100 ms behind, to match when the counter has gone round.
 */
Test(runtime, comparator_set_while_nobody_serves)
{
	struct io_slot counter;
	const struct line_page *line;
	struct ring_reply now;
	uint32_t before;

	daemon_start(&d, ROLE(TIMERD));
	counter = daemon_slot(&d, IO_READ, MODEL_MMIO, LAYOUT_HPET_BASE + HPET_COUNTER, 4, 0);
	line = d.line.ro;
	post_hpet(HPET_CONFIG, HPET_ENABLE | HPET_LEGACY);
	post_hpet(HPET_TIMER + HPET_TIMER_CONFIG, HPET_T_INT_ENABLE | HPET_T_32BIT);
	cr_assert_eq(ring_call(&d.producer, &counter, &now), 0);
	daemon_kill(&d);
	before = line->words[LAYOUT_PIT_IRQ];
	post_hpet(HPET_TIMER + HPET_TIMER_COMPARATOR, now.data + HPET_HZ / 10);
	usleep(200000);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	for (int i = 0; i < 5000 && line->words[LAYOUT_PIT_IRQ] == before; i++)
		usleep(1000);
	cr_assert_neq(line->words[LAYOUT_PIT_IRQ], before, "it has fired");
}

static uint32_t hpet_counter(void)
{
	struct io_slot counter = daemon_slot(&d, IO_READ, MODEL_MMIO, LAYOUT_HPET_BASE + HPET_COUNTER, 4, 0);
	struct ring_reply reply;

	cr_assert_eq(ring_call(&d.producer, &counter, &reply), 0);
	return (uint32_t)reply.data;
}

/*
 * A machine that is older than its host (another one has run it before) stops, and goes on later: to its devices that is the
 * same moment, and what was to happen is as far away as it was.
 */
Test(runtime, machine_time_stands_still_between_hosts)
{
	const struct line_page *line;
	uint64_t first, stopped;
	uint32_t count, edges;

	daemon_make(&d, ROLE(TIMERD));
	d.producer.clock = machine_clock_at(0, 1000 * 86400 * CLOCK_NS_PER_S);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, false), TYPE(OK));
	line = d.line.ro;
	post_hpet(HPET_CONFIG, HPET_ENABLE | HPET_LEGACY);
	first = machine_ns(&d.producer.clock);
	count = hpet_counter();
	edges = line->words[LAYOUT_PIT_IRQ];
	post_hpet(HPET_TIMER + HPET_TIMER_CONFIG, HPET_T_INT_ENABLE | HPET_T_32BIT);
	post_hpet(HPET_TIMER + HPET_TIMER_COMPARATOR, count + HPET_HZ);
	cr_assert_eq(daemon_request(&d, TYPE(QUIESCE)), TYPE(OK));
	cr_assert_eq(daemon_wait(&d), 0);
	stopped = machine_ns(&d.producer.clock);
	usleep(100000);
	d.producer.clock = machine_clock_at(clock_ns(), stopped);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	count = hpet_counter() - count;
	cr_assert_leq(count, (machine_ns(&d.producer.clock) - first) / HPET_TICK_NS + 1, "no more than its machine");
	for (int i = 0; i < 10000 && line->words[LAYOUT_PIT_IRQ] == edges; i++)
		usleep(1000);
	cr_assert_neq(line->words[LAYOUT_PIT_IRQ], edges, "the comparator matches");
	cr_assert_geq(machine_ns(&d.producer.clock) - first, CLOCK_NS_PER_S, "not before its time");
}

Test(runtime, killed_at_any_time_state_goes_on)
{
	daemon_start(&d, ROLE(SERIALD));
	for (uint64_t i = 0; i < 20; i++) {
		port_out(&d, LAYOUT_COM1 + 7, 1, i);
		for (int k = 0; k < 40; k++)
			port_post(&d, LAYOUT_COM2 + 7, 1, i + (uint64_t)k, CLASS_CONFIG);
		daemon_kill(&d);
		daemon_spawn(&d);
		cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
		cr_assert_eq(port_in(&d, LAYOUT_COM1 + 7, 1), i);
		cr_assert_eq(port_in(&d, LAYOUT_COM2 + 7, 1), i + 39);
	}
}

Test(runtime, damaged_journal_means_power_on)
{
	daemon_start(&d, ROLE(SERIALD));
	port_out(&d, LAYOUT_COM1 + 7, 1, 0x77);
	daemon_kill(&d);
	memset(&((struct journal_object *)d.journal.rw)->buffers, 0x55, 4096);
	memset(((struct journal_object *)d.journal.rw)->buffers[1].state, 0x55, 512);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 5, 1), 0x60, "LSR after reset");
}

Test(runtime, ends_with_its_supervisor)
{
	int status;

	daemon_start(&d, ROLE(TIMERD));
	shutdown(d.control, SHUT_RDWR);
	cr_assert_eq(waitpid(d.pid, &status, 0), d.pid);
	cr_assert_eq(status, 0);
	d.pid = -1;
}

Test(runtime, ps_shows_who_it_is)
{
	char path[64], buf[128] = { 0 };
	FILE *f;

	daemon_start(&d, ROLE(TIMERD));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", d.pid);
	f = fopen(path, "r");
	cr_assert_not_null(f);
	cr_assert_gt(fread(buf, 1, sizeof(buf) - 1, f), 0);
	fclose(f);
	cr_assert_str_eq(buf, "bulkhead: test/timerd");
	snprintf(path, sizeof(path), "/proc/%d/comm", d.pid);
	f = fopen(path, "r");
	cr_assert_not_null(fgets(buf, sizeof(buf), f));
	fclose(f);
	cr_assert_str_eq(buf, "bh-timerd\n");
}

/*
 * Hostile and confused peers
 */

Test(runtime, broken_ring_is_reported_and_left_alone)
{
	struct ring_req *req;

	daemon_start(&d, ROLE(SERIALD));
	req = d.req.rw;
	atomic_store(&req->tail, 1000);
	ring_doorbell(&d.producer);
	cr_assert_eq(daemon_event(&d)->type, BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL);
	cr_assert_eq(daemon_request(&d, TYPE(STATS)), TYPE(OK), "the daemon itself goes on");
	cr_assert_eq(((Bulkhead__Ok *)d.frame.msg)->stats->protocol_errors, 1);
}

Test(runtime, set_up_is_checked)
{
	struct test_object small;

	daemon_make(&d, ROLE(TIMERD));
	daemon_spawn(&d);
	test_object_make(&small, "small", 100);
	int keep = d.journal.fd;

	d.journal.fd = small.fd;
	cr_assert_eq(daemon_setup(&d, false), TYPE(ERROR), "an object that is too small");
	cr_assert_neq(daemon_wait(&d), 0);
	d.journal.fd = keep;
	daemon_spawn(&d);
	keep = d.rsp.fd;
	d.rsp.fd = d.rsp.ro_fd;
	cr_assert_eq(daemon_setup(&d, false), TYPE(ERROR), "a read-only handle where it must write");
	cr_assert_neq(daemon_wait(&d), 0);
	d.rsp.fd = keep;
	daemon_spawn(&d);
	d.role = ROLE(PLATFORMD);
	cr_assert_eq(daemon_setup(&d, false), TYPE(ERROR), "one descriptor more than its role has");
	d.role = ROLE(TIMERD);
	cr_assert_neq(daemon_wait(&d), 0);
	test_object_free(&small);
}

Test(runtime, control_garbage_ends_it_in_order)
{
	daemon_start(&d, ROLE(TIMERD));
	cr_assert_eq(daemon_request(&d, TYPE(RUN)), TYPE(ERROR), "known, but not for a device");
	cr_assert_eq(send(d.control, "garbage", 7, 0), 7);
	cr_assert_eq(WEXITSTATUS(daemon_wait(&d)), 1);
}

/* A device whose row lets it sees guest memory, and nothing beyond its end; so does its successor. */
Test(runtime, guest_memory)
{
	const uint64_t window = 0xff010000, last = DAEMON_RAM - 8;
	struct io_slot address, data;
	struct ring_reply r;

	daemon_start(&d, (Bulkhead__Role)kind_rows[KIND_TESTD].role);
	((uint64_t *)d.ram.rw)[last / 8] = 0x1122334455667788;
	for (int life = 0; life < 2; life++) {
		address = daemon_slot(&d, IO_WRITE, MODEL_MMIO, window, 8, last);
		data = daemon_slot(&d, IO_READ, MODEL_MMIO, window + 8, 8, 0);
		cr_assert_eq(ring_call(&d.producer, &address, NULL), 0);
		cr_assert_eq(ring_call(&d.producer, &data, &r), 0);
		cr_assert_eq(r.data, 0x1122334455667788);
		address.data = last + 8;
		cr_assert_eq(ring_call(&d.producer, &address, NULL), 0);
		cr_assert_eq(ring_call(&d.producer, &data, &r), 0);
		cr_assert_eq(r.data, UINT64_MAX, "behind the end");
		address.data = 0x1000;
		cr_assert_eq(ring_call(&d.producer, &address, NULL), 0);
		data.op = IO_WRITE;
		data.data = 0xabc0 + (uint64_t)life;
		cr_assert_eq(ring_call(&d.producer, &data, NULL), 0);
		cr_assert_eq(((uint64_t *)d.ram.rw)[0x1000 / 8], 0xabc0 + (uint64_t)life);
		daemon_kill(&d);
		daemon_spawn(&d);
		cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	}
}

/* A storm of every request: nobody dies, answers keep coming. */
Test(runtime, storm)
{
	unsigned seed = 11;

	for (unsigned k = 0; k < KIND_COUNT; k++) {
		const struct device_model *m = device_models[k];

		if (kind_rows[k].virtio == KIND_VIRTIO_FRONT)
			continue; /* answers nothing before its back-end has: tests/e2e/disk.py */
		if (k == KIND_FSD)
			continue; /* nor before its exporter has: tests/e2e/share.py */
		daemon_make(&d, (Bulkhead__Role)kind_rows[k].role);
		d.source_lines = 1;
		daemon_spawn(&d);
		cr_assert_eq(daemon_setup(&d, false), TYPE(OK), "kind %s", kind_rows[k].name);
		for (int i = 0; i < 20000; i++) {
			struct io_slot s = { .op = i % 3 ? IO_WRITE : IO_READ, .size = (uint8_t)(1u << rand_r(&seed) % 4) };

			/* Some of them in no range, or beyond its end. */
			s.range = (uint8_t)((unsigned)rand_r(&seed) % (m->range_count + 1));
			s.offset = (uint32_t)rand_r(&seed) % (s.range < m->range_count ? m->ranges[s.range].len + 1 : 0x1000);
			s.data = (uint64_t)rand_r(&seed) << 32 | (uint64_t)rand_r(&seed);
			cr_assert_eq(s.op == IO_READ ? ring_call(&d.producer, &s, NULL) : ring_post(&d.producer, &s, 1), 0);
		}
		cr_assert_eq(daemon_request(&d, TYPE(STATS)), TYPE(OK));
		daemon_free(&d);
		d.req.rw = NULL;
	}
}

static void testd_stores(uint64_t address, uint64_t value)
{
	const uint64_t window = 0xff010000;
	struct io_slot s = daemon_slot(&d, IO_WRITE, MODEL_MMIO, window, 8, address);
	struct ring_reply reply;

	cr_assert_eq(ring_call(&d.producer, &s, &reply), 0);
	s = daemon_slot(&d, IO_WRITE, MODEL_MMIO, window + 8, 8, value);
	cr_assert_eq(ring_call(&d.producer, &s, &reply), 0);
}

/* proto/code_map.h: who writes code says so before it says that it is done; who writes other memory says nothing. */
Test(runtime, says_what_code_it_overwrites)
{
	const struct code_map_region region = { .gpa = 0, .size = DAEMON_RAM };
	const struct ring_rsp *rsp;
	struct code_map_view map;
	uint64_t seen = 0, gpa, size;

	daemon_start(&d, (Bulkhead__Role)kind_rows[KIND_TESTD].role);
	rsp = d.rsp.ro;
	testd_stores(0x5040, 1);
	cr_expect_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), -EAGAIN, "no vcpu process has run yet");
	cr_assert_eq(code_map_init(d.map.rw, d.map.size, &region, 1, 2, &map), 0);
	testd_stores(0x5040, 2);
	cr_expect_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), -EAGAIN, "there is no code");
	atomic_store(code_map_word(&map, 5, 1), 1 << 1);
	testd_stores(0x5078, 3);
	cr_assert_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), 0);
	cr_expect(gpa == 0x5078 && size == 8, "%lx %lx", gpa, size);
	testd_stores(0x5080, 4);
	testd_stores(0x6040, 5);
	testd_stores(DAEMON_RAM, 6);
	cr_expect_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), -EAGAIN);
	daemon_kill(&d);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	testd_stores(0x5040, 7);
	cr_expect_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), 0, "another incarnation goes on counting");
	((struct code_map *)d.map.rw)->version++;
	testd_stores(0x8000, 8);
	cr_expect_eq(code_notice_take(&rsp->written, &seen, &gpa, &size), 0, "a map that makes no sense");
}
