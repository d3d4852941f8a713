/* SPDX-License-Identifier: MIT */
/* A virtio device as a PCI function: see virtio_model.h. */
#include "devices/virtio_model.h"

#include <errno.h>
#include <string.h>

#include "proto/layout.h"
#include "proto/vhost_user.h"

/* BAR 0: a page for each part (4.1.4). Notifications, VIRTIO_NOTIFY, go past us. */
enum { PART_COMMON = 0, PART_ISR = 0x1000, PART_DEVICE = 0x2000, PART_MSIX = 0x4000, PART_PENDING = 0x5000, PART_BYTES = 0x1000 };
/* Capabilities, in configuration space. */
enum { CAP_MSIX = 0x40, CAP_COMMON = 0x4c, CAP_NOTIFY = 0x5c, CAP_ISR = 0x70, CAP_DEVICE = 0x80, CAP_WINDOW = VIRTIO_WINDOW };
enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4, CFG_PCI = 5 };
enum { MSIX_ENABLE = 0x80, MSIX_FUNCTION_MASK = 0x40 }; /* of the upper byte of message control */
enum { WINDOW_OFFSET = CAP_WINDOW + 8, WINDOW_LENGTH = CAP_WINDOW + 12, WINDOW_DATA = CAP_WINDOW + 16 };
enum { VENDOR = 0x1af4, DEVICE_BASE = 0x1040, SUBSYSTEM = 0x1100 };
enum { BLK_NUM_QUEUES = 34 }; /* 5.2.4 */

/* What a type of device has: bytes of its own configuration, what it is to PCI, and bits that are not passed on to the guest. */
static const struct virtio_type {
	uint8_t id, config_bytes, pci_class;
	uint64_t hidden;
} types[] = {
	{ VIRTIO_ID_NET, 12, PCI_CLASS_NETWORK, 0 },
	{ VIRTIO_ID_BLOCK, 60, PCI_CLASS_STORAGE, 1ull << 11 /* VIRTIO_BLK_F_CONFIG_WCE */ },
	{ VIRTIO_ID_CONSOLE, 12, PCI_CLASS_COMMUNICATION, 0 },
	{ VIRTIO_ID_RNG, 0, PCI_CLASS_OTHER, 0 },
	{ VIRTIO_ID_GPU, 16, PCI_CLASS_DISPLAY, 0 },
	{ VIRTIO_ID_VSOCK, 8, PCI_CLASS_OTHER, 0 },
	{ VIRTIO_ID_FS, 40, PCI_CLASS_STORAGE, 0 },
	{ 0, 0, PCI_CLASS_OTHER, 0 }, /* any other */
};

static const struct virtio_type *type_of(uint16_t id)
{
	const struct virtio_type *t = types;

	while (t->id && t->id != id)
		t++;
	return t;
}

enum virtio_range { VIRTIOD_RANGES(RANGE_ID) RANGES };
static const struct model_range ranges[RANGES] = { VIRTIOD_RANGES(RANGE_ROW) };

