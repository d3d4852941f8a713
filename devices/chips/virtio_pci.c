/* SPDX-License-Identifier: MIT */
/* The common configuration of a virtio device on PCI: see virtio_pci.h. */
#include "virtio_pci.h"

#include <string.h>

#include "proto/vhost_user.h"

#define READ_ONLY(name_, offset_, size_) { .name = name_, .offset = offset_, .size = size_, .readable = true }
#define READ_WRITE(name_, offset_, size_, mask_) \
	{ .name = name_, .offset = offset_, .size = size_, .readable = true, .writable = true, .write_mask = mask_, .post = REG_SYNC }

const struct reg_desc virtio_pci_regs[VIRTIO_PCI_REGS] = {
	[VIRTIO_REG_OFFERED_SELECT] = READ_WRITE("device_feature_select", 0x00, 4, 0xffffffff),
	[VIRTIO_REG_OFFERED] = READ_ONLY("device_feature", 0x04, 4),
	[VIRTIO_REG_ACCEPTED_SELECT] = READ_WRITE("driver_feature_select", 0x08, 4, 0xffffffff),
	[VIRTIO_REG_ACCEPTED] = READ_WRITE("driver_feature", 0x0c, 4, 0xffffffff),
	[VIRTIO_REG_CONFIG_VECTOR] = READ_WRITE("config_msix_vector", 0x10, 2, 0xffff),
	[VIRTIO_REG_QUEUE_COUNT] = READ_ONLY("num_queues", 0x12, 2),
	[VIRTIO_REG_STATUS] = READ_WRITE("device_status", 0x14, 1, 0xff),
	[VIRTIO_REG_GENERATION] = READ_ONLY("config_generation", 0x15, 1),
	[VIRTIO_REG_QUEUE_SELECT] = READ_WRITE("queue_select", 0x16, 2, 0xffff),
	[VIRTIO_REG_QUEUE_SIZE] = READ_WRITE("queue_size", 0x18, 2, 0xffff),
	[VIRTIO_REG_QUEUE_VECTOR] = READ_WRITE("queue_msix_vector", 0x1a, 2, 0xffff),
	[VIRTIO_REG_QUEUE_ENABLE] = READ_WRITE("queue_enable", 0x1c, 2, 1),
	[VIRTIO_REG_QUEUE_NOTIFY] = READ_ONLY("queue_notify_off", 0x1e, 2),
	[VIRTIO_REG_QUEUE_DESC] = READ_WRITE("queue_desc", 0x20, 8, ~15ull),
	[VIRTIO_REG_QUEUE_DRIVER] = READ_WRITE("queue_driver", 0x28, 8, ~1ull),
	[VIRTIO_REG_QUEUE_DEVICE] = READ_WRITE("queue_device", 0x30, 8, ~3ull),
};

static const struct virtio_queue *selected(const struct virtio_pci *v)
{
	return v->queue_select < v->queue_count && v->queue_select < VIRTIO_QUEUES ? &v->queues[v->queue_select] : NULL;
}

/* 4.1.5.1.3: a queue that there is not has size 0. */
static uint64_t read_queue(const struct virtio_pci *v, enum virtio_pci_reg reg)
{
	const struct virtio_queue *q = selected(v);

	if (!q)
		return reg == VIRTIO_REG_QUEUE_VECTOR ? VIRTIO_NO_VECTOR : 0;
	switch ((int)reg) {
	case VIRTIO_REG_QUEUE_SIZE:
		return q->size;
	case VIRTIO_REG_QUEUE_VECTOR:
		return q->vector;
	case VIRTIO_REG_QUEUE_ENABLE:
		return q->enabled;
	case VIRTIO_REG_QUEUE_NOTIFY:
		return v->queue_select;
	case VIRTIO_REG_QUEUE_DESC:
		return q->desc;
	case VIRTIO_REG_QUEUE_DRIVER:
		return q->driver;
	default:
		return q->device;
	}
}

