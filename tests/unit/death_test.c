/* SPDX-License-Identifier: MIT */
/*
 * What is left when a daemon dies at an awkward moment, or is away for long: nothing is lost. Daemons are real; deaths are
 * made by leaving their objects as a death would.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_harness.h"
#include "devices/stash.h"
#include "proto/clock.h"
#include "proto/control_check.h"
#include "proto/layout.h"

#define TYPE(x) BULKHEAD__MESSAGE_TYPE__MSG_##x
#define ROLE(x) BULKHEAD__ROLE__ROLE_##x

static struct daemon d;

static void fini(void)
{
	daemon_free(&d);
}

TestSuite(death, .fini = fini, .timeout = 60);

static void restart(void)
{
	daemon_kill(&d);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
}

static bool is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

/*
 * FENCE: "what was in the ring has been applied, its events sent, all of it committed". The exit code was written while
 * platformd was away; when it has answered, the event lies in the other channel.
 */
Test(death, fence_comes_after_the_events)
{
	Bulkhead__Empty empty = BULKHEAD__EMPTY__INIT;

	daemon_start(&d, ROLE(PLATFORMD));
	daemon_kill(&d);
	for (int i = 0; i < 40; i++)
		port_post(&d, LAYOUT_DEBUG_PORT, 1, 'x', CLASS_CONFIG);
	port_post(&d, LAYOUT_EXIT_PLAIN_PORT, 1, 42, CLASS_CONFIG);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	cr_assert_eq(frame_call(d.control, &d.frame, TYPE(FENCE), ++d.next_id, &empty.base, NULL, 0, 20000), 0);
	cr_assert_eq(d.frame.header.type, TYPE(OK));
	cr_assert_eq(ring_backlog(d.req.ro, d.rsp.ro), 0);
	cr_assert(is_readable(d.event, 0));
	cr_assert_eq(daemon_event(&d)->code, 42);
	restart();
	cr_assert_eq(daemon_request(&d, TYPE(FENCE)), TYPE(OK));
	cr_assert_not(is_readable(d.event, 0), "it is not sent again");
}

enum { TEXT = 1 << 20 };

static void *print_text(void *arg)
{
	static uint8_t text[TEXT];
	struct io_slot s = daemon_slot(&d, IO_WRITE, MODEL_PORT, LAYOUT_DEBUG_PORT, 1, 0);

	(void)arg;
	for (unsigned i = 0; i < TEXT; i++)
		text[i] = (uint8_t)(i * 7 + i / 251);
	cr_assert_eq(ring_write_string(&d.producer, &s, text, TEXT, 1), 0);
	return text;
}

/* The console's daemon is away: text of the debug ports waits, and the guest with it. */
Test(death, debug_text_waits_for_its_reader)
{
	static uint8_t got[TEXT];
	pthread_t thread;
	size_t n = 0;
	void *text;

	daemon_start(&d, ROLE(PLATFORMD));
	pthread_create(&thread, NULL, print_text, NULL);
	while (!atomic_load(&((const struct ring_rsp *)d.rsp.ro)->holding))
		usleep(1000);
	while (n < TEXT) {
		ssize_t more;

		cr_assert(is_readable(d.debug[0], 20000));
		more = read(d.debug[0], got + n, TEXT - n);
		cr_assert_gt(more, 0);
		n += (size_t)more;
	}
	pthread_join(thread, &text);
	cr_assert(!memcmp(got, text, TEXT));
	cr_assert_eq(daemon_request(&d, TYPE(STATS)), TYPE(OK));
	cr_assert_eq(((const Bulkhead__Ok *)d.frame.msg)->stats->console_bytes_dropped, 0);
}

/* Text that was read from the debug stream and is not in the backlog yet stays in the stream. */
Test(death, debug_text_survives_its_reader)
{
	const struct backlog *b;

	daemon_start(&d, ROLE(SERIALD));
	b = d.backlog.ro;
	cr_assert_eq(write(d.debug[1], "abc", 3), 3);
	while (atomic_load(&b->written) < 3)
		usleep(1000);
	restart();
	cr_assert_eq(write(d.debug[1], "def", 3), 3);
	while (atomic_load(&b->written) < 6)
		usleep(1000);
	cr_assert(!memcmp(b->data, "abcdef", 6));
}

/* drop_to: "requests before this index were lost then, and are answered without being applied". */
Test(death, requests_of_a_time_when_it_was_given_up)
{
	const struct backlog *b;

	daemon_start(&d, ROLE(SERIALD));
	b = d.backlog.ro;
	daemon_kill(&d);
	for (int i = 0; i < 3; i++)
		port_post(&d, LAYOUT_COM1, 1, 'x', CLASS_TXDATA);
	d.has_drop_to = true;
	d.drop_to = 3;
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	port_post(&d, LAYOUT_COM1, 1, 'y', CLASS_TXDATA);
	cr_assert_eq(port_in(&d, LAYOUT_COM1 + 5, 1) & 0x60, 0x60);
	cr_assert_eq(atomic_load(&b->written), 1);
	cr_assert_eq(b->data[0], 'y');
}

