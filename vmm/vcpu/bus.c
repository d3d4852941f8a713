/* SPDX-License-Identifier: MIT */
/*
 * From a guest's port or memory access to the daemon that answers it: route, shadow, post or call. While the daemon is
 * away the access waits (ring.h): the guest's processor stands still there, and its time goes on, as on a PC whose firmware
 * has taken the processor for a while. What nobody answers, or whose device was given up, reads as all-ones.
 */
#include "vcpu.h"
#include "echo.h"
#include "window.h"

#include "devices/chips/pci_config.h"
#include "devices/model.h"
#include "proto/clock.h"
#include "proto/layout.h"
#include "proto/log.h"
#include "proto/probe.h"

#include <errno.h>
#include <string.h>

#define LATE_NS CLOCK_NS_PER_S
#define UNANSWERED_NS (500 * CLOCK_NS_PER_MS) /* a new incarnation repeats the answer before it serves */
#define REPORT_LATE_EVERY_NS (10 * CLOCK_NS_PER_S)
#define REPORT_BROKEN_EVERY_NS (100 * CLOCK_NS_PER_MS) /* each costs it its life, until it is given up */

static void report(struct channel *c, bool broken)
{
	uint64_t now = clock_ns();

	if (c->reported_ns && now - c->reported_ns < (broken ? REPORT_BROKEN_EVERY_NS : REPORT_LATE_EVERY_NS))
		return;
	c->reported_ns = now;
	if (broken)
		child_device_event(c->bus->child, BULKHEAD__EVENT_TYPE__EVENT_PROTOCOL, EPROTO, c->role, c->instance, NULL);
	else
		child_device_event(c->bus->child, BULKHEAD__EVENT_TYPE__EVENT_DEVICE_TIMEOUT, 0, c->role, c->instance,
				   "the guest waits for it");
}

bool bus_patience(void *ctx, uint64_t waited_ns, int odd)
{
	struct channel *c = ctx;

	if (odd == -EPROTO || (odd == -ENOMSG && waited_ns >= UNANSWERED_NS))
		report(c, true);
	else if (waited_ns >= LATE_NS)
		report(c, false);
	return true;
}

static struct counters *counters_of(const struct bus *b, unsigned vcpu)
{
	return &b->counters->thread[vcpu % COUNTERS_VCPUS];
}

static void count(const struct bus *b, unsigned vcpu, enum counter which)
{
	counter_add(&counters_of(b, vcpu)->of[which], 1);
}

static struct counters_device *device_of(const struct channel *c, unsigned vcpu)
{
	return &counters_of(c->bus, vcpu)->device[c - c->bus->channels];
}

/* One access, for the tracer: nothing is done for it unless somebody traces. */
static void tell(struct bus *b, const struct route_range *r, const struct io_slot *slot, enum trace_way way, uint64_t took_ns)
{
	const struct channel *c = r ? &b->channels[r->channel] : NULL;
	struct trace_io io = {
		.address = slot->addr,
		.data = slot->data & reg_all_ones(slot->size),
		.took_ns = took_ns,
		.count = slot->count ? slot->count : 1,
		.offset = slot->offset,
		.role = c ? (uint16_t)c->role : 0,
		.instance = c ? (uint8_t)c->instance : 0,
		.range = slot->range,
		.size = slot->size,
		.write = slot->op == IO_WRITE,
		.space = slot->space == MODEL_PORT ? TRACE_PORT : TRACE_MMIO,
		.way = (uint8_t)way,
	};

	vcpu_trace_io(&b->trace, slot->vcpu, &io);
}

/* What nobody answers. */
static void tell_unclaimed(struct bus *b, unsigned vcpu, enum io_space space, enum io_op op, uint64_t addr, uint64_t data)
{
	const struct io_slot slot = { .op = (uint8_t)op,
				      .size = 1,
				      .vcpu = (uint8_t)vcpu,
				      .addr = addr,
				      .data = data,
				      .space = space == IO_PORT ? MODEL_PORT : MODEL_MMIO };

	if (b->trace.io)
		tell(b, NULL, &slot, TRACE_UNCLAIMED, 0);
}

/* The time of the request is the beginning of its round trip. */
static int call(struct channel *c, struct io_slot *slot, struct ring_reply *reply)
{
	struct counters_device *d = device_of(c, slot->vcpu);
	uint64_t ns;
	int err;

	slot->when = machine_ns(&c->ring.clock);
	err = ring_call(&c->ring, slot, reply);
	ns = machine_ns(&c->ring.clock) - slot->when;
	counter_add(&d->synchronous, 1);
	counters_round(d, ns);
	PROBE4(round_trip, slot->vcpu, c - c->bus->channels, slot->addr, ns);
	return err;
}

