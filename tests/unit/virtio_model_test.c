/* SPDX-License-Identifier: MIT */
/* A virtio device as a PCI function: virtio 1.2, 4.1, and PCI 3.0, chapter 6. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "devices/virtio_model.h"
#include "model_fuzz.h"
#include "proto/layout.h"
#include "proto/vhost_user.h"

enum { CONFIG, BAR };
enum { COMMON = 0, ISR = 0x1000, DEVICE = 0x2000, TABLE = 0x4000, PENDING = 0x5000 };
enum { OFFERED_SELECT = 0, OFFERED = 4, ACCEPTED_SELECT = 8, ACCEPTED = 12, QUEUES = 0x12, STATUS = 0x14, GENERATION = 0x15,
       QUEUE_SELECT = 0x16, QUEUE_SIZE = 0x18, QUEUE_VECTOR = 0x1a, QUEUE_ENABLE = 0x1c, QUEUE_NOTIFY = 0x1e, QUEUE_DESC = 0x20 };
#define FEATURES (VU_F_VERSION_1 | VU_F_EVENT_IDX | VU_F_PROTOCOL_FEATURES | VU_F_LOG_ALL | 1ull << 9 | 1ull << 11)

static struct virtio_state s;
static const struct model_config config = { .instance = 1, .virtio_type = VIRTIO_ID_BLOCK, .vcpus = 1 };

static uint64_t get(unsigned range, uint32_t offset, unsigned size)
{
	return virtio_model.read(&s, range, offset, size, 0) & reg_all_ones(size);
}

static void set(unsigned range, uint32_t offset, uint64_t value, unsigned size)
{
	const char *field = NULL;

	virtio_model.write(&s, range, offset, value, size, 0);
	cr_assert_eq(virtio_model.validate(&s, &field), 0, "%s", field);
}

static void describe(void)
{
	struct virtio_description d = { .features = FEATURES, .queues = 9 };

	d.config[0] = 100;
	d.config[34] = 9;
	cr_assert_eq(virtio_model_describe(&s, &d), 0);
}

static void setup(void)
{
	memset(&s, 0, sizeof(s));
	virtio_model.reset(&s, &config, 0);
	describe();
}

TestSuite(virtio, .init = setup);

/* 4.1.2, 4.1.2.1 */
Test(virtio, header)
{
	cr_expect_eq(get(CONFIG, PCI_VENDOR_ID, 2), 0x1af4);
	cr_expect_eq(get(CONFIG, PCI_DEVICE_ID, 2), 0x1042);
	cr_expect_geq(get(CONFIG, PCI_REVISION, 1), 1);
	cr_expect_geq(get(CONFIG, PCI_SUBSYSTEM_ID, 2), 0x40);
	cr_expect(get(CONFIG, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES);
	cr_expect_eq(get(CONFIG, PCI_INTERRUPT_PIN, 1), 1);
	cr_expect_eq(get(CONFIG, PCI_INTERRUPT_LINE, 1), LAYOUT_PCI_LINE_OF(2));
	cr_expect_eq(get(CONFIG, 0x100, 4), 0, "no extended capability");
}

/* PCI 3.0, 6.2.5.1: all-ones is written, the size is read back; as firmware does it, it is assigned at power-on. */
Test(virtio, bar)
{
	cr_expect_eq(get(CONFIG, PCI_BAR0, 4), LAYOUT_PCI_BASE + VIRTIO_BAR_BYTES, "the second one's");
	cr_expect(get(CONFIG, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	set(CONFIG, PCI_BAR0, 0xffffffff, 4);
	cr_expect_eq((~get(CONFIG, PCI_BAR0, 4) + 1) & 0xffffffff, VIRTIO_BAR_BYTES);
	set(CONFIG, PCI_BAR0 + 4, 0xffffffff, 4);
	cr_expect_eq(get(CONFIG, PCI_BAR0 + 4, 4), 0, "no other");
}

/* 4.1.4: each kind of structure, in BAR 0; and MSI-X (PCI 3.0, 6.8.2). */
Test(virtio, capabilities)
{
	unsigned kinds = 0, msix = 0, n = 0;

	for (unsigned cap = (unsigned)get(CONFIG, PCI_CAPABILITIES, 1); cap && n < 20;
	     cap = (unsigned)get(CONFIG, cap + 1, 1), n++) {
		if (get(CONFIG, cap, 1) == PCI_CAP_VENDOR) {
			kinds |= 1u << get(CONFIG, cap + 3, 1);
			cr_expect_eq(get(CONFIG, cap + 4, 1), 0, "BAR");
			cr_expect_leq(get(CONFIG, cap + 8, 4) + get(CONFIG, cap + 12, 4), VIRTIO_BAR_BYTES);
		} else {
			msix++;
			cr_expect_eq(get(CONFIG, cap, 1), PCI_CAP_MSIX);
			cr_expect_eq(get(CONFIG, cap + 2, 2), VIRTIO_VECTORS - 1, "table size");
			cr_expect_eq(get(CONFIG, cap + 4, 4), TABLE);
			cr_expect_eq(get(CONFIG, cap + 8, 4), PENDING);
		}
	}
	cr_expect_eq(kinds, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
	cr_expect_eq(msix, 1);
}

static void accept(uint64_t features)
{
	set(BAR, ACCEPTED_SELECT, 0, 4);
	set(BAR, ACCEPTED, features & 0xffffffff, 4);
	set(BAR, ACCEPTED_SELECT, 1, 4);
	set(BAR, ACCEPTED, features >> 32, 4);
	set(BAR, STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK, 1);
}

/* 3.1.1; what is between us and the back-end is not offered, nor is a writable cache mode. */
Test(virtio, negotiation)
{
	uint64_t offered;

	set(BAR, OFFERED_SELECT, 1, 4);
	offered = get(BAR, OFFERED, 4) << 32;
	set(BAR, OFFERED_SELECT, 0, 4);
	offered |= get(BAR, OFFERED, 4);
	cr_expect_eq(offered, VU_F_VERSION_1 | VU_F_EVENT_IDX | 1 << 9);
	set(BAR, OFFERED_SELECT, 2, 4);
	cr_expect_eq(get(BAR, OFFERED, 4), 0);
	accept(VU_F_VERSION_1 | 1 << 5);
	cr_expect_not(get(BAR, STATUS, 1) & VIRTIO_FEATURES_OK, "not offered");
	accept(VU_F_EVENT_IDX);
	cr_expect_not(get(BAR, STATUS, 1) & VIRTIO_FEATURES_OK, "a driver of before 1.0");
	accept(VU_F_VERSION_1);
	cr_expect(get(BAR, STATUS, 1) & VIRTIO_FEATURES_OK);
}

static void run(void)
{
	accept(VU_F_VERSION_1);
	set(BAR, QUEUE_SELECT, 1, 2);
	set(BAR, QUEUE_SIZE, 64, 2);
	set(BAR, QUEUE_VECTOR, 2, 2);
	set(BAR, QUEUE_DESC, 0x12345010, 4);
	set(BAR, QUEUE_DESC + 4, 1, 4);
	set(BAR, QUEUE_ENABLE, 1, 2);
	set(BAR, STATUS, get(BAR, STATUS, 1) | VIRTIO_DRIVER_OK, 1);
}

/* 4.1.4.3 */
Test(virtio, queues)
{
	cr_expect_eq(get(BAR, QUEUES, 2), VIRTIO_QUEUES, "the back-end has more");
	cr_expect_eq(get(BAR, DEVICE + 34, 2), VIRTIO_QUEUES, "and says so");
	set(BAR, QUEUE_SELECT, VIRTIO_QUEUES, 2);
	cr_expect_eq(get(BAR, QUEUE_SIZE, 2), 0, "there is none");
	set(BAR, QUEUE_SIZE, 64, 2);
	set(BAR, QUEUE_SELECT, 2, 2);
	cr_expect_eq(get(BAR, QUEUE_SIZE, 2), VIRTIO_QUEUE_SIZE);
	set(BAR, QUEUE_SIZE, 48, 2);
	set(BAR, QUEUE_SIZE, 2 * VIRTIO_QUEUE_SIZE, 2);
	cr_expect_eq(get(BAR, QUEUE_SIZE, 2), VIRTIO_QUEUE_SIZE, "neither a power of two nor possible");
	set(BAR, QUEUE_VECTOR, VIRTIO_VECTORS, 2);
	cr_expect_eq(get(BAR, QUEUE_VECTOR, 2), VIRTIO_NO_VECTOR, "4.1.5.1.2.1");
	run();
	cr_expect_eq(s.common.queues[1].desc, 0x112345010);
	cr_expect_eq(s.common.queues[1].vector, 2);
	cr_expect_eq(get(BAR, QUEUE_NOTIFY, 2), 1);
	set(BAR, QUEUE_DESC, 0, 4);
	cr_expect_eq(s.common.queues[1].desc, 0x112345010, "it is enabled");
}

/* 2.1.2, 4.1.4.3.1: zero resets; while the back-end still works the status does not read as zero. */
Test(virtio, life)
{
	cr_expect_eq(s.common.phase, VIRTIO_IDLE);
	set(BAR, STATUS, VIRTIO_DRIVER_OK, 1);
	cr_expect_eq(s.common.phase, VIRTIO_IDLE, "without negotiation");
	run();
	cr_expect_eq(s.common.phase, VIRTIO_RUNS);
	set(BAR, STATUS, 0, 1);
	cr_expect_eq(s.common.phase, VIRTIO_STOPPING);
	cr_expect_neq(get(BAR, STATUS, 1), 0);
	set(BAR, STATUS, 0xff, 1);
	cr_expect_eq(s.common.phase, VIRTIO_STOPPING);
	virtio_model_stopped(&s);
	cr_expect_eq(get(BAR, STATUS, 1), 0);
	cr_expect_eq(s.common.queues[1].enabled, 0);
	cr_expect_eq(get(BAR, DEVICE, 1), 100, "what the device is, stays");
}

static bool line(void)
{
	uint32_t words[MODEL_LINES] = { 0 };

	virtio_model.get_lines(&s, words);
	return words[LAYOUT_PCI_LINE_OF(2)] & LINE_LEVEL;
}

/* 4.1.4.5: INTx is high until the ISR status has been read. */
Test(virtio, intx)
{
	run();
	cr_expect_not(line());
	virtio_model_called(&s, 2);
	cr_expect(line());
	cr_expect(get(CONFIG, PCI_STATUS, 2) & PCI_STATUS_INTX);
	set(CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_NO_INTX, 2);
	cr_expect_not(line(), "PCI 3.0, 6.2.2");
	set(CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	cr_expect_eq(get(BAR, ISR, 1), VIRTIO_ISR_QUEUE);
	cr_expect_not(line());
	cr_expect_eq(get(BAR, ISR, 1), 0);
}

static void enable_msix(unsigned bits)
{
	set(CONFIG, 0x42, bits, 2);
}

/* PCI 3.0, 6.8.2: a masked vector that is called is pending, and sent when it is no longer masked. */
Test(virtio, msix)
{
	run();
	enable_msix(0x8000);
	cr_expect_not(virtio_model_message(&s, 2).on, "masked at power-on");
	set(BAR, TABLE + 2 * 16, 0xfee01003, 4);
	set(BAR, TABLE + 2 * 16 + 8, 0x41, 4);
	virtio_model_called(&s, 2);
	cr_expect_not(line());
	cr_expect_eq(get(BAR, PENDING, 8), 1 << 2);
	cr_expect_eq(virtio_model_take_pending(&s), 0);
	set(BAR, TABLE + 2 * 16 + 12, 0, 4);
	cr_expect(virtio_model_message(&s, 2).on);
	cr_expect_eq(virtio_model_message(&s, 2).addr, 0xfee01000, "bits 1..0 are zero");
	cr_expect_eq(virtio_model_message(&s, 2).data, 0x41);
	enable_msix(0xc000);
	cr_expect_not(virtio_model_message(&s, 2).on, "function mask");
	enable_msix(0x8000);
	cr_expect_eq(virtio_model_take_pending(&s), 1u << 2);
	cr_expect_eq(get(BAR, PENDING, 8), 0);
}

/* 4.1.4.9: what cannot map BARs goes through configuration space. */
Test(virtio, window)
{
	set(CONFIG, 0x94, 0, 1);
	set(CONFIG, 0x98, STATUS, 4);
	set(CONFIG, 0x9c, 1, 4);
	set(CONFIG, 0xa0, VIRTIO_ACKNOWLEDGE, 1);
	cr_expect_eq(get(CONFIG, 0xa0, 1), VIRTIO_ACKNOWLEDGE);
	cr_expect_eq(get(BAR, STATUS, 1), VIRTIO_ACKNOWLEDGE);
	set(CONFIG, 0x98, 0xffffffff, 4);
	cr_expect_eq(get(CONFIG, 0xa0, 1), 0, "outside");
}

/* 2.1.2, 2.5.2: a device in distress, and one whose capacity has changed, say so. */
Test(virtio, what_the_guest_is_told)
{
	struct virtio_description d = { .features = FEATURES, .queues = 4, .config = { 200 } };
	uint64_t generation = get(BAR, GENERATION, 1);

	run();
	cr_expect_eq(virtio_model_describe(&s, &d), 1);
	cr_expect_eq(get(BAR, DEVICE, 1), 200);
	cr_expect_neq(get(BAR, GENERATION, 1), generation);
	cr_expect_eq(get(BAR, ISR, 1), VIRTIO_ISR_CONFIG);
	virtio_model_break(&s);
	cr_expect(get(BAR, STATUS, 1) & VIRTIO_NEEDS_RESET);
	cr_expect_eq(get(BAR, ISR, 1), VIRTIO_ISR_CONFIG);
	d.features = 0;
	cr_expect_eq(virtio_model_describe(&s, &d), -EPROTO, "not what the guest has negotiated");
}

/* 3.1.1, step 5, and 2.2: what was negotiated holds from FEATURES_OK on, though nothing runs yet, until the device is reset. */
Test(virtio, another_back_end)
{
	struct virtio_description less = { .features = FEATURES & ~VU_F_EVENT_IDX, .queues = 4 },
				  narrow = { .features = FEATURES, .queues = 1 };

	accept(VU_F_VERSION_1 | VU_F_EVENT_IDX);
	cr_expect_eq(virtio_model_describe(&s, &less), -EPROTO, "negotiated");
	set(BAR, QUEUE_SELECT, 1, 2);
	set(BAR, QUEUE_ENABLE, 1, 2);
	cr_expect_eq(virtio_model_describe(&s, &narrow), -EPROTO, "a queue that is enabled");
	set(BAR, STATUS, 0, 1);
	cr_expect_geq(virtio_model_describe(&s, &less), 0);
	cr_expect_geq(virtio_model_describe(&s, &narrow), 0);
	cr_expect_eq(get(BAR, QUEUES, 2), 1);
}

Test(virtio, validation)
{
	const char *field;

	run();
	cr_assert_eq(virtio_model.validate(&s, &field), 0);
#define REJECTS(change)                                                                  \
	do {                                                                             \
		struct virtio_state saved = s;                                           \
		change;                                                                  \
		cr_assert_eq(virtio_model.validate(&s, &field), -EINVAL, "%s", #change); \
		cr_assert_not_null(field);                                               \
		s = saved;                                                               \
	} while (0)
	REJECTS(s.slot = 0);
	REJECTS(s.slot = VIRTIO_DEVICES + 1);
	REJECTS(s.isr = 4);
	REJECTS(s.function.bytes[0] = 0);
	REJECTS(s.msix.table[15] = 1);
	REJECTS(s.msix.pending = 0x80);
	REJECTS(s.common.phase = VIRTIO_PHASES);
	REJECTS(s.common.phase = VIRTIO_IDLE);
	REJECTS(s.common.queue_count = VIRTIO_QUEUES + 1);
	REJECTS(s.common.queues[0].size = 3);
	REJECTS(s.common.queues[0].vector = VIRTIO_VECTORS);
	REJECTS(s.common.accepted = 1);
	REJECTS(s.line ^= LINE_LEVEL);
}

Test(virtio, random_operations)
{
	fuzz_run(&virtio_model, &config, 2000, 0);
}