static uint32_t half(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static uint64_t read_reg(const struct virtio_pci *v, enum virtio_pci_reg reg)
{
	switch ((int)reg) {
	case VIRTIO_REG_OFFERED_SELECT:
		return v->offered_select;
	case VIRTIO_REG_OFFERED:
		return half(v->offered, v->offered_select);
	case VIRTIO_REG_ACCEPTED_SELECT:
		return v->accepted_select;
	case VIRTIO_REG_ACCEPTED:
		return half(v->accepted, v->accepted_select);
	case VIRTIO_REG_CONFIG_VECTOR:
		return v->config_vector;
	case VIRTIO_REG_QUEUE_COUNT:
		return v->queue_count;
	case VIRTIO_REG_STATUS:
		return v->status;
	case VIRTIO_REG_GENERATION:
		return v->generation;
	case VIRTIO_REG_QUEUE_SELECT:
		return v->queue_select;
	default:
		return read_queue(v, reg);
	}
}

/* Byte by byte, for a guest may read the fields at any width. */
static uint8_t read_byte(const struct virtio_pci *v, uint32_t offset)
{
	for (unsigned i = 0; i < VIRTIO_PCI_REGS; i++)
		if (offset - virtio_pci_regs[i].offset < virtio_pci_regs[i].size)
			return (uint8_t)(read_reg(v, i) >> 8 * (offset - virtio_pci_regs[i].offset));
	return 0;
}

uint64_t virtio_pci_read(const struct virtio_pci *v, uint32_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && i < 8; i++)
		value |= (uint64_t)read_byte(v, offset + i) << 8 * i;
	return value;
}

static void accept(struct virtio_pci *v, uint32_t bits)
{
	unsigned shift = 32 * (v->accepted_select & 1);

	if (v->accepted_select < 2 && !(v->status & VIRTIO_FEATURES_OK))
		v->accepted = (v->accepted & ~(0xffffffffull << shift)) | (uint64_t)bits << shift;
}

/* 2.2.2, 3.1.1: what was not offered cannot be had, and a driver of before 1.0 finds nothing here. */
static bool are_features_fine(const struct virtio_pci *v)
{
	return !(v->accepted & ~v->offered) && v->accepted & VU_F_VERSION_1;
}