_Static_assert(VIRTIO_BAR_BYTES == 0x8000, "as the write mask has it");
static const uint8_t write_mask[PCI_CONFIG_BYTES] = {
	[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
	[PCI_COMMAND + 1] = PCI_COMMAND_NO_INTX >> 8,
	[PCI_CACHE_LINE] = 0xff,
	[PCI_BAR0 + 1] = 0x80, /* of its size */
	[PCI_BAR0 + 2] = 0xff,
	[PCI_BAR0 + 3] = 0xff,
	[PCI_INTERRUPT_LINE] = 0xff,
	[CAP_MSIX + 3] = MSIX_ENABLE | MSIX_FUNCTION_MASK,
	[WINDOW_OFFSET - 4] = 0xff,
	[WINDOW_OFFSET] = 0xff, [WINDOW_OFFSET + 1] = 0xff, [WINDOW_OFFSET + 2] = 0xff, [WINDOW_OFFSET + 3] = 0xff,
	[WINDOW_LENGTH] = 0xff, [WINDOW_LENGTH + 1] = 0xff, [WINDOW_LENGTH + 2] = 0xff, [WINDOW_LENGTH + 3] = 0xff,
};

/* 4.1.4: vendor-specific, its length, what it is for, BAR, where in it. */
static void put_capability(struct pci_function *f, unsigned at, unsigned next, unsigned len, unsigned what, uint32_t offset,
			   uint32_t bytes)
{
	pci_function_set(f, at, PCI_CAP_VENDOR, 1);
	pci_function_set(f, at + 1, next, 1);
	pci_function_set(f, at + 2, len, 1);
	pci_function_set(f, at + 3, what, 1);
	pci_function_set(f, at + 8, offset, 4);
	pci_function_set(f, at + 12, bytes, 4);
}

static void put_capabilities(struct pci_function *f)
{
	pci_function_set(f, PCI_CAPABILITIES, CAP_MSIX, 1);
	pci_function_set(f, CAP_MSIX, PCI_CAP_MSIX, 1);
	pci_function_set(f, CAP_MSIX + 1, CAP_COMMON, 1);
	pci_function_set(f, CAP_MSIX + 2, VIRTIO_VECTORS - 1, 2);
	pci_function_set(f, CAP_MSIX + 4, PART_MSIX, 4);
	pci_function_set(f, CAP_MSIX + 8, PART_PENDING, 4);
	put_capability(f, CAP_COMMON, CAP_NOTIFY, 16, CFG_COMMON, PART_COMMON, VIRTIO_COMMON_BYTES);
	put_capability(f, CAP_NOTIFY, CAP_ISR, 20, CFG_NOTIFY, VIRTIO_NOTIFY, VIRTIO_QUEUES * VIRTIO_NOTIFY_STEP);
	pci_function_set(f, CAP_NOTIFY + 16, VIRTIO_NOTIFY_STEP, 4);
	put_capability(f, CAP_ISR, CAP_DEVICE, 16, CFG_ISR, PART_ISR, 1);
	put_capability(f, CAP_DEVICE, CAP_WINDOW, 16, CFG_DEVICE, PART_DEVICE, VIRTIO_CONFIG_BYTES);
	put_capability(f, CAP_WINDOW, 0, 20, CFG_PCI, 0, 0);
}

/* BAR 0 is assigned and decoded, as firmware leaves it. */
static void put_header(struct pci_function *f, uint16_t type, uint16_t slot)
{
	memset(f, 0, sizeof(*f));
	pci_function_set(f, PCI_VENDOR_ID, VENDOR, 2);
	pci_function_set(f, PCI_DEVICE_ID, DEVICE_BASE + type, 2);
	pci_function_set(f, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	pci_function_set(f, PCI_STATUS, PCI_STATUS_CAPABILITIES, 2);
	pci_function_set(f, PCI_REVISION, 1, 1);
	pci_function_set(f, PCI_CLASS_BASE, type_of(type)->pci_class, 1);
	if (type == VIRTIO_ID_GPU)
		pci_function_set(f, PCI_CLASS_SUB, PCI_SUB_OTHER_DISPLAY, 1); /* no VGA */
	pci_function_set(f, PCI_BAR0, (uint32_t)(ranges[RANGE_BAR].base + (slot - 1u) * ranges[RANGE_BAR].step), 4);
	pci_function_set(f, PCI_SUBSYSTEM_VENDOR_ID, VENDOR, 2);
	pci_function_set(f, PCI_SUBSYSTEM_ID, SUBSYSTEM, 2);
	pci_function_set(f, PCI_INTERRUPT_LINE, LAYOUT_PCI_LINE_OF(slot), 1);
	pci_function_set(f, PCI_INTERRUPT_PIN, 1, 1);
	put_capabilities(f);
}

static bool is_msix(const struct virtio_state *s)
{
	return s->function.bytes[CAP_MSIX + 3] & MSIX_ENABLE;
}

static void update_line(struct virtio_state *s)
{
	bool off = is_msix(s) || s->function.bytes[PCI_COMMAND + 1] & PCI_COMMAND_NO_INTX >> 8;

	s->line = line_set(s->line, s->isr && !off);
}

/* 4.1.4.5.1: reading takes the interrupt back. */
static uint64_t read_isr(struct virtio_state *s)
{
	uint64_t isr = s->isr;

	s->isr = 0;
	return isr;
}

static uint64_t read_config(const struct virtio_state *s, uint32_t offset, unsigned size)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < size && i < 8; i++)
		if (offset + i < VIRTIO_CONFIG_BYTES)
			value |= (uint64_t)s->config[offset + i] << 8 * i;
	return value;
}

static uint64_t read_bar(struct virtio_state *s, uint32_t offset, unsigned size)
{
	uint32_t at = offset % PART_BYTES;

	switch (offset - at) {
	case PART_COMMON:
		return virtio_pci_read(&s->common, at, size);
	case PART_ISR:
		return at ? 0 : read_isr(s);
	case PART_DEVICE:
		return read_config(s, at, size);
	case PART_MSIX:
		return msix_read(&s->msix, at, size);
	case PART_PENDING:
		return at ? 0 : s->msix.pending;
	default:
		return 0;
	}
}

static void write_bar(struct virtio_state *s, uint32_t offset, uint64_t data, unsigned size)
{
	uint32_t at = offset % PART_BYTES;

	if (offset - at == PART_COMMON)
		virtio_pci_write(&s->common, at, data, size);
	else if (offset - at == PART_MSIX)
		msix_write(&s->msix, at, data, size);
}