static void post(struct channel *c, const struct io_slot *slot, uint8_t classes)
{
	counter_add(&device_of(c, slot->vcpu)->posted, 1);
	ring_post(&c->ring, slot, classes);
}

static struct io_slot make_slot(const struct route_range *r, unsigned vcpu, enum io_op op, uint64_t addr,
				uint64_t data, unsigned size, enum model_space space)
{
	return (struct io_slot){
		.op = (uint8_t)op,
		.size = (uint8_t)size,
		.vcpu = (uint8_t)vcpu,
		.range = r->range,
		.space = (uint8_t)space,
		.offset = (uint32_t)(addr - r->base),
		.addr = addr,
		.data = data,
	};
}

/* A framebuffer whose BAR the guest has moved away from where engines see it as memory: slower, and the same bytes. */
static uint64_t read_memory(const struct route_range *r, uint64_t addr, unsigned size)
{
	uint64_t value = 0;

	memcpy(&value, r->memory + (addr - r->base), size);
	return value;
}

static void write_memory(const struct route_range *r, uint64_t addr, uint64_t data, unsigned size)
{
	if (!r->rom)
		memcpy(r->memory + (addr - r->base), &data, size);
}

/* Without asking the device, if it is there. */
static bool is_known_here(const struct channel *c, const struct route_range *r, struct route_access access, uint64_t addr,
			  unsigned size, uint64_t *value)
{
	if (atomic_load_explicit(&c->ring.given_up, memory_order_relaxed))
		return false;
	if (c->echo && echo_read(c->echo, r, addr, size, value))
		return true;
	return access.way == ROUTE_SHADOWED && ring_is_applied(&c->ring, access.classes) &&
	       shadow_read(c->shadow, access.shadow, &c->ring.clock, value) == 0;
}

static uint64_t read_routed(struct bus *b, const struct route_range *r, unsigned vcpu, enum model_space space,
			    uint64_t addr, unsigned size)
{
	struct route_access access = route_read(r, addr, size);
	struct channel *c = &b->channels[r->channel];
	struct ring_reply reply = { .data = ~0ull };
	struct io_slot slot;
	uint64_t value;

	if (is_known_here(c, r, access, addr, size, &value)) {
		counter_add(&device_of(c, vcpu)->shadowed, 1);
		slot = make_slot(r, vcpu, IO_READ, addr, value, size, space);
		if (b->trace.io)
			tell(b, r, &slot, TRACE_SHADOWED, 0);
		return value & reg_all_ones(size);
	}
	slot = make_slot(r, vcpu, IO_READ, addr, 0, size, space);
	call(c, &slot, &reply);
	slot.data = reply.data;
	if (b->trace.io)
		tell(b, r, &slot, TRACE_WAITED, machine_ns(&c->ring.clock) - slot.when);
	return reply.data & reg_all_ones(size);
}

static uint64_t read_pieces(void *ctx, unsigned vcpu, enum io_space asked, uint64_t addr, unsigned size);

/* An access through configuration mechanism 1 is one to memory. */
static enum io_space find_space(struct bus *b, unsigned vcpu, enum io_space space, uint64_t *addr, unsigned size)
{
	if (space == IO_PORT && pci_translate(&b->pci, read_pieces, b, vcpu, *addr, size, addr))
		return IO_MMIO;
	if (space == IO_MMIO)
		pci_translate_memory(&b->pci, addr);
	return space;
}

static uint64_t read_pieces(void *ctx, unsigned vcpu, enum io_space asked, uint64_t addr, unsigned size)
{
	enum io_space io_space = find_space(ctx, vcpu, asked, &addr, size);
	enum model_space space = io_space == IO_PORT ? MODEL_PORT : MODEL_MMIO;
	struct bus *b = ctx;
	const struct route_range *r = route_find(&b->routes, space, addr);
	uint64_t value = 0;

	if (r && route_fits(r, addr, size))
		return r->memory ? read_memory(r, addr, size) : read_routed(b, r, vcpu, space, addr, size);
	if (size == 1) {
		count(b, vcpu, COUNTER_UNCLAIMED);
		tell_unclaimed(b, vcpu, io_space, IO_READ, addr, 0xff);
		return 0xff;
	}
	/* Across the edge of a range, or begins outside one: each byte is somebody's, or nobody's. */
	for (unsigned i = 0; i < size; i++)
		value |= read_pieces(ctx, vcpu, io_space, addr + i, 1) << (8 * i);
	return value;
}