/* "The machine was reset while this device was given up: power-on state". PIIX, "NMISC": 00h after a reset. */
Test(death, a_reset_while_it_was_given_up)
{
	daemon_start(&d, ROLE(TIMERD));
	port_out(&d, 0x61, 1, 2);
	restart();
	cr_assert_eq(port_in(&d, 0x61, 1) & 3, 2);
	d.reset = true;
	restart();
	cr_assert_eq(port_in(&d, 0x61, 1) & 3, 0);
	port_out(&d, 0x61, 1, 2);
	d.reset = false;
	restart();
	cr_assert_eq(port_in(&d, 0x61, 1) & 3, 2, "once");
}

/* It was given up when the reset was in its ring already. Of what is dropped, that is not. */
Test(death, a_reset_that_was_in_its_ring)
{
	const struct io_slot reset = { .op = IO_RESET };

	daemon_start(&d, ROLE(TIMERD));
	port_out(&d, 0x61, 1, 2);
	daemon_kill(&d);
	cr_assert_eq(ring_post(&d.producer, &reset, 0xff), 0);
	d.has_drop_to = true;
	d.drop_to = (uint32_t)atomic_load(&d.producer.tail);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	cr_assert_eq(port_in(&d, 0x61, 1) & 3, 0);
}

/* irqd has published and was killed before it rang: the next one rings, whatever it finds. */
Test(death, a_bell_that_was_not_rung)
{
	char bells[64];

	daemon_start(&d, ROLE(IRQD));
	daemon_kill(&d);
	while (is_readable(d.vcpu_bell[0], 0))
		cr_assert_gt(read(d.vcpu_bell[0], bells, sizeof(bells)), 0);
	atomic_store(&((struct ring_req *)d.req.rw)->msi_sleeping, 1);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, true), TYPE(OK));
	cr_assert(is_readable(d.vcpu_bell[0], 20000));
}

/* A console client was accepted and kept, and the journal does not know it yet. */
Test(death, a_client_that_was_just_accepted)
{
	char text[16] = "";
	int pair[2];

	daemon_make(&d, ROLE(SERIALD));
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	cr_assert_eq(stash_put(&(struct stash){ d.stash[0], d.stash[1] }, 7, pair[1]), 0);
	close(pair[1]);
	daemon_spawn(&d);
	cr_assert_eq(daemon_setup(&d, false), TYPE(OK));
	port_post(&d, LAYOUT_COM1, 1, 'h', CLASS_TXDATA);
	cr_assert(is_readable(pair[0], 20000));
	cr_assert_eq(read(pair[0], text, sizeof(text)), 1);
	cr_assert_eq(text[0], 'h');
	restart();
	port_post(&d, LAYOUT_COM1, 1, 'i', CLASS_TXDATA);
	while (!strchr(text, 'i')) { /* the h may come again */
		cr_assert(is_readable(pair[0], 20000));
		cr_assert_gt(read(pair[0], text, sizeof(text) - 1), 0);
	}
	close(pair[0]);
}

static enum stash_verdict die(void *ctx, uint32_t id, int fd)
{
	(void)ctx;
	(void)id;
	(void)fd;
	_exit(0);
}

static enum stash_verdict count_one(void *ctx, uint32_t id, int fd)
{
	(void)fd;
	*(unsigned *)ctx += id == 7;
	return STASH_DROP;
}

/* Who dies while it holds a connection in its hands has not taken it out. */
Test(death, a_sweep_that_was_cut_short)
{
	struct stash s;
	unsigned found = 0;
	int status, fds[2];
	pid_t pid;

	daemon_make(&d, ROLE(SERIALD));
	s = (struct stash){ d.stash[0], d.stash[1] };
	cr_assert_eq(pipe(fds), 0);
	cr_assert_eq(stash_put(&s, 7, fds[0]), 0);
	pid = fork();
	if (pid == 0)
		stash_sweep(&s, die, NULL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(stash_sweep(&s, count_one, &found), 0);
	cr_assert_eq(found, 1);
	close(fds[0]);
	close(fds[1]);
}

/* A read that has waited shows the counter as it is when the guest goes on. */
Test(death, late_read_shows_the_present)
{
	struct io_slot s = { 0 };
	struct ring_reply now, late;

	daemon_start(&d, ROLE(TIMERD));
	s = daemon_slot(&d, IO_READ, MODEL_PORT, LAYOUT_PM_TIMER, 4, 0);
	s.when = machine_ns(&d.producer.clock);
	cr_assert_eq(ring_call(&d.producer, &s, &now), 0);
	usleep(1000);
	cr_assert_eq(ring_call(&d.producer, &s, &late), 0, "as old as the first");
	cr_assert_geq((late.data - now.data) & 0xffffff, LAYOUT_PM_TIMER_HZ / 1000);
}