/* 4.1.4.9: a guest that cannot reach BARs reaches them through here. False: the access is not one to the window's data. */
static bool window(const struct virtio_state *s, uint32_t offset, unsigned size, uint32_t *at)
{
	const struct pci_function *f = &s->function;

	*at = (uint32_t)pci_function_read(f, WINDOW_OFFSET, 4);
	return offset == WINDOW_DATA && pci_function_read(f, WINDOW_LENGTH, 4) == size && size <= 4 &&
	       f->bytes[WINDOW_OFFSET - 4] == 0 && *at < VIRTIO_BAR_BYTES && *at % size == 0;
}

static uint64_t read_function(struct virtio_state *s, uint32_t offset, unsigned size)
{
	uint32_t at;

	if (window(s, offset, size, &at))
		return read_bar(s, at, size);
	return pci_function_read(&s->function, offset, size);
}

static void write_function(struct virtio_state *s, uint32_t offset, uint64_t data, unsigned size)
{
	uint32_t at;

	if (window(s, offset, size, &at))
		write_bar(s, at, data, size);
	else
		pci_function_write(&s->function, write_mask, offset, data, size);
}

/* Bit 3 of the status register says that an interrupt is asked for (PCI 3.0, 6.2.3). */
static void update(struct virtio_state *s)
{
	update_line(s);
	s->function.bytes[PCI_STATUS] = PCI_STATUS_CAPABILITIES | (s->isr && !is_msix(s) ? PCI_STATUS_INTX : 0);
}

static uint64_t virtio_read(void *state, unsigned range, uint32_t offset, unsigned size, uint64_t now_ns)
{
	struct virtio_state *s = state;
	uint64_t value = UINT64_MAX;

	(void)now_ns;
	if (range == RANGE_CONFIG)
		value = read_function(s, offset, size);
	else if (range == RANGE_BAR)
		value = read_bar(s, offset, size);
	update(s);
	return value;
}

static void virtio_write(void *state, unsigned range, uint32_t offset, uint64_t data, unsigned size, uint64_t now_ns)
{
	struct virtio_state *s = state;

	(void)now_ns;
	if (range == RANGE_CONFIG)
		write_function(s, offset, data, size);
	else if (range == RANGE_BAR)
		write_bar(s, offset, data, size);
	update(s);
}

/* What the back-end has said stays: it is connected all the while. */
static void virtio_reset(void *state, const struct model_config *config, uint64_t now_ns)
{
	struct virtio_state *s = state;
	uint32_t line = s->line;

	(void)now_ns;
	s->type = config->virtio_type;
	s->slot = (uint16_t)(config->instance % VIRTIO_DEVICES + 1);
	put_header(&s->function, s->type, s->slot);
	msix_reset(&s->msix);
	virtio_pci_reset(&s->common);
	s->isr = 0;
	s->line = line_set(line, false);
}

static uint64_t virtio_advance(void *state, uint64_t now_ns)
{
	(void)state;
	(void)now_ns;
	return UINT64_MAX;
}

static void virtio_get_lines(const void *state, uint32_t words[MODEL_LINES])
{
	const struct virtio_state *s = state;

	for (unsigned i = 0; i < LAYOUT_PCI_LINES; i++)
		words[LAYOUT_PCI_LINE + i] = LAYOUT_PCI_LINE + i == (unsigned)LAYOUT_PCI_LINE_OF(s->slot) ? s->line : 0;
}

/* Nothing is read often enough. */
static unsigned virtio_get_shadow(const void *state, struct shadow_value out[MODEL_MAX_SHADOW])
{
	(void)state;
	(void)out;
	return 0;
}

static const char *check_function(const struct virtio_state *s)
{
	struct pci_function reset;

	if (s->slot < 1 || s->slot > VIRTIO_DEVICES)
		return "slot";
	put_header(&reset, s->type, s->slot);
	reset.bytes[PCI_STATUS] = PCI_STATUS_CAPABILITIES | (s->isr && !is_msix(s) ? PCI_STATUS_INTX : 0);
	return pci_function_is_possible(&s->function, &reset, write_mask) ? NULL : "function";
}

static int virtio_validate(const void *state, const char **field)
{
	const struct virtio_state *s = state;
	struct virtio_state again;
	const char *bad = check_function(s);

	if (!bad && (s->isr & ~(VIRTIO_ISR_QUEUE | VIRTIO_ISR_CONFIG) || s->described > 1))
		bad = "isr";
	if (!bad)
		bad = msix_check(&s->msix);
	if (!bad)
		bad = virtio_pci_check(&s->common);
	if (!bad) {
		again = *s;
		update_line(&again);
		bad = again.line == s->line ? NULL : "line";
	}
	*field = bad;
	return bad ? -EINVAL : 0;
}

/* What passes from the back-end's features to the guest: the device's own but for a writable configuration, and rings as the
 * vhost-user protocol has them. */