static uint64_t bus_read(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, unsigned size)
{
	count(ctx, vcpu, space == IO_PORT ? COUNTER_PORT_READ : COUNTER_MMIO_READ);
	PROBE5(access, vcpu, addr, size, 0, space != IO_PORT);
	return read_pieces(ctx, vcpu, space, addr, size);
}

/* What stands behind the write that ends the machine is not run: the supervisor will end this process. */
static void rest(const struct channel *c, bool heard)
{
	struct bus *b = c->bus;
	uint32_t resting = atomic_fetch_add(&b->at_rest, 1) + 1;

	for (;;) {
		if (!heard)
			heard = !child_device_event(b->child, BULKHEAD__EVENT_TYPE__EVENT_UNHEARD, 0, c->role, c->instance, NULL);
		futex_wait(&b->at_rest, resting, CLOCK_NS_PER_S);
	}
}

/* Another vCPU has made the machine's last write: nothing of this one's comes behind it. */
static void rest_with_others(struct bus *b)
{
	for (;;)
		futex_wait(&b->at_rest, atomic_load(&b->at_rest), CLOCK_NS_PER_S);
}

/* Nobody heard it if the device is given up, or has skipped the request: then the answer is all-ones. */
static void write_last(struct channel *c, struct io_slot *slot)
{
	struct ring_reply reply = { .data = ~0ull };
	int err = call(c, slot, &reply);

	rest(c, !err && !reply.data);
}

static const enum trace_way trace_ways[] = {
	[ROUTE_SYNC] = TRACE_WAITED, [ROUTE_LAST] = TRACE_WAITED, [ROUTE_POST] = TRACE_POSTED,
	[ROUTE_DROP] = TRACE_DROPPED, [ROUTE_SHADOWED] = TRACE_SHADOWED,
};

/* platformd may end the machine over any write that it gets, and this process with it: who waits for the answer may not live to tell of
 * it. So the tracer is told before, without how long it took. */
static bool may_be_last(const struct channel *c, enum route_way way)
{
	return way == ROUTE_LAST || (way == ROUTE_SYNC && c->role == BULKHEAD__ROLE__ROLE_PLATFORMD);
}

static void write_routed(struct bus *b, const struct route_range *r, unsigned vcpu, enum model_space space,
			 uint64_t addr, uint64_t data, unsigned size)
{
	struct route_access access = route_write(r, addr, size, data);
	struct io_slot slot = make_slot(r, vcpu, IO_WRITE, addr, data, size, space);
	struct channel *c = &b->channels[r->channel];
	const bool last = may_be_last(c, access.way);

	if (atomic_load_explicit(&b->at_rest, memory_order_relaxed))
		rest_with_others(b);
	if (b->trace.io && last)
		tell(b, r, &slot, TRACE_WAITED, 0);
	if (c->echo) {
		pthread_mutex_lock(&c->echo->lock);
		echo_written(c->echo, r, addr, data, size);
	}
	if (access.way == ROUTE_DROP)
		count(b, vcpu, COUNTER_DROPPED);
	else if (c->virtio && virtio_notify(c, r, addr, size))
		access.way = ROUTE_POST;
	else if (access.way == ROUTE_POST)
		post(c, &slot, access.classes);
	else if (access.way == ROUTE_LAST)
		write_last(c, &slot);
	else
		call(c, &slot, NULL);
	if (c->echo)
		pthread_mutex_unlock(&c->echo->lock);
	if (b->trace.io && !last)
		tell(b, r, &slot, trace_ways[access.way], access.way == ROUTE_SYNC ? machine_ns(&c->ring.clock) - slot.when : 0);
}

/* It has been written, and answered. */
static void config_written(struct bus *b, const struct route_range *r, unsigned vcpu, uint64_t addr, unsigned size)
{
	const struct channel *c = &b->channels[r->channel];
	int queue = c->virtio ? virtio_window_queue(read_pieces, b, vcpu, r->base, addr, size) : -1;

	if (queue >= 0)
		virtio_kick(c, (unsigned)queue);
	pci_config_written(&b->pci, &b->routes, r, read_pieces, b, vcpu, addr, size);
}