/* 2.1.2: bits are only added; zero resets (4.1.4.3.1), which takes a while when the back-end is at work. */
static void write_status(struct virtio_pci *v, uint8_t status)
{
	if (!status) {
		if (v->phase == VIRTIO_IDLE)
			virtio_pci_reset(v);
		else
			v->phase = VIRTIO_STOPPING;
		return;
	}
	if (v->phase == VIRTIO_STOPPING)
		return;
	if (!are_features_fine(v))
		status &= (uint8_t) ~(VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
	if (!((status | v->status) & VIRTIO_FEATURES_OK))
		status &= (uint8_t)~VIRTIO_DRIVER_OK;
	v->status |= status & (uint8_t)~VIRTIO_NEEDS_RESET;
	if (v->status & VIRTIO_DRIVER_OK && v->phase == VIRTIO_IDLE)
		v->phase = VIRTIO_RUNS;
}

/* 4.1.5.1.2.1: a vector that there is not reads back as none. */
static uint16_t vector_of(uint64_t data)
{
	return (uint16_t)(data < VIRTIO_VECTORS ? data : VIRTIO_NO_VECTOR);
}

static void write_size(struct virtio_queue *q, uint64_t data)
{
	if (data && data <= VIRTIO_QUEUE_SIZE && !(data & (data - 1)))
		q->size = (uint16_t)data;
}

/* 4.1.4.3.2: nothing of a queue may change when it is enabled, but its vector, which the device then says where it goes. */
static void write_queue(struct virtio_pci *v, enum virtio_pci_reg reg, uint64_t data)
{
	struct virtio_queue *q = (struct virtio_queue *)selected(v);

	if (!q || v->phase != VIRTIO_IDLE)
		return;
	if (reg == VIRTIO_REG_QUEUE_VECTOR)
		q->vector = vector_of(data);
	if (q->enabled)
		return;
	if (reg == VIRTIO_REG_QUEUE_SIZE)
		write_size(q, data);
	else if (reg == VIRTIO_REG_QUEUE_ENABLE)
		q->enabled = data == 1;
	else if (reg == VIRTIO_REG_QUEUE_DESC)
		q->desc = data;
	else if (reg == VIRTIO_REG_QUEUE_DRIVER)
		q->driver = data;
	else if (reg == VIRTIO_REG_QUEUE_DEVICE)
		q->device = data;
}

static void write_reg(struct virtio_pci *v, enum virtio_pci_reg reg, uint64_t data)
{
	switch ((int)reg) {
	case VIRTIO_REG_OFFERED_SELECT:
		v->offered_select = (uint32_t)data;
		break;
	case VIRTIO_REG_ACCEPTED_SELECT:
		v->accepted_select = (uint32_t)data;
		break;
	case VIRTIO_REG_ACCEPTED:
		accept(v, (uint32_t)data);
		break;
	case VIRTIO_REG_CONFIG_VECTOR:
		v->config_vector = vector_of(data);
		break;
	case VIRTIO_REG_STATUS:
		write_status(v, (uint8_t)data);
		break;
	case VIRTIO_REG_QUEUE_SELECT:
		v->queue_select = (uint16_t)data;
		break;
	default:
		write_queue(v, reg, data);
	}
}

static uint64_t merge_half(uint64_t old, uint64_t data, bool upper)
{
	return upper ? (old & 0xffffffff) | data << 32 : (old & ~0xffffffffull) | (data & 0xffffffff);
}

void virtio_pci_write(struct virtio_pci *v, uint32_t offset, uint64_t data, unsigned size)
{
	for (unsigned i = 0; i < VIRTIO_PCI_REGS; i++) {
		const struct reg_desc *r = &virtio_pci_regs[i];
		bool upper = offset == r->offset + 4u;

		if (!r->writable)
			continue;
		if (r->offset == offset && r->size == size)
			write_reg(v, i, data & r->write_mask);
		else if (r->size == 8 && size == 4 && (r->offset == offset || upper))
			write_reg(v, i, merge_half(read_reg(v, i), data, upper) & r->write_mask);
	}
}

void virtio_pci_reset(struct virtio_pci *v)
{
	const struct virtio_pci old = *v;

	memset(v, 0, sizeof(*v));
	v->offered = old.offered;
	v->queue_count = old.queue_count;
	v->generation = old.generation;
	v->config_vector = VIRTIO_NO_VECTOR;
	for (unsigned n = 0; n < VIRTIO_QUEUES; n++) {
		v->queues[n].size = VIRTIO_QUEUE_SIZE;
		v->queues[n].vector = VIRTIO_NO_VECTOR;
	}
}

void virtio_pci_offer(struct virtio_pci *v, uint64_t features, unsigned queues)
{
	v->offered = features;
	v->queue_count = (uint16_t)(queues < VIRTIO_QUEUES ? queues : VIRTIO_QUEUES);
}

static const char *check_queue(const struct virtio_queue *q)
{
	if (!q->size || q->size > VIRTIO_QUEUE_SIZE || q->size & (q->size - 1))
		return "virtio.queue.size";
	if (q->vector >= VIRTIO_VECTORS && q->vector != VIRTIO_NO_VECTOR)
		return "virtio.queue.vector";
	return q->enabled > 1 ? "virtio.queue.enabled" : NULL;
}

const char *virtio_pci_check(const struct virtio_pci *v)
{
	const char *bad = NULL;

	if (v->queue_count > VIRTIO_QUEUES)
		return "virtio.queue_count";
	if (v->config_vector >= VIRTIO_VECTORS && v->config_vector != VIRTIO_NO_VECTOR)
		return "virtio.config_vector";
	if (v->phase >= VIRTIO_PHASES || (v->phase == VIRTIO_IDLE) != !(v->status & VIRTIO_DRIVER_OK))
		return "virtio.phase";
	if (v->status & VIRTIO_FEATURES_OK && !are_features_fine(v))
		return "virtio.accepted";
	for (unsigned n = 0; n < VIRTIO_QUEUES && !bad; n++)
		bad = check_queue(&v->queues[n]);
	return bad;
}
