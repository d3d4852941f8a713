/* SPDX-License-Identifier: MIT */
/*
 * A real daemon that fails where it is told to: linked from the daemon's own objects, with some functions wrapped
 * (ld --wrap), so that the product needs no hooks. The plan is text that the test writes into a copy of the program, over
 * the marks behind PLAN: "WHERE HOW INCARNATION COUNT".
 *
 *   WHERE        accepted (a console client, by seriald), taken, before-commit, after-commit, line-high (irqd: an interrupt
 *                was sent), load, poison (a character 1 is sent through COM1), exit-port (the guest writes to one), newer
 *                (nothing fails, but the state's layout is another), changed (it can load the state, and commits another layout)
 *   HOW          segv, sys, loop, stop (waits for ever), exit, memory, files
 *   INCARNATION  which one fails; 0: each of them, 1000 + n: up to n
 *   COUNT        at which pass by WHERE
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/child.h"
#include "proto/journal.h"
#include "proto/layout.h"
#include "proto/line.h"
#include "proto/msi.h"
#include "proto/ring.h"

static const char plan_text[96] = "BULKHEAD-FAULT-PLAN:------------------------------------------------------------------------";
enum { PLAN_AT = 20 };

static struct {
	bool known;
	char where[24], how[16];
	unsigned incarnation, count;
} plan;

static struct io_slot last_slot; /* taken off the ring */
static unsigned incarnation, seen;

static void read_plan(void)
{
	const volatile char *from = plan_text + PLAN_AT;
	char text[sizeof(plan_text) - PLAN_AT];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = from[i];
	text[sizeof(text) - 1] = 0;
	plan.known = true;
	if (sscanf(text, "%23s %15s %u %u", plan.where, plan.how, &plan.incarnation, &plan.count) != 4)
		plan.where[0] = 0;
}

/* Daemons have no calls to ask for more with: malloc() alone would just fail. */
static void eat_memory(void)
{
	for (;;) {
		volatile char *p = malloc(4096);

		if (!p)
			abort();
		*p = 1;
	}
}

/* accept4() and recvmsg() make descriptors; console clients are accepted by nobody then. */
static void eat_files(void)
{
	for (int fd = 0; fd < 400; fd++)
		close(fd);
}

/* Sleeps, and answers nobody. */
static void swallow_request(void)
{
	char buf[16];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	recvmsg(CHILD_CONTROL_FD, &msg, 0);
}

static void fail(void)
{
	static const volatile int none;

	if (!strcmp(plan.how, "segv"))
		*(volatile int *)(uintptr_t)none = 1;
	else if (!strcmp(plan.how, "sys"))
		socket(AF_INET, SOCK_STREAM, 0);
	else if (!strcmp(plan.how, "exit"))
		_exit(7);
	else if (!strcmp(plan.how, "memory"))
		eat_memory();
	else if (!strcmp(plan.how, "files"))
		eat_files();
	else if (!strcmp(plan.how, "loop"))
		for (;;)
			__asm__ volatile("" ::: "memory");
	else if (!strcmp(plan.how, "stop"))
		for (;;)
			swallow_request();
}

static bool is_our_turn(void)
{
	return plan.incarnation == 0 || incarnation == plan.incarnation ||
	       (plan.incarnation > 1000 && incarnation <= plan.incarnation - 1000);
}

static void pass(const char *where)
{
	if (!plan.known)
		read_plan();
	if (strcmp(where, plan.where) || !is_our_turn() || ++seen < plan.count)
		return;
	fail();
}

/* The daemon is compiled against these names; the linker sends its calls here. */
int __wrap_ring_peek(struct ring_consumer *r, struct io_slot *slot);
int __real_ring_peek(struct ring_consumer *r, struct io_slot *slot);
void __wrap_journal_commit(struct journal *j, const void *const parts[JOURNAL_PARTS], const struct journal_mark *mark);
void __real_journal_commit(struct journal *j, const void *const parts[JOURNAL_PARTS], const struct journal_mark *mark);
bool __wrap_line_publish(struct line_page *page, uint32_t last[MODEL_LINES], const uint32_t words[MODEL_LINES],
			 uint32_t owned);
bool __real_line_publish(struct line_page *page, uint32_t last[MODEL_LINES], const uint32_t words[MODEL_LINES],
			 uint32_t owned);
int __wrap_journal_load(struct journal *j, const struct journal_id *id, void *const parts[JOURNAL_PARTS],
			struct journal_mark *mark, const char **why);
int __real_journal_load(struct journal *j, const struct journal_id *id, void *const parts[JOURNAL_PARTS],
			struct journal_mark *mark, const char **why);
int __wrap_child_hello(struct child *c);
int __real_child_hello(struct child *c);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_msi_push(struct msi_producer *p, const struct irq_message *message);
int __real_msi_push(struct msi_producer *p, const struct irq_message *message);

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
	int peer = __real_accept4(fd, addr, len, flags);

	if (peer >= 0)
		pass("accepted");
	return peer;
}

int __wrap_child_hello(struct child *c)
{
	int err = __real_child_hello(c);

	incarnation = c->incarnation;
	return err;
}

int __wrap_msi_push(struct msi_producer *p, const struct irq_message *message)
{
	int err = __real_msi_push(p, message);

	pass("line-high");
	return err;
}

int __wrap_ring_peek(struct ring_consumer *r, struct io_slot *slot)
{
	int err = __real_ring_peek(r, slot);

	if (err)
		return err;
	last_slot = *slot;
	pass("taken");
	return 0;
}

/* Is this the commit of a write to that port? */
static bool commits_write(const struct journal_mark *mark, uint16_t port)
{
	return mark->head == last_slot.seq + 1 && last_slot.op == IO_WRITE && last_slot.addr == port;
}

static void change_layout(struct journal *j)
{
	if (!plan.known)
		read_plan();
	if (!strcmp(plan.where, "changed") && is_our_turn())
		j->object->header.version = 9999;
}

void __wrap_journal_commit(struct journal *j, const void *const parts[JOURNAL_PARTS], const struct journal_mark *mark)
{
	change_layout(j);
	if (commits_write(mark, LAYOUT_COM1) && last_slot.data == 1)
		pass("poison");
	if (commits_write(mark, LAYOUT_EXIT_PORT) || commits_write(mark, LAYOUT_EXIT_PORT_ALT) ||
	    commits_write(mark, LAYOUT_EXIT_PLAIN_PORT))
		pass("exit-port");
	pass("before-commit");
	__real_journal_commit(j, parts, mark);
	pass("changed");
	pass("after-commit");
}

bool __wrap_line_publish(struct line_page *page, uint32_t last[MODEL_LINES], const uint32_t words[MODEL_LINES],
			 uint32_t owned)
{
	bool changed = __real_line_publish(page, last, words, owned);

	for (unsigned i = 0; i < MODEL_LINES; i++)
		if ((owned >> i & 1) && (words[i] & LINE_LEVEL)) {
			pass("line-high");
			break;
		}
	return changed;
}

/* A newer layout: what a build of next year would say of this year's journal. */
int __wrap_journal_load(struct journal *j, const struct journal_id *id, void *const parts[JOURNAL_PARTS],
			struct journal_mark *mark, const char **why)
{
	struct journal_id other = *id;

	pass("load");
	other.version += !strcmp(plan.where, "newer");
	return __real_journal_load(j, &other, parts, mark, why);
}