static void write_pieces(void *ctx, unsigned vcpu, enum io_space asked, uint64_t addr, uint64_t data, unsigned size)
{
	enum io_space io_space = find_space(ctx, vcpu, asked, &addr, size);
	enum model_space space = io_space == IO_PORT ? MODEL_PORT : MODEL_MMIO;
	struct bus *b = ctx;
	const struct route_range *r = route_find(&b->routes, space, addr);

	if (r && route_fits(r, addr, size) && r->memory) {
		write_memory(r, addr, data, size);
		return;
	}
	if (r && route_fits(r, addr, size)) {
		write_routed(b, r, vcpu, space, addr, data, size);
		if (b->pci.present && pci_is_config(r))
			config_written(b, r, vcpu, addr, size);
		return;
	}
	if (size == 1) {
		count(b, vcpu, COUNTER_UNCLAIMED);
		tell_unclaimed(b, vcpu, io_space, IO_WRITE, addr, data);
		return;
	}
	for (unsigned i = 0; i < size; i++)
		write_pieces(ctx, vcpu, io_space, addr + i, (data >> (8 * i)) & 0xff, 1);
}

static void bus_write(void *ctx, unsigned vcpu, enum io_space space, uint64_t addr, uint64_t data, unsigned size)
{
	count(ctx, vcpu, space == IO_PORT ? COUNTER_PORT_WRITE : COUNTER_MMIO_WRITE);
	PROBE5(access, vcpu, addr, size, 1, space != IO_PORT);
	if (space == IO_PORT)
		pci_note_write(&((struct bus *)ctx)->pci, addr, data, size);
	write_pieces(ctx, vcpu, space, addr, data, size);
}

/* Its slots go by themselves: all of them are one round trip. */
static void string_done(struct channel *c, const struct route_range *r, struct io_slot *slot, const void *buf, uint32_t items)
{
	struct counters_device *d = device_of(c, slot->vcpu);
	uint64_t ns = machine_ns(&c->ring.clock) - slot->when;

	counter_add(&d->synchronous, 1);
	counters_round(d, ns);
	slot->count = (uint16_t)(items < UINT16_MAX ? items : UINT16_MAX);
	memcpy(&slot->data, buf, slot->size);
	if (c->bus->trace.io)
		tell(c->bus, r, slot, TRACE_WAITED, ns);
}

/* A string needs one port that one range answers whole; anything odd goes item by item. */
static const struct route_range *string_range(struct bus *b, uint16_t port, unsigned size)
{
	const struct route_range *r = route_find(&b->routes, MODEL_PORT, port);

	if (b->pci.present && port - PCI_CONFIG_ADDRESS < 8)
		return NULL;
	return r && route_fits(r, port, size) ? r : NULL;
}

static void bus_read_string(void *ctx, unsigned vcpu, uint16_t port, void *buf, uint32_t items, unsigned size)
{
	struct bus *b = ctx;
	const struct route_range *r = string_range(b, port, size);
	struct channel *c = r ? &b->channels[r->channel] : NULL;
	struct io_slot slot;

	count(b, vcpu, COUNTER_PORT_STRING);
	if (!r && !route_find(&b->routes, MODEL_PORT, port) && size == 1) {
		memset(buf, 0xff, items);
		counter_add(&counters_of(b, vcpu)->of[COUNTER_UNCLAIMED], items);
		return;
	}
	if (!r) {
		for (uint32_t i = 0; i < items; i++) {
			uint64_t value = read_pieces(ctx, vcpu, IO_PORT, port, size);

			memcpy((uint8_t *)buf + (size_t)i * size, &value, size);
		}
		return;
	}
	slot = make_slot(r, vcpu, IO_READ, port, 0, size, MODEL_PORT);
	slot.when = machine_ns(&c->ring.clock);
	ring_read_string(&c->ring, &slot, buf, items, size);
	string_done(c, r, &slot, buf, items);
}

static void bus_write_string(void *ctx, unsigned vcpu, uint16_t port, const void *buf, uint32_t items, unsigned size)
{
	struct bus *b = ctx;
	const struct route_range *r = string_range(b, port, size);
	struct channel *c = r ? &b->channels[r->channel] : NULL;
	struct io_slot slot;

	count(b, vcpu, COUNTER_PORT_STRING);
	if (!r || route_write(r, port, size, 0).way == ROUTE_LAST) {
		for (uint32_t i = 0; i < items; i++) {
			uint64_t value = 0;

			memcpy(&value, (const uint8_t *)buf + (size_t)i * size, size);
			pci_note_write(&b->pci, port, value, size);
			write_pieces(ctx, vcpu, IO_PORT, port, value, size);
		}
		return;
	}
	if (c->echo)
		echo_forget(c->echo);
	slot = make_slot(r, vcpu, IO_WRITE, port, 0, size, MODEL_PORT);
	slot.when = machine_ns(&c->ring.clock);
	ring_write_string(&c->ring, &slot, buf, items, size);
	string_done(c, r, &slot, buf, items);
}

