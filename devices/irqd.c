/* SPDX-License-Identifier: MIT */
/*
 * bulkhead-irqd: 8259 pair and IOAPIC. Samples the line words of all devices whenever it handles anything, and publishes
 * messages and the 8259's output. It never waits for anyone: what finds no room stays in the model, where a pin's state
 * is pending.
 *
 * A message leaves the model into the outbox, which is journalled with it, and is shown to the vCPU process after that
 * commit. The ring's own tail tells a next incarnation how far that got: nothing is lost and nothing comes twice.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "devices/irq_model.h"
#include "proto/clock.h"
#include "proto/msi.h"
#include "proto/shm.h"
#include "daemons.h"
#include "runtime.h"

enum { FD_MSI, FD_VCPU_BELL, FD_SOURCES, SOURCES_MAX = DEVICES_MAX, OUTBOX_MAX = 16 };
#define ROOM_RETRY_NS CLOCK_NS_PER_MS

struct source {
	const struct line_page *page;
	uint32_t lines;
	struct runtime_bell bell;
};

struct letter {
	uint64_t addr;
	uint32_t data;
	uint8_t type, pin, masked, reserved;
};

struct outbox {
	uint32_t first; /* index in the ring of letters[0] */
	uint32_t count;
	struct letter letters[OUTBOX_MAX];
};

static struct outbox outbox;
static struct source sources[SOURCES_MAX];
static unsigned source_count;
static struct msi_producer messages;
static uint64_t sent;
static bool holds; /* does not look at lines */
static bool away;  /* did not look for a while */

static int add_source(struct runtime *rt, uint32_t lines, int line_fd, int *bell_fd)
{
	struct source *s = &sources[source_count];
	const void *page;
	int err = shm_map_ro(line_fd, sizeof(struct line_page), &page);

	if (err)
		return err;
	s->page = page;
	s->lines = lines;
	if (fcntl(*bell_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	err = runtime_watch_bell(rt, &s->bell, *bell_fd);
	*bell_fd = -1;
	source_count++;
	return err;
}

static void empty_outbox(void)
{
	outbox.first = messages.tail;
	outbox.count = 0;
}

static int start(struct runtime *rt, const Bulkhead__SetupDevice *setup, int *fds, unsigned nfds)
{
	void *page;
	int err;

	if (nfds != FD_SOURCES + 2 * setup->n_sources || setup->n_sources > SOURCES_MAX)
		return -EINVAL;
	err = shm_map_rw(fds[FD_MSI], sizeof(struct msi_page), &page);
	if (err)
		return err;
	if (fcntl(fds[FD_VCPU_BELL], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	away = rt->recovered;
	msi_producer_init(&messages, page, rt->ring.req, fds[FD_VCPU_BELL]);
	/* From power-on state, or a ring that the predecessor has spoilt. */
	if (messages.tail - outbox.first > outbox.count)
		empty_outbox();
	fds[FD_VCPU_BELL] = -1;
	for (size_t i = 0; i < setup->n_sources && !err; i++)
		err = add_source(rt, setup->sources[i]->lines, fds[FD_SOURCES + 2 * i], &fds[FD_SOURCES + 2 * i + 1]);
	return err;
}

/* Causality does the rest: a device stores its lowered line before it answers the access that lowered it, the guest's EOI
 * comes after that answer, and we sample after we have taken the EOI off the ring.
 *
 * Acknowledges are the other way round. The guest is in the handler already, and may have served its device, which has
 * asked again: an acknowledge after that edge would take it for the one that the guest has seen, and the edge would be
 * lost for good. But the acknowledge was on the ring before the handler's first access to the device. So we look at the
 * lines, then at the ring, and forget what we saw of the lines while an acknowledge waits. */
static void prepare(struct runtime *rt)
{
	uint32_t words[MODEL_LINES] = { 0 };

	for (unsigned i = 0; i < source_count; i++)
		line_join(sources[i].page, words, sources[i].lines);
	if (holds || ring_holds(&rt->ring, IO_INTA))
		return;
	if (away)
		irq_model_look_again(rt->state, words);
	else
		irq_model_set_lines(rt->state, words);
	away = false;
}

static void forget_sent(void)
{
	uint32_t n = messages.tail - outbox.first;

	if (n == 0 || n > outbox.count)
		return;
	outbox.first += n;
	outbox.count -= n;
	memmove(outbox.letters, outbox.letters + n, outbox.count * sizeof(outbox.letters[0]));
}

static void applied(struct runtime *rt, uint64_t now_ns)
{
	struct irq_message m;

	(void)now_ns;
	forget_sent();
	while (outbox.count < OUTBOX_MAX && irq_model_take_message(rt->state, &m)) {
		outbox.letters[outbox.count++] = (struct letter){
			.addr = m.addr,
			.data = m.data,
			.type = (uint8_t)m.type,
			.pin = m.pin,
			.masked = m.masked,
		};
		sent++;
	}
}

static void committed(struct runtime *rt, uint64_t now_ns)
{
	(void)now_ns;
	for (uint32_t i = messages.tail - outbox.first; i < outbox.count && msi_has_room(&messages); i++) {
		const struct letter *l = &outbox.letters[i];
		struct irq_message m = { .type = l->type, .pin = l->pin, .masked = l->masked, .addr = l->addr, .data = l->data };

		msi_push(&messages, &m);
	}
	msi_set_pic(&messages, irq_model_pic_output(rt->state));
	msi_notify(&messages);
}

static void reset(struct runtime *rt, uint64_t now_ns)
{
	(void)rt;
	(void)now_ns;
	empty_outbox();
}

static int validate(const void *state, const char **field)
{
	const struct outbox *o = state;

	*field = "count of messages";
	if (o->count > OUTBOX_MAX)
		return -EINVAL;
	*field = "message type";
	for (uint32_t i = 0; i < o->count; i++)
		if (o->letters[i].type > IRQ_MSG_ROUTE || o->letters[i].masked > 1)
			return -EINVAL;
	return 0;
}

static uint64_t operate(struct runtime *rt, const struct io_slot *slot, uint64_t now_ns)
{
	(void)now_ns;
	if (slot->op == IO_INTA)
		return irq_model_intack(rt->state, (uint32_t)slot->data);
	irq_model_eoi(rt->state, (uint8_t)slot->data);
	return 0;
}

/* The vCPU process makes no noise when it has made room, so look again soon while there is none. */
static uint64_t settle(struct runtime *rt, uint64_t now_ns)
{
	static bool was_full;
	bool full = !msi_has_room(&messages) || outbox.count == OUTBOX_MAX;

	if (was_full || full)
		runtime_touch(rt);
	was_full = full;
	return full ? now_ns + ROOM_RETRY_NS : UINT64_MAX;
}

static void hold_lines(struct runtime *rt, bool hold)
{
	(void)rt;
	holds = hold;
	away = true;
}

static void stats(struct runtime *rt, Bulkhead__Stats *s)
{
	(void)rt;
	s->has_interrupts = true;
	s->interrupts = sent;
}

const struct daemon_shell irqd_shell = {
	.kind = KIND_IRQD,
	.model = &irq_model,
	.shell_state = &outbox,
	.shell_size = sizeof(outbox),
	.shell_version = IRQD_SHELL_VERSION,
	.start = start,
	.reset = reset,
	.validate = validate,
	.prepare = prepare,
	.applied = applied,
	.committed = committed,
	.operate = operate,
	.settle = settle,
	.hold_lines = hold_lines,
	.stats = stats,
};