static uint64_t offered(const struct virtio_state *s, uint64_t features)
{
	uint64_t own = 0xffffff & ~type_of(s->type)->hidden;

	return features & (own | VU_F_INDIRECT | VU_F_EVENT_IDX | VU_F_VERSION_1);
}

static void limit_queues(const struct virtio_state *s, uint8_t config[VIRTIO_CONFIG_BYTES])
{
	uint8_t *at = &config[BLK_NUM_QUEUES];

	if (s->type != VIRTIO_ID_BLOCK || (unsigned)(at[0] | at[1] << 8) <= s->common.queue_count)
		return;
	at[0] = (uint8_t)s->common.queue_count;
	at[1] = 0;
}

/* 4.1.4.3: a driver that reads its configuration piecemeal sees by the generation that it has changed meanwhile. */
static void tell_config(struct virtio_state *s)
{
	s->common.generation++;
	s->isr |= VIRTIO_ISR_CONFIG;
	if (is_msix(s) && s->common.config_vector < VIRTIO_VECTORS)
		s->msix.pending |= (uint8_t)(1u << s->common.config_vector);
	update(s);
}

/* A guest keeps what it has negotiated from FEATURES_OK on until it resets the device (3.1.1), and the queues that it has enabled. */
static bool suits(const struct virtio_state *s, const struct virtio_description *d)
{
	const struct virtio_pci *v = &s->common;

	if (v->phase == VIRTIO_STOPPING)
		return true;
	if (v->status & VIRTIO_FEATURES_OK && v->accepted & ~offered(s, d->features))
		return false;
	for (unsigned n = d->queues; n < VIRTIO_QUEUES; n++)
		if (v->queues[n].enabled)
			return false;
	return true;
}

int virtio_model_describe(void *state, const struct virtio_description *d)
{
	struct virtio_state *s = state;
	struct virtio_description copy = *d;
	bool changed;

	if (!suits(s, d))
		return -EPROTO;
	virtio_pci_offer(&s->common, offered(s, d->features), d->queues);
	limit_queues(s, copy.config);
	changed = s->described && memcmp(s->config, copy.config, sizeof(s->config));
	memcpy(s->config, copy.config, sizeof(s->config));
	s->described = 1;
	if (changed)
		tell_config(s);
	return changed;
}

unsigned virtio_model_config_bytes(const void *state)
{
	return type_of(((const struct virtio_state *)state)->type)->config_bytes;
}

bool virtio_model_is_described(const void *state)
{
	return ((const struct virtio_state *)state)->described;
}

bool virtio_model_uses_msix(const void *state)
{
	return is_msix(state);
}

const struct virtio_pci *virtio_model_common(const void *state)
{
	return &((const struct virtio_state *)state)->common;
}

void virtio_model_stopped(void *state)
{
	struct virtio_state *s = state;

	if (s->common.phase != VIRTIO_STOPPING)
		return;
	virtio_pci_reset(&s->common);
	s->isr = 0;
	s->msix.pending = 0;
	update(s);
}

void virtio_model_break(void *state)
{
	struct virtio_state *s = state;

	if (s->common.status & VIRTIO_NEEDS_RESET || s->common.phase == VIRTIO_STOPPING)
		return;
	s->common.status |= VIRTIO_NEEDS_RESET;
	tell_config(s);
}

struct virtio_message virtio_model_message(const void *state, unsigned n)
{
	const struct virtio_state *s = state;
	struct virtio_message m = msix_message(&s->msix, n);

	m.on = m.on && is_msix(s) && !(s->function.bytes[CAP_MSIX + 3] & MSIX_FUNCTION_MASK);
	return m;
}

void virtio_model_called(void *state, unsigned n)
{
	struct virtio_state *s = state;

	if (is_msix(s))
		s->msix.pending |= (uint8_t)(1u << n);
	else
		s->isr |= VIRTIO_ISR_QUEUE;
	update(s);
}

unsigned virtio_model_take_pending(void *state)
{
	struct virtio_state *s = state;
	unsigned taken = 0;

	for (unsigned n = 0; n < VIRTIO_VECTORS; n++)
		if (s->msix.pending >> n & 1 && virtio_model_message(s, n).on)
			taken |= 1u << n;
	s->msix.pending &= (uint8_t)~taken;
	return taken;
}

const struct device_model virtio_model = {
	.name = "virtio",
	.version = 1,
	.state_size = sizeof(struct virtio_state),
	.ranges = ranges,
	.range_count = RANGES,
	.lines = VIRTIOD_LINES,
	.reset = virtio_reset,
	.read = virtio_read,
	.write = virtio_write,
	.advance = virtio_advance,
	.get_lines = virtio_get_lines,
	.get_shadow = virtio_get_shadow,
	.validate = virtio_validate,
};