/* The output that this process has acknowledged stays visible until irqd has applied the INTA: it is not a new one. */
static bool bus_extint_pending(void *ctx, unsigned vcpu)
{
	struct bus *b = ctx;
	struct pic_output out = msi_get_pic(b->msi);

	return out.intr && out.seq != atomic_load_explicit(&b->acked_seq, memory_order_relaxed);
}

/*
 * The vector is taken from the published word and the acknowledge posted behind it (design.md, section 3): no round
 * trip. If the output changed in between, irqd sees a stale seq and treats it as the 8259's own spurious case.
 */
static int bus_intack(void *ctx, unsigned vcpu)
{
	struct bus *b = ctx;
	struct pic_output out = msi_get_pic(b->msi);
	struct io_slot slot = { .op = IO_INTA, .vcpu = (uint8_t)vcpu, .data = out.seq };
	uint32_t acked = atomic_load_explicit(&b->acked_seq, memory_order_relaxed);

	if (!out.intr || out.seq == acked || !atomic_compare_exchange_strong(&b->acked_seq, &acked, out.seq))
		return -EAGAIN; /* another vCPU has it */
	count(b, vcpu, COUNTER_INTACK);
	vcpu_trace_vector(&b->trace, vcpu, out.vector, TRACE_WAITED, (uint16_t)b->irqd->role);
	post(b->irqd, &slot, CLASS_CONFIG);
	return out.vector;
}

static void bus_eoi(void *ctx, unsigned vcpu, uint8_t vector)
{
	struct bus *b = ctx;
	struct io_slot slot = { .op = IO_EOI, .vcpu = (uint8_t)vcpu, .data = vector };

	count(b, vcpu, COUNTER_EOI);
	post(b->irqd, &slot, CLASS_CONFIG);
}

static void bus_log(void *ctx, unsigned vcpu, const char *line)
{
	log_info("vcpu%u: %s", vcpu, line);
}

void bus_engine(struct bus *b, struct engine_bus *out)
{
	*out = (struct engine_bus){
		.ctx = b,
		.read = bus_read,
		.write = bus_write,
		.read_string = bus_read_string,
		.write_string = bus_write_string,
		.extint_pending = bus_extint_pending,
		.intack = bus_intack,
		.eoi = bus_eoi,
		.log = bus_log,
	};
}

uint64_t bus_count(const struct bus *b, enum counter which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < COUNTERS_THREADS; i++)
		sum += counter_get(&b->counters->thread[i].of[which]);
	return sum;
}

uint64_t bus_count_shadowed(const struct bus *b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < COUNTERS_VCPUS; i++)
		for (unsigned n = 0; n < b->channel_count; n++)
			sum += counter_get(&b->counters->thread[i].device[n].shadowed);
	return sum;
}

uint64_t bus_count_interrupts(const struct bus *b)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < COUNTERS_THREADS; i++)
		for (unsigned v = 0; v < COUNTERS_VECTORS; v++)
			sum += counter_get(&b->counters->thread[i].vector[v]);
	return sum;
}

struct channel *bus_channel(struct bus *b, Bulkhead__Role role, unsigned instance)
{
	for (unsigned i = 0; i < b->channel_count; i++)
		if (b->channels[i].role == role && b->channels[i].instance == instance)
			return &b->channels[i];
	return NULL;
}

int bus_add_route(struct bus *b, const Bulkhead__RouteAdd *m)
{
	const struct kind_row *kind = kind_of_role(m->device);
	const struct device_model *model = kind ? device_models[kind - kind_rows] : NULL;
	struct channel *c = bus_channel(b, m->device, m->instance);

	if (!c || !model || m->range >= model->range_count)
		return -ENODEV;
	return route_place(&b->routes, model->ranges, m->range, m->base_address, (uint8_t)(c - b->channels));
}

void bus_find_bars(struct bus *b)
{
	if (b->pci.present)
		pci_find_bars(&b->pci, &b->routes, read_pieces, b);
}

/* Sources before irqd: their lines are low when irqd forgets what was pending. */
void bus_reset(struct bus *b, struct msi_consumer *msi)
{
	struct io_slot slot = { .op = IO_RESET };

	for (unsigned i = 0; i < b->channel_count; i++)
		if (&b->channels[i] != b->irqd) {
			if (b->channels[i].echo)
				echo_forget(b->channels[i].echo);
			ring_call(&b->channels[i].ring, &slot, NULL);
		}
	ring_call(&b->irqd->ring, &slot, NULL);
	msi_discard(msi);
}
